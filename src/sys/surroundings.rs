// SPDX-License-Identifier: GPL-2.0-or-later
//! What a configuration needs from outside its text, from the system on which this process runs.

use crate::auth::Key;
use crate::config::{read_key_file, KeyFileProblem, Surroundings};
use crate::sys::accounts;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The system on which this process runs: its resolver, its files, its users.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Surroundings for System {
    /// Reference: `getaddrinfo`, so forms like `127.2` are addresses too.
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        Ok((host, 0u16).to_socket_addrs()?.collect())
    }

    /// The file is opened once, and judged as it was opened: nobody can put another in its place
    /// meanwhile. A link is not followed, and a pipe not waited for.
    fn read_key(&mut self, path: &Path, owners: &[&str]) -> Result<Key, KeyFileProblem> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = File::options().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) if path.is_symlink() => KeyFileProblem::Link,
            // A socket.
            Some(libc::ENXIO) => KeyFileProblem::NotAFile,
            _ => KeyFileProblem::open(&error),
        })?;
        read_key_file(&file, |owner| {
            let is_that = |name: &&str| accounts::user_number(name) == Some(owner);
            owner == accounts::own_user() || owners.iter().any(is_that)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{chown, symlink, PermissionsExt};
    use std::path::PathBuf;

    /// A key file with this mode and, as root, of this user.
    fn key_file(directory: &Path, mode: u32, owner: u32) -> PathBuf {
        let path = directory.join("key");
        let _ = fs::remove_file(&path);
        fs::write(&path, "0123456789").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("allowed");
        chown(&path, Some(owner), None).expect("given");
        path
    }

    #[test]
    fn nobody_but_the_owner_may_have_any_right() {
        let directory = tempfile::tempdir().expect("a directory");
        for mode in [0o600, 0o400, 0o700] {
            let path = key_file(directory.path(), mode, accounts::own_user());
            assert!(System.read_key(&path, &[]).is_ok(), "{mode:o}");
        }
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
            let path = key_file(directory.path(), mode, accounts::own_user());
            let refused = System.read_key(&path, &[]);
            assert_eq!(refused, Err(KeyFileProblem::OpenToOthers { mode }));
        }
    }

    #[test]
    fn a_link_is_not_followed_and_a_pipe_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = key_file(directory.path(), 0o600, accounts::own_user());
        let link = directory.path().join("link");
        symlink(&path, &link).expect("linked");
        assert_eq!(System.read_key(&link, &[]), Err(KeyFileProblem::Link));
        // What boothd(8) says to do about it.
        let copy = "cp -p --remove-destination \"$(readlink -f link)\" link";
        let mut shell = std::process::Command::new("sh");
        let copied = shell.args(["-c", copy]).current_dir(directory.path()).status();
        assert!(copied.expect("run").success());
        assert!(System.read_key(&link, &[]).is_ok());
        // What is above the file may be a link.
        let above = directory.path().join("above");
        symlink(directory.path(), &above).expect("linked");
        assert!(System.read_key(&above.join("key"), &[]).is_ok());
        let mut mkfifo = std::process::Command::new("mkfifo");
        let made = mkfifo.args(["-m", "600"]).arg(above.join("pipe")).status();
        assert!(made.expect("run").success());
        let pipe = System.read_key(&directory.path().join("pipe"), &[]);
        assert_eq!(pipe, Err(KeyFileProblem::NotAFile));
        assert_eq!(System.read_key(directory.path(), &[]), Err(KeyFileProblem::NotAFile));
    }

    /// pcs gives the file to the default user of sites, whoever the daemon runs as.
    #[test]
    fn a_key_belongs_to_root_or_to_a_user_of_the_daemon() {
        const STRANGER: u32 = 4242;
        if accounts::own_user() != 0 {
            println!("not run: a_key_belongs_to_root_or_to_a_user_of_the_daemon: not root");
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let nobody = accounts::user_number("nobody").expect("known everywhere");
        for (owner, owners, expected) in [
            (0, &[][..], true),
            (nobody, &["hacluster", "nobody"], true),
            (nobody, &["no-such-user"], false),
            (STRANGER, &["nobody"], false),
        ] {
            let path = key_file(directory.path(), 0o600, owner);
            let read = System.read_key(&path, owners);
            assert_eq!(read.is_ok(), expected, "{owner} {owners:?}: {read:?}");
            if !expected {
                assert_eq!(read, Err(KeyFileProblem::Owner { user: owner }));
            }
        }
    }
}
