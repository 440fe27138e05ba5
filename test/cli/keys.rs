// SPDX-License-Identifier: GPL-2.0-or-later
//! Authenticated talks: requests are signed, answers checked, refusals say why.

use crate::captured::sends;
use crate::lab::{Lab, Outcome};
use booth::auth::{Key, Opener, Sealer};
use booth::model::{Holder, Term, TicketName};
use booth::time::{Span, WallTime};
use booth::wire::{encode_reply, ClientReply, ClientRequest, ResultCode, TicketAnswer, TimeUnit};
use std::time::{SystemTime, UNIX_EPOCH};

const KEY: &[u8] = b"a key for this test only";

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after the epoch");
    WallTime::from_secs(since.as_secs())
}

fn key(bytes: &[u8]) -> Option<Key> {
    Some(Key::new(bytes).expect("long enough"))
}

fn success(lab: &Lab) -> Vec<u8> {
    let answer = TicketAnswer {
        result: ResultCode::Success,
        ticket: TicketName::new("T").ok(),
        leader: Holder::Member(lab.id(1)),
        term: Term::new(1),
        valid_for: Span::from_secs(60),
        cause: None,
    };
    encode_reply(lab.id(1), &ClientReply::Ticket(answer), TimeUnit::Seconds)
}

/// What a client with [`KEY`] says to this answer.
fn told(lab: &mut Lab, bytes: Vec<u8>) -> Outcome {
    let server = lab.serve(1, vec![sends(&[bytes])]);
    let outcome = lab.booth("grant T");
    let opener = Opener::new(key(KEY), Span::from_secs(600));
    let request = server.requests().pop().expect("it asked");
    let opened = opener.open_request(&request, now()).expect("the request is signed");
    let (from, decoded) = booth::wire::decode_request(&opened.packet).expect("a request");
    assert_eq!(from, lab.id(1).raw());
    assert!(matches!(decoded, ClientRequest::Grant { .. }), "{decoded:?}");
    outcome
}

#[test]
fn an_answer_with_the_right_key_is_trusted() {
    let mut lab = Lab::new(120).with_key(KEY);
    let bytes = Sealer::new(key(KEY)).seal_reply(success(&lab), now());
    let line = format!("grant succeeded! (answered by {})", lab.address(1));
    told(&mut lab, bytes).is(0, "", &[&line]);
}

#[test]
fn a_signed_list_is_printed() {
    let mut lab = Lab::new(121).with_key(KEY);
    let text = "ticket: T, leader: none\n";
    let reply = encode_reply(lab.id(1), &ClientReply::List(text.into()), TimeUnit::Seconds);
    lab.serve(1, vec![sends(&[Sealer::new(key(KEY)).seal_reply(reply, now())])]);
    lab.booth("list").is(0, text, &[]);
}

/// Reference: says only "authentication error"; ours says what is wrong with it.
#[test]
fn answers_that_cannot_be_trusted_are_authentication_errors() {
    let year = Span::from_secs(365 * 86_400);
    for (net, sealer, time, why) in [
        (122, Sealer::new(key(b"another key, just as long")), now(), "wrong MAC"),
        (123, Sealer::new(None), now(), "not authenticated, but a key is configured here"),
        (124, Sealer::new(key(KEY)), now().minus(year), "before our time"),
        (125, Sealer::new(key(KEY)), now().plus(year), "after our time"),
    ] {
        let mut lab = Lab::new(net).with_key(KEY);
        let bytes = sealer.seal_reply(success(&lab), time);
        let outcome = told(&mut lab, bytes);
        let begin = format!("booth: authentication error: the answer from {}: ", lab.address(1));
        assert!(outcome.stderr.starts_with(&begin), "{why}: {outcome:?}");
        assert!(outcome.stderr.contains(why), "{why}: {outcome:?}");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{why}");
    }
}

#[test]
fn a_signed_answer_without_a_key_here_is_one_too() {
    let mut lab = Lab::new(126);
    let bytes = Sealer::new(key(KEY)).seal_reply(success(&lab), now());
    lab.serve(1, vec![sends(&[bytes])]);
    let line = format!(
        "booth: authentication error: the answer from {}: authenticated, but no key is configured \
         here",
        lab.address(1)
    );
    lab.booth("grant T").is(1, "", &[&line]);
}
