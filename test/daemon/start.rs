// SPDX-License-Identifier: GPL-2.0-or-later
//! What a start meets: sockets that are still taken, an address that is missing, a signal; and
//! what of whoever starts the daemon reaches it and its children.

use crate::support::{pass, texts, wait_until, Daemon, Lab, PATIENCE, PORT};
use booth_harness::stranger::is_root_for;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whoever runs the tests: the run directory is made by them.
const OURS: &str = "site-user = root\nsite-group = root";

#[test]
fn a_start_right_after_a_kill_succeeds() {
    let lab = Lab::new(200);
    let mut daemon = lab.start(3);
    for _ in 0..20 {
        daemon.signal(libc::SIGKILL);
        // Not waited for its end.
        let next = lab.start(3);
        daemon.end();
        daemon = next;
    }
    daemon.stop();
}

#[test]
fn an_address_that_becomes_free_is_taken() {
    let lab = Lab::new(201);
    let address = (lab.address(3), PORT);
    let datagrams = UdpSocket::bind(address).expect("bound");
    let mut daemon = lab.start_unawaited(3);
    daemon.says("WARN: cannot bind");
    let listener = TcpListener::bind(address).expect("bound");
    drop(datagrams);
    pass(Duration::from_millis(200));
    assert!(!daemon.log().contains("daemon started"), "{}", daemon.log());
    drop(listener);
    daemon.says("daemon started");
    assert_eq!(daemon.log().matches("cannot bind").count(), 1, "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_signal_while_the_address_is_waited_for_ends_the_start() {
    let lab = Lab::new(202);
    let _taken = UdpSocket::bind((lab.address(3), PORT)).expect("bound");
    let mut daemon = lab.start_unawaited(3);
    daemon.says("WARN: cannot bind");
    // No signal that means nothing yet ends it, or makes it busy.
    daemon.signal(libc::SIGUSR1);
    pass(Duration::from_millis(100));
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!lab.lock_file(3).exists());
}

/// A keeper that does not answer is waited for, but not by a signal.
#[test]
fn a_signal_while_the_keeper_is_waited_for_ends_the_start() {
    let lab = Lab::with(203, OURS);
    let dir = lab.path().join(format!("lab-{}.keeper", lab.address(1)));
    fs::create_dir_all(&dir).expect("made");
    let deaf = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    let path = dir.join("keeper");
    deaf.bind(&SockAddr::unix(&path).expect("a short path")).expect("bound");
    deaf.listen(1).expect("it listens");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("set");
    let mut daemon = lab.start_unawaited(1);
    wait_until("it has its lock file", || {
        fs::read_to_string(lab.lock_file(1)).is_ok_and(|line| line.starts_with("booth_pid="))
    });
    // It has begun to wait.
    pass(Duration::from_millis(500));
    let (status, took) = daemon.stop();
    assert!(took < Duration::from_secs(1), "{took:?}: {}", daemon.log());
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("caught signal 15"), "{}", daemon.log());
    assert!(!lab.lock_file(1).exists());
}

#[test]
fn a_missing_address_is_named_beside_those_that_there_are() {
    let lab = Lab::new(204);
    let config = fs::read_to_string(lab.config()).expect("readable");
    // Documentation's own network: nobody has it.
    fs::write(lab.config(), config.replace("127.20.204.", "198.51.100.")).expect("written");
    let output = lab.booth(&["daemon", "-S"]).output().expect("run");
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    let looked_for =
        "Cannot find myself in the configuration. None of its addresses (198.51.100.1, \
                      198.51.100.2, 198.51.100.3) is on this machine, which has 127.0.0.1";
    assert!(stderr.contains(looked_for), "{stderr}");
    let begun = Instant::now();
    let mut named = lab.booth(&["daemon", "-D", "-S", "-s", "198.51.100.3", "-l"]);
    let output = named.arg(lab.lock_file(3)).output().expect("run");
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    let text = format!("failed to bind socket 198.51.100.3:{PORT}: ");
    assert!(stderr.contains(&text), "{stderr}");
    assert!(
        stderr.contains("this machine does not have 198.51.100.3, it has 127.0.0.1"),
        "{stderr}"
    );
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

/// A script for `crm_ticket` that notes what it has got from the daemon.
fn spy(notes: &Path) -> String {
    format!(
        "#!/bin/sh\n{{ pwd; echo \"HOME=$HOME USER=$USER\"; ls -l /proc/$$/fd; }} >{0}.new 2>&1\n\
         mv {0}.new {0}\nexit 6\n",
        notes.display()
    )
}

/// Starts a command that has this file open, which says so itself, as a careless parent would.
fn with_open(file: &Path, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("exec 7<\"$0\"; exec \"$@\"").arg(file).arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn nothing_of_whoever_starts_the_daemon_reaches_it_and_its_children() {
    let name = "start::nothing_of_whoever_starts_the_daemon_reaches_it_and_its_children";
    if !is_root_for(name) {
        return;
    }
    let lab = Lab::with(205, "site-user = nobody\nsite-group = nogroup");
    let (notes, secret) = (lab.path().join("notes"), lab.path().join("secret"));
    lab.use_crm_ticket(&spy(&notes));
    // What the store is given to become quiet is a tenth of it.
    let config = fs::read_to_string(lab.config()).expect("readable");
    let times = "expire = 8\ntimeout = 1\nretries = 3\nrenewal-freq = 5\n";
    let short = config.replace("expire = 60\ntimeout = 3\nretries = 3\n", times);
    fs::write(lab.config(), short).expect("written");
    fs::write(&secret, "").expect("written");
    let log = lab.path().join("1.log");
    let mut command = with_open(&secret, &lab.daemon(1));
    command.current_dir(lab.path()).env("HOME", "/root").env("USER", "root");
    let child = command.stderr(File::create(&log).expect("created")).spawn().expect("started");
    let mut daemon = Daemon::adopt(child, log);
    wait_until("the store has been read", || notes.exists());
    let pid = daemon.pid();
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).expect("alive");
    assert_eq!(cwd, Path::new("/"));
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("alive").flatten();
    let targets: Vec<_> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    assert!(!targets.contains(&secret), "{targets:?}");
    let notes = fs::read_to_string(&notes).expect("readable");
    let mut lines = notes.lines();
    assert_eq!(lines.next(), Some("/"), "{notes}");
    assert_eq!(lines.next(), Some("HOME=/nonexistent USER=nobody"), "{notes}");
    assert!(!notes.contains("secret"), "{notes}");
    daemon.stop();
}

#[test]
fn the_keeper_of_a_daemon_of_root_is_in_memory_and_real_time() {
    let name = "start::the_keeper_of_a_daemon_of_root_is_in_memory_and_real_time";
    if !is_root_for(name) {
        return;
    }
    let lab = Lab::with(206, "site-user = nobody\nsite-group = nogroup");
    let mut daemon = lab.start(1);
    let parent = format!("PPid:\t{}\n", daemon.pid());
    let processes = fs::read_dir("/proc").expect("readable").flatten();
    let keeper = processes.map(|entry| entry.path()).find(|path| {
        let read = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
        read("status").contains(&parent) && read("cmdline").starts_with("booth-keeper")
    });
    let keeper = keeper.expect("a keeper");
    // What the daemon may not do on this machine, its keeper may not either.
    for path in [Path::new("/proc").join(daemon.pid().to_string()), keeper] {
        // What is built for debugging is larger than what a user may lock.
        wait_until("its memory is locked", || {
            let status = fs::read_to_string(path.join("status")).expect("alive");
            let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
            cfg!(debug_assertions) || locked.is_some_and(|kb| !kb.trim().starts_with("0 "))
        });
        let stat = fs::read_to_string(path.join("stat")).expect("alive");
        let fields = stat.rsplit_once(") ").expect("a name").1.split(' ').collect::<Vec<_>>();
        // Fields 40 and 41, counted from 1 with the two before: priority and round-robin class.
        assert_eq!((fields[37], fields[38]), ("99", "2"), "{stat}");
    }
    daemon.stop();
}
