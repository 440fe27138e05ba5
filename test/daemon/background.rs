// SPDX-License-Identifier: GPL-2.0-or-later
//! A start in the background that takes its time: what it waits for, and what it does not.
//! (How long it waits at most is tested in `src/daemon/process.rs`.)

use crate::support::{pid_of, send_signal, wait_until, Ended, Lab};
use booth::daemon::leases::{LeaseTable, Slot};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Starts the first site in the background.
fn start(lab: &Lab) -> Child {
    let address = lab.address(1).to_string();
    let mut command = lab.booth(&["daemon", "-D", "-s", &address, "-l"]);
    command.arg(lab.lock_file(1)).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("started")
}

/// The exit code of a start, which has to come in time.
fn code_of(start: &mut Child) -> Option<i32> {
    let mut status = None;
    wait_until("the start returns", || {
        status = start.try_wait().expect("waited for");
        status.is_some()
    });
    status.and_then(|status| status.code())
}

fn state_line(lab: &Lab) -> String {
    fs::read_to_string(lab.lock_file(1)).unwrap_or_default()
}

/// The lease table of the first site with its only record locked, as by a change of the store
/// that a predecessor has left behind.
fn locked_by_a_predecessor(lab: &Lab) -> LeaseTable {
    lab.start(1).stop();
    let run_dir = lab.path().join(format!("lab-{}.leases", lab.address(1)));
    let file = File::options().read(true).write(true).open(run_dir.join("table"));
    let table = LeaseTable::reopen(file.expect("the first daemon has made it").as_fd());
    let table = table.expect("it can be opened");
    assert!(table.try_lock(Slot(0)).expect("it can be locked"));
    table
}

/// Starts the site in the background while a predecessor's change runs; gives the start, and the
/// daemon when it has its lock file.
fn start_held_up(lab: &Lab) -> (Child, Ended) {
    let child = start(lab);
    wait_until("it has its lock file", || state_line(lab).starts_with("booth_pid="));
    let daemon = Ended(pid_of(&state_line(lab)));
    (child, daemon)
}

#[test]
fn the_start_returns_after_what_a_predecessor_has_left_behind() {
    let lab = Lab::new(87);
    let table = locked_by_a_predecessor(&lab);
    let (mut child, _daemon) = start_held_up(&lab);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(700) {
        assert_eq!(child.try_wait().expect("waited for"), None, "the daemon is not up");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(state_line(&lab).contains("booth_state=starting"), "{}", state_line(&lab));
    table.unlock(Slot(0)).expect("it was locked");
    assert_eq!(code_of(&mut child), Some(0));
    assert!(lab.client(&["list"], 1).status.success(), "it is up");
}

#[test]
fn the_start_fails_at_once_if_the_daemon_ends_before_it_is_up() {
    let lab = Lab::new(88);
    let _table = locked_by_a_predecessor(&lab);
    let (mut child, daemon) = start_held_up(&lab);
    send_signal(daemon.0, libc::SIGKILL);
    assert_eq!(code_of(&mut child), Some(1));
}

/// A cluster that does not answer is not waited for: the daemon votes, and goes on trying.
#[test]
fn the_start_does_not_wait_for_a_store_that_cannot_be_read() {
    let lab = Lab::new(89);
    lab.use_crm_ticket("#!/bin/sh\nexec sleep 600\n");
    let mut child = start(&lab);
    assert_eq!(code_of(&mut child), Some(0));
    let _daemon = Ended(pid_of(&state_line(&lab)));
    assert!(state_line(&lab).contains("booth_state=starting"), "{}", state_line(&lab));
    assert!(lab.client(&["list"], 1).status.success());
}
