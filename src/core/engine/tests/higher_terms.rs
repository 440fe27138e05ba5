// SPDX-License-Identifier: GPL-2.0-or-later
//! A leader with a live lease that learns of a higher term (L11).

use super::bench::{Bench, Deeds, World, SECOND};
use super::cluster::spec;
use crate::engine::{CibOutcome, Effect, StoreWish};
use crate::model::{Term, TicketSpec};
use crate::wire::{ClientOptions, Command, PeerBody, Reason, ResultCode};

/// A site of three that holds the ticket and has just begun a renewal; and its term.
fn renewing() -> (Bench, u32) {
    let long = TicketSpec { expire: SECOND.times(60), renewal: SECOND.times(30), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, long);
    let term = bench.hold();
    let sent = bench.advance(SECOND.times(30)).heartbeats();
    assert_eq!(sent.len(), 2);
    (bench, term)
}

/// Expects a re-election in this term, and nothing given up.
fn expect_reelection(deeds: &Deeds, term: u32) {
    let requests = deeds.requests();
    assert_eq!(requests.len(), 2, "both members are asked");
    for sent in requests {
        assert_eq!(sent.message.term, Term::new(term));
        let marked = PeerBody::ReqVote {
            reason: Reason::Reacquire,
            established: true,
            force: false,
            nonce: 0,
        };
        assert_eq!(sent.message.body, marked);
    }
    assert!(deeds.revokes().is_empty(), "the ticket is kept");
    assert!(deeds.announcements().is_empty());
}

/// L11: `TOdt` makes a leader stand above the term that it states, and keep the ticket.
#[test]
pub fn an_outdated_leader_is_elected_again_and_goes_on_holding() {
    let (mut bench, term) = renewing();
    let deeds = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 5);
    expect_reelection(&deeds, term + 6);
    let won = bench.elected(&deeds);
    assert!(won.windows().is_empty() && won.writes().is_empty(), "nothing new is acknowledged");
    let marked = won.heartbeats().iter().all(
        |sent| matches!(sent.message.body, PeerBody::Heartbeat { stamp } if stamp.established),
    );
    assert!(marked, "L5: it keeps its lease");
    let leased = bench.acked_by_all(&won);
    assert_eq!(leased.grants().len(), 1, "the new term is written");
    assert_eq!(leased.grants()[0].1.term, Term::new(term + 6));
    let later = bench.play(SECOND.times(300), &World::kind());
    assert!(later.revokes().is_empty());
}

/// L11: `TOdt` of its own term unsettles a leader that the sender has not acknowledged: the sender
/// has promised that term to another, or knows that it was revoked, and never follows in it.
#[test]
pub fn a_member_for_which_the_term_is_over_is_answered_by_a_reelection() {
    let (mut bench, term) = renewing();
    let deeds = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term);
    expect_reelection(&deeds, term + 1);
    let (mut bench, term) = renewing();
    bench.play(SECOND, &World::kind());
    let deeds = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term);
    assert!(deeds.stood().is_empty(), "an old refusal: it has acknowledged this renewal since");
}

/// L11: only a term that is over unsettles, and only `TOdt` tells one.
#[test]
pub fn other_refusals_do_not_unsettle_a_leader() {
    let (mut bench, term) = renewing();
    for (result, term) in [
        (ResultCode::TermOutdated, term - 1),
        (ResultCode::TermStillValid, term + 3),
        (ResultCode::YouOutdated, term + 3),
    ] {
        let deeds = bench.reject(2, Command::Heartbeat, result, term);
        assert!(deeds.stood().is_empty(), "{result:?} {term}");
    }
}

/// L11: so does a vote request with a higher term, of a member that has not acknowledged this
/// renewal: it will not follow in the old term. The request itself is refused.
#[test]
pub fn a_vote_request_of_a_member_that_does_not_follow_is_answered_by_a_reelection() {
    let (mut bench, term) = renewing();
    let deeds = bench.asked_for_vote(1, term + 3);
    expect_reelection(&deeds, term + 4);
    assert!(deeds.sent(|body| matches!(body, PeerBody::Vote { .. })).is_empty());
    let (mut bench, term) = renewing();
    assert!(bench.asked_for_vote(1, term).stood().is_empty(), "not a higher term");
}

/// L11: a member that has acknowledged this renewal and asks for votes all the same has forgotten
/// it, or its request is old: it unsettles nobody.
#[test]
pub fn a_vote_request_of_a_follower_is_only_refused() {
    let (mut bench, term) = renewing();
    bench.play(SECOND, &World::kind());
    let sent = bench.advance(SECOND.times(30)).heartbeats();
    bench.ack(sent.iter().find(|sent| sent.to == 1).expect("a heartbeat"));
    let deeds = bench.asked_for_vote(1, term + 3);
    assert!(deeds.stood().is_empty());
    let refused = deeds.sent(|body| {
        let why = ResultCode::TermStillValid;
        matches!(body, PeerBody::Rejected { of: Command::ReqVote, result, .. } if *result == why)
    });
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].message.leader, bench.id(0));
}

/// L11: at most one re-election per renewal, however often higher terms are heard of; the next
/// renewal may bring another one.
#[test]
pub fn a_leader_stands_again_at_most_once_per_renewal() {
    let (mut bench, term) = renewing();
    let stood = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 5);
    let won = bench.elected(&stood);
    let leased = bench.acked_by(&[1], &won);
    bench.written(&leased);
    for more in 1..10 {
        let term = term + 10 * more;
        let deeds = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term);
        assert!(deeds.stood().is_empty(), "TOdt, number {more}");
        let deeds = bench.asked_for_vote(2, term + 5);
        assert!(deeds.stood().is_empty(), "a request, number {more}");
    }
    let world = World { acks: vec![1], ..World::kind() };
    bench.play(SECOND.times(29), &world);
    bench.advance(SECOND.times(2));
    let deeds = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 200);
    expect_reelection(&deeds, term + 201);
}

/// L11: a winner without a lease has nothing to keep: a vote request does not make it stand again.
#[test]
pub fn a_vote_request_does_not_challenge_a_winner_without_a_lease() {
    let mut bench = Bench::three();
    let (_, stood) = bench.grant(ClientOptions::default());
    let won = bench.elected(&stood);
    let term = won.heartbeats()[0].message.term.get();
    assert!(bench.asked_for_vote(1, term + 3).stood().is_empty());
}

/// L11: what it holds ends with the lease.
#[test]
pub fn a_reelection_that_fails_is_tried_again_while_the_lease_lasts() {
    let (mut bench, term) = renewing();
    bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 5);
    let tries = bench.advance(SECOND.times(10));
    assert!(tries.stood().len() >= 3, "every timeout and a random part: {:?}", tries.stood());
    let marked = |body: &PeerBody| matches!(body, PeerBody::ReqVote { established: true, .. });
    assert_eq!(tries.sent(marked).len(), tries.requests().len());
    assert!(tries.revokes().is_empty());
    let over = bench.advance(SECOND.times(20));
    assert_eq!(over.revokes().len(), 1, "the lease has ended");
    assert_ne!(over.revokes()[0].1.term, Term::ZERO);
    let (serial, _) = over.revokes()[0];
    bench.wrote(serial, CibOutcome::Written);
}

/// L8: the wait belongs to the ticket, also where its leader lost the lease meanwhile and is
/// granted the ticket anew.
#[test]
pub fn a_commit_delay_outlives_a_lost_lease() {
    let slow = TicketSpec { acquire_after: SECOND, ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    let patient = ClientOptions { wait_commit: true, ..ClientOptions::default() };
    let (_, stood) = bench.grant(patient);
    let (me, term) = (bench.id(0), stood.requests()[0].message.term.get());
    let began = bench.now.mono;
    let unsure =
        PeerBody::Vote { vouched: false, unbound_for: Some(crate::time::Span::MAX), last: None };
    let won = bench.hear_valid(2, me, term, crate::time::Span::ZERO, unsure);
    bench.acked_by(&[2], &won);
    let silent = World { acks: Vec::new(), votes: Vec::new(), ..World::kind() };
    bench.play(SECOND.times(9), &silent);
    let (_, stood) = bench.grant(patient);
    let world = World { acks: vec![2], votes: vec![2], ..World::kind() };
    let mut deeds = bench.answered(stood, &world);
    assert!(!deeds.heartbeats().is_empty(), "elected anew");
    deeds.0.extend(bench.play(SECOND.times(5), &world).0);
    let grant = deeds.0.iter().find(|(_, effect)| {
        matches!(effect, Effect::Store(StoreWish::WriteCib { state, .. }) if state.granted)
    });
    let waited = grant.expect("the wait ends").0.since(began);
    assert_eq!(waited, SECOND.times(11), "E + A from the first win");
}

/// L8: the wait of a pending leader belongs to the ticket and survives its re-election.
#[test]
pub fn a_commit_delay_is_carried_over_to_the_next_election() {
    let slow = TicketSpec {
        expire: SECOND.times(60),
        renewal: SECOND.times(30),
        acquire_after: SECOND.times(20),
        ..spec("T")
    };
    let mut bench = Bench::settled(2, 1, 0, slow);
    let (_, stood) = bench.grant(ClientOptions { wait_commit: true, ..ClientOptions::default() });
    let term = stood.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    let began = bench.now.mono;
    let leased = bench.acked_by(&[2], &won);
    assert!(leased.grants().is_empty(), "site 1 has not answered");
    bench.advance(SECOND.times(5));
    let again = bench.reject(1, Command::Heartbeat, ResultCode::TermOutdated, term + 5);
    assert_eq!(again.requests().len(), 2);
    let won = bench.vote(2, term + 6);
    let leased = bench.acked_by(&[2], &won);
    assert!(leased.grants().is_empty(), "still waiting");
    let world = World { acks: vec![2], votes: vec![2], ..World::kind() };
    let deeds = bench.play(SECOND.times(30), &world);
    let grant = deeds.0.iter().find(|(_, effect)| {
        matches!(effect, Effect::Store(StoreWish::WriteCib { state, .. }) if state.granted)
    });
    let waited = grant.expect("the wait ends").0.since(began);
    assert_eq!(waited, SECOND.times(20), "acquire-after from the first win");
}
