// SPDX-License-Identifier: GPL-2.0-or-later
//! A message made from choices: encoded, sealed, opened, decoded, the same again.

use super::source::Source;
use booth::auth::{bond_of_answers, Key, Opener, Sealer};
use booth::model::{MemberId, TicketName};
use booth::time::{Span, WallTime};
use booth::wire::{
    decode_peer, decode_reply, decode_request, encode_peer, encode_reply, encode_request, life_of,
    put_life, ClientOptions, ClientReply, ClientRequest, Life, PeerMessage, ResultCode,
    TicketAnswer, TimeUnit, WaitCause,
};

const SKEW: Span = Span::from_secs(600);

pub fn run(bytes: &[u8]) {
    let source = &mut Source::new(bytes);
    let key = source.flag().then(|| Key::new(&[source.byte(); 20]).expect("long enough"));
    let (sealer, opener) = (Sealer::new(key.clone()), Opener::new(key, SKEW));
    let unit = source.pick(&[TimeUnit::Seconds, TimeUnit::Millis]);
    let wall = WallTime::from_micros(u64::from(source.u32()) << 20);
    let from = MemberId::from_raw(source.u32() >> 1);
    while !source.is_empty() {
        match source.below(3) {
            0 => {
                let message = message(source, unit);
                let life = Life::from_random(u64::from(source.u32()));
                let bond = sealer.bond(from, source.flag().then_some(life));
                let mut packet = encode_peer(from, &message, unit);
                put_life(&mut packet, life);
                let sealed = sealer.seal_bound(packet, wall, bond);
                let opened = opener.open(&sealed, wall).expect("it opens");
                assert_eq!((opened.bond, life_of(&opened.packet)), (bond, Some(life)));
                assert_eq!(decode_peer(&opened.packet, unit), Ok((from, message)));
            }
            1 => {
                let request = request(source);
                let packet = encode_request(from.raw(), &request);
                let sealed = sealer.seal_bound(packet, wall, sealer.bond(from, None));
                let opened = opener.open_request(&sealed, wall).expect("it opens");
                assert_eq!(opened.answer, bond_of_answers(&sealed));
                assert_eq!(decode_request(&opened.packet), Ok((from.raw(), request)));
            }
            _ => {
                let reply = reply(source, unit);
                let sealed = sealer.seal_reply(encode_reply(from, &reply, unit), wall);
                let opened = opener.open_reply(&sealed, wall).expect("it opens");
                assert_eq!(decode_reply(&opened.packet, unit), Ok(reply));
            }
        }
    }
}

fn message(source: &mut Source<'_>, unit: TimeUnit) -> PeerMessage {
    let ticket = source.ticket();
    let (body, leader) = source.body(&[MemberId::from_raw(1), MemberId::from_raw(0x7FFF_FFFF)]);
    let (term, valid_for) = (source.term(), unit.span(source.u32()));
    PeerMessage { ticket, leader, term, valid_for, body }
}

pub fn request(source: &mut Source<'_>) -> ClientRequest {
    let kind = source.below(9);
    let ticket: Option<TicketName> = source.flag().then(|| source.ticket());
    let name = || booth::model::AttrName::new("name").ok();
    let options = ClientOptions {
        immediate: source.flag(),
        wait: source.flag(),
        wait_commit: source.flag(),
        explain: source.flag(),
    };
    match kind {
        0 => ClientRequest::List,
        1 => ClientRequest::Peers,
        2 => ClientRequest::Grant { ticket, options },
        3 => ClientRequest::Revoke { ticket, options },
        4 => {
            let value = source.text(b"ab c=1&<\"'", 127);
            let value = booth::model::AttrValue::new(&value).ok();
            ClientRequest::AttrSet { ticket, name: name(), value }
        }
        5 => ClientRequest::AttrGet { ticket, name: name() },
        7 => ClientRequest::Report { history: source.flag() },
        6 => ClientRequest::AttrDelete { ticket, name: name() },
        _ => ClientRequest::AttrList { ticket },
    }
}

fn reply(source: &mut Source<'_>, unit: TimeUnit) -> ClientReply {
    let result = source.pick(ResultCode::ALL);
    match source.below(7) {
        6 => ClientReply::Report(source.text(b"{}\"a:1", 255)),
        0 => ClientReply::List(source.text(b"abc,: \n()", 255)),
        1 => ClientReply::Attr(source.text(b"abc\n", 127)),
        2 => ClientReply::Attrs(source.text(b"abc \n", 255)),
        3 => ClientReply::Result(result),
        4 => ClientReply::Hello(Life::from_random(u64::from(source.u32()))),
        _ => {
            let intermediate =
                matches!(result, ResultCode::Async | ResultCode::More | ResultCode::CibPending);
            let wait = Span::from_secs(u64::from(source.u32()));
            let cause = intermediate.then(|| (source.pick(WaitCause::ALL), wait));
            let (_, leader) = source.body(&[MemberId::from_raw(5)]);
            let ticket = Some(source.ticket());
            let (term, valid_for) = (source.term(), unit.span(source.u32()));
            ClientReply::Ticket(TicketAnswer { result, ticket, leader, term, valid_for, cause })
        }
    }
}
