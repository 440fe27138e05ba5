// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets in mixed clusters.

use crate::lists::agree;
use booth_harness::{run, test_name, until, Cluster, Kind, Need, Setup};
use std::time::Duration;
use Kind::{Ours, Theirs};

const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn two_holders(name: &str, kinds: [Kind; 3]) {
    run(name, &[Need::Root, Need::Reference], |lab| {
        let tickets =
            "ticket = \"t1\"\n\tmode = manual\n\texpire = 10\n\ttimeout = 1\n\tretries = 3\n";
        let cluster = Cluster::started(lab, &Setup::of(&kinds).tickets(tickets));
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        agree(&cluster);
        cluster.booth(1, &["grant", "t1"]).expect_code(1);
        cluster.booth(1, &["grant", "-F", "t1"]).expect_code(0);
        for index in 0..3 {
            until(SOON, "both are named in the warning", || {
                let list = cluster.list(index);
                let warning = list.split("WARNING: ").nth(1)?;
                let named = |site: usize| warning.contains(&cluster.address(site).to_string());
                (named(0) && named(1)).then_some(())
            });
        }
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        agree(&cluster);
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        until(SOON, "revoked everywhere", || {
            (0..3).all(|index| cluster.leader(index, "t1") == "none").then_some(())
        });
        assert!(!cluster.crm(0).is_granted("t1") && !cluster.crm(1).is_granted("t1"));
    });
}

#[test]
fn granted_at_ours_first() {
    two_holders(test_name!(), [Ours, Theirs, Theirs]);
}

#[test]
fn granted_at_theirs_first() {
    two_holders(test_name!(), [Theirs, Ours, Theirs]);
}

#[test]
fn with_our_arbitrator() {
    two_holders(test_name!(), [Theirs, Theirs, Ours]);
}
