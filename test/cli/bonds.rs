// SPDX-License-Identifier: GPL-2.0-or-later
//! To whom requests are bound (P9), and what a client does with answers that are bound to one.

use crate::lab::Lab;
use crate::server::Step;
use booth::auth::{bond_of_answers, Bond, Key, Opener, Sealer};
use booth::model::{Holder, MemberId, Term, TicketName};
use booth::sys::clock;
use booth::time::Span;
use booth::wire::{
    encode_reply, encode_request, ClientReply, ClientRequest, Life, ResultCode, TicketAnswer,
    TimeUnit,
};

const KEY: &[u8] = b"a key for this test only";
const MEMBER: MemberId = MemberId::from_raw(1);

fn key() -> Option<Key> {
    Some(Key::new(KEY).expect("long enough"))
}

fn life() -> Life {
    Life::from_random(77)
}

/// An answer that is bound to this.
fn bound(reply: &ClientReply, bond: Option<Bond>) -> Vec<u8> {
    assert!(bond.is_some(), "the request is bound");
    let packet = encode_reply(MEMBER, reply, TimeUnit::Seconds);
    Sealer::new(key()).seal_reply_to(packet, clock::wall(), bond)
}

fn success() -> ClientReply {
    ClientReply::Ticket(TicketAnswer {
        result: ResultCode::Success,
        ticket: TicketName::new("T").ok(),
        leader: Holder::Nobody,
        term: Term::new(1),
        valid_for: Span::from_secs(60),
        cause: None,
    })
}

fn granted(request: &[u8]) -> Vec<u8> {
    bound(&success(), bond_of_answers(request))
}

fn asks_again(request: &[u8]) -> Vec<u8> {
    bound(&ClientReply::Hello(life()), bond_of_answers(request))
}

/// What was recorded of an earlier talk.
fn granted_before(_: &[u8]) -> Vec<u8> {
    let sealer = Sealer::new(key());
    let request = encode_request(1, &ClientRequest::List);
    granted(&sealer.seal_bound(request, clock::wall(), sealer.bond(MEMBER, None)))
}

/// What the requests are bound to.
fn bonds(requests: &[Vec<u8>]) -> Vec<Option<Bond>> {
    let opener = Opener::new(key(), Span::from_secs(600));
    let bond = |request: &Vec<u8>| {
        opener.open_request(request, clock::wall()).expect("it is authentic").bond
    };
    requests.iter().map(bond).collect()
}

#[test]
fn a_request_is_bound_to_its_receiver() {
    let mut lab = Lab::new(130).with_key(KEY);
    let server = lab.serve(1, vec![vec![Step::Answer(granted)]]);
    let line = format!("grant succeeded! (answered by {})", lab.address(1));
    lab.booth("grant T").is(0, "", &[&line]);
    let sealer = Sealer::new(key());
    assert_eq!(bonds(&server.requests()), [sealer.bond(lab.id(1), None)]);
    assert_ne!(sealer.bond(lab.id(1), None), sealer.bond(lab.id(2), None));
}

#[test]
fn a_member_that_asks_for_it_gets_its_life_back() {
    let mut lab = Lab::new(131).with_key(KEY);
    let server = lab.serve(1, vec![vec![Step::Answer(asks_again)], vec![Step::Answer(granted)]]);
    let line = format!("grant succeeded! (answered by {})", lab.address(1));
    lab.booth("grant T").is(0, "", &[&line]);
    let sealer = Sealer::new(key());
    let expected = [sealer.bond(lab.id(1), None), sealer.bond(lab.id(1), Some(life()))];
    assert_eq!(bonds(&server.requests()), expected);
}

#[test]
fn nobody_is_asked_a_third_time() {
    let mut lab = Lab::new(132).with_key(KEY);
    let again = || vec![Step::Answer(asks_again)];
    let server = lab.serve(1, vec![again(), again(), again()]);
    let line = format!("booth: the answer from {} does not match the request", lab.address(1));
    lab.booth("grant T").is(1, "", &[&line]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_answer_to_another_request_is_a_replay() {
    let mut lab = Lab::new(133).with_key(KEY);
    lab.serve(1, vec![vec![Step::Answer(granted_before)]]);
    let line = format!(
        "booth: authentication error: the answer from {}: answers another request: a replay",
        lab.address(1)
    );
    lab.booth("grant T").is(1, "", &[&line]);
}

#[test]
fn without_a_key_nobody_asks_again() {
    let mut lab = Lab::new(134);
    let hello = encode_reply(MEMBER, &ClientReply::Hello(life()), TimeUnit::Seconds);
    let server = lab.serve(1, vec![vec![Step::Send(hello)]]);
    let line = format!("booth: the answer from {} does not match the request", lab.address(1));
    lab.booth("grant T").is(1, "", &[&line]);
    assert_eq!(server.requests().len(), 1);
}
