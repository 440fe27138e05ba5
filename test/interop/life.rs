// SPDX-License-Identifier: GPL-2.0-or-later
//! The whole life of a ticket in every mixture of two sites and an arbitrator: start, grant,
//! renewals, revoke at the other site, grant there, failover, return, step by step.

use crate::lists::{agree, agree_that_it_is_new};
use crate::traffic::is_clean;
use booth_harness::{run, test_name, until, Cluster, Kind, Need, Setup, Sniffer};
use std::time::Duration;
use Kind::{Ours, Theirs};

const NEEDS: &[Need] = &[Need::Root, Need::Reference];
const SOON: Duration = Duration::from_secs(5);

/// Runs it with these members; the last is the arbitrator.
#[track_caller]
fn live(name: &str, kinds: [Kind; 3], with_key: bool) {
    run(name, NEEDS, |lab| {
        let setup = Setup::of(&kinds);
        let setup = if with_key { setup.with_key() } else { setup };
        let sniffer = Sniffer::new(lab);
        let mut cluster = Cluster::started(lab, &setup);
        agree_that_it_is_new(&cluster);

        cluster.grant(0, &[0, 1, 2]);
        agree(&cluster);
        let first = cluster.crm(0).state("t1").expect("granted").number("expires");
        until(Duration::from_secs(14), "it is renewed twice", || {
            (cluster.crm(0).state("t1")?.number("expires") >= first + 9).then_some(())
        });
        let lost = cluster
            .crm(0)
            .history("t1")
            .iter()
            .skip_while(|c| c.granted != Some(true))
            .any(|change| change.granted == Some(false));
        assert!(!lost, "it was lost between renewals");

        let revoked = cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        assert!(revoked.stderr.contains("revoke succeeded!"), "{revoked:?}");
        assert!(!cluster.crm(0).is_granted("t1"));
        until(SOON, "revoked everywhere", || {
            (0..3).all(|index| cluster.leader(index, "t1") == "none").then_some(())
        });
        agree(&cluster);

        cluster.grant(1, &[0, 1, 2]);
        fail_over(&mut cluster);
        agree(&cluster);
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        is_clean(&cluster, &sniffer);
    });
}

/// Kills the holder, site 1; site 0 takes over; site 1 comes back and follows.
fn fail_over(cluster: &mut Cluster) {
    let before = cluster.crm(0).history("t1").len();
    cluster.kill(1);
    until(Duration::from_secs(20), "the other site takes over", || {
        cluster.crm(0).is_granted("t1").then_some(())
    });
    let taken = cluster.crm(0).history("t1")[before..]
        .iter()
        .find(|change| change.granted == Some(true))
        .cloned()
        .expect("it is granted");
    // Nobody revokes at a site whose daemon is dead, but the lease that it had has to be over.
    let expires = cluster.crm(1).state("t1").expect("it was granted").number("expires");
    let early = expires as f64 - taken.at;
    // Reference: followers count from a validity that was rounded down twice.
    assert!(early < 2.1, "taken over {early} s before its end");
    cluster.start(1);
    cluster.wait_leader(&[0, 1, 2], 0, SOON * 2);
    until(SOON, "the old holder's CIB is clean", || {
        (!cluster.crm(1).is_granted("t1")).then_some(())
    });
}

#[test]
fn our_site_leads_first() {
    live(test_name!(), [Ours, Theirs, Theirs], false);
}

#[test]
fn our_site_follows_first() {
    live(test_name!(), [Theirs, Ours, Theirs], false);
}

#[test]
fn our_arbitrator() {
    live(test_name!(), [Theirs, Theirs, Ours], false);
}

#[test]
fn their_arbitrator() {
    live(test_name!(), [Ours, Ours, Theirs], false);
}

#[test]
fn their_second_site() {
    live(test_name!(), [Ours, Theirs, Ours], false);
}

#[test]
fn their_first_site() {
    live(test_name!(), [Theirs, Ours, Ours], false);
}

#[test]
fn our_site_leads_first_with_a_key() {
    live(test_name!(), [Ours, Theirs, Theirs], true);
}

#[test]
fn our_site_follows_first_with_a_key() {
    live(test_name!(), [Theirs, Ours, Theirs], true);
}

#[test]
fn our_arbitrator_with_a_key() {
    live(test_name!(), [Theirs, Theirs, Ours], true);
}

#[test]
fn their_arbitrator_with_a_key() {
    live(test_name!(), [Ours, Ours, Theirs], true);
}

#[test]
fn nobody_of_ours() {
    // What the case expects is what the reference does by itself.
    live(test_name!(), [Theirs, Theirs, Theirs], false);
}
