// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals to the daemon.

use crate::quirk::differs;
use booth_harness::{run, test_name, under_test, until, Cluster, Need, Setup};
use std::time::Duration;

#[test]
fn term_and_int_end_it_in_order() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        for name in ["TERM", "INT"] {
            let begun = std::time::Instant::now();
            let status = cluster.members[0].end(name);
            assert_eq!(status.code(), Some(0), "{name}: {status:?}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{name}: {:?}", begun.elapsed());
            assert!(!cluster.members[0].lock_file().exists(), "{name}");
            cluster.start(0);
        }
    });
}

#[test]
fn a_ticket_is_not_given_up_by_stopping() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        cluster.stop(0);
        assert!(cluster.crm(0).is_granted("t1"));
        cluster.start(0);
        cluster.wait_leader(&[0, 1, 2], 0, Duration::from_secs(5));
    });
}

#[test]
fn usr1_logs_every_ticket() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let before = cluster.members[0].log().len();
        cluster.members[0].signal("USR1");
        until(Duration::from_secs(3), "the ticket is logged", || {
            cluster.members[0].log()[before..].contains("t1").then_some(())
        });
        cluster.booth(0, &["list"]).expect_code(0);
    });
}

#[test]
fn pipe_and_hup_do_no_harm() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.members[0].signal("PIPE");
        cluster.booth(0, &["list"]).expect_code(0);
        cluster.members[0].signal("HUP");
        let ended =
            booth_harness::value_within(Duration::from_secs(1), || cluster.members[0].exited());
        assert_eq!(ended.is_some(), differs(207, false, true), "{ended:?}");
    });
}
