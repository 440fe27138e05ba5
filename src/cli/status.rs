// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth status`: checks whether a daemon holds the lock file. If another process holds it, names
//! that process and says that no daemon runs.
//!
//! Scripts evaluate the printed line in a shell (P17, `CLIENTS.md`), so only lines that look like
//! assignments are printed.

use super::args::{Format, StatusArgs};
use super::json;
use super::options::Exit;
use super::output::Output;
use crate::config;
use crate::sys::lockfile::{self, Probe};
use crate::sys::lockholder::Users;
use crate::sys::surroundings::System;
use std::io;
use std::path::{Path, PathBuf};

/// Prints what is known about the running daemon.
pub(super) fn run(args: &StatusArgs, output: &Output) -> Result<Exit, Exit> {
    // Agents call this repeatedly, so it must not wait for a name server.
    let instance = config::load_instance(&args.config, &mut System)
        .map_err(|errors| output.errors(&errors))?;
    let given = args.lockfile.as_ref().map(PathBuf::from);
    let path = given.unwrap_or_else(|| lockfile::default_path(&instance.name));
    let users = Users::of([&instance.site_account, &instance.arbitrator_account]);
    let found = look(&path, &users);
    match args.format {
        Format::Text => tell(found, output),
        Format::Json => Ok(tell_json(&path, &found, output)),
    }
}

/// What was found.
enum Found {
    /// A daemon runs, and this is its line.
    Running(String),
    /// None does.
    NotRunning(String),
    /// That cannot be found out.
    Unknown(String),
}

fn tell(found: Found, output: &Output) -> Result<Exit, Exit> {
    match found {
        Found::Running(text) => Ok(output.data(&text)),
        Found::NotRunning(why) => {
            output.message(&why);
            Err(Exit::NotRunning)
        }
        Found::Unknown(why) => Err(output.failure(&why)),
    }
}

/// The same exit codes, with an object on standard output whatever was found.
fn tell_json(path: &Path, found: &Found, output: &Output) -> Exit {
    let path = path.display().to_string();
    let (text, exit) = match found {
        Found::Running(line) => (json::running(&path, line), Exit::Success),
        Found::NotRunning(why) => (json::not_running(&path, why), Exit::NotRunning),
        Found::Unknown(why) => (json::not_running(&path, why), Exit::Failure),
    };
    match output.data(&text) {
        Exit::Success => exit,
        failed => failed,
    }
}

fn look(path: &Path, users: &Users) -> Found {
    let shown = path.display();
    match lockfile::probe(path, users) {
        Ok(Probe::NotRunning(None)) => {
            Found::NotRunning(format!("not running: no process holds {shown}"))
        }
        Ok(Probe::NotRunning(Some(stranger))) => Found::NotRunning(format!(
            "not running: {shown} is locked by {stranger}, which is not a boothd of {users}; \
             end that process or remove the file"
        )),
        Ok(Probe::Unseen) => Found::Unknown(format!(
            "{shown} is locked by a process that is not visible from here, perhaps in a container"
        )),
        Ok(Probe::Running { pid, line }) => match state_line(pid, path, &line) {
            Some(text) => Found::Running(text),
            None => Found::Unknown(format!(
                "process {pid} holds {shown}, but its content is not the state of a daemon"
            )),
        },
        Err(error) => {
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => "; only root and the daemon's user may read it",
                _ => "",
            };
            Found::Unknown(format!("cannot read lock file {shown}: {error}{hint}"))
        }
    }
}

/// The line that scripts evaluate; `None` if the file's line is not a list of assignments.
///
/// A daemon that has the lock but has not written its line yet is *starting*.
fn state_line(pid: u32, path: &Path, line: &str) -> Option<String> {
    let file = shell_quoted(&path.display().to_string());
    let state = match line.trim() {
        "" => format!("booth_pid={pid} booth_state=starting"),
        line if is_state(line) => line.to_owned(),
        _ => return None,
    };
    Some(format!("booth_lockpid={pid} booth_lockfile={file} {state}\n"))
}

/// The text quoted as one shell word.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Whether the line consists only of `booth_NAME=value` and `booth_NAME='value'`, with `booth_pid`
/// first. No name may appear twice or replace what the lock says; otherwise the daemon's user could
/// make root's scripts take another process for the daemon.
fn is_state(line: &str) -> bool {
    let mut names = vec!["booth_lockpid", "booth_lockfile"];
    let mut rest = line;
    if !line.starts_with("booth_pid=") {
        return false;
    }
    while !rest.is_empty() {
        let Some((name, value)) = rest.split_once('=') else {
            return false;
        };
        let plain_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fit = name.starts_with("booth_") && name.chars().all(plain_name);
        if !fit || names.contains(&name) {
            return false;
        }
        names.push(name);
        let after = match value.strip_prefix('\'') {
            Some(quoted) => match quoted.split_once('\'') {
                Some((_, after)) => after,
                None => return false,
            },
            None => {
                let end = value.find(' ').unwrap_or(value.len());
                let plain_value = |c: char| c.is_ascii_alphanumeric() || ".:-_/".contains(c);
                if !value[..end].chars().all(plain_value) {
                    return false;
                }
                &value[end..]
            }
        };
        rest = match after.strip_prefix(' ') {
            Some(next) => next.trim_start_matches(' '),
            None if after.is_empty() => after,
            None => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "booth_pid=12 booth_state=started booth_type=site booth_cfg_name='my conf' \
                        booth_id=1696554816 booth_addr_string='fe80::1' booth_port=9929";

    #[test]
    fn the_line_of_a_daemon_is_printed_behind_pid_and_path() {
        let text = state_line(12, Path::new("/run/it's/x.pid"), LINE);
        let expected = format!("booth_lockpid=12 booth_lockfile='/run/it'\\''s/x.pid' {LINE}\n");
        assert_eq!(text, Some(expected));
    }

    #[test]
    fn a_lock_without_a_line_is_a_daemon_that_starts() {
        let text = state_line(7, Path::new("/x"), "  ");
        let expected = "booth_lockpid=7 booth_lockfile='/x' booth_pid=7 booth_state=starting\n";
        assert_eq!(text.as_deref(), Some(expected));
    }

    /// Who evaluates the line believes the last assignment.
    #[test]
    fn no_line_names_another_process_than_the_one_with_the_lock() {
        for more in ["booth_pid=1", "booth_lockpid=1", "booth_lockfile='/x'", "booth_state=started"]
        {
            let text = state_line(12, Path::new("/run/x.pid"), &format!("{LINE} {more}"));
            assert_eq!(text, None, "{more}");
        }
        let text = state_line(12, Path::new("/run/x.pid"), "booth_state=started booth_pid=1");
        assert_eq!(text, None);
    }

    #[test]
    fn nothing_is_printed_that_a_shell_would_run() {
        for line in [
            "rm -rf /",
            "booth_pid=$(reboot)",
            "booth_pid=12;reboot",
            "booth_pid=12 reboot",
            "booth_pid='12'reboot",
            "booth_pid='12",
            "booth_pid='12' `reboot`",
            "PATH=/tmp",
            "booth_a b=1",
            "1234",
        ] {
            assert_eq!(state_line(1, Path::new("/x"), line), None, "{line}");
        }
    }
}
