// SPDX-License-Identifier: GPL-2.0-or-later
//! When a site stands (L13): its turn by weight, `acquire-after`, and the pauses between attempts.

use super::bench::{at, stamp, Bench, SECOND};
use super::cluster::spec;
use crate::engine::CibTicket;
use crate::model::{Holder, Term, TicketSpec};
use crate::time::{MonoTime, Span};
use crate::wire::{Command, PeerBody, Reason, ResultCode};

/// One step of the order in which sites stand, with a `timeout` of one second or more.
const STEP: Span = Span::from_millis(250);

/// A site (`me`) of five that has followed member 0, and when its promise runs out.
fn follower(me: usize, spec: &TicketSpec, seed: u64) -> (Bench, MonoTime) {
    let mut bench = Bench::seeded(5, 0, me, spec.clone(), seed);
    bench.start(CibTicket::default());
    bench.past_grace();
    bench.heartbeat(0, 3, stamp(7, true));
    let lost_at = bench.now.mono.plus(spec.expire);
    (bench, lost_at)
}

/// How long after its promise to the holder (member 0) has run out a site stands.
fn turn(me: usize, spec: &TicketSpec, seed: u64) -> Span {
    let (mut bench, lost_at) = follower(me, spec, seed);
    let deeds = bench.advance(spec.expire.times(3));
    let first = *deeds.stood().first().expect("it stands");
    assert!(first >= lost_at, "not while the promise lasts");
    first.since(lost_at)
}

/// Expects a site to stand in its own step, whatever the seed.
fn expect_place(spec: &TicketSpec, site: usize, place: u64) {
    for seed in 1..=20 {
        let turn = turn(site, spec, seed);
        let first = spec.acquire_after.plus(STEP.times(place));
        let in_turn = first <= turn && turn < first.plus(STEP);
        assert!(in_turn, "site {site} is number {place}, seed {seed}: {turn}");
    }
}

/// L13: higher weights first.
#[test]
pub fn higher_weights_stand_first() {
    let weighted = TicketSpec { weights: vec![5, -3, 9, 4, 1], ..spec("T") };
    for (site, place) in [(2, 0), (3, 2), (4, 3), (1, 4)] {
        expect_place(&weighted, site, place);
    }
}

/// L13: sites of equal weights in configuration order; a missing weight is 0.
#[test]
pub fn equal_weights_stand_in_configuration_order() {
    let equal = TicketSpec { weights: vec![1, 5, 5, 9], ..spec("T") };
    for (site, place) in [(3, 0), (1, 1), (2, 2), (4, 4)] {
        expect_place(&equal, site, place);
    }
    for site in 1..5 {
        expect_place(&spec("T"), site, u64::try_from(site).expect("small"));
    }
}

/// L13: `acquire-after` more, before the turn.
#[test]
pub fn acquire_after_is_waited_when_a_promise_has_run_out() {
    let slow = TicketSpec { acquire_after: SECOND.times(7), ..spec("T") };
    expect_place(&slow, 1, 1);
    expect_place(&slow, 4, 4);
}

/// L13: a step is a quarter of a second, or of `timeout` if that is shorter.
#[test]
pub fn a_step_is_a_quarter_of_a_second_at_most() {
    for (timeout, step) in [(5_000, 250), (1_000, 250), (400, 100)] {
        let spec = TicketSpec { timeout: Span::from_millis(timeout), ..spec("T") };
        for seed in 1..=10 {
            let (first, step) = (turn(4, &spec, seed), Span::from_millis(step));
            let fits = first >= step.times(4) && first < step.times(5);
            assert!(fits, "timeout {timeout} ms, seed {seed}: {first}");
        }
    }
}

/// L13: what the store says of the lost holder's lease is waited for, too: a site that starts has
/// made no promise, but knows when the lease ends.
#[test]
pub fn a_starting_site_waits_for_the_end_of_the_lease_that_its_store_knows() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { acquire_after: SECOND, ..spec("T") });
    let expires = Some(bench.now.wall.plus(SECOND.times(8)));
    let (owner, term) = (Some(bench.id(1)), Some(Term::new(3)));
    let stored = CibTicket { granted: false, owner, expires, term, attrs: Vec::new() };
    let began = bench.now.mono;
    let deeds = bench.start(stored);
    let asked = deeds.sent(|body| matches!(body, PeerBody::Status { .. }));
    let PeerBody::Status { nonce } = asked[0].message.body else { panic!("a question") };
    bench.hear_valid(1, Holder::Unknown, 0, Span::ZERO, PeerBody::MyIndex { nonce });
    bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, PeerBody::MyIndex { nonce });
    let stood = bench.advance(SECOND.times(15)).stood();
    let wait = stood.first().expect("grace is over").since(began);
    assert!(wait >= SECOND.times(9), "expires and acquire-after: {wait}");
}

/// L12, L13: an attempt that a majority refuses has failed at once.
#[test]
pub fn an_attempt_that_cannot_be_won_any_more_has_failed() {
    for seed in 1..=10 {
        let mut bench = Bench::seeded(2, 1, 0, spec("T"), seed);
        bench.start(CibTicket::default());
        bench.past_grace();
        bench.heartbeat(1, 3, stamp(7, true));
        bench.until_it_stands(SECOND.times(12));
        let stood = bench.now.mono;
        bench.reject(1, Command::ReqVote, ResultCode::TermOutdated, 5);
        bench.reject(2, Command::ReqVote, ResultCode::TermOutdated, 6);
        let again = bench.until_it_stands(SECOND.times(2));
        assert!(bench.now.mono.since(stood) < SECOND, "a random part of timeout");
        assert!(again.requests().iter().all(|sent| sent.message.term == Term::new(7)), "L1");
    }
}

/// L13: an arbitrator never stands, whatever happens.
#[test]
pub fn an_arbitrator_never_stands() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    bench.heartbeat(0, 3, stamp(7, true));
    assert!(bench.advance(SECOND.times(100)).stood().is_empty());
    bench.heartbeat(1, 4, stamp(7, true));
    let body = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(8, false) };
    bench.hear(1, Holder::Nobody, 4, body);
    assert!(bench.advance(SECOND.times(100)).stood().is_empty());
}

/// The times between the attempts of a site of three that nobody answers, and then more.
fn pauses(bench: &mut Bench, span: Span) -> Vec<Span> {
    let stood = bench.advance(span).stood();
    stood.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

/// L13: after two attempts in which nobody was heard the pauses double from `timeout` to `expire`
/// and no further; each attempt lasts `timeout`, and a random part of it comes on top.
#[test]
pub fn the_pauses_of_a_candidate_that_nobody_hears_double_up_to_expire() {
    let mut bench = Bench::three();
    bench.heartbeat(1, 3, stamp(7, true));
    let gaps = pauses(&mut bench, SECOND.times(300));
    assert!(gaps.len() > 20);
    let base = [1, 2, 3, 5, 9, 11];
    for (index, gap) in gaps.iter().enumerate() {
        let least = SECOND.times(base[index.min(base.len() - 1)]);
        let fits = *gap >= least && *gap < least.plus(SECOND);
        assert!(fits, "pause {index} is {gap}, at least {least} were due");
    }
}

/// L13: whoever was heard is tried again after a random part of `timeout`.
#[test]
pub fn a_candidate_that_is_answered_does_not_wait_longer_and_longer() {
    let mut bench = Bench::three();
    bench.heartbeat(1, 3, stamp(7, true));
    bench.advance(SECOND.times(100));
    bench.until_it_stands(SECOND.times(13));
    bench.reject(2, Command::ReqVote, ResultCode::TermOutdated, 4);
    bench.until_it_stands(SECOND.times(2));
}

/// L13: after `TVld` not before a majority could be free, by the validities stated.
#[test]
pub fn a_candidate_waits_until_a_majority_could_be_free() {
    for (validities, least) in [([6, 9], 6), ([9, 6], 6), ([8, 8], 8), ([100, 200], 10)] {
        let mut bench = Bench::three();
        bench.heartbeat(1, 3, stamp(7, true));
        bench.until_it_stands(SECOND.times(11));
        for (from, valid) in [1, 2].into_iter().zip(validities) {
            let body = PeerBody::Rejected {
                of: Command::ReqVote,
                result: ResultCode::TermStillValid,
                granted: false,
            };
            let leader = bench.id(1);
            bench.hear_valid(from, leader, 4, SECOND.times(valid), body);
        }
        let refused = bench.now.mono;
        let next = bench.advance(SECOND.times(20)).stood();
        let wait = next.first().expect("it stands again").since(refused);
        let fits = wait >= SECOND.times(least) && wait <= SECOND.times(least + 1);
        assert!(fits, "{validities:?}: {wait} instead of {least} s");
    }
}

/// L13: a leader that lost its lease waits `acquire-after`, two timeouts and a random part.
#[test]
pub fn a_leader_that_lost_its_lease_lets_the_others_go_first() {
    let slow = TicketSpec { acquire_after: SECOND.times(4), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow.clone());
    bench.hold();
    let revoking = bench.advance(SECOND.times(9));
    assert!(revoking.stood().is_empty());
    let (serial, state) = *revoking.writes().last().expect("a revoke");
    assert!(!state.granted, "the lease has ended without acknowledgements");
    let given_up = bench.now.mono;
    bench.wrote(serial, crate::engine::CibOutcome::Written);
    let stood = bench.advance(SECOND.times(30)).stood();
    let wait = stood.first().expect("it stands again").since(given_up);
    let least = Span::from_millis(5_900);
    assert!(wait >= least, "A + 2τ from the end of the holding: {wait}");
    assert!(wait <= SECOND.times(9), "not much more: {wait}");
}

/// L13: who steps down is followed by the other site in its turn, not after `expire`.
#[test]
pub fn a_step_down_is_followed_at_once() {
    let mut bench = Bench::three();
    bench.heartbeat(1, 3, stamp(7, true));
    bench.advance(SECOND);
    let body = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(8, false) };
    let mut deeds = bench.hear(1, Holder::Nobody, 3, body);
    deeds.0.extend(bench.advance(SECOND).0);
    assert_eq!(deeds.stood().len(), 1, "within a second");
    assert!(deeds.requests().iter().any(|sent| at(sent.to) == at(2)));
}
