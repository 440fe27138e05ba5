// SPDX-License-Identifier: GPL-2.0-or-later
//! The agent `booth-site`, ours and the one that Debian ships, driven by Pacemaker.

use super::geo::{with_geo, Geo, Plan, LONG_EXPIRE};
use super::record::{running, spans, wait_running};
use booth_harness::test_name;

/// Finds the daemon, not the keeper.
pub const DAEMON: &str = "booth status | sed -n 's/.*booth_lockpid=\\([0-9]*\\) .*/\\1/p'";

/// Pacemaker brings boothd back after each way in which it may end, and nothing is lost.
fn is_kept_running(geo: &mut Geo) {
    geo.grant(0, "a1");
    let node = geo.sites[0].node();
    let first = node.ok(DAEMON);
    let first = first.trim_end();
    assert!(!first.is_empty(), "no process: {}", node.run("booth status").text());
    // Killed: the monitor sees it, and it is started again.
    node.ok(&format!("kill -KILL {first}"));
    let other =
        format!("pid=$({DAEMON}); [ -n \"$pid\" ] && [ \"$pid\" != {first} ] && booth list");
    node.wait(30, "Pacemaker has started boothd again", &other);
    let failures = node.ok("crm_mon -1 --exclude=all --include=failures,failcounts");
    assert!(failures.contains("booth"), "Pacemaker has noticed: {failures}");
    node.wait(20, "the ticket is led here", &leads(geo));
    // Stopped and started by the administrator.
    node.ok("crm_resource --resource booth --cleanup && crm_resource --wait --timeout=40s");
    node.ok("crm_resource --resource booth --restart --timeout=50s");
    node.wait(20, "the ticket is led here", &leads(geo));
    assert_eq!(spans("rsc").len(), 1, "the resource never stopped");
    assert_eq!(running("rsc"), ["a1"]);
    // Stopped for good: the keeper outlives it and ends the grant in time.
    node.ok("crm_resource -r g-booth --meta --set-parameter target-role --parameter-value Stopped");
    node.wait(20, "boothd has ended", "! booth status");
    wait_running("rsc", &["b1"], u64::from(LONG_EXPIRE) + 40);
    assert!(!geo.sites[0].is_granted("t"));
}

fn leads(geo: &Geo) -> String {
    format!("booth list | grep -q '^ticket: t, leader: {},'", geo.sites[0].address)
}

#[test]
fn ours_is_kept_running_by_pacemaker() {
    let plan = Plan { expire: LONG_EXPIRE, ..Plan::usual() };
    with_geo(test_name!(), &plan, is_kept_running);
}

#[test]
fn debians_agent_keeps_our_boothd_running() {
    let plan = Plan { agents: ["debian:booth-site"; 2], expire: LONG_EXPIRE, ..Plan::usual() };
    with_geo(test_name!(), &plan, |geo| {
        let text = geo.sites[0].node().ok("crm_resource --resource booth --query-xml");
        assert!(text.contains("provider=\"debian\""), "{text}");
        is_kept_running(geo);
    });
}

/// Pacemaker reloads what has other arguments, and disturbs nothing that depends on it.
#[test]
fn other_arguments_are_a_reload() {
    let plan = Plan { expire: LONG_EXPIRE, ..Plan::usual() };
    with_geo(test_name!(), &plan, |geo| {
        geo.grant(0, "a1");
        let node = geo.sites[0].node();
        let first = node.ok(DAEMON);
        node.ok("crm_resource --resource booth --set-parameter args --parameter-value=-D");
        let other =
            format!("pid=$({DAEMON}); [ -n \"$pid\" ] && [ \"$pid\" != {} ]", first.trim_end());
        node.wait(30, "another daemon runs", &other);
        node.wait(20, "the ticket is led here", &leads(geo));
        node.ok("crm_resource --wait --timeout=40s");
        let log = node.ok("grep -h -c 'reload operation for booth' /var/log/pacemaker/*.log");
        assert_ne!(log.trim(), "0");
        let failures = node.ok("crm_mon -1 --exclude=all --include=failures,failcounts");
        assert!(!failures.contains("booth"), "{failures}");
        assert_eq!(spans("rsc").len(), 1, "the resource never stopped");
    });
}
