// SPDX-License-Identifier: GPL-2.0-or-later
//! `service-runnable` as before-acquire-handler: a ticket goes where its resource can run.

use super::geo::{with_geo, Plan, ACQUIRE_AFTER, EXPIRE};
use super::record::{assert_never_twice, note_crash, wait_running};
use booth_harness::{pass, test_name, until};
use std::time::Duration;

fn plan() -> Plan {
    let handler = "  before-acquire-handler = /usr/share/booth/service-runnable rsc\n";
    Plan { ticket: handler.to_owned(), ..Plan::usual() }
}

#[test]
fn a_ticket_leaves_a_site_whose_resource_cannot_run() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.grant(0, "a1");
        let [a, b] = [geo.sites[0].node(), geo.sites[1].node()];
        // It fails, and cannot be started again: Pacemaker bans it from this node.
        a.wait(20, "it has been started", "test -e /run/Dummy-rsc.state");
        a.ok("touch /shared/broken-a1 && rm /run/Dummy-rsc.state /run/recorder-rsc");
        note_crash("a1");
        wait_running("rsc", &["b1"], u64::from(EXPIRE) + 20);
        // The holder gave it up at a renewal: nobody waited for the end of its lease.
        assert!(!b.log().contains("has ended"), "{}", b.log());
        assert!(!geo.sites[0].is_granted("t"));
        assert!(a.log().contains("service-runnable"), "{}", a.log());
        // The old site is asked, and refuses.
        b.ok("booth revoke -w t");
        wait_running("rsc", &[], 20);
        let refused = geo.booth(0, "grant -C t");
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(!geo.sites[0].is_granted("t"));
        // Repaired, it can have the ticket again.
        a.ok(
            "rm /shared/broken-a1 && crm_resource --resource rsc --cleanup && crm_resource --wait",
        );
        geo.grant(0, "a1");
        assert_never_twice("rsc");
    });
}

#[test]
fn a_site_that_could_not_run_the_resource_does_not_take_the_ticket_over() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.sites[1].node().ok("crm_resource --resource rsc --ban --node b1");
        geo.grant(0, "a1");
        geo.sites[0].cut();
        wait_running("rsc", &[], u64::from(EXPIRE) + 10);
        // It is asked in its turn, and says no.
        let b = geo.sites[1].node();
        let asked = "booth list | grep -qi 'leader: none'";
        b.wait(EXPIRE + 20, "the second site knows that the ticket is free", asked);
        let limit = Duration::from_secs(u64::from(EXPIRE + ACQUIRE_AFTER) + 20);
        until(limit, "the handler of the second site refuses", || {
            b.log().contains("resource rsc could not run here").then_some(())
        });
        assert!(!geo.sites[1].is_granted("t"));
        // As soon as it could, it takes it.
        b.ok("crm_resource --resource rsc --clear --node b1");
        wait_running("rsc", &["b1"], u64::from(EXPIRE) + 20);
        assert_never_twice("rsc");
    });
}

/// Stopped for longer than renewals and the end of a lease take, the ticket is still here.
#[test]
fn what_an_administrator_wishes_costs_no_ticket() {
    with_geo(test_name!(), &plan(), |geo| {
        geo.grant(0, "a1");
        let node = geo.sites[0].node();
        let target = "crm_resource -r rsc --meta --set-parameter target-role --parameter-value";
        let wishes = [
            ("crm_ticket --ticket t --standby", "crm_ticket --ticket t --activate".to_owned()),
            (&format!("{target} Stopped"), format!("{target} Started")),
        ];
        for (wish, end) in wishes {
            node.ok(wish);
            wait_running("rsc", &[], 20);
            pass(Duration::from_secs(u64::from(EXPIRE) + 2));
            assert!(geo.sites[0].is_granted("t"), "{wish}: {}", node.log());
            assert!(!geo.sites[1].is_granted("t"), "{wish}");
            node.ok(&end);
            wait_running("rsc", &["a1"], 20);
        }
        assert_never_twice("rsc");
    });
}
