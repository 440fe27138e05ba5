// SPDX-License-Identifier: GPL-2.0-or-later
//! Start, background and foreground, user, title, signals, end.

use crate::support::{pid_of, send_signal, texts, wait_until, Daemon, Ended, Lab, PORT};
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn is_running(pid: u32) -> bool {
    // A process that has ended stays as a zombie until init looks after it.
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_) => false,
    }
}

#[test]
fn the_start_returns_when_the_daemon_in_the_background_is_up() {
    let lab = Lab::new(1);
    let address = lab.address(3).to_string();
    let mut start = lab.booth(&["daemon", "-D", "-s", &address, "-l"]);
    let begun = Instant::now();
    let output = start.arg(lab.lock_file(3)).output().expect("run");
    // The outputs end with the parent: the daemon holds none of them.
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(output.status.success(), "{:?}", texts(&output));
    let line = fs::read_to_string(lab.lock_file(3)).expect("it is there already");
    let pid = pid_of(&line);
    let _ended = Ended(pid);
    assert!(lab.client(&["list"], 3).status.success(), "it answers at once");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("alive");
    let fields: Vec<&str> = stat.split(' ').collect();
    let own = pid.to_string();
    assert_eq!((fields[4], fields[5], fields[6]), (&*own, &*own, "0"), "group, session, no tty");
    let cmdline = fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("alive");
    let title = cmdline.trim_end_matches('\0');
    let config = lab.config();
    let expected = format!("boothd {} arbitrator for [{address}]:{PORT}", config.display());
    assert_eq!(title, expected);
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("alive");
    assert_eq!(name, "boothd\n");
    send_signal(pid, libc::SIGTERM);
    wait_until("it ends", || !is_running(pid));
    assert!(!lab.lock_file(3).exists());
}

#[test]
fn a_start_that_fails_says_why_on_the_terminal() {
    let lab = Lab::new(2);
    let _first = lab.start(3);
    let address = lab.address(3).to_string();
    for (lock, expected) in
        [("3.pid", "is held by process"), ("4.pid", "failed to bind"), ("no/4.pid", "open error")]
    {
        let lock = lab.path().join(lock);
        let mut start = lab.booth(&["daemon", "-D", "-s", &address, "-l"]);
        let output = start.arg(&lock).output().expect("run");
        assert_eq!(output.status.code(), Some(1));
        let (_, stderr) = texts(&output);
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(!lab.path().join("4.pid").exists());
}

#[test]
fn term_and_int_end_the_daemon_with_success_and_remove_its_lock_file() {
    for (net, signal) in [(3, libc::SIGTERM), (4, libc::SIGINT)] {
        let lab = Lab::new(net);
        let mut daemon = lab.start(3);
        let begun = Instant::now();
        daemon.signal(signal);
        assert_eq!(daemon.end().code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(!lab.lock_file(3).exists());
        let log = daemon.log();
        assert!(log.contains(&format!("info: caught signal {signal}\n")), "{log}");
        assert!(log.ends_with("info: exiting\n"), "{log}");
    }
}

#[test]
fn hup_pipe_and_chld_do_no_harm_and_usr1_logs_every_ticket() {
    let lab = Lab::new(5);
    let mut daemon = lab.start(3);
    for signal in [libc::SIGHUP, libc::SIGPIPE, libc::SIGCHLD, libc::SIGUSR1] {
        daemon.signal(signal);
    }
    wait_until("the dump is there", || daemon.log().contains("t1 ("));
    assert!(lab.client(&["list"], 3).status.success());
    assert!(daemon.log().contains("SIGHUP"));
    assert_eq!(daemon.stop().0.code(), Some(0));
}

#[test]
fn the_log_has_the_lines_of_the_reference() {
    let lab = Lab::new(6);
    let mut daemon = lab.start(3);
    daemon.stop();
    let log = daemon.log();
    let ident = format!(" boothd-arbitrator: [{}]: info: ", daemon.pid());
    for text in ["BOOTH arbitrator ", "BOOTH arbitrator daemon started, node id is 0x"] {
        assert!(log.contains(&format!("{ident}{text}")), "{log}");
    }
    assert!(log.lines().all(|line| line.contains(" boothd-arbitrator: [")), "{log}");
}

#[test]
fn a_reader_of_the_log_that_reads_nothing_stops_nothing() {
    let lab = Lab::new(7);
    let mut child = lab.daemon(3).stderr(Stdio::piped()).spawn().expect("started");
    let mut log = child.stderr.take().expect("piped");
    wait_until("the daemon is up", || lab.lock_file(3).exists());
    let mut daemon = Daemon::adopt(child, lab.path().join("none"));
    wait_until("it answers", || lab.client(&["list"], 3).status.success());
    // 64 KiB fit into the pipe; each dump has a line.
    for _ in 0..2_000 {
        daemon.signal(libc::SIGUSR1);
        std::thread::sleep(Duration::from_micros(200));
    }
    let begun = Instant::now();
    assert!(lab.client(&["list"], 3).status.success());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    let mut text = String::new();
    log.read_to_string(&mut text).expect("readable");
    assert!(text.contains("daemon is starting"));
}

#[test]
fn root_becomes_the_user_that_the_configuration_names() {
    let lab = Lab::with(8, "arbitrator-user = nobody");
    let mut daemon = lab.start(3);
    let root = fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    let id = Command::new("id").args(["-u", "nobody"]).output().expect("run");
    let nobody: u64 = texts(&id).0.trim().parse().expect("a number");
    let uid = daemon.status_number("Uid");
    if root.ok() == Some(0) {
        assert_eq!(uid, nobody);
    } else {
        assert_ne!(uid, 0);
    }
    // The lock file can be removed because the directory of this test is everybody's.
    assert_eq!(daemon.stop().0.code(), Some(0));
    assert!(!lab.lock_file(3).exists());
}

#[test]
fn a_user_that_does_not_exist_is_an_error_for_root_and_no_matter_for_others() {
    let lab = Lab::with(9, "arbitrator-user = nobody-knows-him");
    let own = fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    if own.ok() == Some(0) {
        let output = lab.daemon(3).output().expect("run");
        assert_eq!(output.status.code(), Some(1));
        let (_, stderr) = texts(&output);
        assert!(stderr.contains("there is no user \"nobody-knows-him\""), "{stderr}");
    } else {
        lab.start(3).stop();
    }
}
