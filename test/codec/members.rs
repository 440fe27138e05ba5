// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages between members (P8).

use crate::strategies::{member, peer_message, unit};
use booth::model::{Holder, MemberId, Term, TicketName, TicketNameError};
use booth::time::Span;
use booth::wire::{
    decode_peer, encode_peer, Command, Field, LastKnown, PeerBody, PeerMessage, Round, TimeUnit,
    WireError, PEER_LEN,
};
use proptest::prelude::*;

/// Offsets of the fields that the tests below change.
const LENGTH: usize = 24;
const CMD: usize = 28;
const REQUEST: usize = 32;
const REASON: usize = 40;
const RESULT: usize = 44;
const NAME: usize = 48;
const LEADER: usize = 112;

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(from in member(), (unit, message) in peer_message()) {
        let packet = encode_peer(from, &message, unit);
        prop_assert_eq!(packet.len(), PEER_LEN);
        prop_assert_eq!(decode_peer(&packet, unit), Ok((from, message)));
    }

    #[test]
    fn validity_is_rounded_down(
        (_, mut message) in peer_message(),
        unit in unit(),
        micros in any::<u64>(),
    ) {
        message.valid_for = Span::from_micros(micros);
        let packet = encode_peer(MemberId::from_raw(1), &message, unit);
        let (_, decoded) = decode_peer(&packet, unit).expect("it decodes");
        let one = unit.span(1);
        prop_assert!(decoded.valid_for <= message.valid_for);
        let cut = message.valid_for.minus(decoded.valid_for);
        prop_assert!(cut < one || decoded.valid_for == unit.span(u32::MAX));
    }

    /// Bits that have no meaning yet change nothing, so that they can get one.
    #[test]
    fn the_reason_of_a_heartbeat_and_such_is_not_looked_at(
        from in member(),
        (unit, message) in peer_message(),
        noise in any::<[u8; 4]>(),
    ) {
        let mut packet = encode_peer(from, &message, unit);
        match message.body {
            PeerBody::Heartbeat { .. } | PeerBody::Update { .. } => {
                packet[REQUEST..REQUEST + 4].copy_from_slice(&noise);
                packet[RESULT..RESULT + 4].copy_from_slice(&noise);
                packet[REASON..REASON + 4].copy_from_slice(&noise);
            }
            PeerBody::Status { .. } | PeerBody::MyIndex { .. } | PeerBody::ReqVote { .. } => {
                packet[REQUEST..REQUEST + 4].copy_from_slice(&noise);
                packet[RESULT..RESULT + 4].copy_from_slice(&noise);
            }
            PeerBody::Vote { .. } => packet[RESULT..RESULT + 4].copy_from_slice(&noise),
            PeerBody::Ack { .. } | PeerBody::Rejected { .. } => {
                packet[REASON..REASON + 4].copy_from_slice(&noise);
            }
            PeerBody::StepDown { .. } | PeerBody::Revoke { .. } => {
                packet[RESULT..RESULT + 4].copy_from_slice(&noise);
            }
        }
        prop_assert_eq!(decode_peer(&packet, unit), Ok((from, message)));
    }
}

fn packet(leader: Holder, body: PeerBody) -> Vec<u8> {
    let message = PeerMessage {
        ticket: TicketName::new("T").expect("a name"),
        leader,
        term: Term::new(3),
        valid_for: Span::from_secs(9),
        body,
    };
    encode_peer(MemberId::from_raw(7), &message, TimeUnit::Seconds)
}

fn heartbeat() -> Vec<u8> {
    let leader = Holder::Member(MemberId::from_raw(7));
    packet(leader, PeerBody::Heartbeat { stamp: booth::wire::Stamp::default() })
}

fn with(mut packet: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

fn error(packet: &[u8]) -> WireError {
    decode_peer(packet, TimeUnit::Seconds).expect_err("it is malformed")
}

#[test]
fn an_unknown_leader_is_sent_as_nobody_and_refused_when_received() {
    let unknown = packet(Holder::Unknown, PeerBody::Status { nonce: 1 });
    assert_eq!(unknown, packet(Holder::Nobody, PeerBody::Status { nonce: 1 }));
    assert_eq!(error(&with(heartbeat(), LEADER, &[0; 4])), WireError::NoLeader);
}

#[test]
fn commands_of_clients_do_not_belong_between_members() {
    for command in [Command::List, Command::Grant, Command::AttrSet, Command::Result] {
        let packet = with(heartbeat(), CMD, &command.raw().to_be_bytes());
        assert_eq!(error(&packet), WireError::Misplaced(command));
        let longer = [&packet[..], &[0; 64]].concat();
        let longer = with(longer, LENGTH, &188_u32.to_be_bytes());
        assert_eq!(error(&longer), WireError::Misplaced(command), "of any size");
    }
    let unknown = u32::from_be_bytes(*b"Nope");
    assert_eq!(error(&with(heartbeat(), CMD, b"Nope")), WireError::UnknownCommand(unknown));
    assert_eq!(WireError::UnknownCommand(unknown).to_string(), "unknown command Nope");
    assert_eq!(WireError::UnknownCommand(7).to_string(), "unknown command 7");
}

#[test]
fn a_name_must_end_and_be_a_name() {
    let name = |bytes: &[u8]| error(&with(heartbeat(), NAME, bytes));
    assert_eq!(name(&[b'a'; 64]), WireError::NoNul(Field::Ticket));
    assert_eq!(name(&[0]), WireError::Ticket(TicketNameError::Empty));
    assert_eq!(name(b"a b"), WireError::Ticket(TicketNameError::BadCharacter(' ')));
    assert_eq!(name(&[0xFF]), WireError::TicketNotAscii);
    let longest = [&[b'a'; 63][..], &[0]].concat();
    assert!(decode_peer(&with(heartbeat(), NAME, &longest), TimeUnit::Seconds).is_ok());
}

#[test]
fn votes_and_step_downs_are_told_apart_by_what_they_answer() {
    let member = Holder::Member(MemberId::from_raw(9));
    let vote = packet(member, PeerBody::Vote { vouched: true, unbound_for: None, last: None });
    let nobody = MemberId::NOBODY.to_be_bytes();
    assert_eq!(error(&with(vote.clone(), LEADER, &nobody)), WireError::VoteForNobody);
    assert_eq!(error(&with(vote.clone(), REQUEST, &[0; 4])), WireError::StepDownWithLeader);
    let request = u32::from_be_bytes(*b"HrtB");
    let expected = WireError::Request { command: Command::VoteFor, request };
    assert_eq!(error(&with(vote, REQUEST, b"HrtB")), expected);
}

#[test]
fn answers_name_what_they_can_answer() {
    let leader = Holder::Member(MemberId::from_raw(7));
    let ack = packet(leader, PeerBody::Ack { of: Command::Heartbeat, round: None });
    for request in [*b"Stat", *b"CGnt", *b"Nope", [0; 4]] {
        let raw = u32::from_be_bytes(request);
        let expected = WireError::Request { command: Command::Ack, request: raw };
        assert_eq!(error(&with(ack.clone(), REQUEST, &request)), expected);
    }
    let result = booth::wire::ResultCode::TermOutdated;
    let rejected =
        packet(leader, PeerBody::Rejected { of: Command::Heartbeat, result, granted: false });
    for result in [*b"Over", *b"Nope", [0; 4]] {
        let raw = u32::from_be_bytes(result);
        let expected = WireError::Result { command: Command::Rejected, result: raw };
        assert_eq!(error(&with(rejected.clone(), RESULT, &result)), expected);
    }
    for request in [*b"CGnt", *b"Nope", [0; 4]] {
        let raw = u32::from_be_bytes(request);
        let expected = WireError::Request { command: Command::Rejected, request: raw };
        assert_eq!(error(&with(rejected.clone(), REQUEST, &request)), expected);
    }
}

#[test]
fn a_message_between_members_has_one_size() {
    let mut longer = heartbeat();
    longer.push(0);
    longer[27] = 125;
    let expected = WireError::Size { command: Command::Heartbeat, len: 125, expected: PEER_LEN };
    assert_eq!(error(&longer), expected);
    assert_eq!(error(&heartbeat()[..47]), WireError::TooShort { len: 47, need: 48 });
}

/// An ACK of ours says in which unit its promise is counted: configurations may differ while one
/// is being changed, and the leader's lease counts by it.
#[test]
fn an_acknowledgement_with_a_round_is_read_in_the_unit_of_its_sender() {
    let body = PeerBody::Ack { of: Command::Heartbeat, round: Round::new(5) };
    for sent in [TimeUnit::Seconds, TimeUnit::Millis] {
        for read in [TimeUnit::Seconds, TimeUnit::Millis] {
            let message = PeerMessage {
                ticket: TicketName::new("T").expect("valid"),
                leader: Holder::Member(MemberId::from_raw(7)),
                term: Term::new(3),
                valid_for: Span::from_secs(10),
                body,
            };
            let bytes = encode_peer(MemberId::from_raw(9), &message, sent);
            let (_, again) = decode_peer(&bytes, read).expect("a message");
            assert_eq!(again, message, "sent in {sent:?}, read in {read:?}");
        }
    }
}

/// 0 is what a reference peer sends: a vote of ours says at least one, and at most all bits.
#[test]
fn a_vote_says_how_long_its_sender_has_been_unbound() {
    let member = Holder::Member(MemberId::from_raw(9));
    let bits = |span: Option<Span>| {
        let packet =
            packet(member, PeerBody::Vote { vouched: true, unbound_for: span, last: None });
        u32::from_be_bytes([packet[36], packet[37], packet[38], packet[39]])
    };
    assert_eq!(bits(None), 0x8000_0000);
    assert_eq!(bits(Some(Span::ZERO)), 0x8000_0001);
    assert_eq!(bits(Some(Span::from_millis(1500))), 0x8000_0000 + 1501);
    assert_eq!(bits(Some(Span::MAX)), 0xFFFF_FFFF);
}

/// 0 is what a reference peer sends, and what is said of a term that does not fit.
#[test]
fn a_vote_says_the_last_that_its_sender_knows() {
    let member = Holder::Member(MemberId::from_raw(9));
    let said = |term: u32, free: bool| {
        let last = Some(LastKnown { term: Term::new(term), free });
        let packet = packet(member, PeerBody::Vote { vouched: true, unbound_for: None, last });
        let bits = u32::from_be_bytes([packet[40], packet[41], packet[42], packet[43]]);
        let (_, message) = decode_peer(&packet, TimeUnit::Seconds).expect("a vote");
        let PeerBody::Vote { last, .. } = message.body else { panic!("a vote") };
        (bits, last)
    };
    let last = |term: u32, free: bool| Some(LastKnown { term: Term::new(term), free });
    assert_eq!(said(7, false), (7, last(7, false)));
    assert_eq!(said(7, true), (0x8000_0007, last(7, true)));
    assert_eq!(said(u32::MAX >> 1, true), (u32::MAX, last(u32::MAX >> 1, true)));
    assert_eq!(said(1 << 31, true), (0, None));
    assert_eq!(said(0, true), (0, None));
    assert!(last(7, true) > last(7, false) && last(8, false) > last(7, true));
}
