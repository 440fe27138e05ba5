// SPDX-License-Identifier: GPL-2.0-or-later
//! The lock file and whose lock on it counts. What needs a second user is in `test/daemon`.

use crate::model::{MemberId, MemberRole};
use crate::sys::lockfile::{probe, DaemonState, LockError, LockFile, Probe, StateLine};
use crate::sys::lockholder::Users;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn looked(path: &Path) -> Probe {
    probe(path, &Users::own()).expect("readable")
}

fn acquire(path: &Path) -> Result<LockFile, LockError> {
    LockFile::acquire(path, &Users::own())
}

fn state(state: DaemonState) -> StateLine {
    StateLine {
        pid: 9,
        state,
        role: MemberRole::Site,
        config_name: "x".to_owned(),
        id: MemberId::from_raw(1_696_554_816),
        address: IpAddr::from([127, 0, 0, 1]),
        port: 9929,
    }
}

#[test]
fn the_state_line_is_that_of_the_reference() {
    let expected = "booth_pid=9 booth_state=started booth_type=site booth_cfg_name='x' \
                    booth_id=1696554816 booth_addr_string='127.0.0.1' booth_port=9929";
    assert_eq!(state(DaemonState::Started).to_string(), expected);
}

#[test]
fn a_shorter_line_replaces_a_longer_one_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.pid");
    fs::write(&path, "left by a daemon that was killed\n".repeat(20)).expect("written");
    let mut lock = acquire(&path).expect("the lock is free");
    lock.write(&state(DaemonState::Starting)).expect("written");
    lock.write(&state(DaemonState::Started)).expect("written");
    let text = fs::read_to_string(&path).expect("readable");
    assert_eq!(text, format!("{}\n", state(DaemonState::Started)));
    lock.remove();
    assert!(!path.exists());
}

#[test]
fn a_removed_file_is_made_again_and_a_strange_one_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.pid");
    let mut lock = acquire(&path).expect("the lock is free");
    lock.write(&state(DaemonState::Started)).expect("written");
    assert!(!lock.restore().expect("in place"));
    fs::remove_file(&path).expect("removed");
    assert!(lock.restore().expect("made again"));
    assert!(fs::read_to_string(&path).expect("readable").contains("booth_pid=9"));
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "somebody else's").expect("written");
    lock.remove();
    assert_eq!(fs::read_to_string(&path).expect("readable"), "somebody else's");
}

#[test]
fn a_lock_file_nobody_holds_means_not_running() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.pid");
    assert_eq!(looked(&path), Probe::NotRunning(None));
    fs::write(&path, "booth_pid=1 left over").expect("written");
    assert_eq!(looked(&path), Probe::NotRunning(None));
    let error = acquire(&dir.path().join("no/x.pid")).expect_err("no directory");
    assert!(error.to_string().contains("open error"), "{error}");
}

#[test]
fn only_an_ordinary_file_can_be_a_lock_file_and_no_pipe_blocks_anybody() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.pid");
    fs::write(&path, "").expect("written");
    let link = dir.path().join("link.pid");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let pipe = dir.path().join("pipe.pid");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("run").success());
    for (path, what) in [(&link, "a symbolic link"), (&pipe, "no ordinary file")] {
        let error = acquire(path).expect_err(what);
        assert!(
            matches!(error, LockError::Open(..)) && error.to_string().contains(what),
            "{error}"
        );
        let error = probe(path, &Users::own()).expect_err(what);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_file_with_a_second_name_is_replaced_and_keeps_its_content_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, twin) = (dir.path().join("x.pid"), dir.path().join("twin"));
    fs::write(&twin, "not a lock file").expect("written");
    fs::hard_link(&twin, &path).expect("a second name");
    let mut lock = acquire(&path).expect("a new file");
    lock.write(&state(DaemonState::Started)).expect("written");
    assert!(lock.is_in_place());
    assert_eq!(fs::read_to_string(&twin).expect("readable"), "not a lock file");
    assert_eq!(fs::metadata(&path).expect("there").nlink(), 1);
}

#[test]
fn nobody_else_can_open_a_lock_file_also_one_that_was_left_open() {
    let dir = tempfile::tempdir().expect("a directory");
    for before in [None, Some(0o644), Some(0o666)] {
        let path = dir.path().join("x.pid");
        if let Some(mode) = before {
            fs::write(&path, "").expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("allowed");
        }
        let lock = acquire(&path).expect("the lock is free");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600, "{before:?}");
        lock.remove();
    }
}

/// Whether the kernel's list of locks has one of this process on the file.
fn is_locked_by_us(path: &Path) -> bool {
    let inode = fs::metadata(path).expect("there").ino();
    let (pid, inode) = (format!(" {} ", std::process::id()), format!(":{inode} "));
    let locks = fs::read_to_string("/proc/locks").expect("readable");
    locks.lines().any(|line| line.contains(&pid) && line.contains(&inode))
}

/// A file that was moved away and is back when the daemon has noticed is the same one; its lock
/// must not go with either descriptor of it.
#[test]
fn a_file_that_is_there_after_all_stays_locked() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.pid");
    let mut lock = acquire(&path).expect("the lock is free");
    lock.write(&state(DaemonState::Started)).expect("written");
    let same = acquire(&path);
    lock.give_way_to(same).expect("it is this process's own");
    assert!(is_locked_by_us(&path), "with the first descriptor");
    let unusable = acquire(&path)
        .map(drop)
        .and(Err(LockError::Open(path.clone(), std::io::ErrorKind::Other.into())));
    assert!(matches!(lock.give_way_to(unusable), Err(LockError::Open(..))));
    assert!(is_locked_by_us(&path), "with the second descriptor");
    lock.remove();
    assert!(!path.exists());
}
