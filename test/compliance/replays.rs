// SPDX-License-Identifier: GPL-2.0-or-later
//! Recorded requests of clients, played to another member or to one that has been restarted (P9).
//! Beside each, what a client of the C version sends: it is bound to nothing, and works there
//! (boothd(8), AUTHENTICATION).

use crate::quirk::differs;
use booth_harness::{ask_with, run, test_name, under_test, until, Cluster, Need, Setup, PORT};
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

fn manual() -> Setup {
    let tickets = "ticket = \"t1\"\n\tmode = manual\n\texpire = 10\n\ttimeout = 1\n\tretries = 3\n";
    Setup::usual().with_key().tickets(tickets)
}

/// What a client sends to a member that does not run, in whose place the test listens.
#[track_caller]
fn recorded(cluster: &Cluster<'_>, index: usize, arguments: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind((cluster.address(index), PORT)).expect("its place is free");
    let recorder = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client comes");
        stream.set_read_timeout(Some(SOON)).expect("a limit that is not 0");
        let mut request = vec![0; 152];
        stream.read_exact(&mut request).expect("a request with a MAC");
        request
    });
    cluster.booth(index, arguments);
    recorder.join().expect("a request was recorded")
}

/// How a request ends that is played to a member: as four letters, or the command of the answer
/// if that is none to a request.
#[track_caller]
fn played(cluster: &Cluster<'_>, index: usize, request: &[u8]) -> String {
    let answers = ask_with(cluster.address(index), request, cluster.key.as_deref(), SOON);
    let last = answers.last();
    if last.command() == "Rslt" {
        last.outcome()
    } else {
        last.command()
    }
}

/// Checks that the CIB of a site says this, and that nothing else is written for a while. Who has
/// the ticket elsewhere may be written late.
#[track_caller]
fn stays(cluster: &Cluster<'_>, site: usize, granted: bool) {
    let history = || cluster.crm(site).history("t1");
    let before = history().len();
    booth_harness::pass(Duration::from_millis(300));
    assert_eq!(cluster.crm(site).is_granted("t1"), granted, "site {site}");
    let changes = history().split_off(before);
    let same = changes.iter().all(|change| change.granted == Some(granted));
    assert!(same, "site {site}: {changes:?}");
}

#[test]
fn a_revoke_for_one_member_is_none_for_another() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &manual());
        let request = recorded(&cluster, 1, &["revoke", "t1"]);
        cluster.start_all();
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        assert_eq!(played(&cluster, 0, &request), differs(209, "Auth", "0"));
        if differs(209, true, false) {
            stays(&cluster, 0, true);
            assert!(cluster.members[0].log().contains("meant for another member"));
        }
        // The control.
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        let unbound = cluster.request(1, "CRvk", "t1").seal(cluster.key.as_deref());
        assert_eq!(played(&cluster, 0, &unbound), "0");
        assert!(!cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn a_forced_grant_for_one_site_makes_no_second_holder() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &manual());
        let request = recorded(&cluster, 0, &["grant", "-F", "t1"]);
        cluster.start_all();
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        assert_eq!(played(&cluster, 1, &request), differs(209, "Auth", "0"));
        if differs(209, true, false) {
            stays(&cluster, 1, false);
        }
        // The control: -F is bit 0.
        let unbound = cluster.request(0, "CGnt", "t1").options(1);
        let unbound = unbound.seal(cluster.key.as_deref());
        assert_eq!(played(&cluster, 1, &unbound), "0");
        assert!(cluster.crm(0).is_granted("t1") && cluster.crm(1).is_granted("t1"));
    });
}

#[test]
fn what_was_sent_before_a_restart_is_void_after_it() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &manual());
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        let unbound = cluster.request(0, "CRvk", "t1").seal(cluster.key.as_deref());
        cluster.kill(0);
        let request = recorded(&cluster, 0, &["revoke", "t1"]);
        cluster.start(0);
        cluster.wait_leader(&[0], 0, SOON);
        // It is told to ask again with what only a present client can know.
        assert_eq!(played(&cluster, 0, &request), differs(209, "Hllo", "0"));
        if differs(209, true, false) {
            stays(&cluster, 0, true);
            // The control.
            assert_eq!(played(&cluster, 0, &unbound), "0");
        }
        assert!(!cluster.crm(0).is_granted("t1"));
        // A present client does.
        let granted = cluster.booth(0, &["grant", "t1"]).expect_code(0);
        assert!(granted.stderr.contains("grant succeeded!"), "{granted:?}");
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        assert!(!cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn long_after_a_start_a_client_asks_once() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &manual().global("maxtimeskew = 2\n"));
        for index in [1, 2] {
            cluster.start(index);
        }
        // Member 1 lets in what is stamped later than its start and maxtimeskew.
        booth_harness::pass(Duration::from_secs(4));
        cluster.kill(1);
        let request = recorded(&cluster, 1, &["grant", "t1"]);
        cluster.start(1);
        assert_eq!(played(&cluster, 1, &request), differs(209, "Hllo", "0"));
        booth_harness::pass(Duration::from_secs(4));
        // The program that asks is the same; what it sends first is let in now.
        let before = cluster.members[1].log().matches("told to ask again").count();
        cluster.booth(1, &["grant", "t1"]).expect_code(0);
        assert_eq!(cluster.members[1].log().matches("told to ask again").count(), before);
    });
}

#[test]
fn members_that_are_restarted_take_part_at_once_and_cost_no_lease() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        cluster.grant(0, &[0, 1, 2]);
        let before = cluster.crm(0).history("t1").len();
        for round in 0..3 {
            for index in [1, 2] {
                cluster.kill(index);
                cluster.start(index);
            }
            // Each of them is half of every majority, in turn.
            let down = 1 + round % 2;
            cluster.kill(down);
            let end = cluster.crm(0).state("t1").expect("granted").number("expires");
            until(Duration::from_secs(8), "it is renewed by the other one", || {
                (cluster.crm(0).state("t1")?.number("expires") > end).then_some(())
            });
            cluster.start(down);
        }
        let lost = cluster.crm(0).history("t1")[before..].iter().any(|c| c.granted != Some(true));
        assert!(!lost, "the lease was lost");
    });
}
