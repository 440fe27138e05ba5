// SPDX-License-Identifier: GPL-2.0-or-later
//! Which revoke is owed, and for how long.

use super::*;

/// The store says what the last revoke wrote.
#[test]
fn a_revoke_with_other_values_is_not_done_when_the_one_before_it_is() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(false, 1));
    let first = bench.revoke();
    bench.write(0, 3, state(false, 2));
    assert_eq!(bench.told(), [(2, CibOutcome::Superseded)]);
    assert!(bench.started().is_empty(), "it waits for the first");
    bench.end(first, JobEnd::Done);
    assert_eq!(bench.told(), []);
    let second = bench.revoke();
    bench.end(second, JobEnd::Done);
    assert_eq!(bench.told(), [(3, CibOutcome::Written)]);
}

#[test]
fn a_revoke_that_boothd_waits_for_is_made_though_no_lease_depends_on_it_any_more() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(true, 1));
    let grant = bench.grant();
    bench.write(0, 3, state(false, 1));
    bench.hold(0, None, 1);
    bench.end(grant, JobEnd::Killed);
    assert_eq!(bench.told(), [(2, CibOutcome::Killed)]);
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Done);
    assert_eq!(bench.told(), [(3, CibOutcome::Written)]);
}

#[test]
fn a_failed_revoke_is_given_up_when_no_lease_depends_on_it_any_more() {
    for (next, goes_on) in [(None, false), (Some(window(60)), true)] {
        let mut bench = Bench::held(20);
        bench.write(0, 2, state(false, 1));
        let job = bench.revoke();
        bench.end(job, JobEnd::Failed("it is ill".to_owned()));
        bench.hold(0, next, 2);
        bench.until(10_000);
        assert_eq!(!bench.started().is_empty(), goes_on);
    }
}
