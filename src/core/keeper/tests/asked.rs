// SPDX-License-Identifier: GPL-2.0-or-later
//! What the process around the keeper asks it, to know when it may sleep and when it may end.

use super::*;

fn failed() -> JobEnd {
    JobEnd::Failed("it is ill".to_owned())
}

#[test]
fn a_keeper_is_needed_while_it_guards_a_lease_or_a_change_may_take_effect() {
    let bench = Bench::held(60);
    let at = millis(bench.now);
    assert!(bench.keeper.is_needed(at) && !bench.keeper.is_unsettled(at), "it guards a lease");
    let mut bench = Bench::one();
    assert!(!bench.keeper.is_needed(millis(0)));
    bench.write(0, 1, state(false, 1));
    assert!(bench.keeper.is_needed(millis(0)) && bench.keeper.is_unsettled(millis(0)));
    let job = bench.revoke();
    bench.end(job, failed());
    assert!(bench.keeper.is_needed(millis(G * 1010 - 1)), "it may take effect");
    assert!(!bench.keeper.is_needed(millis(G * 1010)));
    bench.until(10_000);
    bench.hold(0, Some(window(60)), 1);
    bench.write(0, 2, state(true, 1));
    assert!(bench.keeper.is_unsettled(millis(10_000)), "a grant runs");
    let job = bench.grant();
    bench.end(job, JobEnd::Done);
    assert!(!bench.keeper.is_unsettled(millis(10_000)));
}

/// The process sleeps until then, to take its mark back.
#[test]
fn a_keeper_knows_when_all_that_was_killed_or_failed_is_over() {
    let site = Holder::Member(MemberId::from_raw(1));
    let keeper = Keeper::new(site, StoreKind::Cib, millis(700));
    let mut bench = Bench { keeper, out: Vec::new(), now: 0 };
    assert_eq!(bench.keeper.settles_at(), Some(millis(700)), "what was begun before it");
    bench.take_over(2);
    bench.until(2000);
    bench.write(0, 1, state(false, 1));
    let job = bench.revoke();
    bench.end(job, failed());
    assert_eq!(bench.keeper.settles_at(), Some(millis(2000 + G * 1010)));
    bench.until(3000);
    bench.hold(1, Some(window(60)), 1);
    bench.write(1, 2, state(true, 1));
    let grant = bench.grant();
    bench.step(Input::Ended(grant, vec![(Place(1), failed())]));
    assert_eq!(bench.keeper.settles_at(), Some(millis(3000 + G * 1010)), "the last counts");
}

/// A keeper whose directory is gone ends then: nothing can come of it.
#[test]
fn a_revoke_is_in_vain_when_it_has_failed_for_long() {
    let mut bench = Bench::held(600);
    bench.write(0, 2, state(false, 1));
    let mut vain_at = None;
    for n in 1..=100 {
        let job = bench.revoke();
        bench.end(job, failed());
        if bench.keeper.is_in_vain() {
            vain_at = vain_at.or(Some(bench.now));
        }
        bench.until(n * 500);
    }
    // Its lines of log come after 0.5, 1.5, 3.5, 7.5 and 15.5 seconds.
    assert_eq!(vain_at, Some(15_500));
    let job = bench.revoke();
    bench.end(job, JobEnd::Done);
    assert!(!bench.keeper.is_in_vain());
}
