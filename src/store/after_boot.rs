// SPDX-License-Identifier: GPL-2.0-or-later
//! The program that runs once after a boot, before whatever looks at the built-in ticket store: it
//! revokes there what was granted on an earlier boot.
//!
//! No keeper outlives its machine. So without this a site that was switched off while it held a
//! ticket would look as if it held it until the daemon has started, and for ever if it does not.
//! It needs neither network nor daemon, and never touches what was granted on this boot.

use super::ticket_dir::{BootMark, TicketDir};
use crate::config::{self, Account, StoreConfig, TicketStore};
use crate::sys::accounts::{self, Identity};
use crate::sys::{directory, filelock, lockfile, process};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The name of the program.
pub(crate) const NAME: &str = "booth-after-boot";

const USAGE: &str = "\
usage: booth-after-boot [CONFIGURATION...]
Revokes in the ticket store of sites without Pacemaker what was granted before this machine was
booted. Without arguments: for each /etc/booth/NAME.conf.
";

/// The program: does it for the configurations in the arguments.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let done = match args {
        [word] if word == "-h" || word == "--help" => {
            print!("{USAGE}");
            Ok(true)
        }
        [word, ..] if word.as_encoded_bytes().starts_with(b"-") => {
            eprint!("{USAGE}");
            Ok(false)
        }
        [] => all_configurations()
            .map(|paths| each(&paths))
            .map_err(|error| format!("cannot look for configurations: {error}")),
        [one] => of_configuration(&one.to_string_lossy()),
        many => Ok(each(many)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            say(&text);
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    eprintln!("{NAME}: {text}");
}

/// Every file that may be a configuration, in the order of their names.
fn all_configurations() -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries = match fs::read_dir(config::DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("conf")) {
            continue;
        }
        // A pipe would be waited for.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            say(&format!("{} is no file: passed over", path.display()));
            continue;
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

/// A process for each, since each becomes the user of its store; at the same time, so that a store
/// on a disk that does not answer holds up no other.
fn each(configurations: &[impl AsRef<OsStr>]) -> bool {
    let start = |one| Command::new("/proc/self/exe").arg0(NAME).arg(one).spawn();
    let started: Vec<_> = configurations.iter().map(start).collect();
    let mut done = true;
    for child in started {
        match child.and_then(|mut child| child.wait()) {
            Ok(status) => done &= status.success(),
            Err(error) => {
                say(&format!("cannot start a process for a configuration: {error}"));
                done = false;
            }
        }
    }
    done
}

/// Does it for one configuration; false: not all of it.
fn of_configuration(given: &str) -> Result<bool, String> {
    let found = config::load_store(given).map_err(|error| error.to_string())?;
    let StoreConfig { name, store: TicketStore::Directory(directory) } = found else {
        return Ok(true);
    };
    // Its daemon has started since the boot, and reads the tickets itself.
    let lives = keeper_lives(&name)
        .map_err(|error| format!("{name}: cannot tell whether its keeper lives: {error}"))?;
    if lives {
        return Ok(true);
    }
    sweep(&directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// Whether a keeper of this configuration lives: it has a lock on its directory. A directory alone
/// is none, since in a container one of an earlier boot may be left.
///
/// # Errors
/// The directories of keepers, or one of them, cannot be looked at.
fn keeper_lives(name: &str) -> io::Result<bool> {
    let lock_file = lockfile::default_path(name);
    let Some(run_directory) = lock_file.parent() else { return Ok(false) };
    let begin = format!("{name}-");
    let of_this = |file: &OsStr| {
        let file = file.to_string_lossy();
        let address = file.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".keeper"));
        address.is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok())
    };
    let entries = match fs::read_dir(run_directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if of_this(&entry.file_name()) && entry.file_type()?.is_dir() && is_locked(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether another process has a lock on this directory.
fn is_locked(path: &Path) -> io::Result<bool> {
    match directory::open(path) {
        Ok(directory) => Ok(filelock::holder_of(&directory)?.is_some()),
        // Removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Revokes in a directory what was granted on an earlier boot; false: not all of it.
fn sweep(directory: &Path) -> io::Result<bool> {
    let store = TicketDir::new(directory);
    let now = BootMark::now()?;
    let mut done = true;
    for path in store.files()? {
        let left = match store.left_by_an_earlier_boot(&path, &now) {
            Ok(left) => left,
            Err(error) => {
                say(&error.to_string());
                done = false;
                continue;
            }
        };
        let Some(ticket) = left else { continue };
        become_owner(&path)?;
        match store.revoke_left(&ticket, &now) {
            Ok(()) => say(&format!(
                "ticket {ticket} was granted before this machine was booted: revoked in {}",
                path.display()
            )),
            Err(error) => {
                say(&format!("cannot revoke ticket {ticket}: {error}"));
                done = false;
            }
        }
    }
    Ok(done)
}

/// Becomes the user whose file this is, if this is root: the daemon must be able to use what is
/// written here, and that user must not lead root elsewhere.
fn become_owner(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !process::am_root() || found.uid() == 0 {
        return Ok(());
    }
    let name = accounts::user_name(found.uid());
    let account =
        Account { user: name, group: String::new(), user_configured: true, group_configured: true };
    let identity = Identity { uid: found.uid(), gid: found.gid() };
    accounts::become_user(&account, identity).map_err(|error| io::Error::other(error.to_string()))
}
