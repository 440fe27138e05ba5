// SPDX-License-Identifier: GPL-2.0-or-later
//! Grants that take time: members that are down, `-w`, `-C`, `-F`, the commit delay.

use crate::quirk::differs;
use booth_harness::{run, test_name, under_test, until, Cluster, FakeMember, Lab, Need, Setup};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

/// How long a grant is kept from the CIB while a site is down: `acquire-after`, and for the
/// reference a lease more.
fn commit_delay() -> Duration {
    differs(217, Duration::from_secs(3), Duration::from_secs(13))
}

/// What no grant takes that waits for nobody. Less than `acquire-after` and the timeout of
/// [`a_dead_arbitrator_does_not_keep_a_grant`], much more than it takes on a machine at rest.
const QUICK: Duration = Duration::from_millis(2500);

/// A cluster that has been up, so that everybody knows everything; then `down` is killed.
fn without<'lab>(lab: &'lab Lab, down: &[usize]) -> Cluster<'lab> {
    let tickets = Setup::usual().tickets + "\tacquire-after = 3\n";
    without_of(lab, &tickets, down)
}

/// The same with these tickets.
fn without_of<'lab>(lab: &'lab Lab, tickets: &str, down: &[usize]) -> Cluster<'lab> {
    let mut cluster = Cluster::started(lab, &Setup::usual().tickets(tickets));
    cluster.grant(0, &[0, 1, 2]);
    cluster.booth(0, &["revoke", "t1"]).expect_code(0);
    for index in 0..3 {
        until(SOON, "revoked everywhere", || (cluster.leader(index, "t1") == "none").then_some(()));
    }
    for index in down {
        cluster.kill(*index);
    }
    cluster
}

#[test]
fn with_all_members_up_every_way_to_grant_is_quick() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = without(lab, &[]);
        for options in [&[][..], &["-w"], &["-C"], &["-w", "-C"], &["-F"]] {
            let arguments: Vec<&str> = [&["grant"], options, &["t1"]].concat();
            let told = cluster.booth(0, &arguments).expect_code(0);
            assert!(told.took < QUICK, "{arguments:?}: {:?}", told.took);
            // A vote that comes last leaves the commit pending for a moment: only -C waits for it.
            let granted = || cluster.crm(0).is_granted("t1").then_some(());
            let limit = if options.contains(&"-C") { Duration::ZERO } else { QUICK };
            until(limit, &format!("{arguments:?} is committed"), granted);
            cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        }
    });
}

#[test]
fn a_dead_arbitrator_does_not_keep_a_grant() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let tickets = "ticket = \"t1\"\n\texpire = 40\n\ttimeout = 4\n\tretries = 3\n";
        let cluster = without_of(lab, tickets, &[2]);
        let told = cluster.booth(0, &["grant", "-C", "t1"]).expect_code(0);
        assert!(cluster.crm(0).is_granted("t1"));
        // Reference: it waits for the missing vote until the timeout.
        assert_eq!(told.took < QUICK, differs(210, true, false), "{:?}", told.took);
    });
}

#[test]
fn a_dead_site_delays_the_commit() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = without(lab, &[1]);
        let begun = Instant::now();
        let answers = cluster.ask(0, &cluster.request(0, "CGnt", "t1").options(2), SOON);
        assert_eq!(answers.last().outcome(), "Pend", "{answers:?}");
        assert!(!cluster.crm(0).is_granted("t1"));
        let list = cluster.list(0);
        let begin = format!("ticket: t1, leader: {}, expires: ", cluster.address(0));
        assert!(list.starts_with(&begin), "{list:?}");
        assert!(list.contains(" (commit pending until "), "{list:?}");
        let limit = commit_delay() + Duration::from_secs(4);
        until(limit, "it is committed", || cluster.crm(0).is_granted("t1").then_some(()));
        assert!(begun.elapsed() >= commit_delay(), "after {:?}", begun.elapsed());
        assert!(!cluster.list(0).contains("pending"), "{}", cluster.list(0));
    });
}

#[test]
fn waiting_for_the_commit_ends_with_the_commit() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = without(lab, &[1]);
        let told = cluster.booth(0, &["grant", "-C", "t1"]).expect_code(0);
        assert!(cluster.crm(0).is_granted("t1"));
        assert!(told.took >= commit_delay(), "{:?}", told.took);
        assert!(told.stderr.contains("grant succeeded!"), "{told:?}");
    });
}

#[test]
fn force_does_not_wait_for_a_dead_site() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = without(lab, &[1]);
        let told = cluster.booth(0, &["grant", "-F", "t1"]).expect_code(0);
        assert!(cluster.crm(0).is_granted("t1"));
        assert!(told.took < Duration::from_secs(4), "{:?}", told.took);
    });
}

#[test]
fn the_commit_comes_early_when_the_site_comes_back() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = without(lab, &[1]);
        let told = cluster.booth(0, &["grant", "-w", "t1"]).expect_code(0);
        assert!(told.stderr.contains("pending"), "{told:?}");
        let begun = Instant::now();
        cluster.start(1);
        let limit = Duration::from_secs(8);
        until(limit, "it is committed", || cluster.crm(0).is_granted("t1").then_some(()));
        // Reference: with the next renewal or resend that the site answers.
        assert!(
            begun.elapsed() < commit_delay().max(Duration::from_secs(6)),
            "{:?}",
            begun.elapsed()
        );
    });
}

#[test]
fn without_a_majority_nothing_is_granted() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = without(lab, &[1, 2]);
        let begun = Instant::now();
        let told = cluster.booth(0, &["grant", "t1"]);
        // Reference: gives up at the third answer and exits with 0.
        assert_eq!(told.code, Some(differs(10, 1, 0)), "{told:?}");
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
        assert!(!told.stderr.contains("succeeded"), "{told:?}");
        assert!(!cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn a_client_that_waits_without_limit_gets_its_grant_when_a_majority_comes() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = without(lab, &[1, 2]);
        let mut command = under_test().command(lab, "booth", None);
        command.args(["grant", "-w", "t1", "-c", &cluster.config]);
        command.args(["-s", &cluster.address(0).to_string()]);
        // On the arbitrator's place, which is free: it hears the candidate.
        let ear = FakeMember::new(cluster.address(2), None);
        let waiting = std::thread::spawn(move || {
            booth_harness::finish(&mut command, Duration::from_secs(30))
        });
        ear.expect(cluster.address(0), "RVot", SOON);
        drop(ear);
        cluster.start(2);
        cluster.start(1);
        let told = waiting.join().expect("it ends in time").expect_code(0);
        assert!(told.stderr.contains("grant succeeded"), "{told:?}");
        let limit = Duration::from_secs(18);
        until(limit, "it is committed", || cluster.crm(0).is_granted("t1").then_some(()));
    });
}

#[test]
fn revoking_while_the_commit_is_pending_ends_it() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = without(lab, &[1]);
        cluster.booth(0, &["grant", "-w", "t1"]).expect_code(0);
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        assert_eq!(cluster.leader(0, "t1"), "none");
        assert!(
            cluster.crm(0).history("t1").iter().filter(|c| c.granted == Some(true)).count() == 1
        );
    });
}
