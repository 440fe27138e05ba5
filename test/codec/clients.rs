// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests of clients and answers to them (P10, P12).

use crate::strategies::{reply, request};
use booth::model::{Holder, MemberId, Term, TicketName};
use booth::time::Span;
use booth::wire::{
    decode_reply, decode_request, encode_reply, encode_request, frame_len, request_len,
    ClientReply, ClientRequest, Command, Field, ResultCode, TicketAnswer, TimeUnit, WaitCause,
    WireError, FRAME_MAX, HEADER_LEN, REQUEST_MAX,
};
use proptest::prelude::*;

const LENGTH: usize = 24;
const CMD: usize = 28;
const REASON: usize = 40;
const ME: MemberId = MemberId::from_raw(7);

proptest! {
    #[test]
    fn requests_come_back(from in any::<u32>(), request in request()) {
        let packet = encode_request(from, &request);
        prop_assert!(packet.len() < REQUEST_MAX);
        let header = packet.first_chunk::<HEADER_LEN>().expect("it has a header");
        prop_assert_eq!(request_len(header), Ok(packet.len()));
        prop_assert_eq!(decode_request(&packet), Ok((from, request)));
    }

    #[test]
    fn answers_come_back((unit, reply) in reply()) {
        let packet = encode_reply(ME, &reply, unit);
        let header = packet.first_chunk::<HEADER_LEN>().expect("it has a header");
        prop_assert_eq!(frame_len(header), Ok(packet.len()));
        prop_assert_eq!(decode_reply(&packet, unit), Ok(reply));
    }
}

fn with(mut packet: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

fn list() -> Vec<u8> {
    encode_request(7, &ClientRequest::List)
}

fn attr_get() -> Vec<u8> {
    encode_request(7, &ClientRequest::AttrGet { ticket: TicketName::new("T").ok(), name: None })
}

#[test]
fn names_that_cannot_exist_are_answered_and_not_dropped() {
    let name_at = HEADER_LEN + 64;
    let value_at = name_at + 64;
    let request = with(attr_get(), name_at, b"has space");
    let ticket = TicketName::new("T").ok();
    let decoded = ClientRequest::AttrGet { ticket: ticket.clone(), name: None };
    assert_eq!(decode_request(&request), Ok((7, decoded)));
    let request = with(with(attr_get(), CMD, b"ASet"), value_at, &[0xC3, 0x28]);
    let decoded = ClientRequest::AttrSet { ticket, name: None, value: None };
    assert_eq!(decode_request(&request), Ok((7, decoded)));
    let request = with(attr_get(), HEADER_LEN, b"no ticket");
    let decoded = ClientRequest::AttrGet { ticket: None, name: None };
    assert_eq!(decode_request(&request), Ok((7, decoded)));
}

#[test]
fn names_without_an_end_are_malformed() {
    let full = |at: usize, len: usize| decode_request(&with(attr_get(), at, &vec![b'a'; len]));
    assert_eq!(full(HEADER_LEN, 64), Err(WireError::NoNul(Field::Ticket)));
    assert_eq!(full(HEADER_LEN + 64, 64), Err(WireError::NoNul(Field::AttrName)));
    assert_eq!(full(HEADER_LEN + 128, 128), Err(WireError::NoNul(Field::AttrValue)));
}

#[test]
fn members_messages_and_answers_are_no_requests() {
    for command in Command::ALL {
        let decoded = decode_request(&with(list(), CMD, &command.raw().to_be_bytes()));
        match command {
            Command::List | Command::Peers | Command::Report | Command::Grant | Command::Revoke => {
                assert!(decoded.is_ok(), "{command}");
            }
            Command::AttrSet | Command::AttrGet | Command::AttrDelete | Command::AttrList => {
                let error = WireError::Size { command: *command, len: 124, expected: 304 };
                assert_eq!(decoded, Err(error));
            }
            Command::Result
            | Command::ResultList
            | Command::Status
            | Command::MyIndex
            | Command::ReqVote
            | Command::VoteFor
            | Command::Heartbeat
            | Command::Ack
            | Command::Update
            | Command::RevokeTicket
            | Command::Rejected
            | Command::Hello => assert_eq!(decoded, Err(WireError::Misplaced(*command))),
        }
    }
}

#[test]
fn a_server_reads_no_more_than_a_request_has() {
    let stated = |len: usize| {
        let len = u32::try_from(len).expect("small");
        let packet = with(list(), LENGTH, &len.to_be_bytes());
        *packet.first_chunk::<HEADER_LEN>().expect("it has a header")
    };
    assert_eq!(request_len(&stated(47)), Err(WireError::TooShort { len: 47, need: 48 }));
    assert_eq!(request_len(&stated(48)), Ok(48));
    assert_eq!(request_len(&stated(332)), Ok(332));
    assert_eq!(request_len(&stated(333)), Err(WireError::TooLong { len: 333, max: 332 }));
    assert_eq!(frame_len(&stated(333)), Ok(333));
    assert_eq!(frame_len(&stated(FRAME_MAX)), Ok(FRAME_MAX));
    let beyond = WireError::TooLong { len: FRAME_MAX + 1, max: FRAME_MAX };
    assert_eq!(frame_len(&stated(FRAME_MAX + 1)), Err(beyond));
}

fn waiting(result: ResultCode, wait: Span) -> ClientReply {
    ClientReply::Ticket(TicketAnswer {
        result,
        ticket: TicketName::new("T").ok(),
        leader: Holder::Nobody,
        term: Term::new(1),
        valid_for: Span::ZERO,
        cause: Some((WaitCause::Grace, wait)),
    })
}

fn decoded_cause(packet: &[u8]) -> Option<(WaitCause, Span)> {
    match decode_reply(packet, TimeUnit::Seconds) {
        Ok(ClientReply::Ticket(answer)) => answer.cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wait_is_rounded_up_because_zero_means_unknown() {
    for (millis, secs) in [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
        let reply = waiting(ResultCode::More, Span::from_millis(millis));
        let packet = encode_reply(ME, &reply, TimeUnit::Seconds);
        let expected = Some((WaitCause::Grace, Span::from_secs(secs)));
        assert_eq!(decoded_cause(&packet), expected, "{millis} ms");
    }
}

#[test]
fn a_final_answer_has_no_cause_and_an_unknown_cause_is_none() {
    let last = encode_reply(ME, &waiting(ResultCode::Success, Span::ZERO), TimeUnit::Seconds);
    assert_eq!(last[REASON - 4..REASON + 4], [0; 8], "options and reason");
    assert_eq!(decoded_cause(&with(last, REASON, b"Grac")), None);
    let more = encode_reply(ME, &waiting(ResultCode::More, Span::ZERO), TimeUnit::Seconds);
    assert_eq!(decoded_cause(&with(more, REASON, b"Late")), None);
}

#[test]
fn a_text_that_is_too_long_ends_after_a_line_and_says_so() {
    let line = "ticket: T, leader: none\n";
    let text = line.repeat(FRAME_MAX / line.len() + 1);
    let packet = encode_reply(ME, &ClientReply::List(text), TimeUnit::Seconds);
    assert!(packet.len() < FRAME_MAX, "{} bytes", packet.len());
    assert!(packet.len() > FRAME_MAX - 200, "{} bytes", packet.len());
    let Ok(ClientReply::List(text)) = decode_reply(&packet, TimeUnit::Seconds) else {
        panic!("it is a list");
    };
    let mut lines = text.lines().rev();
    assert_eq!(lines.next(), Some("(the rest does not fit into one answer)"));
    assert!(lines.all(|other| other == line.trim_end()), "only whole lines");
}

#[test]
fn only_answers_are_answers() {
    for command in Command::ALL {
        let answers = [
            Command::Result,
            Command::ResultList,
            Command::Report,
            Command::AttrGet,
            Command::AttrList,
        ];
        let packet = with(list(), CMD, &command.raw().to_be_bytes());
        let decoded = decode_reply(&packet, TimeUnit::Seconds);
        if answers.contains(command) {
            assert!(decoded.is_ok(), "{command}");
        } else if *command == Command::Hello {
            let error = WireError::Size { command: *command, len: 124, expected: 48 };
            assert_eq!(decoded, Err(error));
        } else {
            assert_eq!(decoded, Err(WireError::Misplaced(*command)));
        }
    }
}

#[test]
fn the_list_of_the_most_tickets_fits_with_lines_of_310_bytes() {
    let line = format!("{}\n", "x".repeat(309));
    let list = ClientReply::List(line.repeat(100_000));
    let packet = encode_reply(MemberId::from_raw(7), &list, TimeUnit::Seconds);
    assert!(decode_reply(&packet, TimeUnit::Seconds) == Ok(list));
}
