// SPDX-License-Identifier: GPL-2.0-or-later
//! A site with two nodes: boothd moves, or is lost with its node, and the ticket stays.

use super::geo::{with_geo, Geo, Plan, LONG_EXPIRE, RENEWAL};
use super::record::{assert_never_twice, running, spans, wait_running};
use booth_harness::{test_name, until};
use std::time::Duration;

/// Site `a` has two nodes; its resource prefers the second, boothd the first.
fn plan() -> Plan {
    let prefer = |resource: &str, node: &str| {
        format!(
            "<rsc_location id=\"{resource}-on-{node}\" rsc=\"{resource}\" node=\"{node}\" \
             score=\"100\"/>"
        )
    };
    let constraints = prefer("rsc", "a2") + &prefer("g-booth", "a1");
    Plan { nodes: [2, 1], expire: LONG_EXPIRE, constraints, ..Plan::usual() }
}

/// Waits until boothd of site `a` runs on a node and leads, and the other node has none.
#[track_caller]
fn wait_moved(geo: &Geo, to: usize) {
    let [here, there] = [&geo.sites[0].nodes[to], &geo.sites[0].nodes[1 - to]];
    let leads = format!(
        "booth status && booth list | grep -q '^ticket: t, leader: {},'",
        geo.sites[0].address
    );
    here.wait(40, "boothd runs here and leads", &leads);
    if there.is_up() {
        assert_eq!(there.run("booth status").code, Some(7), "two daemons at one site");
    }
}

/// The value of an attribute of the ticket in the CIB of site `a`.
fn attribute(geo: &Geo, node: usize, name: &str) -> String {
    geo.sites[0].nodes[node].ok(&format!("crm_ticket -t t -G {name}")).trim_end().to_owned()
}

/// Waits until the lease has been renewed since `before`, and nothing has stopped.
#[track_caller]
fn wait_renewed(geo: &Geo, node: usize, before: &str) {
    let renewed = format!("[ \"$(crm_ticket -t t -G expires)\" -gt {before} ]");
    geo.sites[0].nodes[node].wait(3 * RENEWAL, "the ticket is renewed", &renewed);
    assert_eq!(attribute(geo, node, "granted"), "true");
}

#[test]
fn boothd_moves_to_the_other_node_of_its_site() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.grant(0, "a2");
        wait_moved(geo, 0);
        for (to, node) in [(1, "a2"), (0, "a1")] {
            let told = attribute(geo, to, "expires");
            geo.sites[0].node().ok(&format!("crm_resource -r g-booth --move --node {node}"));
            wait_moved(geo, to);
            // The keeper of the node that it left is told of no renewal: when the lease that
            // it knows ends, it reads the CIB, sees a newer one, and does nothing.
            let old = &geo.sites[0].nodes[1 - to];
            until(Duration::from_secs(u64::from(LONG_EXPIRE) + 20), "it has seen that", || {
                old.log().contains("t has been granted anew through another node").then_some(())
            });
            let gone = "! ps -e -o args= | grep -q '[b]ooth-keeper'";
            old.wait(10, "the old node's keeper has gone", gone);
            wait_renewed(geo, to, &told);
            assert_eq!(running("rsc"), ["a2"]);
        }
        assert_eq!(spans("rsc").len(), 1, "the resource never stopped: {:?}", spans("rsc"));
        for node in &geo.sites[0].nodes {
            assert!(!node.log().contains("revoked t"), "{}", node.log());
        }
        // The new node's daemon gives the ticket up as usual.
        geo.booth(1, "revoke -w t").expect_code(0);
        wait_running("rsc", &[], 20);
    });
}

#[test]
fn a_node_that_is_lost_with_boothd_does_not_lose_the_ticket() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.grant(0, "a2");
        wait_moved(geo, 0);
        let told = attribute(geo, 1, "expires");
        geo.sites[0].crash(0);
        wait_moved(geo, 1);
        wait_renewed(geo, 1, &told);
        assert_eq!(running("rsc"), ["a2"]);
        assert_eq!(spans("rsc").len(), 1, "the resource never stopped: {:?}", spans("rsc"));
        // It comes back, and boothd moves to it again, as its node is preferred.
        geo.sites[0].reboot(0);
        wait_moved(geo, 0);
        wait_renewed(geo, 1, &attribute(geo, 1, "expires"));
        assert_eq!(spans("rsc").len(), 1, "the resource never stopped: {:?}", spans("rsc"));
    });
}

#[test]
fn a_site_that_is_cut_off_while_boothd_moves_gives_the_ticket_up() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.grant(0, "a2");
        wait_moved(geo, 0);
        // From now on the nodes of the site hear each other only.
        geo.sites[0].cut();
        geo.sites[0].node().ok("crm_resource -r g-booth --move --node a2");
        wait_running("rsc", &["b1"], u64::from(LONG_EXPIRE) + 40);
        let spans = spans("rsc");
        assert_eq!(spans.len(), 2, "{spans:?}");
        assert!(!geo.sites[0].is_granted("t"));
        assert_never_twice("rsc");
    });
}
