// SPDX-License-Identifier: GPL-2.0-or-later
//! `ocf-tester` of the resource agents' own project judges our agents, at a site that works.

use super::geo::{with_geo, Plan};
use super::machine::Machine;
use booth_harness::test_name;

/// Runs the tester on an agent, which has to pass.
#[track_caller]
fn passes(node: &Machine, agent: &str, parameters: &str) {
    let path = format!("/usr/lib/ocf/resource.d/{agent}");
    let tested = node.run(&format!("ocf-tester -n tested {parameters} {path}"));
    let text = tested.text();
    println!("{text}");
    assert_eq!(tested.code, Some(0), "{text}");
    assert!(text.contains(&format!("{path} passed all tests")), "{text}");
}

#[test]
fn all_agents_pass() {
    let plan = Plan { ticket: "  attr-prereq = auto repl eq OK\n".to_owned(), ..Plan::usual() };
    with_geo(test_name!(), &plan, |geo| {
        let node = geo.sites[0].node();
        passes(node, "booth/geostore", "-o booth_ticket=t -o booth_config=booth");
        // It has spoken with the other site, and left nothing there.
        let attribute = geo.sites[1].node().run("geostore get repl");
        assert_eq!(attribute.code, Some(1), "{attribute:?}");
        passes(node, "booth/sharedrsc", "-o dir=/shared/tested");
        // The tester starts and stops boothd itself, at the address that it needs.
        node.ok(
            "crm_resource -r booth --meta --set-parameter target-role --parameter-value Stopped",
        );
        node.wait(30, "Pacemaker has stopped boothd", "! booth status");
        node.ok("crm_resource --wait --timeout=40s");
        for config in ["booth", "/etc/booth/booth.conf"] {
            passes(node, "pacemaker/booth-site", &format!("-o config={config}"));
        }
    });
}
