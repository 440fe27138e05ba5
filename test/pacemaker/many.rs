// SPDX-License-Identifier: GPL-2.0-or-later
//! Many tickets of a site that end together: the daemon, or its lease guard, revokes them with
//! one call of the real `cibadmin`. One site has Pacemaker 3, the other one 2.1.

use super::agents::DAEMON;
use super::geo::{with_geo, Geo, Plan, ACQUIRE_AFTER, EXPIRE, RENEWAL};
use crate::harness::test_name;

/// More than are revoked one by one.
const TICKETS: usize = 24;
/// Counts the tickets of the CIB that are granted.
const GRANTED: &str =
    "cibadmin -Q -A /cib/status/tickets | grep 'id=\"m' | grep -c 'granted=\"true\"'";

fn plan() -> Plan {
    let ticket = |n| {
        format!(
            "ticket = \"m{n}\"\n  expire = {EXPIRE}\n  renewal-freq = {RENEWAL}\n  \
             acquire-after = {ACQUIRE_AFTER}\n  timeout = 1\n  retries = 3\n"
        )
    };
    let ticket = (0..TICKETS).map(ticket).collect();
    Plan { ticket, roots: ["cluster", "older"], ..Plan::usual() }
}

/// Grants all of them to a site.
#[track_caller]
fn grant_all(geo: &Geo, site: usize) {
    let node = geo.sites[site].node();
    let last = TICKETS - 1;
    node.ok(&format!("for n in $(seq 0 {last}); do booth grant -C m$n || exit 1; done"));
    assert_eq!(node.ok(GRANTED).trim_end(), TICKETS.to_string());
}

/// Waits until a site's CIB says that none is granted, and tells what its log says.
#[track_caller]
fn wait_revoked(geo: &Geo, site: usize) -> String {
    let node = geo.sites[site].node();
    node.wait(EXPIRE + 5, "all are revoked", &format!("[ \"$({GRANTED})\" = 0 ]"));
    let log = node.log();
    assert!(!log.contains("cannot revoke"), "{log}");
    log
}

fn cut_off(site: usize, name: &str) {
    with_geo(name, &plan(), |geo| {
        grant_all(geo, site);
        geo.sites[site].cut();
        let log = wait_revoked(geo, site);
        assert!(log.contains("tickets were revoked with one call"), "{log}");
    });
}

#[test]
fn a_site_that_is_cut_off_revokes_all_with_one_call() {
    cut_off(0, test_name!());
}

#[test]
fn so_does_a_site_with_pacemaker_2_1() {
    cut_off(1, test_name!());
}

#[test]
fn so_does_the_lease_guard() {
    with_geo(test_name!(), &plan(), |geo| {
        grant_all(geo, 0);
        let node = geo.sites[0].node();
        // Pacemaker is not to start another boothd.
        node.ok("crm_attribute -n maintenance-mode -v true");
        node.ok(&format!("kill -KILL $({DAEMON})"));
        let log = wait_revoked(geo, 0);
        assert!(log.contains("revoked tickets whose lease had ended"), "{log}");
    });
}
