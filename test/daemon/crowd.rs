// SPDX-License-Identifier: GPL-2.0-or-later
//! Many clients, silent clients, and strangers who send garbage.

use crate::descriptors::{ask, grant, lists, quick_lab, revoke, set, PROMPT};
use crate::support::{texts, Lab, PORT};
use booth::auth::Sealer;
use booth::time::WallTime;
use booth::wire::{encode_request, ClientRequest};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
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
    assert!(errors.contains("set failed: so many changes wait already"), "{errors}");
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
