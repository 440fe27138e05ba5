// SPDX-License-Identifier: GPL-2.0-or-later
//! Many clients, silent clients, and strangers who send garbage.

use crate::descriptors::{ask, grant, lists, processor_time, quick_lab, revoke, set, PROMPT};
use crate::support::{texts, wait_until, Lab, PORT};
use booth::auth::Sealer;
use booth::time::WallTime;
use booth::wire::{encode_request, ClientRequest};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Asks for the list as the reference's client does, byte by byte the same; gives the text.
fn list(at: SocketAddr) -> String {
    let packet = encode_request(1, &ClientRequest::List);
    let mut bytes = Sealer::new(None).seal(packet, WallTime::EPOCH);
    bytes.extend([0; 28]);
    let mut stream = TcpStream::connect(at).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
    stream.write_all(&bytes).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered, not reset");
    String::from_utf8_lossy(&answer[48..]).into_owned()
}

#[test]
fn thousands_of_lists_leave_nothing_behind() {
    let lab = Lab::new(60);
    let mut daemon = lab.start(3);
    let at = SocketAddr::from((lab.address(3), PORT));
    assert!(list(at).starts_with("ticket: t1, leader: "));
    let descriptors = daemon.descriptors();
    let begun = Instant::now();
    let total = 4_000;
    let workers: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || (0..total / 4).for_each(|_| drop(list(at)))))
        .collect();
    for worker in workers {
        worker.join().expect("every list was answered");
    }
    let rate = f64::from(total) / begun.elapsed().as_secs_f64();
    println!("{rate:.0} list connections a second");
    assert!(daemon.status_number("Threads") < 20);
    assert!(daemon.descriptors() < descriptors + 40);
    let resident = daemon.status_number("VmRSS");
    println!("{resident} kB resident afterwards");
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn silent_clients_and_garbage_keep_nobody_out() {
    let lab = Lab::new(61);
    let mut daemon = lab.start(3);
    let at = SocketAddr::from((lab.address(3), PORT));
    let silent: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(at).expect("connected")).collect();
    let flood = UdpSocket::bind((lab.address(9), 0)).expect("bound");
    let mut slowest = Duration::ZERO;
    for round in 0..10u8 {
        for _ in 0..500 {
            // The kernel may drop some: that is what it is for.
            let _ = flood.send_to(&[round; 90], at);
        }
        let begun = Instant::now();
        assert!(list(at).starts_with("ticket: t1, leader: "));
        slowest = slowest.max(begun.elapsed());
    }
    println!("slowest list {slowest:?}");
    // Nobody had to wait for the two seconds that a silent client is given.
    assert!(slowest < Duration::from_millis(1_900), "{slowest:?}");
    drop(silent);
    let log = daemon.log();
    let lines = log.matches("refused a datagram").count();
    assert!((1..=2).contains(&lines), "one line tells of the flood:\n{log}");
    daemon.stop();
}

#[test]
fn a_quiet_daemon_is_small() {
    let lab = Lab::new(62);
    let mut daemon = lab.start(3);
    let private = daemon.status_number("RssAnon");
    println!("{private} kB of its own, {} kB resident", daemon.status_number("VmRSS"));
    // Of the test build, whose program file is several times as large as a release, only the
    // memory of its own counts.
    assert!(private < 3_000, "{private} kB");
    daemon.stop();
}

#[test]
fn stopping_lets_go_of_everybody_who_is_connected() {
    let lab = Lab::new(63);
    let mut daemon = lab.start(3);
    let at = SocketAddr::from((lab.address(3), PORT));
    let mut silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(at).expect("connected")).collect();
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}; its log:\n{}", daemon.log());
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
}

#[test]
fn clients_that_cannot_go_on_cost_no_processor_time_whatever_they_wait_for() {
    let lab = quick_lab(71, &["t1"]);
    let mut arbitrator = lab.start(3);
    let mut site = lab.start(1);
    fs::write(lab.bin().join("grant"), "").expect("written");
    let at = SocketAddr::from((lab.address(1), PORT));
    // Patient, half closed, gone, reset.
    let waiting: Vec<TcpStream> = (0..12).map(|_| ask(at, &grant("t1"))).collect();
    for stream in &waiting[..4] {
        stream.shutdown(Shutdown::Write).expect("half closed");
    }
    for reset in [false, true] {
        let stream = ask(at, &grant("t1"));
        if reset {
            let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            linger.expect("settable");
        }
        drop(stream);
    }
    // They have their answer, and stay.
    let leaving: Vec<TcpStream> = (0..8).map(|_| ask(at, &ClientRequest::List)).collect();
    // As many as there are places for have begun to speak, and then others wait for a place.
    let begun: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = TcpStream::connect(at).expect("connected");
            stream.write_all(&encode_request(1, &ClientRequest::List)[..40]).expect("sent");
            stream
        })
        .collect();
    let before = processor_time(&site);
    let since = Instant::now();
    wait_until("some time has passed", || since.elapsed() > Duration::from_millis(1_500));
    let used = processor_time(&site).saturating_sub(before);
    assert!(used < Duration::from_millis(200), "{used:?} of 1.5 s");
    lists(&lab, 1);
    drop((waiting, leaving, begun));
    fs::remove_file(lab.bin().join("grant")).expect("there");
    site.stop();
    arbitrator.stop();
}

/// The store hangs; clients that wait for all that it does not do, and many more that have left,
/// keep nobody from being told how things stand, nor from revoking.
#[test]
fn a_store_that_hangs_and_clients_that_left_keep_nobody_out() {
    let lab = quick_lab(70, &["t1", "t2", "t3"]);
    let mut arbitrator = lab.start(3);
    let mut holder = lab.start(1);
    for ticket in ["t1", "t2"] {
        let granted = lab.client(&["grant", "-C", ticket], 1);
        assert!(granted.status.success(), "{:?}", texts(&granted));
    }
    for what in ["attr", "grant"] {
        fs::write(lab.bin().join(what), "").expect("written");
    }
    let at = SocketAddr::from((lab.address(1), PORT));
    for number in 0..75 {
        drop(ask(at, &set("t1", &format!("a{number}"))));
    }
    let told =
        lab.geostore(&["set", "-t", "t1", "b", "1"]).arg("-s").arg(at.ip().to_string()).output();
    let (_, errors) = texts(&told.expect("run"));
    assert!(errors.contains("set failed: too many changes are waiting already"), "{errors}");
    let waiting: Vec<TcpStream> = (0..75).map(|_| ask(at, &grant("t3"))).collect();
    for _ in 0..3 {
        lists(&lab, 1);
        assert!(lab.client(&["peers"], 1).status.success());
        assert!(lab.status(1).status.success());
    }
    // Also of the ticket whose attributes hang.
    for ticket in ["t1", "t2"] {
        let begun = Instant::now();
        let revoked = lab.client(&["revoke", "-w", ticket], 1);
        assert!(revoked.status.success(), "{:?}", texts(&revoked));
        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    }
    fs::write(lab.bin().join("revoke"), "").expect("written");
    let revoking: Vec<TcpStream> = (0..75).map(|_| ask(at, &revoke("t3"))).collect();
    lists(&lab, 1);
    drop((waiting, revoking));
    for what in ["attr", "grant", "revoke"] {
        fs::remove_file(lab.bin().join(what)).expect("there");
    }
    holder.stop();
    arbitrator.stop();
}
