// SPDX-License-Identifier: GPL-2.0-or-later
//! Datagrams between members, and the ids of members (P1, P2, P4).

use booth::model::{Holder, MemberId, Term, TicketName};
use booth::wire::{
    decode_peer, encode_peer, Command, PeerBody, PeerMessage, Reason, ResultCode, Stamp, TimeUnit,
};
use booth_harness::capture::{captures, Capture, Packet};
use std::collections::BTreeMap;

/// What a datagram should mean, from the fields that stand beside it in the capture.
fn meaning(packet: &Packet, unit: TimeUnit) -> (MemberId, PeerMessage) {
    let ticket = packet.fields().at("ticket");
    let leader = ticket.at("leader").u32();
    let stamp = Stamp { round: None, established: false };
    assert_eq!(packet.number("options"), 0, "{}: the reference sends no options", packet.place);
    let reason = match packet.code("reason") {
        "" => Reason::None,
        "Admn" => Reason::Admin,
        "Racq" => Reason::Reacquire,
        "Spdn" => Reason::StepDown,
        "TLst" => Reason::TicketLost,
        "LocF" => Reason::LocalFail,
        "Aaaa" => Reason::Again,
        other => panic!("{}: reason {other}", packet.place),
    };
    let of = match packet.code("request") {
        "HrtB" => Command::Heartbeat,
        "UpdE" => Command::Update,
        "Revk" => Command::RevokeTicket,
        "RVot" => Command::ReqVote,
        "Stat" | "MIdx" | "" => Command::Status,
        other => panic!("{}: request {other}", packet.place),
    };
    let result = match packet.code("result") {
        "" => ResultCode::Success,
        "TVld" => ResultCode::TermStillValid,
        "TOdt" => ResultCode::TermOutdated,
        "Outd" => ResultCode::YouOutdated,
        other => panic!("{}: result {other}", packet.place),
    };
    let body = match packet.code("cmd") {
        "Stat" => PeerBody::Status { nonce: 0 },
        "MIdx" => PeerBody::MyIndex { nonce: 0 },
        "RVot" => PeerBody::ReqVote { reason, established: false, force: false, nonce: 0 },
        "VtFr" if leader == MemberId::NOBODY => PeerBody::StepDown { reason, stamp },
        "VtFr" => PeerBody::Vote { vouched: false, unbound_for: None, last: None },
        "HrtB" => PeerBody::Heartbeat { stamp },
        "UpdE" => PeerBody::Update { stamp },
        "Revk" => PeerBody::Revoke { reason, stamp },
        "Ack." => PeerBody::Ack { of, round: None },
        "RJC!" => PeerBody::Rejected { of, result, granted: false },
        other => panic!("{}: command {other}", packet.place),
    };
    let message = PeerMessage {
        ticket: TicketName::new(ticket.at("id").text()).expect("a ticket name"),
        leader: Holder::from_raw(leader),
        term: Term::new(ticket.at("term").u32()),
        valid_for: unit.span(ticket.at("term_valid_for").u32()),
        body,
    };
    (MemberId::from_raw(packet.number("from")), message)
}

fn check(capture: &Capture, packet: &Packet) {
    let place = &packet.place;
    let opened = capture.opener().open(&packet.bytes, packet.stamp());
    let opened = opened.unwrap_or_else(|e| panic!("{place}: {e}"));
    let decoded = decode_peer(&opened.packet, capture.unit);
    let decoded = decoded.unwrap_or_else(|e| panic!("{place}: {e}"));
    assert_eq!(decoded, meaning(packet, capture.unit), "{place}");

    let (from, message) = decoded;
    let encoded = encode_peer(from, &message, capture.unit);
    assert_eq!(capture.sealer().seal(encoded, packet.stamp()), packet.bytes, "{place}");
}

#[test]
fn every_datagram_means_what_it_says_and_is_made_again() {
    let mut seen = BTreeMap::new();
    for capture in captures() {
        for packet in capture.datagrams() {
            check(&capture, packet);
            *seen.entry(packet.code("cmd").to_owned()).or_insert(0) += 1;
        }
    }
    for command in ["Stat", "MIdx", "RVot", "VtFr", "HrtB", "Ack.", "UpdE", "Revk", "RJC!"] {
        assert!(seen.contains_key(command), "no {command} among {seen:?}");
    }
}

#[test]
fn ids_are_made_from_addresses_as_in_the_captures() {
    let mut families = (0, 0);
    for capture in captures() {
        for (id, address) in &capture.members {
            assert_eq!(MemberId::of_address(*address), *id, "{}: {address}", capture.file);
            if address.is_ipv4() {
                families.0 += 1;
            } else {
                families.1 += 1;
            }
        }
    }
    assert!(families.0 > 0, "an IPv4 member");
    assert!(families.1 > 0, "an IPv6 member");
}

/// What only `c12` shows: that it is there, so that no later capture loses it unnoticed.
#[test]
fn rejections_of_each_kind_and_repetitions_are_among_the_captures() {
    let mut missing = vec![
        ("RJC!", "HrtB", "TOdt", ""),
        ("RJC!", "HrtB", "TVld", ""),
        ("RJC!", "UpdE", "TVld", ""),
        ("RJC!", "RVot", "TVld", ""),
        ("RJC!", "RVot", "Outd", ""),
        ("VtFr", "", "", "LocF"),
        ("VtFr", "", "", ""),
        ("Revk", "", "", "Admn"),
        ("Revk", "", "", ""),
    ];
    for capture in captures() {
        for packet in capture.datagrams() {
            let kind = (
                packet.code("cmd"),
                packet.code("request"),
                packet.code("result"),
                packet.code("reason"),
            );
            missing.retain(|wanted| *wanted != kind);
        }
    }
    assert_eq!(missing, [], "kinds that no capture has");
}
