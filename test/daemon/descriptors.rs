// SPDX-License-Identifier: GPL-2.0-or-later
//! A daemon that has few descriptors, or none for a while, lives on, keeps its lease, and serves
//! again; one that may have more takes what its bounds need, and gives its children what it had.

use crate::support::{texts, wait_until, Daemon, Lab, PORT};
use booth::auth::Sealer;
use booth::daemon::clients::places::{CONNECTIONS_MAX, GRANTS_MAX, SERVED_MAX};
use booth::daemon::descriptors::{needed, CHILDREN_MAX, OWN, PER_CHILD};
use booth::model::{AttrName, AttrValue, TicketName};
use booth::sys::clock;
use booth::wire::{encode_request, ClientOptions, ClientRequest};
use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A `crm_ticket` that hangs in a change of an attribute, a grant or a revoke as long as there is
/// a file `attr`, `grant` or `revoke` beside it, and notes what it has been given of limits and
/// environment.
const STORE: &str = r#"#!/bin/sh
here=${0%/*}
echo "$(ulimit -Sn) $(ulimit -Hn) $(env | grep -c BOOTHD_OPEN_FILES)" >> "$here/limits"
what=attr code=0
case " $* " in
*' -q '*) exit 105 ;;
*' -g '*) what=grant ;;
*' -r '*) what=revoke ;;
esac
while [ -e "$here/$what" ]; do sleep 0.05; done
"#;
/// Limits of a running process can be set only by its own user, and who is not root stays who he
/// is.
const SAME_USER: &str = "arbitrator-user = root\narbitrator-group = root";
/// Answers are prompt within this, the client's own start included.
pub const PROMPT: Duration = Duration::from_secs(2);

/// Starts a member whose limits of open files are these; waits until it is up.
fn start_limited(lab: &Lab, member: u8, soft: usize, hard: usize) -> Daemon {
    let plain = lab.daemon(member);
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).arg(plain.get_program()).args(plain.get_args());
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let log = lab.path().join(format!("{member}.log"));
    command.stderr(File::create(&log).expect("created"));
    let daemon = Daemon::adopt(command.spawn().expect("started"), log);
    let up = format!("booth_pid={} booth_state=started", daemon.pid());
    wait_until("the daemon is up", || {
        fs::read_to_string(lab.lock_file(member)).is_ok_and(|line| line.contains(&up))
    });
    daemon
}

/// Sets the soft limit of open files of a daemon that runs.
fn limit_running(daemon: &Daemon, soft: u64) {
    let pid = libc::pid_t::try_from(daemon.pid()).expect("a process id");
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result, and nothing is set.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit) };
    assert_eq!(got, 0, "the process is there");
    limit.rlim_cur = soft;
    // SAFETY: `limit` is a valid structure, and the old one is not asked for.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "lowering is allowed");
}

/// Soft and hard limit of open files of a process.
fn limits_of(pid: u32) -> Vec<usize> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("alive");
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).expect("there");
    line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Processor time that a process has used.
pub fn processor_time(daemon: &Daemon) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("alive");
    let (_, rest) = stat.rsplit_once(") ").expect("a line of the kernel");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks: u64 = [fields[11], fields[12]].iter().filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

pub fn ask(at: SocketAddr, request: &ClientRequest) -> TcpStream {
    let mut stream = TcpStream::connect(at).expect("connected");
    let packet = encode_request(1, request);
    stream.write_all(&Sealer::new(None).seal(packet, clock::wall())).expect("sent");
    stream
}

fn waiting() -> ClientOptions {
    ClientOptions { wait: true, wait_commit: true, ..ClientOptions::default() }
}

pub fn set(ticket: &str, name: &str) -> ClientRequest {
    let (name, value) = (AttrName::new(name).ok(), AttrValue::new("1").ok());
    ClientRequest::AttrSet { ticket: TicketName::new(ticket).ok(), name, value }
}

pub fn grant(ticket: &str) -> ClientRequest {
    ClientRequest::Grant { ticket: TicketName::new(ticket).ok(), options: waiting() }
}

pub fn revoke(ticket: &str) -> ClientRequest {
    ClientRequest::Revoke { ticket: TicketName::new(ticket).ok(), options: waiting() }
}

/// `booth list` at a member is answered, promptly; gives the text.
pub fn lists(lab: &Lab, member: u8) -> String {
    let begun = Instant::now();
    let output = lab.client(&["list"], member);
    let (text, errors) = texts(&output);
    assert!(output.status.success(), "{errors}");
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    text
}

/// Waits until so many descriptors of the daemon are open, or fewer.
fn falls_to(daemon: &Daemon, descriptors: usize) {
    wait_until("descriptors are closed", || daemon.descriptors() <= descriptors);
}

/// A lab whose tickets are these, with leases so short that one is renewed every five seconds, and
/// [`STORE`] as the sites' `crm_ticket`.
pub fn quick_lab(net: u8, tickets: &[&str]) -> Lab {
    let lab = Lab::new(net);
    let text = fs::read_to_string(lab.config()).expect("readable");
    let (members, _) = text.split_once("ticket = ").expect("a ticket");
    let times = "expire = 10\ntimeout = 1\nretries = 3\n";
    let tickets = tickets.iter().map(|name| format!("ticket = \"{name}\"\n{times}"));
    fs::write(lab.config(), members.to_owned() + &tickets.collect::<String>()).expect("written");
    lab.use_crm_ticket(STORE);
    lab
}

#[test]
fn an_arbitrator_with_few_descriptors_outlives_a_crowd_and_serves_again() {
    let lab = Lab::new(64);
    let mut daemon = start_limited(&lab, 3, 48, 48);
    let at = SocketAddr::from((lab.address(3), PORT));
    lists(&lab, 3);
    let before = daemon.descriptors();
    let crowd: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(at).expect("the kernel takes it")).collect();
    for _ in 0..3 {
        lists(&lab, 3);
    }
    drop(crowd);
    lists(&lab, 3);
    falls_to(&daemon, before + 8);
    let log = daemon.log();
    assert!(log.contains("only 48 files can be open at once"), "{log}");
    assert_eq!(daemon.stop().0.code(), Some(0));
}

#[test]
fn a_holder_with_few_descriptors_keeps_its_lease_while_clients_crowd_in() {
    let lab = quick_lab(65, &["t1"]);
    let mut arbitrator = lab.start(3);
    let mut holder = start_limited(&lab, 1, 64, 64);
    let granted = lab.client(&["grant", "-C", "t1"], 1);
    assert!(granted.status.success(), "{:?}", texts(&granted));
    let before = holder.descriptors();
    let at = SocketAddr::from((lab.address(1), PORT));
    fs::write(lab.bin().join("attr"), "").expect("written");
    let crowd: Vec<TcpStream> = (0..75)
        .flat_map(|number| {
            let silent = TcpStream::connect(at).expect("the kernel takes it");
            [ask(at, &set("t1", &format!("a{number}"))), silent]
        })
        .collect();
    let held = format!("leader: {}", lab.address(1));
    let until = Instant::now() + Duration::from_secs(13);
    while Instant::now() < until {
        assert!(lists(&lab, 1).contains(&held), "{}", holder.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(crowd);
    fs::remove_file(lab.bin().join("attr")).expect("there");
    assert!(lists(&lab, 1).contains(&held), "{}", holder.log());
    let log = holder.log();
    assert_eq!(log.matches("granted here; ").count(), 1, "it was never lost:\n{log}");
    assert!(!log.contains("Too many open files"), "there was room for children:\n{log}");
    wait_until("a change is made again", || {
        let mut change = lab.geostore(&["set", "-t", "t1", "b", "2"]);
        change.arg("-s").arg(lab.address(1).to_string()).output().expect("run").status.success()
    });
    falls_to(&holder, before + 8);
    holder.stop();
    arbitrator.stop();
}

#[test]
fn a_daemon_that_runs_out_of_descriptors_waits_without_spinning_and_serves_when_there_are_some() {
    let lab = Lab::with(66, SAME_USER);
    let mut daemon = lab.start(3);
    lists(&lab, 3);
    limit_running(&daemon, 2);
    // The main thread is woken and cannot wait any more.
    daemon.signal(libc::SIGUSR1);
    let at = SocketAddr::from((lab.address(3), PORT));
    let mut streams: Vec<TcpStream> = (0..20).map(|_| ask(at, &ClientRequest::List)).collect();
    wait_until("it says so", || daemon.log().contains("cannot accept clients"));
    let before = processor_time(&daemon);
    let begun = Instant::now();
    wait_until("some time has passed", || begun.elapsed() > Duration::from_secs(3));
    let used = processor_time(&daemon).saturating_sub(before);
    assert!(used < Duration::from_millis(600), "{used:?} of 3 s");
    limit_running(&daemon, 1024);
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("settable");
        let mut answer = [0; 48];
        std::io::Read::read_exact(stream, &mut answer).expect("served when there is room");
    }
    lists(&lab, 3);
    let log = daemon.log();
    assert!(log.matches("cannot accept clients").count() <= 2, "{log}");
    assert!(log.matches("cannot wait for signals").count() <= 2, "{log}");
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < PROMPT, "{took:?}");
}

#[test]
fn a_lock_file_that_is_removed_while_there_are_no_descriptors_comes_back_later() {
    let lab = Lab::with(67, SAME_USER);
    let mut daemon = lab.start(3);
    let used = u64::try_from(daemon.descriptors()).expect("a small number");
    limit_running(&daemon, used.min(4));
    fs::remove_file(lab.lock_file(3)).expect("there");
    wait_until("it says so", || daemon.log().contains("trying again to make it anew"));
    limit_running(&daemon, 1024);
    wait_until("it is back", || lab.lock_file(3).exists());
    assert!(texts(&lab.status(3)).0.contains("booth_state=started"));
    // And it is watched again.
    wait_until("somebody watches it", || {
        let removed = fs::remove_file(lab.lock_file(3));
        let begun = Instant::now();
        while !lab.lock_file(3).exists() && begun.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(2));
        }
        removed.is_ok() && lab.lock_file(3).exists()
    });
    daemon.stop();
}

#[test]
fn the_soft_limit_is_raised_and_children_have_the_old_one() {
    let lab = quick_lab(68, &["t1"]);
    let mut daemon = start_limited(&lab, 1, 200, 8_000);
    assert_eq!(limits_of(daemon.pid()), [needed(true), 8_000]);
    assert!(!daemon.log().contains("open at once"), "{}", daemon.log());
    let told = fs::read_to_string(lab.bin().join("limits")).expect("crm_ticket was called");
    assert!(told.lines().count() > 0 && told.lines().all(|line| line == "200 8000 0"), "{told}");
    daemon.stop();
    let mut arbitrator = start_limited(&lab, 3, 4_000, 8_000);
    assert_eq!(limits_of(arbitrator.pid()), [4_000, 8_000], "what is enough stays");
    arbitrator.stop();
    let mut daemon = start_limited(&lab, 2, 200, 300);
    assert_eq!(limits_of(daemon.pid()), [300, 300]);
    let log = daemon.log();
    assert!(log.contains(&format!("and {} may be needed", needed(true))), "{log}");
    daemon.stop();
}

#[test]
fn with_all_places_taken_the_daemon_has_no_more_descriptors_open_than_were_counted() {
    let lab = quick_lab(69, &["t1", "t2", "t3", "t4"]);
    let mut arbitrator = lab.start(3);
    let mut holder = lab.start(1);
    let own = holder.descriptors();
    println!("{own} descriptors of its own");
    assert!(own <= OWN, "{own}");
    for ticket in ["t1", "t2"] {
        let granted = lab.client(&["grant", "-C", ticket], 1);
        assert!(granted.status.success(), "{:?}", texts(&granted));
    }
    for what in ["attr", "grant", "revoke"] {
        fs::write(lab.bin().join(what), "").expect("written");
    }
    let at = SocketAddr::from((lab.address(1), PORT));
    let mut crowd = Vec::new();
    // As many for each ticket as may wait for one.
    for number in 0..GRANTS_MAX / 2 {
        let name = format!("a{number}");
        let requests = [
            revoke("t1"),
            revoke("t2"),
            grant("t3"),
            grant("t4"),
            set("t3", &name),
            set("t4", &name),
        ];
        crowd.extend(requests.iter().map(|request| ask(at, request)));
    }
    let silent = || (0..SERVED_MAX).map(|_| TcpStream::connect(at).expect("connected"));
    crowd.extend(silent());
    let mut most = 0;
    let until = Instant::now() + PROMPT;
    while most < own + CONNECTIONS_MAX && Instant::now() < until {
        most = most.max(holder.descriptors());
    }
    assert!(most >= own + CONNECTIONS_MAX, "every place is taken: {most}");
    let max = OWN + CONNECTIONS_MAX + CHILDREN_MAX * PER_CHILD;
    assert!(most <= max && most <= needed(true), "{most}");
    println!("{most} descriptors with all places taken, {} are allowed", needed(true));
    lists(&lab, 1);
    drop(crowd);
    falls_to(&holder, OWN + 12 * PER_CHILD);
    for what in ["attr", "grant", "revoke"] {
        fs::remove_file(lab.bin().join(what)).expect("there");
    }
    holder.stop();
    arbitrator.stop();
}
