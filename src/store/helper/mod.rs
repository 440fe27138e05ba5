// SPDX-License-Identifier: GPL-2.0-or-later
//! The helper program, started from the daemon's own binary: it runs handlers and alerts, and reads
//! and changes the built-in ticket store.
//!
//! A helper is a process of its own, leader of its own process group, with nothing inherited but
//! standard input, output and error. `crm_ticket` and `cibadmin` need none: they are started
//! directly.

mod alert;
pub(super) mod builtin;
pub(super) mod exit;
mod handler;

use crate::sys::os;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// The name under which the helper runs: no resource agent and no init script looks for it.
pub const NAME: &str = "booth-ticket-writer";

/// What a helper is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Run a before-acquire handler: a program or a directory of programs.
    Handler {
        /// The program, or the directory.
        path: PathBuf,
        /// The arguments of the program, or of each.
        args: Vec<OsString>,
    },
    /// Run an alert, and end it with all that it has started when it takes too long: the daemon,
    /// which does the same, may have ended before.
    Alert {
        /// How long it may take, in seconds.
        limit: u64,
        /// The program.
        path: PathBuf,
    },
    /// Do what standard input says with the built-in store ([`builtin`]).
    Store {
        /// The directory of the store.
        dir: PathBuf,
        /// What a grant writes as `booth-cfg-name`.
        config_name: String,
    },
}

impl Call {
    /// The command that does it, by the program whose helper it is.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg0(NAME);
        match self {
            Call::Handler { path, args } => command.arg("handler").arg(path).args(args),
            Call::Alert { limit, path } => command.arg("alert").arg(limit.to_string()).arg(path),
            Call::Store { dir, config_name } => command.arg("store").arg(config_name).arg(dir),
        };
        command
    }

    /// The call in these arguments; `None` if they are none.
    fn parse(args: &[OsString]) -> Option<Call> {
        match args {
            [word, path, args @ ..] if word == "handler" => {
                Some(Call::Handler { path: path.into(), args: args.to_vec() })
            }
            [word, limit, path] if word == "alert" => {
                Some(Call::Alert { limit: limit.to_str()?.parse().ok()?, path: path.into() })
            }
            [word, name, dir] if word == "store" => {
                Some(Call::Store { dir: dir.into(), config_name: name.to_str()?.to_owned() })
            }
            _ => None,
        }
    }
}

/// The program: does what the arguments behind its name say.
pub fn main(args: &[OsString]) -> ExitCode {
    os::set_name(c"booth-ticket-wr");
    os::close_inherited();
    match Call::parse(args) {
        Some(Call::Handler { path, args }) => handler::run(&path, &args),
        Some(Call::Alert { limit, path }) => alert::run(Duration::from_secs(limit), &path),
        Some(Call::Store { dir, config_name }) => builtin::run(&dir, &config_name),
        None => exit::fail("this program is started by boothd only"),
    }
}

/// Where programs of administrators are.
const USUAL: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The program of this name in `PATH`, or where programs of administrators are. A service often
/// has a `PATH` without them.
///
/// # Errors
/// It is in none of them; the text says so.
pub(crate) fn find_program(name: &str) -> Result<PathBuf, String> {
    find_in(&std::env::var_os("PATH").unwrap_or_default(), name)
        .ok_or_else(|| format!("{name} is not in PATH nor in {USUAL}"))
}

/// The program of this name in such a list of directories, or in the usual ones. What is no
/// absolute path in the list, such as an empty element, would be wherever one stands.
fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    let dirs = std::env::split_paths(path).chain(std::env::split_paths(OsStr::new(USUAL)));
    let mut candidates = dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    candidates.find(|candidate| candidate.is_file())
}

/// A command for the program of this name ([`find_program`]), with these arguments and nothing on
/// standard input.
///
/// # Errors
/// There is no such program.
pub(super) fn tool(program: &str, args: Vec<String>) -> io::Result<Command> {
    let path = find_program(program).map_err(io::Error::other)?;
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_survives_its_arguments() {
        let handler = Call::Handler { path: "/a b".into(), args: vec!["-a".into(), "".into()] };
        let store = Call::Store { dir: "/a b".into(), config_name: "booth".to_owned() };
        let alert = Call::Alert { limit: 31, path: "/a b".into() };
        for call in [handler, alert, store] {
            let command = call.command(Path::new("/proc/self/exe"));
            let mut args: Vec<OsString> = command.get_args().map(OsString::from).collect();
            assert_eq!(Call::parse(&args), Some(call));
            args[0] = "nothing".into();
            assert_eq!(Call::parse(&args), None);
        }
        assert_eq!(Call::parse(&[]), None);
    }

    #[test]
    fn no_program_is_looked_for_where_one_stands() {
        let here = std::env::current_dir().expect("there is one");
        // A file that is there wherever the tests are run from.
        let name = "Cargo.toml";
        assert!(here.join(name).is_file());
        for path in ["", ":", ":/nowhere", "/nowhere:", ".", "src/.."] {
            assert_eq!(find_in(OsStr::new(path), name), None, "{path:?}");
        }
        assert_eq!(find_in(here.as_os_str(), name), Some(here.join(name)));
        assert_eq!(find_in(OsStr::new(""), "sh"), Some("/usr/bin/sh".into()));
    }
}
