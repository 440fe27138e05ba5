// SPDX-License-Identifier: GPL-2.0-or-later
//! Many tickets of a site that end together: the keeper, with a daemon or without, revokes them
//! with one call of the real `cibadmin`. One site has Pacemaker 3, the other one 2.1.

use super::agents::DAEMON;
use super::geo::{with_geo, Geo, Plan, ACQUIRE_AFTER, LONG_EXPIRE, RENEWAL};
use booth_harness::{test_name, until};
use std::time::Duration;

/// More than are revoked one by one.
const TICKETS: usize = 24;
/// What the keeper logs.
const TOGETHER: &str = "tickets were written as not granted with one call";
/// How long before a lease ends the keeper is halted, in seconds. It revokes before that end, by
/// more than what a call may take.
const BEFORE: u32 = 15;
/// Counts the tickets of the CIB that are granted.
const GRANTED: &str =
    "cibadmin -Q -A /cib/status/tickets | grep 'id=\"m' | grep -c 'granted=\"true\"'";

fn plan() -> Plan {
    let ticket = |n| {
        format!(
            "ticket = \"m{n}\"\n  expire = {LONG_EXPIRE}\n  renewal-freq = {RENEWAL}\n  \
             acquire-after = {ACQUIRE_AFTER}\n  timeout = 1\n  retries = 3\n"
        )
    };
    let ticket = (0..TICKETS).map(ticket).collect();
    Plan { ticket, roots: ["cluster", "older"], ..Plan::usual() }
}

/// Grants all of them to a site, which then starts anew: from then on their leases end together.
/// Tells how long its log is by then.
#[track_caller]
fn hold_all(geo: &Geo, site: usize) -> usize {
    let node = geo.sites[site].node();
    let last = TICKETS - 1;
    node.ok(&format!("for n in $(seq 0 {last}); do booth grant -C m$n || exit 1; done"));
    node.ok("crm_resource --resource booth --restart --timeout=50s");
    let led = format!("grep '^ticket: m' | grep -c 'leader: {},'", geo.sites[site].address);
    node.wait(20, "all are led again", &format!("[ \"$(booth list | {led})\" = {TICKETS} ]"));
    assert_eq!(node.ok(GRANTED).trim_end(), TICKETS.to_string());
    node.log().len()
}

/// Halts the keeper, and these processes, while the leases end: then all of them are over when it
/// goes on, however far apart a slow machine's renewals were. The others stay halted.
#[track_caller]
fn assert_revoked_together(geo: &Geo, site: usize, others: &str, before: usize) {
    let node = geo.sites[site].node();
    // The oldest: a child of it has the same name until it has become `crm_ticket`.
    let pid = node.ok("pgrep -o -x booth-keeper");
    let keeper = pid.trim_end();
    // By then, the renewal before the cut or the kill has long been in the CIB.
    node.ok(&format!(
        "ends() {{
            cibadmin -Q -A /cib/status/tickets | grep 'id=\"m' | \
                sed -n 's/.* expires=\"\\([0-9]*\\)\".*/\\1/p' | sort -n
        }}
        until [ \"$(date +%s)\" -ge $(($(ends | head -n 1) - {BEFORE})) ]
        do
            sleep 0.2
        done
        kill -STOP {keeper} {others}
        last=$(ends | tail -n 1)
        until [ \"$(date +%s)\" -gt $((last + 1)) ]
        do
            sleep 0.2
        done
        kill -CONT {keeper}"
    ));
    node.wait(5, "all are revoked", &format!("[ \"$({GRANTED})\" = 0 ]"));
    let log = until(Duration::from_secs(5), "the log says so", || {
        let log = node.log().split_off(before);
        log.contains(TOGETHER).then_some(log)
    });
    assert!(!log.contains("cannot revoke"), "{log}");
}

fn cut_off(site: usize, name: &str) {
    with_geo(name, &plan(), |geo| {
        let before = hold_all(geo, site);
        geo.sites[site].cut();
        let daemon = geo.sites[site].node().ok(DAEMON);
        assert_revoked_together(geo, site, daemon.trim_end(), before);
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
fn so_does_the_keeper_of_a_dead_daemon() {
    with_geo(test_name!(), &plan(), |geo| {
        let before = hold_all(geo, 0);
        let node = geo.sites[0].node();
        // Pacemaker is not to start another boothd.
        node.ok("crm_attribute -n maintenance-mode -v true");
        node.ok(&format!("kill -KILL $({DAEMON})"));
        assert_revoked_together(geo, 0, "", before);
    });
}
