// SPDX-License-Identifier: GPL-2.0-or-later
//! A site of Debian 12: Pacemaker 2.1, whose `crm_ticket` and `crm_simulate` talk otherwise than
//! those of Pacemaker 3, which the other site has.

use super::geo::{with_geo, Plan, ACQUIRE_AFTER, EXPIRE, LONG_EXPIRE};
use super::record::{assert_never_twice, note_crash, spans, wait_running};
use booth_harness::test_name;

fn plan() -> Plan {
    let handler = "  before-acquire-handler = /usr/share/booth/service-runnable rsc\n";
    Plan { ticket: handler.to_owned(), roots: ["cluster", "older"], ..Plan::usual() }
}

#[test]
fn pacemaker_2_1_is_granted_renewed_and_moved_away_from() {
    with_geo(test_name!(), &Plan { expire: LONG_EXPIRE, ..plan() }, |geo| {
        let node = geo.sites[1].node();
        assert!(node.ok("crm_ticket --version").contains("Pacemaker 2.1"));
        geo.grant(1, "b1");
        let told = node.ok("crm_ticket -t t -G expires");
        let renewed = format!("[ \"$(crm_ticket -t t -G expires)\" -gt {} ]", told.trim_end());
        node.wait(EXPIRE, "the ticket is renewed", &renewed);
        // Attributes, there and back.
        node.ok("geostore set foo 'a \"b\" <&> c'");
        node.wait(10, "the CIB has it", "[ \"$(crm_ticket -t t -G foo)\" = 'a \"b\" <&> c' ]");
        node.ok("crm_ticket -t t -S bar -v OK && geostore delete foo");
        node.wait(10, "the CIB has it no more", "! crm_ticket -t t -q | grep -q ' foo='");
        // What the CIB says is taken up again after a restart.
        node.ok("crm_resource --resource booth --restart --timeout=50s");
        let leads = format!("booth list | grep -q 'leader: {},'", geo.sites[1].address);
        node.wait(20, "it is led here again", &leads);
        assert_eq!(node.ok("geostore get bar"), "OK\n");
        assert_eq!(spans("rsc").len(), 1, "{:?}", spans("rsc"));
        // It fails and cannot be started again: crm_simulate says so, and the ticket moves.
        node.wait(20, "it has been started", "test -e /run/Dummy-rsc.state");
        node.ok("touch /shared/broken-b1 && rm /run/Dummy-rsc.state /run/recorder-rsc");
        note_crash("b1");
        wait_running("rsc", &["a1"], u64::from(EXPIRE) + 20);
        assert!(!geo.sites[1].is_granted("t"));
        assert_eq!(geo.booth(1, "revoke -w t").code, Some(0));
        wait_running("rsc", &[], 20);
        assert_never_twice("rsc");
    });
}

#[test]
fn pacemaker_2_1_takes_over_and_stops_in_time() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.grant(0, "a1");
        geo.sites[0].cut();
        wait_running("rsc", &["b1"], u64::from(EXPIRE + ACQUIRE_AFTER) + 15);
        geo.sites[0].heal();
        let follows = format!("booth list | grep -q 'leader: {},'", geo.sites[1].address);
        geo.sites[0].node().wait(20, "the old holder follows", &follows);
        geo.sites[1].cut();
        wait_running("rsc", &["a1"], u64::from(EXPIRE + ACQUIRE_AFTER) + 15);
        assert!(!geo.sites[1].is_granted("t"));
        assert_never_twice("rsc");
    });
}
