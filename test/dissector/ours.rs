// SPDX-License-Identifier: GPL-2.0-or-later
//! What only ours sends (P8, P9, P12, P24, P25), other ports, and bytes that are no packets.

use super::capture_file::{CaptureFile, End, PORT};
use super::{expect, fields, hex, hex_bytes, tshark, Row, NEEDS};
use booth::auth::{Key, Sealer};
use booth::model::{Holder, MemberId, Term, TicketName};
use booth::time::{Span, WallTime};
use booth::wire::{
    encode_hello, encode_peer, encode_probe, encode_reply, encode_request, put_life, ClientOptions,
    ClientReply, ClientRequest, Command, LastKnown, Life, PeerBody, PeerMessage, Probe, Reason,
    ResultCode, Round, Stamp, TicketAnswer, TimeUnit, WaitCause, MAC_LEN,
};
use booth_harness::{run, test_name};
use std::ops::Range;

const EAST: MemberId = MemberId::from_raw(0x1234_5678);
const WEST: MemberId = MemberId::from_raw(0x0765_4321);
const LIFE: u32 = 0x0bad_cafe;

fn name() -> TicketName {
    TicketName::new("ticket-A").expect("a name")
}

fn sealer() -> Sealer {
    Sealer::new(Some(Key::new(b"a key for tests").expect("a key")))
}

fn life() -> Life {
    Life::from_raw(LIFE).expect("above 0")
}

fn owned(fields: &[(&'static str, &str)]) -> Row {
    fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Every message between members with the marks of ours, and what is to be seen of these.
fn marks() -> Vec<(PeerBody, Row)> {
    let stamp = Stamp { round: Round::new(77), established: true };
    let sent = [("round", "77"), ("established", "True")];
    let admin = ("reason", "Admn");
    vec![
        (PeerBody::Heartbeat { stamp }, owned(&sent)),
        (PeerBody::Update { stamp }, owned(&sent)),
        (PeerBody::Revoke { reason: Reason::Admin, stamp }, owned(&[sent[0], sent[1], admin])),
        (
            PeerBody::StepDown { reason: Reason::LocalFail, stamp },
            owned(&[sent[0], sent[1], ("reason", "LocF")]),
        ),
        (
            PeerBody::Ack { of: Command::Heartbeat, round: Round::new(78) },
            owned(&[("round", "78"), ("millis", "True"), ("request", "HrtB")]),
        ),
        (
            PeerBody::ReqVote { reason: Reason::Admin, established: false, force: true, nonce: 9 },
            owned(&[("vote_nonce", "9"), ("vote_force", "True"), ("established", "False"), admin]),
        ),
        (
            PeerBody::Vote {
                vouched: true,
                unbound_for: Some(Span::from_millis(1500)),
                last: Some(LastKnown { term: Term::new(4), free: true }),
            },
            owned(&[
                ("vouched", "True"),
                ("unbound", "1501"),
                ("last_term", "4"),
                ("last_revoked", "True"),
                ("request", "RVot"),
            ]),
        ),
        (PeerBody::Status { nonce: 5 }, owned(&[("nonce", "5"), ("probe", "False")])),
        (PeerBody::MyIndex { nonce: 6 }, owned(&[("nonce", "6"), ("request", "Stat")])),
        (
            PeerBody::Rejected {
                of: Command::Heartbeat,
                result: ResultCode::TermOutdated,
                granted: true,
            },
            owned(&[("granted", "True"), ("result", "TOdt"), ("request", "HrtB")]),
        ),
    ]
}

/// All of them sealed, bound and with the life of their sender, and what is to be seen.
fn member_packets() -> Vec<(Vec<u8>, Row)> {
    let wall = WallTime::from_secs(1_800_000_000);
    let sealer = sealer();
    let seal = |mut packet: Vec<u8>| {
        put_life(&mut packet, life());
        sealer.seal_bound(packet, wall, sealer.bond(WEST, Some(life())))
    };
    let mut packets = Vec::new();
    for (body, mut row) in marks() {
        let nobody = matches!(body, PeerBody::StepDown { .. } | PeerBody::Revoke { .. });
        let leader = if nobody { Holder::Nobody } else { Holder::from_raw(EAST.raw()) };
        row.push(("leader", hex(if nobody { MemberId::NOBODY } else { EAST.raw() })));
        row.extend(owned(&[("term", "12"), ("valid_for", "60000")]));
        let (term, valid_for) = (Term::new(12), Span::from_secs(60));
        let message = PeerMessage { ticket: name(), leader, term, valid_for, body };
        packets.push((seal(encode_peer(EAST, &message, TimeUnit::Millis)), row));
    }
    let probe = Probe { answer: false, nonce: 3, digest: 0x8899_aabb };
    let row = owned(&[("probe", "True"), ("nonce", "3"), ("digest", "0x8899aabb")]);
    packets.push((seal(encode_probe(EAST, &name(), probe)), row));
    for (_, row) in &mut packets {
        row.extend(owned(&[("ticket", "ticket-A"), ("from", "0x12345678")]));
    }
    packets.push((seal(encode_hello(EAST, life())), owned(&[("cmd", "Hllo"), ("ticket", "")])));
    for (packet, row) in &mut packets {
        row.extend(owned(&[("authenticated", "True"), ("bound", "True")]));
        row.push(("life", hex(LIFE)));
        row.push(("time", "Jan 15, 2027 08:00:00.000000000 UTC".to_owned()));
        row.push(("mac", hex_bytes(&packet[mac(packet.len())])));
    }
    packets
}

/// Where the HMAC is in a packet of this length.
fn mac(length: usize) -> Range<usize> {
    length - MAC_LEN + 4..length - 4
}

#[test]
fn what_only_our_members_say_is_shown() {
    run(test_name!(), NEEDS, |_| {
        let mut file = CaptureFile::new();
        let mut rows = Vec::new();
        // On Booth's port, and on one of which only the magic number tells that it is Booth's.
        for port in [PORT, 12_345] {
            for (packet, row) in member_packets() {
                file.datagram(port, port, &packet);
                rows.push((format!("{:?}", row.first()), row));
            }
        }
        expect(&file, &rows);
        let lines = tshark(&file, &[]);
        assert!(lines[0].contains("Booth") && lines[0].contains("HEARTBEAT ticket-A, term 12"));
    });
}

/// A grant with causes and a report with a key, as packets of one request and its answers each.
fn client_packets() -> Vec<(End, Vec<u8>, Row)> {
    let wall = WallTime::from_secs(1_800_000_000);
    let sealer = sealer();
    let options = ClientOptions { immediate: true, wait: false, wait_commit: true, explain: true };
    let grant = ClientRequest::Grant { ticket: Some(name()), options };
    let waits = ClientReply::Ticket(TicketAnswer {
        result: ResultCode::More,
        ticket: Some(name()),
        leader: Holder::from_raw(EAST.raw()),
        term: Term::new(3),
        valid_for: Span::from_secs(20),
        cause: Some((WaitCause::CommitDelay, Span::from_secs(17))),
    });
    let report = ClientReply::Report("{\"version\": 1}".to_owned());
    let request = |request| sealer.seal(encode_request(EAST.raw(), &request), wall);
    let reply = |reply| sealer.seal_reply(encode_reply(WEST, reply, TimeUnit::Seconds), wall);
    let texts = |pairs: &[(&'static str, &str)]| owned(pairs);
    vec![
        (
            End::Client,
            request(grant),
            texts(&[
                ("force", "True"),
                ("wait_commit", "True"),
                ("explain", "True"),
                ("ticket", "ticket-A"),
            ]),
        ),
        (
            End::Server,
            reply(&waits),
            texts(&[("result", "More"), ("cause", "Cmmt"), ("wait_secs", "17"), ("term", "3")]),
        ),
        (
            End::Client,
            request(ClientRequest::Report { history: true }),
            texts(&[("cmd", "Rprt"), ("history", "True"), ("text", "")]),
        ),
        (
            End::Server,
            reply(&report),
            texts(&[("cmd", "Rprt"), ("text", "{\"version\": 1}"), ("authenticated", "True")]),
        ),
    ]
}

/// On both kinds of ports, and cut anywhere.
#[test]
fn what_only_our_clients_say_is_shown_however_the_stream_is_cut() {
    run(test_name!(), NEEDS, |_| {
        let mut file = CaptureFile::new();
        let mut rows: Vec<(String, Row)> = Vec::new();
        for (port, size) in [(PORT, usize::MAX), (12_345, usize::MAX), (PORT, 50), (PORT, 7)] {
            for exchange in client_packets().chunks(2) {
                let mut connection = file.connect(port);
                for (end, packet, row) in exchange {
                    let count = packet.chunks(size.min(packet.len())).count();
                    for (at, piece) in packet.chunks(size.min(packet.len())).enumerate() {
                        file.segment(&mut connection, *end, piece);
                        let seen = if at + 1 == count { row.clone() } else { Row::new() };
                        rows.push((format!("{port}, {size}: {:?}", row.first()), seen));
                    }
                }
            }
        }
        expect(&file, &rows);
    });
}

/// No bytes make the script fail: it says what is wrong.
#[test]
fn what_is_no_packet_is_said_to_be_none() {
    run(test_name!(), NEEDS, |_| {
        let mut file = CaptureFile::new();
        let (packet, _) = member_packets().remove(0);
        let mut count = 0;
        let mut add = |bytes: &[u8]| {
            file.datagram(PORT, PORT, bytes);
            let mut connection = file.connect(PORT);
            file.segment(&mut connection, End::Client, bytes);
            count += 2;
        };
        for length in 0..packet.len() {
            add(&packet[..length]);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut bytes = packet.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..48);
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(48..=bytes.len()));
            add(&bytes);
        }
        let seen = fields(&file, &["_ws.lua.error", "_ws.lua.text", "_ws.expert.message"]);
        assert_eq!(seen.len(), count);
        let failed = seen.iter().find(|row| !row[0].is_empty() || !row[1].is_empty());
        assert_eq!(failed, None);
        let said = |words: &str| seen.iter().filter(|row| row[2].contains(words)).count();
        assert!(said("not a packet of Booth") > 100, "{}", said("not a packet of Booth"));
        assert!(said("does not fit the command") > 100, "{}", said("does not fit the command"));
        assert!(said("version is not known") > 10, "{}", said("version is not known"));
    });
}
