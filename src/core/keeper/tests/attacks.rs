// SPDX-License-Identifier: GPL-2.0-or-later
//! Schedules by which somebody tried to break the keeper, and once could.

use super::*;
use crate::model::{AttrName, AttrValue};

fn patient_revoke() -> CibState {
    CibState { limit: secs(100_000), ..state(false, 1) }
}

fn attr(bench: &mut Bench, serial: u64, limit: Span) {
    let value = AttrValue::new("x").expect("good");
    let change = AttrChange::Set(AttrName::new("a").expect("good"), value);
    let (ticket, serial) = (TicketIndex::new(0), WriteSerial(serial));
    bench.step(Input::Said(Word::Attr { ticket, serial, change, limit }));
}

#[test]
fn an_attribute_that_hangs_does_not_hold_up_the_revoke_at_the_end_of_the_window() {
    let mut bench = Bench::held(20);
    bench.until(15_000);
    attr(&mut bench, 2, secs(100));
    let (job, _) = bench.change();
    bench.until(19_999);
    assert!(bench.killed().is_empty());
    bench.until(20_000);
    assert_eq!(bench.killed(), [job]);
    bench.end(job, JobEnd::Killed);
    bench.revoke();
}

/// Looks that the kernel cannot end take all the room there is.
#[test]
fn a_look_that_gets_no_room_does_not_hold_up_the_revoke() {
    let count = 65;
    let mut bench = Bench::new(StoreKind::Cib, count);
    for ticket in 0..count as u64 - 1 {
        bench.hold(ticket as usize, Some(window(20 + ticket)), 1);
    }
    bench.hold(count - 1, Some(window(100)), 1);
    bench.let_looks_hang();
    bench.until(100_000);
    let jobs = bench.started();
    assert!(
        matches!(&jobs[..], [(_, Work::Change(changes))] if changes[0].0 == Place(64)),
        "{jobs:?}"
    );
}

#[test]
fn a_look_that_nobody_needs_any_more_is_ended() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    let look = bench.started()[0].0;
    bench.hold(0, Some(window(40)), 1);
    assert_eq!(bench.killed(), [look]);
}

#[test]
fn an_attempt_that_cannot_be_ended_does_not_end_the_watch() {
    let mut bench = Bench::held(1000);
    bench.write(0, 2, patient_revoke());
    let hung = bench.revoke();
    bench.until(4000);
    let second = bench.revoke();
    bench.end(second, JobEnd::Done);
    assert_eq!(bench.killed(), [hung]);
    bench.hold(0, Some(window(40)), 2);
    bench.until(39_999);
    assert!(bench.started().is_empty());
    bench.until(40_000);
    bench.revoke();
}

#[test]
fn a_grant_that_comes_too_late_does_not_end_a_revoke_that_a_lease_needs() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(20_000);
    let job = bench.revoke();
    bench.end(job, JobEnd::Failed("it is ill".to_owned()));
    bench.write(0, 2, state(true, 1));
    assert_eq!(bench.told(), [(2, CibOutcome::TooLate)]);
    bench.until(20_500);
    bench.look(stored(true, 1, expires(20)));
    bench.revoke();
}

/// Another keeper has begun to change the store.
#[test]
fn a_keeper_that_resigns_grants_nothing_any_more_and_still_revokes() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(true, 1));
    let grant = bench.grant();
    bench.write(0, 3, state(true, 1));
    bench.step(Input::Resigned);
    assert_eq!(bench.killed(), [grant]);
    bench.end(grant, JobEnd::Killed);
    bench.until(20_000);
    assert_eq!((bench.started(), bench.told()), (vec![], vec![]));
    bench.until(56_000);
    bench.look(stored(true, 1, expires(60)));
    bench.until(60_000);
    bench.revoke();
}

/// The call for many may take long only because they are many.
#[test]
fn a_revoke_of_many_is_not_ended_because_one_of_them_is_done() {
    let count = 20;
    let mut bench = Bench::new(StoreKind::Cib, count);
    let guard = |n| if n == 10 { secs(1) } else { secs(G) };
    let kept = |n| Kept { name: name(n), guard: guard(n) };
    bench.step(Input::TakeOver((0..count).map(kept).collect()));
    for ticket in 0..count {
        bench.write(ticket, ticket as u64, patient_revoke());
    }
    let jobs = bench.started();
    for (n, (job, _)) in jobs[..8].iter().enumerate() {
        bench.step(Input::Ended(*job, vec![(Place(n), JobEnd::Done)]));
    }
    let (many, Work::Change(changes)) = &jobs[8] else { panic!("no change") };
    assert_eq!(changes.len(), 8);
    for (job, work) in bench.started() {
        let Work::Change(changes) = work else { panic!("no change") };
        bench.step(Input::Ended(job, vec![(changes[0].0, JobEnd::Done)]));
    }
    bench.until(1000);
    let (alone, _) = bench.started().remove(0);
    bench.step(Input::Ended(alone, vec![(Place(10), JobEnd::Done)]));
    assert_eq!(bench.killed(), []);
    bench.until(3999);
    let ends = changes.iter().map(|(place, _)| (*place, JobEnd::Done)).collect();
    bench.step(Input::Ended(*many, ends));
    assert_eq!(bench.told().len(), count);
}

#[test]
fn a_call_for_many_that_nobody_needs_any_more_is_ended() {
    let count = 16;
    let mut bench = Bench::new(StoreKind::Cib, count);
    for ticket in 0..count {
        bench.write(ticket, ticket as u64, patient_revoke());
    }
    let jobs = bench.started();
    let many = jobs[8].0;
    for (n, (job, _)) in jobs[..8].iter().enumerate() {
        bench.step(Input::Ended(*job, vec![(Place(n), JobEnd::Done)]));
    }
    bench.until(4000);
    for (again, work) in bench.started() {
        assert_eq!(bench.killed(), [], "others need it");
        let Work::Change(changes) = work else { panic!("no change") };
        let ends = changes.iter().map(|(place, _)| (*place, JobEnd::Done)).collect();
        bench.step(Input::Ended(again, ends));
    }
    assert_eq!(bench.killed(), [many]);
}

#[test]
fn of_many_attempts_one_that_cannot_be_ended_does_not_keep_others_out() {
    let mut bench = Bench::held(1000);
    bench.write(0, 2, patient_revoke());
    let mut attempts = Vec::new();
    for second in 0..600 {
        bench.until(second * 1000);
        attempts.extend(bench.started().into_iter().map(|(job, _)| job));
        for job in bench.killed() {
            if job != attempts[0] {
                bench.end(job, JobEnd::Killed);
            }
        }
    }
    assert!(attempts.len() > 15, "only {} attempts", attempts.len());
    assert!(bench.keeper.running() <= 8);
}
