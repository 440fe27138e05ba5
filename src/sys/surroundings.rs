// SPDX-License-Identifier: GPL-2.0-or-later
//! What a configuration needs from outside its text, from the system on which this process runs.

use crate::auth::Key;
use crate::config::{read_key_file, read_key_file_unjudged, system_words};
use crate::config::{KeyFileProblem, Surroundings, DIRECTORY};
use crate::sys::accounts::{self, Identity};
use std::fs::{File, Metadata};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// The same, for a service that may not read the key file itself: systemd has copied what is in
/// `/etc/booth` for it (`LoadCredential=booth:/etc/booth`) and let nobody else read that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WithCredentials;

impl Surroundings for WithCredentials {
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        System.resolve(host)
    }

    fn read_key(&mut self, path: &Path, owners: &[&str]) -> Result<Key, KeyFileProblem> {
        let given = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let copy = given.and_then(|directory| copy_in(&directory, path));
        match copy.filter(|copy| copy.is_file()) {
            Some(copy) => {
                let file = File::open(copy).map_err(|error| KeyFileProblem::open(&error))?;
                read_key_file_unjudged(&file)
            }
            None => System.read_key(path, owners),
        }
    }
}

/// Where the copy of a file of `/etc/booth` lies.
fn copy_in(credentials: &Path, path: &Path) -> Option<PathBuf> {
    let inside = path.strip_prefix(DIRECTORY).ok()?.to_str()?;
    Some(credentials.join(format!("booth_{}", inside.replace('/', "_"))))
}

/// Why a handler cannot be run, or checks nothing: a program, or a directory of programs.
pub(crate) fn handler_problem(path: &Path) -> Option<String> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) => return Some(system_words(&error)),
    };
    if !found.is_dir() {
        return (!is_program(&found)).then(|| "it is no executable file; use chmod +x".to_owned());
    }
    let entries = match path.read_dir() {
        Ok(entries) => entries.filter_map(Result::ok),
        Err(error) => return Some(system_words(&error)),
    };
    let mut shown: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    shown.retain(|path| !path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".")));
    shown.sort();
    if shown.is_empty() {
        return Some("there is no program in this directory, so it always succeeds".to_owned());
    }
    let bad = shown.iter().find(|path| !path.metadata().is_ok_and(|found| is_program(&found)))?;
    Some(format!("{} is no executable file; use chmod +x, or remove it", bad.display()))
}

fn is_program(found: &Metadata) -> bool {
    found.is_file() && found.mode() & 0o111 != 0
}

/// Why tickets cannot be kept in this directory: it is none, or the user who keeps them, if that is
/// another one than this process's, cannot write there.
pub(crate) fn store_problem(path: &Path, user: Option<Identity>) -> Option<String> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(
                "the directory does not exist; make it, for the user of boothd".to_owned(),
            );
        }
        Err(error) => return Some(system_words(&error)),
    };
    if !found.is_dir() {
        return Some("it is not a directory".to_owned());
    }
    let Identity { uid, gid } = user?;
    let bit = match () {
        () if uid == 0 => return None,
        () if found.uid() == uid => 0o200,
        () if found.gid() == gid => 0o020,
        () => 0o002,
    };
    (found.mode() & bit == 0).then(|| {
        let name = accounts::user_name(uid);
        format!("user {name}, as whom boothd runs, cannot write in it; use chown {name}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{chown, symlink, PermissionsExt};

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

    #[test]
    fn a_credential_is_named_after_its_file() {
        let at = |path: &str| copy_in(Path::new("/run/c"), Path::new(path));
        assert_eq!(at("/etc/booth/authkey"), Some("/run/c/booth_authkey".into()));
        assert_eq!(at("/etc/booth/keys/a"), Some("/run/c/booth_keys_a".into()));
        assert_eq!(at("/etc/other/authkey"), None);
    }

    #[test]
    fn a_handler_is_a_program_or_a_directory_of_programs() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let missing = handler_problem(&at("missing"));
        assert_eq!(missing.as_deref(), Some("No such file or directory"));
        fs::create_dir(at("d")).expect("made");
        let says = |name: &str, begin: &str| {
            let said = handler_problem(&at(name)).unwrap_or_default();
            assert!(said.contains(begin) && said.is_empty() == begin.is_empty(), "{said:?}");
        };
        says("d", "there is no program in this directory");
        fs::write(at("d/.hidden"), "").expect("written");
        says("d", "there is no program in this directory");
        for name in ["program", "d/10-first", "d/20-second"] {
            fs::write(at(name), "#!/bin/sh\n").expect("written");
            fs::set_permissions(at(name), Permissions::from_mode(0o755)).expect("allowed");
        }
        says("program", "");
        says("d", "");
        fs::set_permissions(at("program"), Permissions::from_mode(0o644)).expect("allowed");
        fs::set_permissions(at("d/20-second"), Permissions::from_mode(0o644)).expect("allowed");
        says("program", "it is no executable file");
        says("d", "/d/20-second is no executable file");
    }

    #[test]
    fn a_store_is_a_directory_in_which_its_user_can_write() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store");
        let says = |user, begin: &str| {
            let said = store_problem(&path, user).unwrap_or_default();
            assert!(said.starts_with(begin) && said.is_empty() == begin.is_empty(), "{said:?}");
        };
        says(None, "the directory does not exist");
        fs::write(&path, "").expect("written");
        says(None, "it is not a directory");
        fs::remove_file(&path).expect("it was there");
        fs::create_dir(&path).expect("made");
        says(None, "");
        let found = path.metadata().expect("there");
        let user = |uid, gid| Some(Identity { uid, gid });
        for (mode, uid, gid, begin) in [
            (0o755, 0, 1, ""),
            (0o755, 4242, 4242, "user 4242, as whom boothd runs, cannot write"),
            (0o757, 4242, 4242, ""),
            (0o775, 4242, found.gid(), ""),
            (0o757, 4242, found.gid(), "user 4242"),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("allowed");
            says(user(uid, gid), begin);
        }
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
