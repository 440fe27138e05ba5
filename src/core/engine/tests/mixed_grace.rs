// SPDX-License-Identifier: GPL-2.0-or-later
//! How long grace lasts beside members of which it is not known whether they keep the rules
//! (`RULES.md` L4, L9, mixed clusters).

use super::cluster::{roster, spec, Cluster};
use crate::engine::{Effect, Engine, Event, Setup};
use crate::model::{Holder, MemberIndex, Term, TicketName};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, Reason, Round, Stamp};

const SECOND: Span = Span::from_secs(1);
const START: MonoTime = MonoTime::from_micros(50_000_000);

/// How long after its start an arbitrator votes for a site that stands every ten milliseconds,
/// when it has heard these messages, in milliseconds.
fn votes_after(heard: &[(usize, PeerBody)]) -> u64 {
    let setup = Setup { roster: roster(2, 1, 2), tickets: vec![spec("T")], seed: 5 };
    let mut engine = Engine::new(setup);
    let mut now = Now { mono: START, wall: WallTime::from_secs(1_800_000_000) };
    engine.step(now, Event::Start, &mut Vec::new());
    let say = |from: usize, body: PeerBody| {
        let index = |of: usize| MemberIndex::new(of).expect("a test has few members");
        let leader = match body {
            PeerBody::ReqVote { .. } | PeerBody::Heartbeat { .. } => {
                Holder::Member(roster(2, 1, 2).member(index(from)).id)
            }
            _ => Holder::Nobody,
        };
        let ticket = TicketName::new("T").expect("valid");
        let (term, valid_for) = (Term::new(1), Span::ZERO);
        let message = PeerMessage { ticket, leader, term, valid_for, body };
        Event::Peer { from: index(from), message }
    };
    for (from, body) in heard {
        engine.step(now, say(*from, *body), &mut Vec::new());
    }
    for tens in 1..2_000 {
        let since = Span::from_millis(10 * tens);
        now = Now { mono: START.plus(since), wall: now.wall };
        let mut effects = Vec::new();
        let body =
            PeerBody::ReqVote { reason: Reason::Admin, established: false, force: false, nonce: 0 };
        engine.step(now, say(0, body), &mut effects);
        let is_vote = |effect: &Effect| {
            matches!(
                effect,
                Effect::Send { message: PeerMessage { body: PeerBody::Vote { .. }, .. }, .. }
            )
        };
        if effects.iter().any(is_vote) {
            return 10 * tens;
        }
    }
    panic!("it never votes");
}

/// Issue 8, 17: the word that a member gave to a reference leader before it restarted lasts for
/// `E` and `τ·(r+1)`, here 14 s, which the grace of `E + g + d`, 11.1 s, did not cover.
#[test]
fn grace_covers_a_promise_to_a_reference_leader() {
    let nonce = 9;
    assert_eq!(votes_after(&[]), 14_100);
    assert_eq!(
        votes_after(&[(0, PeerBody::Status { nonce })]),
        14_100,
        "the other site may be one"
    );
    let mute = PeerBody::Status { nonce: 0 };
    assert_eq!(votes_after(&[(0, PeerBody::Status { nonce }), (1, mute)]), 14_100);
}

/// Where all other members have shown that they keep the rules, the grace is as short as before.
#[test]
fn grace_is_short_among_members_that_keep_the_rules() {
    let round = Round::new(7);
    let stamp = Stamp { round, established: false };
    let vote = PeerBody::Vote { vouched: true, unbound_for: Some(SECOND), last: None };
    let marked = [
        PeerBody::Status { nonce: 9 },
        PeerBody::MyIndex { nonce: 9 },
        PeerBody::Heartbeat { stamp },
        PeerBody::Ack { of: Command::Heartbeat, round },
        PeerBody::StepDown { reason: Reason::LocalFail, stamp },
        vote,
    ];
    for body in marked {
        assert_eq!(votes_after(&[(0, body), (1, body)]), 11_100, "{body:?}");
    }
    let plain = PeerBody::Vote { vouched: false, unbound_for: None, last: None };
    assert_eq!(votes_after(&[(0, plain), (1, plain)]), 14_100);
}

/// In a cluster of ours, all of which are up, nothing has become longer.
#[test]
fn members_of_ours_know_each_other_after_one_question() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(3));
    cluster.crash(2);
    cluster.start(2);
    cluster.isolate(0, true);
    // The arbitrator is in grace for 11.1 s more; 14.1 s if it did not know the others. Then it
    // votes in the first attempt.
    let votes = |c: &Cluster| c.logged(1, "won the election");
    let mut tenths = 0;
    while !votes(&cluster) && tenths < 200 {
        cluster.advance(SECOND.divided(10));
        tenths += 1;
    }
    assert!((111..141).contains(&tenths), "{tenths}");
    cluster.advance(SECOND.times(2));
    assert!(!cluster.two_holders);
    assert_eq!(cluster.granted(), [1], "taken over");
}
