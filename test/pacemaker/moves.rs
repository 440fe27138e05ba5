// SPDX-License-Identifier: GPL-2.0-or-later
//! A ticket moves, and the resources that need it move with it: one after the other.

use super::cib;
use super::geo::{with_geo, Plan, ACQUIRE_AFTER, EXPIRE};
use super::record::{assert_never_twice, spans, wait_running};
use booth_harness::{test_name, until};
use std::time::Duration;

/// Within this a ticket whose holder is lost is held elsewhere and its resource started: the
/// lease, the time for the resources, the order of standing, and a slow machine.
const FAILOVER: u64 = (EXPIRE + ACQUIRE_AFTER) as u64 + 15;

/// The end of the lease in what the CIB knows about a ticket, in seconds since 1970.
#[track_caller]
fn expires(ticket: &str) -> f64 {
    let value = ticket.split(" expires=\"").nth(1).and_then(|rest| rest.split('"').next());
    value.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no expires in {ticket}"))
}

#[test]
fn a_grant_starts_the_resource_and_a_revoke_stops_it() {
    with_geo(test_name!(), &Plan::usual(), |geo| {
        assert_eq!(spans("rsc"), []);
        geo.grant(0, "a1");
        // Held for longer than a lease: renewals change nothing.
        let renewed = format!(
            "crm_ticket -t t -q | grep ' granted=\"true\"' | grep -qv ' expires=\"{}\"'",
            expires(&geo.sites[0].ticket("t"))
        );
        geo.sites[0].node().wait(EXPIRE, "the ticket is renewed", &renewed);
        assert_eq!(spans("rsc").len(), 1);
        geo.booth(0, "revoke -w t").expect_code(0);
        wait_running("rsc", &[], 20);
        // The other way round, asked at the site that does not hold it.
        geo.grant(1, "b1");
        geo.booth(0, "revoke -w t").expect_code(0);
        wait_running("rsc", &[], 20);
        assert_never_twice("rsc");
    });
}

#[test]
fn a_site_that_is_cut_off_stops_before_the_other_starts() {
    let mut plan = Plan { stop: 3, ..Plan::usual() };
    // A second witness: a directory that only one of them can make.
    let only = cib::primitive("only", "booth:sharedrsc", &[("dir", "/shared/only")], 5);
    plan.resources = [only.clone(), only];
    plan.constraints = cib::under_ticket("only", "t");
    with_geo(test_name!(), &plan, |geo| {
        geo.grant(0, "a1");
        let owned = "grep -qx a1 /shared/only/owner";
        geo.sites[0].node().wait(20, "the directory is of the holder", owned);
        geo.sites[0].cut();
        wait_running("rsc", &["b1"], FAILOVER);
        let spans = spans("rsc");
        assert_eq!(spans.len(), 2, "{spans:?}");
        let (stopped, started) = (spans[0].to.expect("it has stopped"), spans[1].from);
        assert!(stopped < started, "stopped at {stopped}, started at {started}");
        geo.sites[1].node().wait(
            20,
            "the directory is of the new holder",
            "grep -qx b1 /shared/only/owner",
        );
        geo.sites[0].wait_granted("t", false, 1);
        geo.sites[0].heal();
        let follows =
            format!("booth list | grep -q '^ticket: t, leader: {},'", geo.sites[1].address);
        geo.sites[0].node().wait(20, "the old holder follows", &follows);
        geo.assert_held_once();
        assert_never_twice("rsc");
        let failed = geo.sites[1].node().ok("crm_mon -1 --exclude=all --include=failures");
        assert!(!failed.contains("only"), "{failed}");
    });
}

#[test]
fn a_site_that_is_lost_is_replaced_after_its_lease() {
    with_geo(test_name!(), &Plan::usual(), |geo| {
        geo.grant(0, "a1");
        // Right after a renewal, so that no other one follows before the crash.
        let lease_until = || expires(&geo.sites[0].ticket("t"));
        let before = lease_until();
        until(Duration::from_secs(u64::from(EXPIRE)), "it is renewed", || {
            (lease_until() > before).then_some(())
        });
        // Rounded down from the end of the lease.
        let earliest = lease_until() + f64::from(ACQUIRE_AFTER);
        geo.sites[0].crash(0);
        wait_running("rsc", &["b1"], FAILOVER);
        let spans = spans("rsc");
        assert!(spans[1].from >= earliest, "too early: {spans:?}, not before {earliest}");
        // It comes back with nothing in its CIB, and follows.
        geo.sites[0].reboot(0);
        let follows =
            format!("booth list | grep -q '^ticket: t, leader: {},'", geo.sites[1].address);
        geo.sites[0].node().wait(60, "the lost site follows", &follows);
        geo.assert_held_once();
        wait_running("rsc", &["b1"], 1);
        assert_never_twice("rsc");
    });
}
