// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets, whose grants depend on no lease.

use super::*;

fn by_hand(limit: u64) -> CibState {
    CibState { expires: CibExpiry::Never, limit: secs(limit), ..state(true, 1) }
}

#[test]
fn a_grant_that_depends_on_no_lease_needs_no_window() {
    let mut bench = Bench::one();
    bench.write(0, 1, by_hand(100));
    let (job, change) = bench.change();
    let Change::Grant { values, start_before } = change else { panic!("{change:?}") };
    assert_eq!((values.expires, start_before), (0, None));
    bench.until(20_000);
    bench.end(job, JobEnd::Done);
    assert_eq!(bench.told(), [(1, CibOutcome::Written)]);
    bench.until(1_000_000);
    assert!(bench.started().is_empty() && bench.killed().is_empty(), "nothing is guarded");
    assert!(!bench.keeper.is_needed(millis(bench.now)));
}

#[test]
fn a_grant_that_depends_on_no_lease_has_its_own_limit() {
    let mut bench = Bench::one();
    bench.write(0, 1, by_hand(100));
    let (job, _) = bench.change();
    bench.until(99_999);
    assert!(bench.killed().is_empty());
    bench.until(100_000);
    assert_eq!(bench.killed(), [job]);
    bench.end(job, JobEnd::Killed);
    assert_eq!(bench.told(), [(1, CibOutcome::Killed)]);
    bench.until(200_000);
    assert!(bench.started().is_empty(), "no lease makes it revoke");
}

/// The next boothd reads the store, and wishes what it needs.
#[test]
fn a_revoke_that_has_not_begun_and_that_no_lease_needs_is_left_to_the_next_boothd() {
    let mut bench = Bench::one();
    bench.write(0, 1, by_hand(100));
    let (job, _) = bench.change();
    bench.write(0, 2, state(false, 1));
    assert_eq!(bench.killed(), [job]);
    bench.take_over(1);
    bench.end(job, JobEnd::Killed);
    bench.until(100_000);
    assert!(bench.started().is_empty());
}
