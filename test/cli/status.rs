// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth status` against lock files in every state.

use crate::lab::Lab;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

const LINE: &str = "booth_pid=12 booth_state=started booth_type=site booth_cfg_name='lab' \
                    booth_id=1696554816 booth_addr_string='127.0.0.1' booth_port=9929";

/// A lock file with this content.
fn lock_file(lab: &Lab, content: &str) -> PathBuf {
    let path = lab.path().join("lock");
    fs::write(&path, content).expect("it is written");
    path
}

/// Takes an fcntl write lock on the whole file, as a daemon does, for as long as the file lives.
fn lock(path: &PathBuf) -> File {
    let file = File::options().write(true).open(path).expect("it is there");
    // SAFETY: all zeroes is a value of this plain C structure.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK.try_into().expect("a small constant");
    // SAFETY: the descriptor is open and `lock` valid for the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    file
}

#[test]
fn a_held_lock_is_a_running_daemon() {
    let lab = Lab::new(160);
    let path = lock_file(&lab, &format!("{LINE}\n"));
    let held = lock(&path);
    let (pid, file) = (std::process::id(), path.display());
    let expected = format!("booth_lockpid={pid} booth_lockfile='{file}' {LINE}\n");
    lab.booth(&format!("status -l {file}")).is(0, &expected, &[]);
    drop(held);
    let gone = format!("not running: no process holds {file}");
    lab.booth(&format!("status -l {file}")).is(7, "", &[&gone]);
}

#[test]
fn a_daemon_that_has_written_nothing_yet_is_starting() {
    let lab = Lab::new(161);
    let path = lock_file(&lab, "");
    let _held = lock(&path);
    let (pid, file) = (std::process::id(), path.display());
    let expected = format!(
        "booth_lockpid={pid} booth_lockfile='{file}' booth_pid={pid} booth_state=starting\n"
    );
    lab.booth(&format!("status -l {file}")).is(0, &expected, &[]);
}

#[test]
fn a_lock_file_without_a_lock_is_no_daemon() {
    let lab = Lab::new(162);
    let path = lock_file(&lab, LINE);
    let file = path.display();
    let gone = format!("not running: no process holds {file}");
    lab.booth(&format!("status -l {file}")).is(7, "", &[&gone]);
    fs::remove_file(&path).expect("it was there");
    lab.booth(&format!("status -l {file}")).is(7, "", &[&gone]);
}

/// Scripts evaluate what is printed, so garbage is not.
#[test]
fn garbage_in_a_held_lock_file_is_an_error() {
    let lab = Lab::new(163);
    for garbage in ["booth_pid=1; reboot", "\u{0}\u{1}\u{2}", "12345\n", "booth_pid='1"] {
        let path = lock_file(&lab, garbage);
        let _held = lock(&path);
        let line = format!(
            "booth: process {} holds {}, but what stands in it is no state of a daemon",
            std::process::id(),
            path.display()
        );
        lab.booth(&format!("status -l {}", path.display())).is(1, "", &[&line]);
    }
}

#[test]
fn a_lock_file_that_cannot_be_read_is_an_error() {
    let lab = Lab::new(164);
    let directory = lab.path().join("conf-is-a-file").join("lock");
    fs::write(lab.path().join("conf-is-a-file"), "").expect("it is written");
    let outcome = lab.booth(&format!("status -l {}", directory.display()));
    let begin = format!("booth: lockfile {} cannot be read: ", directory.display());
    assert!(outcome.stderr.starts_with(&begin), "{outcome:?}");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
}
