// SPDX-License-Identifier: GPL-2.0-or-later
//! What the store is asked to write, in which order, and what follows its answers (L6, L10).

use super::bench::{granted, stamp, writes, Bench, Deeds, World, SECOND};
use super::cluster::{roster, spec, the_ticket};
use crate::engine::{
    CibExpiry, CibLoad, CibOutcome, CibTicket, Effect, Engine, Event, Remark, Setup, StoreWish,
};
use crate::model::{Holder, Term, TicketSpec};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientOptions, PeerBody, ResultCode};

fn failed() -> CibOutcome {
    CibOutcome::Failed("exit status 1".into())
}

/// A ticket whose lease outlives all retries: `E` 60 s, `R` 30 s, `τ·(r+1)` 4 s.
fn long() -> TicketSpec {
    TicketSpec { expire: SECOND.times(60), renewal: SECOND.times(30), ..spec("T") }
}

/// A site of three whose first grant is on its way to the store.
fn granting(options: ClientOptions) -> (Bench, crate::engine::ClientId, Deeds) {
    let mut bench = Bench::settled(2, 1, 0, long());
    let (client, stood) = bench.grant(options);
    let won = bench.elected(&stood);
    let leased = bench.acked_by_all(&won);
    assert_eq!(leased.grants().len(), 1);
    (bench, client, leased)
}

fn waiting() -> ClientOptions {
    ClientOptions { wait: true, ..ClientOptions::default() }
}

/// The times of some writes, in seconds since `began`.
fn times(deeds: &Deeds, began: MonoTime, granted: bool) -> Vec<u64> {
    let time = |(at, effect): &(MonoTime, Effect)| match effect {
        Effect::Store(StoreWish::WriteCib { state, .. }) if state.granted == granted => {
            Some(at.since(began).as_secs())
        }
        _ => None,
    };
    deeds.0.iter().filter_map(time).collect()
}

/// L6: a grant is written with the lease's end as `expires`, owner and term, after its window was
/// told; so is each renewal.
#[test]
pub fn a_grant_is_written_with_its_expiry() {
    let (mut bench, _, first) = granting(ClientOptions::default());
    let deeds = bench.answered(first, &World::kind());
    let later = bench.play(SECOND.times(100), &World::kind());
    for deeds in [deeds, later] {
        assert!(!deeds.grants().is_empty());
        for (_, state) in deeds.grants() {
            assert_eq!(state.expires, CibExpiry::Lease);
            assert_eq!(state.owner, bench.id(0));
            assert_eq!(state.term, Term::new(1));
            assert_eq!(
                state.limit,
                SECOND.times(5),
                "the guard time, which is longer than τ·(r+1) here"
            );
        }
        let told =
            deeds.0.iter().position(|(_, e)| matches!(e, Effect::Store(StoreWish::Hold { .. })));
        let write = deeds
            .0
            .iter()
            .position(|(_, e)| matches!(e, Effect::Store(StoreWish::WriteCib { .. })));
        assert!(told < write, "the guard first");
    }
}

/// A follower's store names the holder and when its lease ends, and does not say granted.
#[test]
pub fn a_follower_writes_down_who_holds_the_ticket() {
    let mut bench = Bench::three();
    let deeds = bench.heartbeat(1, 3, stamp(7, true));
    let [(_, state)] = deeds.writes()[..] else { panic!("one write") };
    assert!(!state.granted);
    assert_eq!((state.owner, state.term), (bench.id(1), Term::new(3)));
    assert_eq!(state.expires, CibExpiry::At(bench.now.wall.plus(SECOND.times(10))));
    bench.written(&deeds);
    bench.advance(SECOND);
    assert!(bench.heartbeat(1, 3, stamp(8, true)).writes().is_empty(), "only what is new");
    assert_eq!(bench.heartbeat(1, 4, stamp(9, true)).writes().len(), 1, "a new term is");
}

/// L6: an outcome counts for the write that it belongs to, and for no other.
#[test]
pub fn an_outcome_that_comes_late_does_not_count_for_the_next_write() {
    for outcome in [CibOutcome::Written, CibOutcome::Killed, failed(), CibOutcome::Superseded] {
        let mut bench = Bench::settled(2, 1, 0, long());
        bench.hold();
        let renewal = bench.play(SECOND.times(31), &World { grants: None, ..World::kind() });
        let (old, _) = *renewal.grants().last().expect("a renewal");
        let (client, revoking) = bench.revoke(ClientOptions::default());
        assert_eq!(revoking.revokes().len(), 1, "a revoke does not wait for a grant");
        let deeds = bench.wrote(old, outcome.clone());
        assert_eq!(deeds.told(client), [], "{outcome:?} was about the grant");
        assert!(deeds.announcements().is_empty());
        let deeds = bench.written(&revoking);
        assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
        assert_eq!(deeds.announcements().len(), 2);
        assert_eq!(deeds.windows(), [None], "the guard may forget it");
    }
}

/// A first grant that cannot be written is given up after `timeout * (retries + 1)`: another site
/// may be able to.
#[test]
pub fn a_first_grant_that_cannot_be_written_is_given_up() {
    let (mut bench, client, first) = granting(waiting());
    let began = bench.now.mono;
    let world = World { grants: Some(failed()), votes: Vec::new(), ..World::kind() };
    let mut deeds = bench.answered(first, &world);
    deeds.0.extend(bench.play(SECOND.times(20), &world).0);
    let tries = times(&deeds, began, true);
    assert_eq!(tries, [0, 1, 3, 7], "with growing pauses");
    assert!(!times(&deeds, began, false).is_empty(), "then it is revoked");
    assert_eq!(deeds.final_answer(client), Some(ResultCode::SyncFail));
    assert!(!deeds.announcements().is_empty(), "and the others are told");
    let later = bench.play(SECOND.times(30), &world);
    assert!(later.heartbeats().is_empty() && later.grants().is_empty());
}

/// A renewal that cannot be written is tried until the lease ends, and the ticket kept: the lease
/// lives by its acknowledgements, the store lags behind.
#[test]
pub fn a_renewal_that_cannot_be_written_is_tried_again() {
    let mut bench = Bench::settled(2, 1, 0, long());
    bench.hold();
    let began = bench.now.mono;
    for outcome in [failed(), CibOutcome::Killed] {
        let world = World { grants: Some(outcome), ..World::kind() };
        let deeds = bench.play(SECOND.times(90), &world);
        assert!(times(&deeds, began, true).len() >= 6, "tried again");
        assert!(deeds.revokes().is_empty() && deeds.announcements().is_empty());
    }
    let deeds = bench.play(SECOND.times(60), &World::kind());
    assert!(!deeds.grants().is_empty());
}

/// Whoever mends the store does not wait for long until `list` says that it is well.
#[test]
pub fn a_store_that_works_again_is_noticed_within_seconds() {
    let mut bench = Bench::settled(2, 1, 0, long());
    bench.hold();
    let world = World { grants: Some(failed()), ..World::kind() };
    bench.play(SECOND.times(90), &world);
    let failing = |bench: &mut Bench| {
        bench.row().remarks.iter().any(|remark| matches!(remark, Remark::CibFailing(_)))
    };
    assert!(failing(&mut bench));
    bench.play(SECOND.times(5), &World::kind());
    assert!(!failing(&mut bench));
}

/// L6: what a first grant that was killed has left is not known: it is revoked, and given up.
#[test]
pub fn a_first_grant_that_is_killed_is_followed_by_a_revoke() {
    let (mut bench, client, first) = granting(waiting());
    let deeds = bench.wrote(first.grants()[0].0, CibOutcome::Killed);
    assert_eq!(deeds.revokes().len(), 1);
    let told = deeds.final_answer(client);
    assert!(told.is_none() || told == Some(ResultCode::SyncFail));
    assert!(deeds.announcements().is_empty(), "nothing is said before it is done");
    let deeds = bench.written(&deeds);
    assert_eq!(deeds.announcements().len(), 2);
}

/// L6: a grant that came too late to be started has written nothing: it is asked for again at
/// once, not after the pauses that follow a failure.
#[test]
pub fn a_grant_that_came_too_late_is_asked_for_again() {
    let (mut bench, client, first) = granting(waiting());
    let deeds = bench.wrote(first.grants()[0].0, CibOutcome::TooLate);
    assert_eq!(deeds.final_answer(client), None);
    assert_eq!(bench.advance(Span::from_millis(200)).grants().len(), 1);
}

/// L6: a revoke is tried again for good, every second; until it has succeeded the site is silent
/// about its end and gives no vote.
#[test]
pub fn a_revoke_is_tried_again_for_good() {
    let mut bench = Bench::settled(2, 1, 0, long());
    let term = bench.hold();
    let began = bench.now.mono;
    let (client, deeds) = bench.revoke(waiting());
    let world = World { revokes: Some(failed()), ..World::kind() };
    let mut deeds = bench.answered(deeds, &world);
    deeds.0.extend(bench.play(SECOND.times(3_600), &world).0);
    let tries = times(&deeds, began, false);
    assert_eq!(tries[..6], [0, 1, 2, 3, 4, 5]);
    let pauses: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause <= 1) && tries.len() > 3_500, "{pauses:?}");
    assert!(deeds.announcements().is_empty(), "the store may say granted");
    assert_eq!(deeds.final_answer(client), None, "-w waits for the outcome");
    let asked = bench.asked_for_vote(1, term + 9);
    assert!(asked.sent(|body| matches!(body, PeerBody::Vote { .. })).is_empty());
    assert_eq!(bench.listed(), bench.id(0), "it is still here");
    let deeds = bench.play(SECOND.times(31), &World::kind());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    assert!(!deeds.announcements().is_empty());
}

/// L6: the window that the shell is told: held until `g + d` before the lease's end, grants started
/// until `2g` before that, and killed `g` before it.
#[test]
pub fn the_window_leaves_time_for_the_guard() {
    let (_, _, first) = granting(ClientOptions::default());
    let window = first.windows()[0].expect("a window");
    let before = |at: MonoTime| window.lease_until.since(at).as_millis();
    assert_eq!(before(window.hold_until), 5_600, "g 5 s, d 0.6 s");
    assert_eq!(before(window.start_before), 15_600);
    assert_eq!(before(window.kill_at), 10_600);
}

/// L6: a grant is not started when it could not end before the window does.
#[test]
pub fn a_grant_is_not_started_so_late_that_it_could_not_end() {
    let patient =
        TicketSpec { timeout: SECOND.times(10), retries: 5, renewal: SECOND.times(70), ..long() };
    let mut bench = Bench::settled(2, 1, 0, patient);
    let (_, stood) = bench.grant(ClientOptions::default());
    let won = bench.elected(&stood);
    let again = bench.advance(SECOND.times(46)).heartbeats();
    let deeds = bench.ack(&won.heartbeats()[0]);
    assert!(deeds.grants().is_empty(), "the lease lasts 14 s, 3g + d are 15.6 s");
    let newest = again.last().expect("resends");
    let deeds = bench.ack(newest);
    assert_eq!(deeds.grants().len(), 1);
}

/// L6, L10: at the end of the holding the store is asked to revoke, before anything else is
/// looked at, and the others hear of it when it is done.
#[test]
pub fn at_the_end_of_the_holding_the_store_comes_first() {
    let mut bench = Bench::settled(2, 1, 0, long());
    bench.hold();
    let began = bench.now.mono;
    let deeds = bench.advance(SECOND.times(58));
    let revoked = deeds.0.iter().find(|(_, effect)| writes(effect, false));
    let at = revoked.expect("a revoke").0.since(began);
    assert_eq!(at, Span::from_millis(54_400), "E − g − d");
    assert!(deeds.announcements().is_empty());
    let done = bench.written(&deeds);
    assert_eq!(done.announcements().len(), 2);
}

/// L6: a grant that is wanted while a revoke is under way waits for it.
#[test]
pub fn a_grant_does_not_overtake_a_revoke() {
    let mut bench = Bench::three();
    let followed = bench.heartbeat(1, 3, stamp(7, true));
    assert_eq!(followed.revokes().len(), 1, "on its way");
    let stood = bench.until_it_stands(SECOND.times(12));
    let won = bench.elected(&stood);
    let leased = bench.acked_by_all(&won);
    assert!(leased.grants().is_empty(), "the store is busy");
    let deeds = bench.written(&followed);
    assert_eq!(deeds.grants().len(), 1);
}

/// L9: what a restarted holder writes at its renewals is again a lease's grant.
#[test]
pub fn a_restarted_holder_writes_its_new_term() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let stored = granted(bench.id(0), 4, bench.now.wall.plus(SECOND.times(8)));
    let deeds = bench.start(stored);
    let deeds = bench.answered(deeds, &World::kind());
    let [(_, state)] = deeds.writes()[..] else { panic!("one write") };
    assert!(state.granted);
    assert_eq!((state.term, state.expires), (Term::new(5), CibExpiry::Lease));
    assert_eq!(CibTicket::default().owner.unwrap_or_default(), Holder::Unknown);
}

/// A store that fails is asked ever more rarely; with many tickets, all of them make no more than
/// twenty attempts a second, but each one every half minute.
#[test]
fn a_store_that_fails_is_asked_more_rarely_the_more_tickets_there_are() {
    for (tickets, longest) in [(1, 5), (100, 5), (200, 10), (10_000, 30)] {
        let ticket = |n: usize| spec(&format!("t{n}"));
        let tickets: Vec<TicketSpec> = (0..tickets).map(ticket).collect();
        let mut engine = Engine::new(Setup { roster: roster(2, 1, 0), tickets, seed: 5 });
        let (mut now, mut effects) = (Now::default(), Vec::new());
        engine.step(now, Event::Start, &mut effects);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let outcome = CibLoad::Failed("exit status 1".into());
            engine.step(now, Event::CibLoaded { ticket: the_ticket(), outcome }, &mut effects);
            let at = engine.deadline_of(the_ticket()).expect("it is asked again");
            pauses.push(at.since(now.mono).as_secs());
            now.mono = at;
            engine.step(now, Event::Due { ticket: the_ticket() }, &mut effects);
        }
        assert_eq!(pauses[..3], [1, 2, 4]);
        assert_eq!(pauses[7], longest, "{pauses:?}");
    }
}
