// SPDX-License-Identifier: GPL-2.0-or-later
//! The first cluster of a geo-cluster made with crmsh, the second in its way: its `geo_join` gets
//! the files by ssh. Stood in for: systemctl, which says of corosync and pacemaker whether their
//! processes run, and the package record of booth, which crmsh asks for.

use super::geo::{with_geo, Geo, Plan};
use super::machine::Machine;
use super::record::wait_running;
use booth_harness::test_name;

/// Says whether services of a cluster run, and does nothing else.
const SYSTEMCTL: &str = "#!/bin/sh
case $1 in
is-active | status) pgrep -x \"${2%.service}d\\{0,1\\}\" >/dev/null ;;
is-enabled | is-system-running) ;;
*) exit 1 ;;
esac
";

/// What depends on the ticket.
const SERVICE: &str = "\
primitive rsc ocf:booth-test:Recorder op monitor interval=5s timeout=20s \\
    op start interval=0s timeout=20s op stop interval=0s timeout=20s
rsc_ticket rsc-with-tick-A tick-A: rsc loss-policy=stop
";

/// The resources of the second site, in the way of the first one's.
const SECOND_SITE: &str = "\
primitive booth-ip ocf:heartbeat:IPaddr2 params ip=10.77.0.39 cidr_netmask=24
primitive booth-site ocf:pacemaker:booth-site params config=booth op monitor interval=10s
group g-booth booth-ip booth-site
";

/// Adds to the CIB, in one step.
fn load(node: &Machine, text: &str) {
    node.write("/root/update", text, 0o644);
    node.ok("crm -D plain configure load update /root/update");
}

fn stand_in(node: &Machine) {
    node.write("/usr/bin/systemctl", SYSTEMCTL, 0o755);
    node.ok("mkdir -p /tmp/booth/DEBIAN && cd /tmp/booth &&
        printf '%s\\n' 'Package: booth' 'Version: 1' 'Architecture: all' 'Maintainer: a <a@b.c>' \
            'Description: installed from source' >DEBIAN/control &&
        dpkg-deb -b . /tmp/booth.deb && dpkg -i /tmp/booth.deb");
}

/// `crm cluster geo_init` on the first cluster.
fn geo_init(geo: &Geo) {
    let node = geo.sites[0].node();
    stand_in(node);
    let made = node.run(
        "crm -D plain cluster geo_init --clusters 'a=10.77.0.19 b=10.77.0.39' \
         --arbitrator 10.77.0.50 --tickets tick-A,tick-B -y </dev/null",
    );
    assert_eq!(made.code, Some(0), "{}", made.text());
    let config = node.ok("cat /etc/booth/booth.conf");
    for line in [
        "transport=\"UDP\"",
        "port=\"9929\"",
        "site=\"10.77.0.19\"",
        "ticket=\"tick-A\"",
        "expire=\"600\"",
        "authfile=\"/etc/booth/authkey\"",
    ] {
        assert!(config.lines().any(|other| other == line), "{line}: {config}");
    }
    node.ok("booth check");
    assert_eq!(node.ok("stat -c '%s %a' /etc/booth/authkey"), "64 600\n");
    let shown = node.ok("crm -D plain configure show");
    for part in ["ocf:pacemaker:booth-site", "params config=booth", "group g-booth "] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// The commands of boothd(8), as they stand there but for the address: a daemon that dies is
/// noticed.
#[test]
fn the_recipe_of_the_manual_watches_the_daemon() {
    with_geo(test_name!(), &Plan::bare(), |geo| {
        let node = geo.sites[0].node();
        stand_in(node);
        let page = include_str!("../../man/boothd.8");
        let mine = |word: &&str| ["primitive", "monitor", "group"].contains(word);
        let commands = page.lines().filter_map(|line| {
            let command = line.strip_prefix(".Dl # ")?;
            command.strip_prefix("crm configure ")?.split(' ').next().filter(mine)?;
            Some(command.replace("192.0.2.10", "10.77.0.19"))
        });
        let commands: Vec<String> = commands.collect();
        assert_eq!(commands.len(), 5, "{commands:?}");
        for command in commands {
            node.ok(&format!("{command} </dev/null"));
        }
        for resource in ["booth-ip", "booth-site"] {
            let operation = format!("//primitive[@id='{resource}']//op[@name='monitor']");
            let found = node.ok(&format!("cibadmin --query --xpath \"{operation}\""));
            assert!(found.contains("interval=\"10s\""), "{resource}: {found}");
        }
    });
}

#[test]
fn crmsh_makes_a_cluster_that_works() {
    with_geo(test_name!(), &Plan::bare(), |geo| {
        geo_init(geo);
        geo.distribute();
        geo.start_arbitrator();
        stand_in(geo.sites[1].node());
        load(geo.sites[1].node(), SECOND_SITE);
        geo.sites[0].node().ok("crm -D plain resource start g-booth");
        for site in &geo.sites {
            site.wait_ready("tick-A");
            load(site.node(), SERVICE);
        }
        geo.booth(0, "grant -C tick-A").expect_code(0);
        wait_running("rsc", &["a1"], 20);
        let shown = geo.sites[0].node().ok("crm -D plain site ticket show tick-A");
        assert!(shown.contains("ticket tick-A is granted"), "{shown}");
        geo.sites[0].node().ok("crm -D plain site ticket standby tick-A");
        wait_running("rsc", &[], 20);
        geo.sites[0].node().ok("crm -D plain site ticket activate tick-A");
        wait_running("rsc", &["a1"], 20);
        geo.booth(1, "revoke -w tick-A").expect_code(0);
        wait_running("rsc", &[], 20);
    });
}
