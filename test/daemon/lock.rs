// SPDX-License-Identifier: GPL-2.0-or-later
//! The lock file: what `status` and init scripts read, and who may touch it.

use crate::support::{texts, wait_until, Daemon, Lab};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn status_finds_the_daemon_and_its_end() {
    let lab = Lab::new(20);
    assert_eq!(lab.status(3).status.code(), Some(7));
    let mut daemon = lab.start(3);
    let output = lab.status(3);
    assert_eq!(output.status.code(), Some(0));
    let (stdout, _) = texts(&output);
    let pid = daemon.pid();
    let start = format!("booth_lockpid={pid} booth_lockfile='");
    let rest = format!("booth_pid={pid} booth_state=started booth_type=arbitrator ");
    assert!(stdout.starts_with(&start) && stdout.contains(&rest), "{stdout}");
    daemon.stop();
    assert_eq!(lab.status(3).status.code(), Some(7));
}

#[test]
fn a_second_daemon_leaves_the_first_ones_lock_file_alone() {
    let lab = Lab::new(21);
    let mut first = lab.start(3);
    let before = fs::read(lab.lock_file(3)).expect("readable");
    let second = lab.daemon(3).output().expect("run");
    assert_eq!(second.status.code(), Some(1));
    let (_, stderr) = texts(&second);
    assert!(stderr.contains(&format!("held by process {}", first.pid())), "{stderr}");
    assert_eq!(fs::read(lab.lock_file(3)).expect("still there"), before);
    assert_eq!(lab.status(3).status.code(), Some(0));
    // Another lock file, but the same address: it does not get that far either.
    let mut third = lab.booth(&["daemon", "-D", "-S", "-s"]);
    third.arg(lab.address(3).to_string()).arg("-l").arg(lab.lock_file(4));
    assert_eq!(third.output().expect("run").status.code(), Some(1));
    assert!(!lab.lock_file(4).exists());
    assert_eq!(fs::read(lab.lock_file(3)).expect("still there"), before);
    first.stop();
}

#[test]
fn a_killed_daemon_keeps_nobody_from_starting() {
    let lab = Lab::new(22);
    let mut first = lab.start(3);
    first.signal(libc::SIGKILL);
    first.end();
    assert!(lab.lock_file(3).exists());
    assert_eq!(lab.status(3).status.code(), Some(7));
    let mut second = lab.start(3);
    assert_eq!(lab.status(3).status.code(), Some(0));
    second.stop();
}

#[test]
fn a_removed_lock_file_comes_back() {
    let lab = Lab::new(23);
    let mut daemon = lab.start(3);
    for _ in 0..3 {
        fs::remove_file(lab.lock_file(3)).expect("removed");
        // As root, `status` finds the daemon without it, too.
        wait_until("the file is back", || lab.lock_file(3).exists());
        wait_until("status finds the daemon again", || lab.status(3).status.code() == Some(0));
    }
    let line = fs::read_to_string(lab.lock_file(3)).expect("readable");
    assert!(line.contains(&format!("booth_pid={} booth_state=started", daemon.pid())), "{line}");
    daemon.stop();
    assert!(!lab.lock_file(3).exists());
}

#[test]
fn somebody_elses_file_in_its_place_is_left_alone() {
    let lab = Lab::new(24);
    let mut daemon = lab.start(3);
    let other = lab.path().join("other");
    fs::write(&other, "not a lock file").expect("written");
    let link = lab.path().join("link");
    std::os::unix::fs::symlink(&other, &link).expect("linked");
    fs::rename(&link, lab.lock_file(3)).expect("replaced at one stroke");
    wait_until("the daemon complains", || daemon.log().contains("WARN: the lock file was removed"));
    daemon.stop();
    assert!(lab.lock_file(3).is_symlink());
    assert_eq!(fs::read_to_string(&other).expect("readable"), "not a lock file");
}

#[test]
fn a_signal_at_any_moment_of_the_start_leaves_no_lock_file() {
    const MOMENTS: u32 = 60;
    let lab = Lab::new(26);
    let begun = Instant::now();
    let mut first = lab.start(3);
    let start = begun.elapsed();
    first.stop();
    let (mut before, mut caught) = (0, 0);
    // A busy machine may take longer than the first time.
    for moment in (0..MOMENTS).chain([4 * MOMENTS, 16 * MOMENTS]) {
        let mut command = lab.daemon(3);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let begun = Instant::now();
        let mut daemon = Daemon::adopt(command.spawn().expect("started"), lab.path().join("none"));
        let wait: Duration = start * moment / MOMENTS;
        while begun.elapsed() < wait {
            std::thread::yield_now();
        }
        daemon.signal(libc::SIGTERM);
        // Killed by the signal before it can have made the file, or a clean end.
        match daemon.end().code() {
            None => before += 1,
            Some(code) => {
                assert_eq!(code, 0, "{wait:?}");
                caught += 1;
            }
        }
        assert!(!lab.lock_file(3).exists(), "left behind {wait:?} after the start");
    }
    println!("{before} ended before the file was made, {caught} removed it; a start is {start:?}");
    assert!(before > 0 && caught > 0);
}
