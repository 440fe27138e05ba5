// SPDX-License-Identifier: GPL-2.0-or-later
//! Connections of clients: requests, the bytes behind them, and answers (P5, P13).

use booth::model::{AttrName, AttrValue, Holder, MemberId, Term, TicketName};
use booth::wire::{
    decode_reply, decode_request, encode_reply, encode_request, frame_len, request_len,
    ClientOptions, ClientReply, ClientRequest, ResultCode, TicketAnswer, TimeUnit, HEADER_LEN,
    REQUEST_TAIL,
};
use booth_harness::capture::{captures, Capture, Message, Packet};
use std::collections::BTreeMap;

/// What a request should mean, from the fields that stand beside it in the capture.
fn request_meaning(packet: &Packet) -> ClientRequest {
    let options = packet.number("options");
    let options = ClientOptions {
        immediate: options & 1 != 0,
        wait: options & 2 != 0,
        wait_commit: options & 4 != 0,
        explain: false,
    };
    let attr = |field| packet.fields().at("attr").at(field).text();
    let ticket = |text| TicketName::new(text).ok();
    let tkt_id = || ticket(attr("tkt_id"));
    let name = || AttrName::new(attr("name")).ok();
    let ticket_id = || ticket(packet.fields().at("ticket").at("id").text());
    match packet.code("cmd") {
        "CLst" => ClientRequest::List,
        "Peer" => ClientRequest::Peers,
        "CGnt" => ClientRequest::Grant { ticket: ticket_id(), options },
        "CRvk" => ClientRequest::Revoke { ticket: ticket_id(), options },
        "ASet" => ClientRequest::AttrSet {
            ticket: tkt_id(),
            name: name(),
            value: AttrValue::new(attr("val")).ok(),
        },
        "AGet" => ClientRequest::AttrGet { ticket: tkt_id(), name: name() },
        "ADel" => ClientRequest::AttrDelete { ticket: tkt_id(), name: name() },
        "ALst" => ClientRequest::AttrList { ticket: tkt_id() },
        other => panic!("{}: command {other}", packet.place),
    }
}

/// What an answer should mean.
fn reply_meaning(packet: &Packet, unit: TimeUnit) -> ClientReply {
    let fields = packet.fields();
    let text = || fields.get("text").map_or("", |text| text.text()).to_owned();
    match (packet.code("cmd"), fields.get("ticket")) {
        ("RLst", None) => ClientReply::List(text()),
        ("AGet", None) => ClientReply::Attr(text()),
        ("ALst", None) => ClientReply::Attrs(text()),
        ("Rslt", None) => ClientReply::Result(result(packet)),
        ("Rslt", Some(ticket)) => ClientReply::Ticket(TicketAnswer {
            result: result(packet),
            ticket: TicketName::new(ticket.at("id").text()).ok(),
            leader: Holder::from_raw(ticket.at("leader").u32()),
            term: Term::new(ticket.at("term").u32()),
            valid_for: unit.span(ticket.at("term_valid_for").u32()),
            cause: None,
        }),
        (other, _) => panic!("{}: command {other}", packet.place),
    }
}

fn result(packet: &Packet) -> ResultCode {
    match packet.code("result") {
        "" => ResultCode::Success,
        "More" => ResultCode::More,
        "Pend" => ResultCode::CibPending,
        "Fail" => ResultCode::SyncFail,
        "IArg" => ResultCode::InvalidArg,
        "NAtr" => ResultCode::NoSuchAttr,
        "XPrg" => ResultCode::HandlerFailed,
        "APrq" => ResultCode::AttrPrereq,
        "Tidl" => ResultCode::TicketIdle,
        "Over" => ResultCode::Overgrant,
        "Auth" => ResultCode::AuthFailed,
        "Redr" => ResultCode::Redirect,
        other => panic!("{}: result {other}", packet.place),
    }
}

fn header(packet: &Packet) -> &[u8; HEADER_LEN] {
    packet.bytes.first_chunk().unwrap_or_else(|| panic!("{}: no header", packet.place))
}

fn check_request(capture: &Capture, packet: &Packet) {
    let place = &packet.place;
    assert_eq!(request_len(header(packet)), Ok(packet.bytes.len()), "{place}");
    let opened = capture.opener().open_request(&packet.bytes, packet.stamp());
    let opened = opened.unwrap_or_else(|e| panic!("{place}: {e}"));
    let (from, request) = decode_request(&opened.packet).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert_eq!(from, packet.number("from"), "{place}");
    assert_eq!(request, request_meaning(packet), "{place}");

    let sealed = capture.sealer().seal(encode_request(from, &request), packet.stamp());
    assert_eq!(sealed, packet.bytes, "{place}");
}

fn check_reply(capture: &Capture, packet: &Packet) {
    let place = &packet.place;
    assert_eq!(frame_len(header(packet)), Ok(packet.bytes.len()), "{place}");
    let opened = capture.opener().open_reply(&packet.bytes, packet.stamp());
    let opened = opened.unwrap_or_else(|e| panic!("{place}: {e}"));
    let reply = decode_reply(&opened.packet, capture.unit);
    let reply = reply.unwrap_or_else(|e| panic!("{place}: {e}"));
    assert_eq!(reply, reply_meaning(packet, capture.unit), "{place}");

    let from = MemberId::from_raw(packet.number("from"));
    let encoded = encode_reply(from, &reply, capture.unit);
    assert_eq!(capture.sealer().seal_reply(encoded, packet.stamp()), packet.bytes, "{place}");
}

#[test]
fn every_request_means_what_it_says_and_is_made_again() {
    let mut seen = BTreeMap::new();
    for capture in captures() {
        for packet in capture.requests() {
            // The others were sealed with another key, or not at all, on purpose: `seals.rs`.
            if packet.mac_is_right().unwrap_or(capture.key.is_none()) {
                check_request(&capture, packet);
                *seen.entry(packet.code("cmd").to_owned()).or_insert(0) += 1;
            }
        }
    }
    for command in ["CLst", "Peer", "CGnt", "CRvk", "ASet", "AGet", "ADel", "ALst"] {
        assert!(seen.contains_key(command), "no {command} among {seen:?}");
    }
}

#[test]
fn every_answer_means_what_it_says_and_is_made_again() {
    let mut seen = BTreeMap::new();
    for capture in captures() {
        for packet in capture.replies() {
            check_reply(&capture, packet);
            let kind = format!("{} {}", packet.code("cmd"), packet.code("result"));
            *seen.entry(kind).or_insert(0) += 1;
        }
    }
    for kind in ["RLst ", "AGet ", "ALst ", "Rslt ", "Rslt More", "Rslt Pend", "Rslt Auth"] {
        assert!(seen.contains_key(kind), "no {kind} among {seen:?}");
    }
}

#[test]
fn what_follows_a_request_is_the_room_of_a_mac() {
    let mut tails = 0;
    for capture in captures() {
        for message in &capture.messages {
            let Message::Connection { request, .. } = message else {
                continue;
            };
            for tail in request.iter().filter(|packet| packet.fields.is_none()) {
                assert_eq!(tail.bytes, [0; REQUEST_TAIL], "{}", tail.place);
                tails += 1;
            }
        }
    }
    assert!(tails > 0, "the captures have such requests");
}
