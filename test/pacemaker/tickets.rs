// SPDX-License-Identifier: GPL-2.0-or-later
//! What an administrator and agents do with a ticket that is held: standby, a restart of the
//! cluster, attributes.

use super::cib;
use super::geo::{with_geo, Geo, Plan, ACQUIRE_AFTER, EXPIRE, LONG_EXPIRE};
use super::record::{assert_never_twice, now, running, spans, wait_running};
use booth_harness::{test_name, until};
use std::time::Duration;

#[test]
fn standby_stops_the_resource_and_keeps_the_ticket() {
    let plan = Plan { expire: LONG_EXPIRE, ..Plan::usual() };
    with_geo(test_name!(), &plan, |geo| {
        geo.grant(0, "a1");
        let node = geo.sites[0].node();
        node.ok("crm_ticket --ticket t --standby");
        wait_running("rsc", &[], 20);
        let before = node.ok("crm_ticket -t t -G expires");
        let renewed = format!("[ \"$(crm_ticket -t t -G expires)\" -gt {} ]", before.trim_end());
        node.wait(EXPIRE, "the ticket is renewed", &renewed);
        let state = geo.sites[0].ticket("t");
        for part in [" granted=\"true\"", " standby=\"true\""] {
            assert!(state.contains(part), "{state}");
        }
        assert_eq!(running("rsc"), [""; 0]);
        // Not lost by a restart of the daemon either.
        node.ok("crm_resource --resource booth --restart --timeout=50s");
        node.wait(20, "it is led here", &format!("booth list | grep {}", geo.sites[0].address));
        assert!(geo.sites[0].ticket("t").contains(" standby=\"true\""));
        node.ok("crm_ticket --ticket t --activate");
        wait_running("rsc", &["a1"], 20);
    });
}

/// The whole cluster of a site restarts within the lease: Pacemaker keeps no tickets over that.
#[test]
fn a_site_that_restarts_runs_nothing_until_it_has_the_ticket_again() {
    with_geo(test_name!(), &Plan::usual(), |geo| {
        geo.grant(0, "a1");
        let crashed = now();
        geo.sites[0].crash(0);
        geo.sites[0].reboot(0);
        let answers = "crm_mon -1 | grep -q 'booth-site.*Started' && booth list";
        geo.sites[0].node().wait(60, "boothd runs again", answers);
        // One of the two gets it when the promises to the old holder have run out.
        let limit = Duration::from_secs(u64::from(EXPIRE + ACQUIRE_AFTER) + 30);
        let node = until(limit, "it runs again", || running("rsc").first().cloned());
        let spans = spans("rsc");
        assert!(spans[1].from - crashed > f64::from(EXPIRE) / 2.0 - 1.0, "too early: {spans:?}");
        let site = usize::from(node == "b1");
        geo.sites[site].wait_granted("t", true, 1);
        geo.assert_held_once();
        assert_never_twice("rsc");
    });
}

/// At both sites the agent `geostore` runs with the ticket, as replication would, and says so at
/// the other site, which may take the ticket over only then.
fn plan_with_attribute() -> Plan {
    let parameters = [("booth_ticket", "t"), ("booth_config", "booth")];
    let agent = cib::primitive("replica", "booth:geostore", &parameters, 5);
    Plan {
        ticket: "  attr-prereq = auto repl eq OK\n".to_owned(),
        resources: [agent.clone(), agent],
        constraints: cib::under_ticket("replica", "t"),
        ..Plan::usual()
    }
}

/// The attribute at a site, as its CIB has it.
fn replica(geo: &Geo, site: usize) -> String {
    geo.sites[site].node().run("crm_ticket -t t -G repl --quiet").stdout.trim_end().to_owned()
}

#[test]
fn an_attribute_of_an_agent_lets_the_other_site_take_over() {
    with_geo(test_name!(), &plan_with_attribute(), |geo| {
        assert_eq!([replica(geo, 0), replica(geo, 1)], ["", ""]);
        geo.grant(0, "a1");
        let set = "[ \"$(crm_ticket -t t -G repl)\" = OK ]";
        geo.sites[1].node().wait(20, "the agent has set the attribute there", set);
        let read = geo.sites[0].node().ok("geostore get -s other repl");
        assert_eq!(read, "OK\n");
        geo.sites[0].cut();
        wait_running("rsc", &["b1"], u64::from(EXPIRE + ACQUIRE_AFTER) + 15);
        assert_never_twice("rsc");
    });
}

#[test]
fn without_the_attribute_the_other_site_stays_away() {
    with_geo(test_name!(), &plan_with_attribute(), |geo| {
        geo.grant(0, "a1");
        let set = "[ \"$(crm_ticket -t t -G repl)\" = OK ]";
        geo.sites[1].node().wait(20, "the agent has set the attribute there", set);
        geo.sites[0].node().ok(
            "crm_resource -r replica --meta --set-parameter target-role --parameter-value Stopped",
        );
        geo.sites[1].node().wait(20, "the agent has deleted it", &format!("! {set}"));
        geo.sites[0].cut();
        let limit = Duration::from_secs(u64::from(EXPIRE + ACQUIRE_AFTER) + 20);
        until(limit, "the other site says why it stays away", || {
            let log = geo.sites[1].node().log();
            log.contains("attribute prerequisites do not hold").then_some(())
        });
        assert!(!geo.sites[1].is_granted("t"));
        assert_eq!(running("rsc"), [""; 0]);
        // The administrator may overrule it.
        geo.sites[1].node().ok("geostore set repl OK");
        wait_running("rsc", &["b1"], u64::from(EXPIRE) + 15);
        assert_never_twice("rsc");
    });
}
