// SPDX-License-Identifier: GPL-2.0-or-later
//! What is waited for, and for how long (L6, L8, L9): each clause here was once taken out, and
//! nothing noticed.

use super::bench::{stamp, writes, Bench, Deeds, World, SECOND};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::{CibOutcome, CibTicket, Effect, ProbeOutcome};
use crate::model::{Holder, TicketSpec};
use crate::time::Span;
use crate::wire::{Command, PeerBody, Reason, ResultCode};

fn unbound(deeds: &Deeds) -> Span {
    let votes = deeds.sent(|body| matches!(body, PeerBody::Vote { .. }));
    match votes.last().expect("a vote").message.body {
        PeerBody::Vote { unbound_for, .. } => unbound_for.expect("ours say it"),
        _ => unreachable!(),
    }
}

/// The nonce of the last STATUS to a member.
fn nonce(deeds: &Deeds, to: usize) -> u32 {
    let asked = deeds.sent(|body| matches!(body, PeerBody::Status { .. }));
    let sent = asked.into_iter().rev().find(|sent| sent.to == to).expect("it was asked");
    match sent.message.body {
        PeerBody::Status { nonce } => nonce,
        _ => unreachable!(),
    }
}

/// L8, a vote states since when the voter's own store says revoked.
#[test]
fn an_ex_holders_vote_says_when_its_store_said_revoked() {
    let handled = TicketSpec { has_handler: true, acquire_after: SECOND.times(30), ..spec("T") };
    let mut bench = Bench::settled(3, 2, 0, handled);
    let world = World { votes: vec![1, 2, 3, 4], acks: vec![1, 2, 3, 4], ..World::kind() };
    let (_, stood) = bench.grant(PLAIN);
    bench.answered(stood, &world);
    bench.play(SECOND, &world);
    assert_eq!(bench.listed(), bench.id(0));
    let failing = World { handler: Some(ProbeOutcome::Failed("no".into())), ..world };
    let deeds = bench.play(SECOND.times(6), &failing);
    assert!(!deeds.announcements().is_empty(), "it has stepped down");
    let vote = bench.asked_for_vote(1, 50);
    assert!(unbound(&vote) <= SECOND.times(6), "{}", unbound(&vote));
}

/// L8, a promise that has run out when the request for a vote comes counts to its end.
#[test]
fn a_vote_right_after_a_promise_says_so() {
    let mut bench = Bench::settled(3, 0, 0, spec("T"));
    bench.heartbeat(1, 5, stamp(7, true));
    bench.advance(SECOND.times(9));
    // The loop is late.
    bench.now.mono = bench.now.mono.plus(SECOND.times(2));
    let vote = bench.asked_for_vote(2, 6);
    assert!(unbound(&vote) <= SECOND.times(2), "{}", unbound(&vote));
}

/// L9 (d), a promise to somebody else is none to this member.
#[test]
fn promises_to_another_do_not_end_grace() {
    let mut bench = Bench::new(3, 0, 0, spec("T"));
    let started = bench.start(CibTicket::default());
    let leader = bench.id(1);
    for from in [1, 2] {
        let body = PeerBody::MyIndex { nonce: nonce(&started, from) };
        bench.hear_valid(from, leader, 3, SECOND.times(5), body);
    }
    bench.advance(SECOND.times(6));
    let deeds = bench.asked_for_vote(2, 9);
    let votes = deeds.sent(|body| matches!(body, PeerBody::Vote { .. }));
    assert!(votes.is_empty(), "its earlier life may have promised the first site for longer");
}

/// L8, a site that says that it leads has not answered that it is idle.
#[test]
fn a_leaders_answer_does_not_end_the_commit_delay() {
    let slow = TicketSpec { acquire_after: SECOND.times(5), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    let (_, stood) = bench.grant(PLAIN);
    let term = stood.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    let asked = nonce(&won, 1);
    assert!(bench.acked_by(&[2], &won).grants().is_empty());
    let other = bench.id(1);
    let body = PeerBody::MyIndex { nonce: asked };
    let deeds = bench.hear_valid(1, other, term - 1, SECOND.times(4), body);
    assert!(deeds.grants().is_empty(), "the other site says that it leads");
}

/// L6, a guard that was told a window before a grant is not told that it is over by the end
/// of an earlier write.
#[test]
fn the_end_of_an_earlier_write_is_no_end_of_the_holding() {
    let mut bench = Bench::three();
    // A follower's write is slow.
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    assert_eq!(followed.writes().len(), 1);
    let other = bench.id(1);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(8, false) };
    bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body);
    let _ = other;
    let (_, stood) = bench.grant(PLAIN);
    let won = bench.elected(&stood);
    let leased = bench.acked_by_all(&won);
    assert!(leased.grants().is_empty(), "after the write under way");
    assert!(matches!(leased.windows().last(), Some(Some(_))), "{:?}", leased.windows());
    let (serial, _) = followed.writes()[0];
    let deeds = bench.wrote(serial, CibOutcome::Written);
    assert_eq!(deeds.grants().len(), 1);
    assert!(deeds.windows().iter().all(Option::is_some), "{:?}", deeds.windows());
}

/// A restarted holder whose revoke takes effect after the end of its old lease does not
/// know what has become of the ticket.
#[test]
fn the_revoke_of_a_restarted_holder_that_comes_too_late_is_not_known() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.crash(0);
    cluster.start(0);
    cluster.nodes[0].write = None;
    let client = cluster.revoke_with(0, PATIENT);
    cluster.advance(SECOND.times(15));
    cluster.release(0);
    cluster.advance(SECOND);
    assert_eq!(
        cluster.codes(client).last(),
        Some(&(ResultCode::SyncFail, true)),
        "{:?}",
        cluster.granted()
    );
}

/// L8, who became the last holder as others say counts, though this member was never bound.
#[test]
fn the_end_of_a_lease_that_a_refusal_states_counts_for_the_resources() {
    let mut bench =
        Bench::settled(2, 2, 0, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(30));
    let term = stood.requests()[0].message.term.get();
    let other = bench.id(1);
    // Somebody else is promised to the first site for three seconds more.
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::TermStillValid,
        granted: false,
    };
    bench.hear_valid(2, other, 6, SECOND.times(3), body);
    let ends = bench.now.mono.plus(SECOND.times(3));
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::TermStillValid,
        granted: false,
    };
    bench.hear_valid(3, other, 6, SECOND.times(3), body);
    let _ = term;
    let world = World { votes: vec![2, 3], acks: vec![1, 2, 3], ..World::kind() };
    let deeds = bench.play(SECOND.times(40), &world);
    let (at, _) = deeds.0.iter().find(|(_, e)| writes(e, true)).expect("a grant");
    assert!(*at >= ends.plus(SECOND.times(5)), "{}", at.since(ends));
}

/// L8, a re-election does not shorten the resources' time.
#[test]
fn a_re_election_does_not_shorten_acquire_after() {
    let mut bench =
        Bench::settled(2, 2, 0, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(30));
    let term = stood.requests()[0].message.term.get();
    // The first site's store may say granted.
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::TermStillValid,
        granted: true,
    };
    let other = bench.id(1);
    bench.hear_valid(1, other, 5, Span::ZERO, body);
    bench.vote(2, term);
    bench.vote(3, term);
    // It does not object any more: its resources may have run until now.
    bench.vote(1, term);
    let freed = bench.now.mono;
    bench.advance(Span::from_millis(300));
    let again = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 3);
    let term = again.requests()[0].message.term.get();
    let world = World { votes: vec![2, 3], acks: vec![1, 2, 3], ..World::kind() };
    bench.vote(2, term);
    let won = bench.vote(3, term);
    let mut all = bench.answered(won, &world);
    all.0.extend(bench.play(SECOND.times(12), &world).0);
    let is = |effect: &Effect| writes(effect, true);
    let at = all.0.iter().find(|(_, e)| is(e)).expect("a grant").0;
    assert!(at >= freed.plus(SECOND.times(5)), "{} after", at.since(freed));
}

/// L6, a renewal that cannot be written is not wished again when its time is over.
#[test]
fn no_grant_is_wished_outside_of_its_window() {
    let mut bench = Bench::three();
    bench.hold();
    let world = World { grants: failing(), votes: vec![], acks: vec![1, 2], ..World::kind() };
    bench.play(SECOND.times(5), &world);
    let since = bench.now.mono;
    let silent = World { votes: vec![], acks: vec![], revokes: None, ..world };
    let deeds = bench.play(SECOND.times(20), &silent);
    let grants = deeds.0.iter().filter(|(_, e)| writes(e, true));
    // The lease ends 10 s after the last send that was acknowledged, g + d + 2g before it is over.
    for (at, _) in grants {
        assert!(*at < since.plus(Span::from_millis(6_900)), "wished {} later", at.since(since));
    }
}
