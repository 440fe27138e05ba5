// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets: no elections, no expiry, and several sites may have one (P22).

use crate::quirk::differs;
use booth_harness::{run, test_name, under_test, until, Cluster, Need, Setup};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

fn manual() -> Setup {
    let tickets = "ticket = \"t1\"\n\tmode = manual\n\texpire = 10\n\ttimeout = 1\n\tretries = 3\n";
    Setup::usual().tickets(tickets)
}

fn line(cluster: &Cluster, leader: usize) -> String {
    format!("ticket: t1, leader: {}, expires: INF [manual mode]\n", cluster.address(leader))
}

/// Waits until every member lists exactly this.
#[track_caller]
fn wait_list(cluster: &Cluster, wanted: &str) {
    for index in 0..3 {
        until(SOON, &format!("member {index} lists {wanted:?}"), || {
            (cluster.list(index) == wanted).then_some(())
        });
    }
}

#[test]
fn it_is_granted_at_once_and_revoked() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &manual());
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        assert!(cluster.crm(0).is_granted("t1"));
        wait_list(&cluster, &line(&cluster, 0));
        // Granted here: a success. Granted elsewhere: refused.
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        cluster.booth(1, &["grant", "t1"]).expect_code(1);
        let answers = cluster.ask(1, &cluster.request(1, "CGnt", "t1"), SOON);
        assert_eq!(answers.only().outcome(), "Over");
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        assert!(!cluster.crm(0).is_granted("t1"));
        wait_list(&cluster, "ticket: t1, leader: none [manual mode]\n");
    });
}

#[test]
fn it_is_granted_whoever_is_down() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &manual());
        cluster.start(0);
        let answers = cluster.ask(0, &cluster.request(0, "CGnt", "t1"), SOON);
        let done = answers.last().outcome() == "0" && cluster.crm(0).is_granted("t1");
        assert_eq!(done, differs(216, true, false), "{answers:?}");
    });
}

#[test]
fn two_holders_are_shown_until_one_is_revoked() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &manual());
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        wait_list(&cluster, &line(&cluster, 0));
        cluster.booth(1, &["grant", "-F", "t1"]).expect_code(0);
        assert!(cluster.crm(0).is_granted("t1") && cluster.crm(1).is_granted("t1"));
        for index in 0..3 {
            until(SOON, "the warning names both", || {
                let list = cluster.list(index);
                let (ticket, warning) = list.split_once("\n\n")?;
                let both = warning.contains(&cluster.address(0).to_string())
                    && warning.contains(&cluster.address(1).to_string());
                let begin = "WARNING: The ticket t1 is granted to multiple sites: ";
                let end = "Revoke the ticket from the faulty sites.";
                let right = warning.starts_with(begin) && warning.trim_end().ends_with(end);
                (both && right && ticket.starts_with("ticket: t1, leader: ")).then_some(())
            });
        }
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        assert!(cluster.crm(0).is_granted("t1") && !cluster.crm(1).is_granted("t1"));
        wait_list(&cluster, &line(&cluster, 0));
    });
}

#[test]
fn a_restarted_holder_still_has_it() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &manual());
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        cluster.kill(0);
        cluster.start(0);
        wait_list(&cluster, &line(&cluster, 0));
        assert!(
            cluster.crm(0).history("t1").iter().filter(|c| c.granted == Some(false)).count() <= 1
        );
    });
}

#[test]
fn nobody_takes_it_over() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &manual());
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        wait_list(&cluster, &line(&cluster, 0));
        cluster.kill(0);
        let taken = booth_harness::value_within(Duration::from_secs(13), || {
            cluster.crm(1).is_granted("t1").then_some(())
        });
        assert!(taken.is_none(), "the other site took it");
        assert_eq!(cluster.list(1), line(&cluster, 0));
    });
}
