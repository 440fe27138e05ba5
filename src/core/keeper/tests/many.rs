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
    assert_eq!(bench.keeper.next_deadline(), Some(millis(60_000)), "they all hang");
    bench.until(60_000);
    let [(_, Work::Change(changes))] = &bench.started()[..] else { panic!("not one call") };
    assert_eq!(changes.len(), count - 8);
}

/// The call has failed only because they are many, so each is revoked at once, without a look.
#[test]
fn many_whose_windows_have_ended_are_revoked_together_or_else_one_by_one() {
    let mut bench = Bench::new(StoreKind::Cib, 16);
    (0..16).for_each(|ticket| bench.hold(ticket, Some(window(20)), 1));
    bench.until(16_000);
    let [(look, Work::Look(places))] = &bench.started()[..] else { panic!("not one look") };
    let loads = places.iter().map(|place| (*place, JobEnd::Looked(stored(true, 1, 5))));
    bench.step(Input::Ended(*look, loads.collect()));
    bench.until(20_000);
    let [(job, Work::Change(changes))] = &bench.started()[..] else { panic!("not one call") };
    end_all(&mut bench, *job, changes, JobEnd::Apart("it is old".to_owned()));
    let jobs = bench.started();
    let alone = |(_, work): &(JobId, Work)| matches!(work, Work::Change(of) if of.len() == 1);
    assert!(jobs.len() == 16 && jobs.iter().all(alone), "{jobs:?}");
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

/// Wishes the revoke of all of these tickets. Returns with how many tickets each job begins, and
/// ends the jobs well.
fn revoke_all(bench: &mut Bench, count: usize) -> Vec<usize> {
    for ticket in 0..count {
        bench.write(ticket, 1000 + ticket as u64, state(false, 1));
    }
    let jobs = bench.started();
    let mut counts = Vec::new();
    for (job, work) in jobs {
        let Work::Change(changes) = work else { panic!("no change") };
        counts.push(changes.len());
        end_all(bench, job, &changes, JobEnd::Done);
    }
    counts
}

fn end_all(bench: &mut Bench, job: JobId, changes: &[(Place, Change)], end: JobEnd) {
    let ends = changes.iter().map(|(place, _)| (*place, end.clone())).collect();
    bench.step(Input::Ended(job, ends));
}

/// Eight alone, and one call for those that came next.
const TOGETHER: [usize; 9] = [1, 1, 1, 1, 1, 1, 1, 1, 8];

#[test]
fn a_call_for_many_that_says_nothing_of_one_has_failed() {
    let mut bench = Bench::new(StoreKind::Cib, 16);
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER);
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER, "the first has worked");
    for ticket in 0..16 {
        bench.write(ticket, ticket as u64, state(false, 1));
    }
    for (job, work) in bench.started() {
        let Work::Change(changes) = work else { panic!("no change") };
        end_all(&mut bench, job, &changes[changes.len() / 2..], JobEnd::Done);
    }
    assert_eq!(revoke_all(&mut bench, 16), [1; 16]);
    bench.until(59_999);
    assert_eq!(revoke_all(&mut bench, 16), [1; 16]);
    bench.until(60_000);
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER, "after a minute");
}

#[test]
fn only_a_revoke_of_many_that_fails_keeps_revokes_apart() {
    let failed = || JobEnd::Failed("it is ill".to_owned());
    let mut bench = Bench::new(StoreKind::Cib, 16);
    bench.write(0, 1, state(false, 1));
    let revoke = bench.revoke();
    bench.end(revoke, failed());
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER, "one has failed");
    (0..16).for_each(|ticket| bench.hold(ticket, Some(window(20)), 1));
    bench.until(16_000);
    let jobs = bench.started();
    let [(look, Work::Look(places))] = &jobs[..] else { panic!("not one look: {jobs:?}") };
    let ends = places.iter().map(|place| (*place, failed())).collect();
    bench.step(Input::Ended(*look, ends));
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER, "a look has failed");
    bench.write(0, 2, CibState { limit: secs(100), ..state(false, 1) });
    let hangs = bench.revoke();
    bench.until(16_000 + G * 1000);
    let joined = bench.revoke();
    bench.end(joined, JobEnd::Done);
    bench.end(hangs, JobEnd::Killed);
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER, "one hangs");
    // The built-in store writes a file for each, whatever becomes of the others.
    let mut bench = Bench::new(StoreKind::Directory, 16);
    (0..16).for_each(|ticket| bench.write(ticket, ticket as u64, state(false, 1)));
    for (job, work) in bench.started() {
        let Work::Change(changes) = work else { panic!("no change") };
        end_all(&mut bench, job, &changes, failed());
    }
    assert_eq!(revoke_all(&mut bench, 16), TOGETHER);
}

/// Otherwise a ticket that always wants something could keep out those behind it for ever.
#[test]
fn who_comes_first_is_served_first() {
    let mut bench = Bench::new(StoreKind::Cib, 40);
    (0..40).for_each(|ticket| bench.hold(ticket, Some(window(60)), 1));
    let order = [30, 31, 32, 33, 34, 35, 36, 37, 39, 12, 38, 3];
    for ticket in order {
        bench.write(ticket, ticket as u64, state(true, 1));
    }
    let mut served = Vec::new();
    for _ in 0..order.len() {
        for (job, work) in bench.started() {
            let Work::Change(changes) = work else { panic!("no change") };
            served.extend(changes.iter().map(|(place, _)| place.0));
            end_all(&mut bench, job, &changes, JobEnd::Done);
        }
    }
    assert_eq!(served, order);
}

/// A look at all tickets costs little more than one at one of them, so those that want a look soon
/// after wait for it to end, but not if it hangs.
#[test]
fn a_look_at_many_waits_a_second_for_the_one_before_it() {
    let mut bench = Bench::new(StoreKind::Cib, 30);
    for ticket in 0..30 {
        let kill_at = millis([16_000, 16_500, 17_500][ticket / 10]);
        bench.hold(ticket, Some(HoldWindow { kill_at, ..window(20) }), 1);
    }
    let looks = |bench: &mut Bench| {
        let jobs = bench.started();
        let count = |(_, work): &(JobId, Work)| match work {
            Work::Look(places) => places.len(),
            Work::Change(_) => panic!("{jobs:?}"),
        };
        jobs.iter().map(count).collect::<Vec<usize>>()
    };
    bench.until(16_000);
    assert_eq!(looks(&mut bench), [10]);
    bench.until(16_500);
    assert_eq!(bench.keeper.next_deadline(), Some(millis(17_000)));
    bench.until(16_999);
    assert_eq!(looks(&mut bench), []);
    bench.until(17_000);
    assert_eq!(looks(&mut bench), [10]);
    bench.until(17_500);
    assert_eq!(bench.keeper.next_deadline(), Some(millis(18_000)), "the first hangs");
    bench.until(18_000);
    assert_eq!(looks(&mut bench), [10]);
}

#[test]
fn revokes_that_hang_one_by_one_leave_no_deadline_behind() {
    let mut bench = Bench::new(StoreKind::Cib, 140);
    for ticket in 0..140 {
        bench.until(ticket * 100);
        let patient = CibState { limit: secs(100_000), ..state(false, 1) };
        bench.write(ticket as usize, ticket, patient);
    }
    assert!(bench.keeper.running() > 128);
    bench.until(60_000);
}
