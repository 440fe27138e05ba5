// SPDX-License-Identifier: GPL-2.0-or-later
//! Bonds (P9, L15) between members whose datagrams the test carries, loses, keeps and plays again.

use super::{roster, ticket};
use crate::auth::{Key, Opener, ReplayGuard, Sealer};
use crate::daemon::bonds::{Birth, Bonds, ClientBonds, Pass};
use crate::daemon::health::Health;
use crate::daemon::history::History;
use crate::daemon::udp::{Admitted, Gate, Said};
use crate::engine::RejectKind;
use crate::model::{Holder, MemberId, MemberIndex, Roster, Term};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{
    encode_peer, encode_request, life_of, Command, Life, PeerBody, PeerMessage, ResultCode, Stamp,
    TimeUnit, HEADER_LEN, MAC_LEN,
};
use std::sync::Arc;
use std::time::Duration;

const SKEW: Span = Span::from_secs(600);
const NOW: WallTime = WallTime::from_secs(1_000_000);

fn key() -> Option<Key> {
    Some(Key::new(b"a key for tests").expect("long enough"))
}

fn index(number: usize) -> MemberIndex {
    MemberIndex::new(number).expect("a small index")
}

fn message(nonce: u32) -> PeerMessage {
    PeerMessage {
        ticket: ticket("t1"),
        leader: Holder::Nobody,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        body: PeerBody::Status { nonce },
    }
}

/// One life of a member.
struct Side {
    me: MemberIndex,
    id: MemberId,
    bonds: Arc<Bonds>,
    gate: Gate,
}

impl Side {
    fn new(me: usize, life: u64, key: Option<Key>) -> Side {
        let members: Vec<_> =
            roster().everyone().iter().map(|m| roster().member(m).clone()).collect();
        let ids: Vec<MemberId> = members.iter().map(|member| member.id).collect();
        let roster = Roster::new(members, me).expect("the same members");
        let (id, me) = (roster.my_id(), index(me));
        let sealer = Sealer::new(key.clone());
        let bonds = Arc::new(Bonds::new(&roster, sealer, Life::from_random(life)));
        let (opener, guard) = (Opener::new(key, SKEW), ReplayGuard::new(ids, SKEW));
        let unit = TimeUnit::Seconds;
        let (health, history) = (Health::default(), History::new(roster.clone()));
        let gate = Gate { roster, opener, guard, bonds: Arc::clone(&bonds), unit, health, history };
        Side { me, id, bonds, gate }
    }

    fn send(&self, to: &Side, nonce: u32) -> Vec<u8> {
        let packet = encode_peer(self.id, &message(nonce), TimeUnit::Seconds);
        self.bonds.seal(to.me, packet, NOW)
    }

    fn hear(&mut self, packet: &[u8]) -> Admitted {
        self.gate.admit(packet, NOW).expect("not refused")
    }

    /// Whether a packet comes in to the engine.
    fn lets_in(&mut self, packet: &[u8]) -> bool {
        self.hear(packet).message.is_some()
    }

    /// Lets a packet in and sends nothing for it.
    #[track_caller]
    fn takes_quietly(&mut self, packet: &[u8]) {
        let admitted = self.hear(packet);
        assert!(admitted.message.is_some() && admitted.answers.is_empty(), "{admitted:?}");
    }

    /// The only answer to a packet that is not let in.
    #[track_caller]
    fn hello_to(&mut self, packet: &[u8]) -> Vec<u8> {
        let Admitted { message: None, mut answers, .. } = self.hear(packet) else {
            panic!("it was let in");
        };
        assert_eq!(answers.len(), 1, "one small answer for a packet");
        let hello = answers.remove(0);
        assert_eq!(hello.len(), HEADER_LEN + MAC_LEN);
        assert!(hello.len() * 2 <= packet.len(), "nothing is made larger");
        hello
    }
}

/// Two members that know each other.
fn acquainted(first: &mut Side, second: &mut Side) {
    let hello = second.hello_to(&first.send(second, 1));
    let again = first.hear(&hello).answers;
    assert!(!again.is_empty() && again.iter().all(|packet| second.lets_in(packet)));
    assert!(first.lets_in(&second.send(first, 2)));
    assert!(second.lets_in(&first.send(second, 3)));
}

/// The time that has to pass between two HELLOs to one member.
fn rest() {
    std::thread::sleep(Duration::from_millis(10));
}

#[test]
fn two_that_start_at_once_know_each_other_after_one_round_trip() {
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    acquainted(&mut first, &mut second);
    // Both ask at once.
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    let (there, back) = (first.send(&second, 1), second.send(&first, 2));
    let (hello_there, hello_back) = (first.hello_to(&back), second.hello_to(&there));
    let there = first.hear(&hello_back).answers;
    let back = second.hear(&hello_there).answers;
    assert!(second.lets_in(&there[0]) && first.lets_in(&back[0]));
    for nonce in 3..1_000 {
        second.takes_quietly(&first.send(&second, nonce));
        first.takes_quietly(&second.send(&first, nonce));
    }
}

#[test]
fn what_a_member_let_in_before_its_restart_stays_out_after_it() {
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    acquainted(&mut first, &mut second);
    let recorded = first.send(&second, 7);
    assert!(second.lets_in(&recorded));
    let mut second = Side::new(1, 33, key());
    let hello = second.hello_to(&recorded);
    assert_eq!(life_of(&hello), Some(Life::from_random(33)));
    rest();
    assert!(!second.lets_in(&recorded));
    // The HELLO is believed: what was sent lately comes again, bound to the new life.
    let again = first.hear(&hello).answers;
    assert!(!again.is_empty() && again.iter().all(|packet| second.lets_in(packet)));
    assert!(!again.contains(&recorded));
    assert!(second.lets_in(&first.send(&second, 8)));
    assert!(!second.lets_in(&recorded));
    // The control: bound to nothing, as a member of the C version sends it.
    let packet = encode_peer(first.id, &message(9), TimeUnit::Seconds);
    let unbound = Sealer::new(key()).seal(packet, NOW);
    assert!(second.lets_in(&unbound));
    assert!(Side::new(1, 44, key()).lets_in(&unbound));
}

#[test]
fn what_is_for_one_member_is_an_authentication_failure_at_another() {
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    let mut third = Side::new(2, 33, key());
    let early = first.send(&second, 1);
    acquainted(&mut first, &mut second);
    acquainted(&mut second, &mut third);
    for recorded in [early, first.send(&second, 5)] {
        let refusal = third.gate.admit(&recorded, NOW).expect_err("not for it");
        assert_eq!((refusal.kind, refusal.from), (RejectKind::Auth, Some(index(0))));
        assert!(refusal.reason.contains("meant for another member"), "{}", refusal.reason);
    }
}

#[test]
fn a_hello_of_an_earlier_life_is_not_believed() {
    let (first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    let old = second.hello_to(&first.send(&second, 1));
    // The sender of the question was restarted: it never asked.
    let mut first = Side::new(0, 44, key());
    assert!(first.hear(&old).answers.is_empty());
    // The member that answered was restarted: what it says now counts, and what it said before
    // is a replay.
    let mut second = Side::new(1, 55, key());
    let hello = second.hello_to(&first.send(&second, 2));
    assert_eq!(first.hear(&hello).answers.len(), 1);
    assert!(first.gate.admit(&hello, NOW).is_err());
    assert!(second.lets_in(&first.send(&second, 3)));
}

#[test]
fn a_lost_hello_is_said_again_but_not_to_every_packet_of_a_burst() {
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    let answers: usize = (0..500)
        .map(|nonce| first.send(&second, nonce))
        .collect::<Vec<_>>()
        .iter()
        .map(|packet| second.hear(packet).answers.len())
        .sum();
    assert!((1..50).contains(&answers), "{answers} answers to 500 packets");
    rest();
    let hello = second.hello_to(&first.send(&second, 1_000));
    // No more is kept for this than its bound.
    assert_eq!(first.hear(&hello).answers.len(), 256);
}

#[test]
fn what_was_sent_twice_comes_again_once() {
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    let hello = second.hello_to(&first.send(&second, 1));
    first.send(&second, 2);
    first.send(&second, 1);
    let again = first.hear(&hello).answers;
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|packet| second.lets_in(packet)));
}

#[test]
fn who_plays_old_packets_keeps_nobody_from_hearing_the_present_life() {
    let mut second = Side::new(1, 22, key());
    let old = Side::new(0, 11, key()).send(&second, 1);
    let mut first = Side::new(0, 33, key());
    second.hello_to(&old);
    assert!(second.hear(&old).answers.is_empty());
    let hello = second.hello_to(&first.send(&second, 2));
    assert_eq!(first.hear(&hello).answers.len(), 1);
}

#[test]
fn one_restart_after_the_other_is_noticed_at_once() {
    let (mut first, mut second) = (Side::new(0, 1, key()), Side::new(1, 2, key()));
    acquainted(&mut first, &mut second);
    for life in 10..30 {
        rest();
        if life % 2 == 0 {
            first = Side::new(0, life, key());
        } else {
            second = Side::new(1, life, key());
        }
        let hello = second.hello_to(&first.send(&second, 1));
        assert!(first.hear(&hello).answers.iter().all(|packet| second.lets_in(packet)));
        assert!(first.lets_in(&second.send(&first, 2)));
    }
}

#[test]
fn an_acknowledgement_and_a_rejection_carry_the_life_too() {
    let (mut first, mut second) = (Side::new(0, 11, key()), Side::new(1, 22, key()));
    acquainted(&mut first, &mut second);
    for body in [
        PeerBody::Ack { of: Command::Heartbeat, round: None },
        PeerBody::Heartbeat { stamp: Stamp::default() },
        PeerBody::Rejected {
            of: Command::ReqVote,
            result: ResultCode::TermOutdated,
            granted: true,
        },
    ] {
        let message = PeerMessage { body, ..message(0) };
        let sealed =
            first.bonds.seal(second.me, encode_peer(first.id, &message, TimeUnit::Seconds), NOW);
        assert_eq!(life_of(&sealed), Some(Life::from_random(11)));
        match second.hear(&sealed).message {
            Some(Said::Message(heard)) => assert_eq!(heard, message),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn without_a_key_nothing_is_bound() {
    let (first, mut second) = (Side::new(0, 11, None), Side::new(1, 22, None));
    let packet = first.send(&second, 1);
    assert_eq!(packet, encode_peer(first.id, &message(1), TimeUnit::Seconds));
    assert!(second.lets_in(&packet) && second.lets_in(&packet));
}

#[test]
fn a_client_has_to_ask_twice_only_while_replays_of_before_the_start_are_possible() {
    let (me, other) = (MemberId::from_raw(1), MemberId::from_raw(2));
    let (now, before) = (Life::from_random(5), Life::from_random(4));
    let sealer = Sealer::new(key());
    let bonds = ClientBonds::new(
        &sealer,
        me,
        Birth { life: now, at: Now { mono: MonoTime::ZERO, wall: NOW } },
        SKEW,
    );
    let judge = |receiver, life, after: u64| {
        let wall = NOW.plus(Span::from_secs(after));
        let packet = encode_request(7, &crate::wire::ClientRequest::List);
        let sealed = sealer.seal_bound(packet, wall, sealer.bond(receiver, life));
        let opener = Opener::new(key(), SKEW);
        bonds.judge(&opener.open_request(&sealed, wall).expect("authentic"))
    };
    assert_eq!(judge(me, None, 0), Pass::AskAgain(now));
    assert_eq!(judge(me, None, 600), Pass::AskAgain(now));
    assert_eq!(judge(me, None, 601), Pass::Granted);
    for after in [0, 600, 601, 100_000] {
        assert_eq!(judge(me, Some(now), after), Pass::Granted);
        assert_eq!(judge(me, Some(before), after), Pass::Refused);
        assert_eq!(judge(other, None, after), Pass::Refused);
        assert_eq!(judge(other, Some(now), after), Pass::Refused);
    }
}
