// SPDX-License-Identifier: GPL-2.0-or-later
//! More clauses that no other test and no seed holds: each test here fails with one small slip of
//! the engine that everything else let pass.

use super::bench::{stamp, Bench, Deeds, World, SECOND};
use super::cluster::{failing, spec, PATIENT, PLAIN};
use crate::engine::{CibLoad, CibTicket, Event, Remark};
use crate::model::{Holder, Term, TicketMode, TicketSpec};
use crate::time::{Span, WallTime};
use crate::wire::{ClientOptions, Command, PeerBody, ResultCode};

/// The first grant of a client that waits, as it goes to the store.
fn granting(bench: &mut Bench) -> (crate::engine::ClientId, Deeds) {
    let (client, stood) = bench.grant(PATIENT);
    let won = bench.elected(&stood);
    (client, bench.acked_by_all(&won))
}

/// Everybody acknowledges, but the store cannot be written.
fn broken() -> World {
    World { grants: failing(), votes: Vec::new(), ..World::kind() }
}

/// boothd(8): `list` says since when the store cannot be written, not when that failed last.
#[test]
fn a_store_that_fails_is_listed_with_its_first_failure() {
    let mut bench = Bench::three();
    let (_, first) = granting(&mut bench);
    let began = bench.now.wall;
    bench.answered(first, &broken());
    bench.play(Span::from_millis(3_500), &broken());
    let remarks = bench.row().remarks;
    assert!(remarks.contains(&Remark::CibFailing(began)), "{remarks:?}");
}

/// L6: each first grant has the whole patience of its own, whatever became of an earlier one.
#[test]
fn a_failure_of_an_earlier_grant_does_not_shorten_the_next() {
    let mut bench = Bench::three();
    let (client, first) = granting(&mut bench);
    let mut deeds = bench.answered(first, &broken());
    deeds.0.extend(bench.play(SECOND.times(20), &broken()).0);
    assert_eq!(deeds.final_answer(client), Some(ResultCode::SyncFail), "given up");
    let (client, again) = granting(&mut bench);
    let failed = bench.wrote(again.grants()[0].0, failing().expect("it fails"));
    assert!(failed.revokes().is_empty(), "not given up at once");
    let retried = bench.advance(SECOND);
    assert_eq!(bench.written(&retried).final_answer(client), Some(ResultCode::Success));
}

/// L9: of each sender the newest heartbeat counts. One that waits for its sender's answer is not
/// the newest any more when one without a lease has followed it.
#[test]
fn a_kept_heartbeat_is_forgotten_when_a_newer_one_says_that_the_lease_is_over() {
    let mut bench = Bench::new(2, 1, 2, spec("T"));
    let started = bench.start(CibTicket::default());
    let asked = started.sent(|body| matches!(body, PeerBody::Status { .. }));
    let PeerBody::Status { nonce } = asked[0].message.body else { panic!("it was filtered") };
    bench.heartbeat(0, 5, stamp(20, true));
    bench.heartbeat(0, 6, stamp(30, false));
    let leader = bench.id(0);
    let deeds = bench.hear(0, leader, 5, PeerBody::MyIndex { nonce });
    let acks = deeds.sent(|body| matches!(body, PeerBody::Ack { .. }));
    assert!(acks.is_empty(), "{acks:?}");
}

/// L14: a claim is sent again every `timeout`, `retries` times, also by a site that had asked in
/// vain for as long before.
#[test]
fn a_claim_has_its_own_retries() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { mode: TicketMode::Manual, ..spec("T") });
    bench.start(CibTicket::default());
    bench.advance(SECOND.times(30));
    bench.grant(PLAIN);
    let beats = bench.advance(Span::from_millis(3_500)).heartbeats();
    assert_eq!(beats.iter().filter(|sent| sent.to == 2).count(), 3, "{beats:?}");
}

/// boothd(8), *expire differs*: an acknowledgement of a reference member states what is left of
/// its leader's lease, not its `expire`.
#[test]
fn a_reference_follower_is_not_taken_for_one_with_another_expire() {
    let mut bench = Bench::three();
    let term = bench.hold();
    bench.advance(SECOND.times(5));
    let (me, body) = (bench.id(0), PeerBody::Ack { of: Command::Heartbeat, round: None });
    bench.hear_valid(2, me, term, SECOND.times(4), body);
    let remarks = bench.row().remarks;
    assert!(remarks.is_empty(), "{remarks:?}");
}

/// boothd(8), `BOOTH_TICKET_EXPIRES`: when the lease ends, 0 if there is none.
#[test]
fn a_handler_is_not_told_an_expiry_of_a_ticket_without_a_holder() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    bench.start(CibTicket {
        owner: Some(Holder::Unknown),
        term: Some(Term::new(4)),
        expires: Some(bench.now.wall.plus(SECOND.times(9))),
        ..CibTicket::default()
    });
    let options = ClientOptions { immediate: true, ..PATIENT };
    let (_, deeds) = bench.grant(options);
    let probes = deeds.probes();
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].expires, WallTime::EPOCH);
}

/// L13: only sites have a place in the order of weights. An arbitrator of a greater weight delays
/// nobody.
#[test]
fn an_arbitrators_weight_delays_no_site() {
    for seed in 1..=20 {
        let spec = TicketSpec { weights: vec![-5, -3, 9, 7], ..spec("T") };
        let mut bench = Bench::seeded(2, 2, 1, spec, seed);
        bench.start(CibTicket::default());
        bench.past_grace();
        bench.heartbeat(0, 3, stamp(7, true));
        let lost_at = bench.now.mono.plus(SECOND.times(10));
        let stood = bench.advance(SECOND.times(30)).stood()[0];
        assert!(stood.since(lost_at) < Span::from_millis(250), "seed {seed}: it is the first");
    }
}

/// Answers: a client that does not wait has the whole patience of the attempts that follow, also
/// beside one that has waited in vain for longer.
#[test]
fn a_client_that_joins_a_long_grant_is_not_failed_at_its_first_attempt() {
    let mut bench = Bench::three();
    let (_, mut deeds) = bench.grant(PATIENT);
    let end = bench.now.mono.plus(bench.spec.patience());
    let refused = |bench: &mut Bench, deeds: &Deeds| {
        let term = deeds.requests()[0].message.term.get();
        for from in [1, 2] {
            let vote = PeerBody::Vote { vouched: true, unbound_for: None, last: None };
            let other = bench.id(1);
            bench.hear_valid(from, other, term, Span::ZERO, vote);
        }
        bench.until_it_stands(SECOND.times(2))
    };
    while bench.now.mono < end {
        deeds = refused(&mut bench, &deeds);
    }
    let (joined, _) = bench.grant(PLAIN);
    let next = refused(&mut bench, &deeds);
    assert_eq!(next.final_answer(joined), None, "its time is not over");
}

/// Answers: when a client that does not wait has failed, `-F` of one that goes on waiting stays.
#[test]
fn the_force_of_a_client_that_waits_outlasts_the_failure_of_another() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.event(Event::Start);
    bench.grant(ClientOptions { immediate: true, ..PATIENT });
    let (plain, _) = bench.grant(PLAIN);
    let failed = bench.loaded(CibLoad::Failed("exit status 1".into()));
    assert_eq!(failed.final_answer(plain), Some(ResultCode::SyncFail));
    bench.advance(SECOND.times(2));
    let deeds = bench.loaded(CibLoad::Absent);
    assert!(!deeds.requests().is_empty(), "it does not wait for the end of its grace");
}

/// L12: who refused first and votes then, has voted: another refusal does not end the attempt.
#[test]
fn a_vote_after_a_refusal_takes_it_back() {
    let mut bench = Bench::settled(5, 0, 0, spec("T"));
    let (_, stood) = bench.grant(PATIENT);
    let term = stood.requests()[0].message.term.get();
    for from in [1, 2] {
        bench.reject(from, Command::ReqVote, ResultCode::TermOutdated, term);
    }
    bench.vote(1, term);
    bench.reject(3, Command::ReqVote, ResultCode::TermOutdated, term);
    assert!(!bench.vote(4, term).heartbeats().is_empty(), "three of five");
}

/// L13: a store that names an end far away (the clock was set, `expire` was longer) is believed
/// for `expire` at most.
#[test]
fn an_end_far_away_in_the_store_is_waited_for_no_longer_than_expire() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.start(CibTicket {
        owner: Some(bench.id(1)),
        term: Some(Term::new(4)),
        expires: Some(bench.now.wall.plus(SECOND.times(3_600))),
        ..CibTicket::default()
    });
    bench.until_it_stands(SECOND.times(40));
}
