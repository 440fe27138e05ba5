// SPDX-License-Identifier: GPL-2.0-or-later
//! Many tickets at once.

use super::*;

/// A site that loses a thousand tickets at one instant revokes them with one call, and those that
/// one call cannot revoke one by one.
#[test]
fn many_are_revoked_together_or_else_one_by_one() {
    let count = 1000;
    let mut bench = Bench::new(StoreKind::Cib, count);
    for ticket in 0..count {
        bench.write(ticket, ticket as u64, state(false, 1));
    }
    let jobs = bench.started();
    assert_eq!(jobs.len(), 9, "eight alone, one for those that came next");
    let alone: Vec<Place> = (0..8).map(Place).collect();
    for (job, place) in jobs.iter().zip(alone) {
        bench.step(Input::Ended(job.0, vec![(place, JobEnd::Done)]));
    }
    let Work::Change(changes) = &jobs[8].1 else { panic!("{jobs:?}") };
    let refused = |(place, _): &(Place, Change)| (*place, JobEnd::Apart("it is old".to_owned()));
    bench.step(Input::Ended(jobs[8].0, changes.iter().map(refused).collect()));
    let jobs = bench.started();
    assert_eq!(jobs.len(), 128);
    assert_eq!(bench.told().len(), 8, "nothing has failed");
    bench.until(59_000);
    assert_eq!(bench.keeper.running(), 128);
}

#[test]
fn a_ticket_whose_tool_hangs_does_not_hold_up_the_others() {
    let count = 40;
    let mut bench = Bench::new(StoreKind::Cib, count);
    for ticket in 0..count {
        bench.hold(ticket, Some(window(60)), 1);
        bench.write(ticket, ticket as u64, state(true, 1));
    }
    assert_eq!(bench.started().len(), 8);
    bench.until(249);
    assert_eq!(bench.started().len(), 0);
    bench.until(1000);
    assert_eq!(bench.started().len(), 32, "eight each quarter of a second");
}

#[test]
fn the_built_in_store_takes_many_changes_at_once_and_others_survive_a_kill() {
    let count = 40;
    let mut bench = Bench::new(StoreKind::Directory, count);
    for ticket in 0..count {
        bench.hold(ticket, Some(window(60)), 1);
        bench.write(ticket, ticket as u64, state(true, 1));
    }
    let jobs = bench.started();
    let Work::Change(changes) = &jobs[8].1 else { panic!("{jobs:?}") };
    assert_eq!((jobs.len(), changes.len()), (9, 8), "eight alone, then those that waited");
    let victim = changes[3].0;
    bench.write(victim.0, 99, state(false, 1));
    assert_eq!(bench.killed(), [jobs[8].0]);
    bench.step(Input::Ended(jobs[8].0, vec![(changes[0].0, JobEnd::Done)]));
    let told = bench.told();
    assert_eq!(told[..2], [(8, CibOutcome::Written), (11, CibOutcome::Killed)], "{told:?}");
    assert_eq!(told.len(), 2, "the others begin anew: {told:?}");
}

/// Where the tool for many hangs, the tool for one may work.
#[test]
fn after_a_call_for_many_that_hangs_each_is_revoked_alone() {
    let count = 16;
    let mut bench = Bench::new(StoreKind::Cib, count);
    for ticket in 0..count {
        bench.write(ticket, ticket as u64, state(false, 1));
    }
    let jobs = bench.started();
    for (n, (job, _)) in jobs[..8].iter().enumerate() {
        bench.step(Input::Ended(*job, vec![(Place(n), JobEnd::Done)]));
    }
    bench.until(G * 1000 - 1);
    assert!(bench.started().is_empty());
    bench.until(G * 1000);
    let again = bench.started();
    assert_eq!(again.len(), 8);
    let alone = |work: &Work| matches!(work, Work::Change(changes) if changes.len() == 1);
    assert!(again.iter().all(|(_, work)| alone(work)));
}
