// SPDX-License-Identifier: GPL-2.0-or-later
//! A geo-cluster that is set up, used and taken down with pcs. Nothing is stubbed: what pcs says
//! to an init system it leaves out where there is none. Only the files are copied to the other
//! members by the test (`pcs booth sync` and `pull` need pcsd).

use super::geo::{with_geo, Geo, Plan};
use super::record::wait_running;
use booth_harness::test_name;

/// What pcs writes for the commands of the test.
const CONFIG: &str = "\
authfile = /etc/booth/booth.key
site = 10.77.0.19
site = 10.77.0.39
arbitrator = 10.77.0.50
ticket = \"tick-A\"
  acquire-after = 5
  attr-prereq = manual any ne no
  before-acquire-handler = /bin/true
  expire = 20
  renewal-freq = 8
  retries = 3
  timeout = 1
  weights = 1,2
";

/// Site `a`: pcs writes the configuration.
fn set_up(geo: &Geo) {
    let node = geo.sites[0].node();
    node.ok("pcs booth setup sites 10.77.0.19 10.77.0.39 arbitrators 10.77.0.50");
    node.ok("pcs booth ticket add tick-A expire=20 timeout=1 retries=3 acquire-after=5 \
             renewal-freq=8 weights=1,2 before-acquire-handler=/bin/true \
             attr-prereq='manual any ne no'");
    assert_eq!(node.ok("pcs booth config"), CONFIG);
    assert_eq!(node.ok("cat /etc/booth/booth.conf"), CONFIG);
    node.ok("booth check");
    // Its key: 64 bytes, and only of the daemon's user.
    assert_eq!(
        node.ok("stat -c '%s %a %U:%G' /etc/booth/booth.key"),
        "64 600 hacluster:haclient\n"
    );
}

/// Both sites: pcs makes the resources, with our agent.
fn create(geo: &Geo) {
    for site in &geo.sites {
        let node = site.node();
        let created = node.run(&format!("pcs booth create ip {}", site.address)).expect_code(0);
        assert!(!created.text().contains("Error"), "{}", created.text());
        node.ok(
            "pcs resource create --disabled rsc ocf:booth-test:Recorder op monitor interval=5s",
        );
        node.ok("pcs constraint ticket add tick-A rsc loss-policy=stop && pcs resource enable rsc");
    }
    for site in &geo.sites {
        let shown =
            "pcs status | grep -q 'booth-booth-service.*(ocf:pacemaker:booth-site):.*Started'";
        site.node().wait(40, "boothd is started", shown);
        site.wait_ready("tick-A");
    }
}

/// What `pcs booth status` shows at a holder.
fn assert_status(geo: &Geo, leader: &str) {
    let text = geo.sites[0].node().ok("pcs booth status");
    let wanted = [
        format!("TICKETS:\nticket: tick-A, leader: {leader}, expires: 20"),
        "\nPEERS:\nsite         10.77.0.39, last recv: 20".to_owned(),
        "\narbitrator   10.77.0.50, last recv: 20".to_owned(),
        "\nDAEMON STATUS:\nbooth_lockpid=".to_owned(),
        " booth_state=started booth_type=site booth_cfg_name='booth' ".to_owned(),
    ];
    for part in wanted {
        assert!(text.contains(&part), "{part}:\n{text}");
    }
}

#[test]
fn pcs_sets_up_grants_and_takes_down() {
    with_geo(test_name!(), &Plan::bare(), |geo| {
        set_up(geo);
        geo.distribute();
        geo.start_arbitrator();
        create(geo);
        let [a, b] = [geo.sites[0].node(), geo.sites[1].node()];
        a.ok("pcs booth ticket grant tick-A");
        wait_running("rsc", &["a1"], 20);
        assert_status(geo, "10.77.0.19");
        a.ok("pcs booth ticket standby tick-A");
        wait_running("rsc", &[], 20);
        assert!(geo.sites[0].ticket("tick-A").contains(" granted=\"true\""));
        a.ok("pcs booth ticket unstandby tick-A");
        wait_running("rsc", &["a1"], 20);
        // A second grant is refused, and pcs says why.
        let refused = b.run("pcs booth ticket grant tick-A");
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.text().contains("granting a granted ticket"), "{refused:?}");
        a.ok("pcs booth ticket revoke tick-A");
        wait_running("rsc", &[], 20);
        // At the other site, asked for from here.
        a.ok("pcs booth ticket grant tick-A 10.77.0.39");
        wait_running("rsc", &["b1"], 20);
        a.ok("pcs booth ticket revoke tick-A 10.77.0.39");
        wait_running("rsc", &[], 20);
        take_down(geo);
    });
}

/// Site `a` again: the ticket, the resources, the configuration.
fn take_down(geo: &Geo) {
    let node = geo.sites[0].node();
    node.ok("pcs constraint ticket remove tick-A rsc && pcs resource delete rsc");
    node.ok("pcs booth ticket remove tick-A");
    let without = CONFIG.split("ticket =").next().expect("a first part");
    assert_eq!(node.ok("pcs booth config"), without);
    node.ok("pcs booth ticket cleanup tick-A");
    assert_eq!(geo.sites[0].ticket("tick-A"), "");
    let used = node.run("pcs booth destroy").expect_code(1);
    assert!(used.text().contains("is used in cluster resource 'booth-booth-service'"), "{used:?}");
    node.ok("pcs booth remove");
    assert_eq!(node.run("booth status").code, Some(7));
    node.ok("pcs booth destroy");
    // What the package brings stays; the configuration and the key do not.
    assert_eq!(node.ok("ls /etc/booth"), "alert.d\nbooth.conf.example\n");
}
