// SPDX-License-Identifier: GPL-2.0-or-later
//! Bonds: the reference does not read what ours adds to its packets (P8, P9); clients of both kinds
//! go on working; and what was recorded between two members of ours is of no use elsewhere or
//! later.

use booth_harness::{
    pass, run, test_name, until, Cluster, FakeMember, Kind, Need, Packet, Setup, Sniffer, NOBODY,
    PORT,
};
use std::net::UdpSocket;
use std::time::Duration;
use Kind::{Ours, Theirs};

const NEEDS: &[Need] = &[Need::Root, Need::Reference];
const SOON: Duration = Duration::from_secs(5);

/// What ours adds: bit 3 of `opts`, 28 bits behind it, and a number in `reason` of a rejection
/// and in `result` of everything else.
fn with_bond(mut packet: Packet) -> Packet {
    packet.opts = 0xFEDC_BA98;
    if packet.command() == "RJC!" {
        packet.reason = 0xA1B2_C3D4;
    } else {
        packet.result = 0xA1B2_C3D4;
    }
    packet
}

/// What a reference site says to packets of another member, changed by `change`.
#[track_caller]
fn said(cluster: &mut Cluster<'_>, change: fn(Packet) -> Packet) -> Vec<String> {
    cluster.start(0);
    let other = FakeMember::new(cluster.address(1), cluster.key.as_deref());
    let third = FakeMember::new(cluster.address(2), cluster.key.as_deref());
    let site = cluster.address(0);
    let mut said = Vec::new();
    let mut exchange = |packet: Packet, answer: &str| {
        other.forget();
        other.send(site, &change(packet));
        let heard = other.expect(site, answer, SOON);
        let payload = heard.payload();
        let (leader, term) = (payload.leader, payload.term);
        said.push(format!("{answer} {} {leader:#x} {term}", heard.outcome()));
    };
    exchange(other.packet("Stat").ticket("t1", NOBODY, 0, 0), "MIdx");
    exchange(other.packet("RVot").ticket("t1", other.id, 1, 10).because("Admn"), "VtFr");
    exchange(other.packet("HrtB").ticket("t1", other.id, 1, 10), "Ack.");
    exchange(other.packet("UpdE").ticket("t1", other.id, 1, 10), "Ack.");
    exchange(other.packet("RVot").ticket("t1", other.id, 0, 10).because("TLst"), "RJC!");
    exchange(other.packet("Stat").ticket("t1", NOBODY, 0, 0), "MIdx");
    other.send(site, &change(other.packet("Revk").ticket("t1", NOBODY, 1, 0)));
    until(SOON, "it knows that the ticket was revoked", || {
        (cluster.leader(0, "t1") == "none").then_some(())
    });
    // It stands, and gets one vote and a rejection.
    let answers = cluster.ask(0, &cluster.request(0, "CGnt", "t1"), Duration::from_millis(1));
    drop(answers);
    let asked = other.expect(site, "RVot", SOON);
    let term = asked.payload().term;
    let rejection = other.packet("RJC!").answering("RVot").result("TOdt");
    other.send(site, &change(rejection.ticket("t1", third.id, term + 5, 10)));
    until(SOON, "it takes the rejection to heart", || {
        other.forget();
        other.send(site, &change(other.packet("Stat").ticket("t1", NOBODY, 0, 0)));
        let heard = other.expect(site, "MIdx", SOON);
        (heard.payload().term == term + 5).then_some(())
    });
    said.push(format!("believes term {}", term + 5));
    drop(third);
    cluster.kill(0);
    said
}

#[test]
fn the_reference_does_not_read_what_ours_adds() {
    run(test_name!(), NEEDS, |lab| {
        let setup = Setup::of(&[Theirs, Ours, Ours]).with_key();
        let plain = said(&mut Cluster::new(lab, &setup), |packet| packet);
        let bound = said(&mut Cluster::new(lab, &setup), with_bond);
        // Ids differ, because addresses do.
        let text = |lines: &[String]| -> Vec<String> {
            let known = |word: &str| {
                if word.starts_with("0x") && word.len() < 12 && word != "0xffffffff" {
                    "ID".to_owned()
                } else {
                    word.to_owned()
                }
            };
            lines
                .iter()
                .map(|line| line.split(' ').map(known).collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(text(&plain), text(&bound));
        assert!(plain.len() == 7, "{plain:?}");
    });
}

#[test]
fn clients_of_both_kinds_work_with_members_of_both_kinds() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = Cluster::started(lab, &Setup::of(&[Ours, Theirs, Ours]).with_key());
        for member in [0, 1] {
            for client in [Ours, Theirs] {
                cluster.booth_of(client, member, &["grant", "t1"]).expect_code(0);
                cluster.wait_leader(&[0, 1, 2], member, SOON);
                let list = cluster.booth_of(client, member, &["list"]).expect_code(0).stdout;
                assert!(list.contains(&cluster.address(member).to_string()), "{list}");
                cluster.booth_of(client, member, &["peers"]).expect_code(0);
                cluster.booth_of(client, 1 - member, &["revoke", "t1"]).expect_code(0);
                until(SOON, "it is free", || {
                    (cluster.leader(0, "t1") == "none" && cluster.leader(1, "t1") == "none")
                        .then_some(())
                });
            }
        }
    });
}

/// The line of `peers` at a member with what it received from the first one.
#[track_caller]
fn received(cluster: &Cluster<'_>, index: usize) -> String {
    let text = cluster.booth(index, &["peers"]).expect_code(0).stdout;
    let first = format!(" {}, ", cluster.address(0));
    let line = text.lines().skip_while(|line| !line.contains(&first)).nth(2);
    line.unwrap_or_else(|| panic!("no such member in {text}")).trim().to_owned()
}

#[test]
fn a_recorded_datagram_is_of_no_use_elsewhere_or_after_a_restart() {
    run(test_name!(), &[Need::Root], |lab| {
        let sniffer = Sniffer::new(lab);
        let mut cluster = Cluster::started(lab, &Setup::of(&[Ours; 3]).with_key());
        cluster.grant(0, &[0, 1, 2]);
        let key = cluster.key.clone();
        let (from, to) = (cluster.address(0), cluster.address(1));
        let recorded = sniffer
            .seen()
            .into_iter()
            .find(|seen| (seen.from, seen.to) == (from, to) && seen.bytes[28..32] == *b"HrtB")
            .expect("the holder has sent a heartbeat")
            .bytes;
        let anywhere = UdpSocket::bind((lab.address(200), 0)).expect("an address of this machine");
        let play = |bytes: &[u8], index: usize| {
            let sent = anywhere.send_to(bytes, (cluster.address(index), PORT));
            assert!(matches!(sent, Ok(count) if count == bytes.len()), "{sent:?}");
        };
        play(&recorded, 2);
        until(SOON, "the other member counts it as not authentic", || {
            received(&cluster, 2).contains("authfail:1").then_some(())
        });

        for index in [0, 1, 2] {
            cluster.kill(index);
        }
        cluster.start(1);
        let hellos = |sniffer: &Sniffer| {
            let hello = |seen: &&booth_harness::Seen| seen.bytes[28..32] == *b"Hllo";
            sniffer.seen().iter().filter(hello).count()
        };
        let before = hellos(&sniffer);
        let anywhere = UdpSocket::bind((lab.address(200), 0)).expect("an address of this machine");
        for _ in 0..5 {
            let _ = anywhere.send_to(&recorded, (to, PORT));
            pass(Duration::from_millis(50));
        }
        until(SOON, "it tells its life for each", || {
            (hellos(&sniffer) == before + 5).then_some(())
        });
        assert_eq!(received(&cluster, 1), "Recv pkts:0 error:0 authfail:0 invalid:0");
        // The control: the same, bound to nothing.
        let mut packet = Packet::read(&recorded, key.as_deref()).expect("it is authentic");
        (packet.opts, packet.result) = (0, 0);
        packet.length = 0;
        let _ = anywhere.send_to(
            &packet.seal_at(key.as_deref().expect("a key"), packet.secs, packet.usecs),
            (to, PORT),
        );
        until(SOON, "it comes in", || {
            received(&cluster, 1).starts_with("Recv pkts:1 ").then_some(())
        });
    });
}

#[test]
fn members_that_know_each_other_send_nothing_more() {
    run(test_name!(), &[Need::Root], |lab| {
        let sniffer = Sniffer::new(lab);
        let mut cluster = Cluster::started(lab, &Setup::of(&[Ours; 3]).with_key());
        cluster.grant(0, &[0, 1, 2]);
        let hellos = || {
            let seen = sniffer.seen();
            seen.iter().filter(|seen| seen.bytes[28..32] == *b"Hllo").count()
        };
        let begun = hellos();
        assert!((1..=12).contains(&begun), "{begun} at the start of three members");
        pass(Duration::from_secs(11));
        assert_eq!(hellos(), begun, "two renewals need none");
        cluster.kill(2);
        cluster.start(2);
        until(SOON, "the restarted one takes part", || {
            (cluster.leader(2, "t1") == cluster.address(0).to_string()).then_some(())
        });
        let restarted = hellos() - begun;
        assert!((1..=8).contains(&restarted), "{restarted} after a restart");
    });
}
