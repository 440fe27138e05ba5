// SPDX-License-Identifier: GPL-2.0-or-later
//! A start in the background that takes its time: what it waits for, and what it does not.
//! (How long it waits at most is tested in `src/sys/process.rs`.)

use crate::support::{pid_of, send_signal, wait_until, Ended, Lab};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// *g* of the lab's ticket.
const GUARD: Duration = Duration::from_secs(5);

/// Whoever runs the tests: the run directory is made by them.
const OURS: &str = "site-user = root\nsite-group = root";

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

/// The directory where the keeper of the first site is found.
fn run_dir(lab: &Lab) -> PathBuf {
    let dir = lab.path().join(format!("lab-{}.keeper", lab.address(1)));
    fs::create_dir_all(&dir).expect("made");
    dir
}

/// What a keeper that has died had begun may take effect until *g* has passed: the daemon is up
/// and answers, but believes nothing that it could read before.
#[test]
fn what_a_dead_keeper_has_left_behind_is_waited_for_while_clients_are_answered() {
    let lab = Lab::with(87, OURS);
    fs::write(run_dir(&lab).join("in-flight"), "1").expect("written");
    let begun = Instant::now();
    assert_eq!(code_of(&mut start(&lab)), Some(0));
    let _daemon = Ended(pid_of(&state_line(&lab)));
    assert!(lab.client(&["list"], 1).status.success(), "it is up");
    assert!(state_line(&lab).contains("booth_state=starting"), "{}", state_line(&lab));
    assert!(begun.elapsed() < GUARD, "this machine is too slow for this test");
    wait_until("it has read its ticket", || state_line(&lab).contains("booth_state=started"));
    assert!(begun.elapsed() >= GUARD, "it did not wait: {:?}", begun.elapsed());
    let mark = || fs::read(run_dir(&lab).join("in-flight")).expect("readable");
    wait_until("nothing is in flight", || mark() == b"0");
}

#[test]
fn the_start_fails_at_once_if_the_daemon_ends_before_it_is_up() {
    let lab = Lab::with(88, OURS);
    // A keeper that does not answer.
    let deaf = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    let path = run_dir(&lab).join("keeper");
    deaf.bind(&SockAddr::unix(&path).expect("a short path")).expect("bound");
    deaf.listen(1).expect("it listens");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("set");
    let mut child = start(&lab);
    wait_until("it has its lock file", || state_line(&lab).starts_with("booth_pid="));
    let daemon = Ended(pid_of(&state_line(&lab)));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(700) {
        assert_eq!(child.try_wait().expect("waited for"), None, "the daemon is not up");
        std::thread::sleep(Duration::from_millis(20));
    }
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
