// SPDX-License-Identifier: GPL-2.0-or-later
//! Who is probed when, and what is told (P24).

use super::*;
use crate::model::{Holder, Member, MemberId, MemberRole, Term};
use core::net::IpAddr;

const OTHER: usize = 1;

fn secs(secs: u64) -> MonoTime {
    MonoTime::ZERO.plus(Span::from_secs(secs))
}

fn other() -> MemberIndex {
    MemberIndex::new(OTHER).expect("an index")
}

fn name(text: &str) -> TicketName {
    TicketName::new(text).expect("a name")
}

/// The first of two members, with two tickets.
fn reach() -> Reach {
    let member = |last: u8| {
        let address = IpAddr::from([192, 0, 2, last]);
        Member { id: MemberId::of_address(address), role: MemberRole::Site, address }
    };
    let roster = Roster::new(alloc::vec![member(1), member(2)], 0).expect("a roster");
    Reach::new(roster, alloc::vec![name("t"), name("u")], 7, 1, MonoTime::ZERO)
}

/// Looks every second from one time to another; what there was to do, with its second.
fn looks(reach: &mut Reach, from: u64, to: u64) -> Vec<(u64, Wish)> {
    let mut all = Vec::new();
    for second in from..to {
        let mut wishes = Vec::new();
        reach.look(secs(second), &mut wishes);
        all.extend(wishes.into_iter().map(|wish| (second, wish)));
    }
    all
}

fn sends(wishes: &[(u64, Wish)]) -> Vec<u64> {
    let is_send = |wish: &Wish| matches!(wish, Wish::Send { .. });
    wishes.iter().filter(|(_, wish)| is_send(wish)).map(|(second, _)| *second).collect()
}

#[test]
fn a_silent_member_is_probed_once_a_period_and_lost_after_three_probes_in_vain() {
    let mut reach = reach();
    let wishes = looks(&mut reach, 0, 200);
    assert_eq!(sends(&wishes), [30, 60, 90, 120, 150, 180]);
    let lost: Vec<_> = wishes.iter().filter(|(_, wish)| matches!(wish, Wish::Lost(..))).collect();
    assert_eq!(lost, [&(120, Wish::Lost(other(), None))]);
    assert_eq!(reach.of(other()).reachable, Some(false));
    let mut wishes = Vec::new();
    reach.heard(other(), secs(201), &mut wishes);
    assert_eq!(wishes, [Wish::Back(other(), Span::from_secs(201))]);
    assert_eq!(reach.of(other()).reachable, Some(true));
    wishes.clear();
    reach.heard(other(), secs(202), &mut wishes);
    assert!(wishes.is_empty());
}

#[test]
fn each_probe_is_about_the_next_ticket() {
    let mut reach = reach();
    let tickets: Vec<_> = looks(&mut reach, 0, 100)
        .into_iter()
        .filter_map(|(_, wish)| match wish {
            Wish::Send { ticket, .. } => Some(ticket),
            _ => None,
        })
        .collect();
    assert_eq!(tickets, [name("t"), name("u"), name("t")]);
}

#[test]
fn a_member_that_is_heard_is_probed_only_for_its_digest() {
    let mut reach = reach();
    let mut sent = Vec::new();
    for second in 0..1000 {
        let mut wishes = Vec::new();
        reach.heard(other(), secs(second), &mut wishes);
        reach.look(secs(second), &mut wishes);
        sent.extend(sends(&wishes.into_iter().map(|wish| (second, wish)).collect::<Vec<_>>()));
    }
    assert_eq!(sent, [30, 330, 630, 930]);
    assert_eq!(reach.of(other()).reachable, Some(true));
}

#[test]
fn an_answer_tells_the_round_trip_and_the_digest_once() {
    let mut reach = reach();
    let wishes = looks(&mut reach, 0, 31);
    let [(30, Wish::Send { probe, .. })] = wishes.as_slice() else { panic!("{wishes:?}") };
    assert_eq!((probe.answer, probe.digest), (false, 7));
    let at = secs(30).plus(Span::from_millis(4));
    let answer = Probe { answer: true, digest: 8, ..*probe };
    let mut wishes = Vec::new();
    let strange = Probe { nonce: probe.nonce ^ 1, ..answer };
    reach.probed(other(), strange, at, &mut wishes);
    assert!(wishes.is_empty(), "an answer to nothing that was asked");
    reach.probed(other(), answer, at, &mut wishes);
    assert_eq!(wishes, [Wish::Differs(other())]);
    let known = reach.of(other());
    assert_eq!((known.round_trip, known.differs), (Some(Span::from_millis(4)), Some(true)));
    wishes.clear();
    let theirs = Probe { answer: false, nonce: 5, digest: 8 };
    reach.probed(other(), theirs, at, &mut wishes);
    let reply = Probe { answer: true, nonce: 5, digest: 7 };
    assert_eq!(wishes, [Wish::Send { to: other(), ticket: name("t"), probe: reply }]);
    wishes.clear();
    reach.probed(other(), Probe { digest: 7, ..theirs }, at, &mut wishes);
    assert_eq!(wishes.first(), Some(&Wish::Agrees(other())));
    // One that states none, an older one of ours, changes nothing.
    wishes.clear();
    reach.probed(other(), Probe { digest: 0, ..theirs }, at, &mut wishes);
    assert_eq!((wishes.len(), reach.of(other()).differs), (1, Some(false)));
}

#[test]
fn the_answer_of_a_c_member_is_taken_once_and_only_for_the_ticket_that_was_asked_about() {
    let mut reach = reach();
    looks(&mut reach, 0, 31);
    let message = |ticket: &str, nonce| PeerMessage {
        ticket: name(ticket),
        leader: Holder::Nobody,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        body: PeerBody::MyIndex { nonce },
    };
    let at = secs(30).plus(Span::from_millis(9));
    assert!(!reach.takes(other(), &message("u", 0), at), "another ticket");
    assert!(!reach.takes(other(), &message("t", 3), at), "a member of ours");
    assert!(reach.takes(other(), &message("t", 0), at));
    assert!(!reach.takes(other(), &message("t", 0), at), "it has answered");
    assert_eq!(reach.of(other()).round_trip, Some(Span::from_millis(9)));
    looks(&mut reach, 31, 61);
    assert!(!reach.takes(other(), &message("u", 0), secs(66)), "too late to be the answer");
}

#[test]
fn without_a_ticket_there_is_nothing_to_ask_about() {
    let mut reach = Reach { tickets: Vec::new(), ..reach() };
    assert!(looks(&mut reach, 0, 400).is_empty());
}
