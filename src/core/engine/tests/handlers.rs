// SPDX-License-Identifier: GPL-2.0-or-later
//! The before-acquire handler (L13, P23): when it is asked, how long it may take, and
//! what its answer leads to.

use super::bench::{stamp, Bench, World, SECOND};
use super::cluster::spec;
use crate::engine::{Effect, JobWish, ProbeOutcome};
use crate::model::TicketSpec;
use crate::time::{Span, WallTime};
use crate::wire::{ClientOptions, PeerBody, Reason, ResultCode};

fn failed() -> ProbeOutcome {
    ProbeOutcome::Failed("exit status 1".into())
}

/// A ticket with a handler: `E` 60 s, `R` 30 s.
fn handled() -> TicketSpec {
    let long = TicketSpec { expire: SECOND.times(60), renewal: SECOND.times(30), ..spec("T") };
    TicketSpec { has_handler: true, ..long }
}

/// A site of three that holds such a ticket.
fn holder() -> Bench {
    let mut bench = Bench::settled(2, 1, 0, handled());
    let (client, deeds) = bench.grant(ClientOptions::default());
    let deeds = bench.answered(deeds, &World::kind());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    bench
}

/// A site of three that has lost sight of the holder just now.
fn follower() -> Bench {
    let mut bench = Bench::settled(2, 1, 0, handled());
    bench.heartbeat(1, 3, stamp(7, true));
    bench.advance(SECOND.times(60));
    bench
}

/// P23: at a renewal it may run until the ticket cannot be held any more, no longer;
/// no heartbeat is sent before it agrees.
#[test]
pub fn a_handler_at_a_renewal_may_run_until_the_holding_ends() {
    let mut bench = holder();
    let held = bench.now.mono;
    let asked = bench.advance(SECOND.times(30));
    let [probe] = asked.probes()[..] else { panic!("one question") };
    assert_eq!(probe.deadline, held.plus(Span::from_millis(54_400)), "E − g − d");
    assert_eq!(probe.expires, bench.now.wall.plus(SECOND.times(30)), "when the lease ends");
    assert!(asked.heartbeats().is_empty());
    let waiting = bench.advance(SECOND.times(10));
    assert!(waiting.heartbeats().is_empty() && waiting.probes().is_empty());
    let deeds = bench.probed(&asked, ProbeOutcome::Success);
    assert_eq!(deeds.heartbeats().len(), 2);
}

/// A handler that fails or does not end at a renewal makes the site step down: revoke, then the
/// announcement.
#[test]
pub fn a_handler_that_does_not_agree_at_a_renewal_makes_the_site_step_down() {
    for outcome in [Some(failed()), Some(ProbeOutcome::TimedOut), None] {
        let mut bench = holder();
        let asked = bench.advance(SECOND.times(30));
        let deeds = match &outcome {
            Some(outcome) => bench.probed(&asked, outcome.clone()),
            None => bench.advance(SECOND.times(25)),
        };
        assert_eq!(deeds.revokes().len(), 1, "{outcome:?}");
        assert!(deeds.announcements().is_empty());
        let done = bench.written(&deeds);
        let steps =
            |body: &PeerBody| matches!(body, PeerBody::StepDown { reason: Reason::LocalFail, .. });
        assert_eq!(done.sent(steps).len(), 2, "{outcome:?}");
    }
}

/// L13: it is asked before each attempt to acquire a lost ticket, and may take `expire`.
#[test]
pub fn a_handler_is_asked_before_each_attempt() {
    let mut bench = follower();
    let asked = bench.advance(SECOND);
    let (began, _) = *asked.0.iter().find(|(_, e)| is_question(e)).expect("a question");
    let [probe] = asked.probes()[..] else { panic!("one question") };
    assert_eq!(probe.deadline, began.plus(SECOND.times(60)));
    assert_eq!(probe.expires, WallTime::EPOCH, "nobody holds it");
    assert!(asked.stood().is_empty());
    let first = bench.probed(&asked, ProbeOutcome::Success);
    assert_eq!(first.requests().len(), 2);
    let again = bench.advance(SECOND.times(3));
    assert_eq!(again.probes().len(), 1, "asked again for the next attempt");
    assert!(again.stood().is_empty(), "the answer before does not count");
}

fn is_question(effect: &Effect) -> bool {
    matches!(effect, Effect::Job(JobWish::StartProbe { .. }))
}

/// A handler that fails before an attempt is asked again after `renewal-freq`.
#[test]
pub fn a_site_whose_handler_does_not_agree_does_not_stand() {
    let mut bench = follower();
    let asked = bench.advance(SECOND);
    let failing = bench.now.mono;
    bench.probed(&asked, failed());
    let later = bench.advance(SECOND.times(40));
    assert!(later.stood().is_empty());
    let (again, _) = *later.0.iter().find(|(_, e)| is_question(e)).expect("asked again");
    let pause = again.since(failing);
    assert!(pause >= SECOND.times(30) && pause <= SECOND.times(31), "{pause}");
    assert!(!bench.probed(&later, ProbeOutcome::Success).stood().is_empty());
}

/// A handler that never answers is ended and counts as failed, a little after its time.
#[test]
pub fn a_handler_that_never_answers_counts_as_failed() {
    let mut bench = Bench::settled(2, 1, 0, handled());
    let (client, asked) = bench.grant(ClientOptions::default());
    let run = asked.probes()[0].run;
    let waiting = bench.advance(SECOND.times(60));
    assert_eq!(waiting.final_answer(client), None);
    let over = bench.advance(SECOND.times(10));
    let stopped = |effect: &Effect| {
        let Effect::Job(JobWish::StopProbe { run: r, .. }) = effect else { return false };
        *r == run
    };
    assert!(over.0.iter().any(|(_, effect)| stopped(effect)));
    assert_eq!(over.final_answer(client), Some(ResultCode::HandlerFailed));
}

/// An administrator hears that the handler does not agree.
#[test]
pub fn a_grant_that_the_handler_refuses_fails() {
    let mut bench = Bench::settled(2, 1, 0, handled());
    let (client, asked) = bench.grant(ClientOptions::default());
    assert!(asked.stood().is_empty());
    let deeds = bench.probed(&asked, failed());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::HandlerFailed));
    assert!(bench.advance(SECOND.times(100)).stood().is_empty());
}

/// L13: an administrator's grant, too, asks the handler before each attempt.
#[test]
pub fn a_grant_asks_the_handler_before_each_attempt() {
    let mut bench = Bench::settled(2, 1, 0, handled());
    let (_, asked) = bench.grant(ClientOptions { wait: true, ..ClientOptions::default() });
    assert!(!bench.probed(&asked, ProbeOutcome::Success).stood().is_empty());
    let failed = bench.advance(SECOND.times(3));
    assert_eq!(failed.probes().len(), 1, "asked again");
    assert!(failed.stood().is_empty());
}

/// An answer counts for its own run: an old one, of a handler that was given up, does not.
#[test]
pub fn an_old_answer_of_a_handler_does_not_count() {
    let mut bench = follower();
    let old = bench.advance(SECOND);
    bench.heartbeat(1, 4, stamp(8, true));
    let asked = bench.advance(SECOND.times(61));
    assert_eq!(asked.probes().len(), 1);
    assert!(bench.probed(&old, ProbeOutcome::Success).stood().is_empty());
    assert!(!bench.probed(&asked, ProbeOutcome::Success).stood().is_empty());
}

/// A leader that turns up ends a handler that was asked before standing.
#[test]
pub fn a_handler_is_ended_when_another_site_leads() {
    let mut bench = follower();
    let asked = bench.advance(SECOND);
    let run = asked.probes()[0].run;
    let deeds = bench.heartbeat(1, 4, stamp(8, true));
    let stopped = |effect: &Effect| {
        let Effect::Job(JobWish::StopProbe { run: r, .. }) = effect else { return false };
        *r == run
    };
    assert!(deeds.0.iter().any(|(_, effect)| stopped(effect)));
}
