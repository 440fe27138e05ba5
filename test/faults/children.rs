// SPDX-License-Identifier: GPL-2.0-or-later
//! `crm_ticket` and handlers that hang, fail, are slow or are not there.

use crate::watch::{
    holding, keeps, list_time, never_two, wait_granted, wait_revoked, FAIL_OVER, LEASE, LINK_NEEDS,
    NEEDS,
};
use booth_harness::setup_ticket;
use booth_harness::{pass, run, test_name, until, value_within, Cluster, Links, Setup, Syslog};
use std::time::{Duration, Instant};

/// A `crm_ticket` that does not come back must not be noticed by anybody who asks for a list.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Asks for lists for `time`. All but the slowest few, for which a busy machine may be to
/// blame, have to be answered at once.
#[track_caller]
fn lists_are_quick(cluster: &Cluster, member: usize, time: Duration) {
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < time {
        times.push(list_time(cluster, member));
        pass(Duration::from_millis(20));
    }
    times.sort();
    let typical = times[times.len() * 9 / 10];
    assert!(typical < AT_ONCE, "{typical:?}, slowest {:?}", times.last());
    assert!(times.iter().all(|one| *one < Duration::from_secs(1)), "slowest {:?}", times.last());
}

#[test]
fn a_hung_renewal_does_not_unseat_a_healthy_holder() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let expires = || cluster.crm(0).state("t1").expect("granted").number("expires");
        cluster.crm(0).control("grant hang");
        let before = expires();
        lists_are_quick(&cluster, 0, Duration::from_secs(14));
        // The lease goes on; what is in the CIB says *granted* still, and is not renewed.
        assert!(cluster.crm(0).is_granted("t1") && expires() == before);
        assert!(
            cluster.list(0).contains(", note on ticket: CIB update failing since "),
            "{}",
            cluster.list(0)
        );
        cluster.crm(0).control("");
        until(Duration::from_secs(15), "it is renewed", || (expires() > before).then_some(()));
        never_two(&cluster);
    });
}

#[test]
fn a_grant_that_hangs_is_ended_and_revoked() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.crm(0).control("grant hang");
        let told = cluster.booth(0, &["grant", "t1"]);
        assert_ne!(told.code, Some(0), "{told:?}");
        until(FAIL_OVER, "a revoke follows what was ended", || {
            let grant = cluster.crm(0).calls_of("grant").pop()?;
            cluster.crm(0).calls_of("revoke").iter().any(|call| call.at > grant.at).then_some(())
        });
        lists_are_quick(&cluster, 0, Duration::from_secs(2));
        assert!(!cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn no_grant_is_executed_after_the_lease() {
    run(test_name!(), LINK_NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        // Each grant would take effect seven seconds after it begins.
        cluster.crm(0).control("grant delay 7");
        let calls = cluster.crm(0).calls_of("grant").len();
        until(Duration::from_secs(8), "a renewal is being written", || {
            (cluster.crm(0).calls_of("grant").len() > calls).then_some(())
        });
        let writes = cluster.crm(0).history("t1").len();
        links.cut(cluster.address(0), cluster.address(1));
        links.cut(cluster.address(0), cluster.address(2));
        lists_are_quick(&cluster, 0, Duration::from_secs(6));
        wait_revoked(&cluster, 0, LEASE);
        wait_granted(&cluster, 1, FAIL_OVER);
        keeps(&cluster, 1, Duration::from_secs(6));
        let late = &cluster.crm(0).history("t1")[writes..];
        assert!(late.iter().all(|change| change.granted == Some(false)), "{late:?}");
    });
}

#[test]
fn a_slow_crm_ticket_delays_nothing_else() {
    run(test_name!(), NEEDS, |lab| {
        let setup = Setup::usual();
        let tickets = setup.tickets.clone() + &setup_ticket("t2", "");
        let cluster = holding(lab, &setup.tickets(tickets));
        cluster.booth(0, &["grant", "-C", "t2"]).expect_code(0);
        // One ticket's call sleeps for a minute, all others' go on.
        cluster.crm(0).control("t1:grant delay 60");
        let before = cluster.crm(0).state("t2").expect("granted").number("expires");
        lists_are_quick(&cluster, 0, Duration::from_secs(12));
        let after = cluster.crm(0).state("t2").expect("granted");
        assert_eq!(after.granted, Some(true));
        assert!(after.number("expires") >= before + 9, "the other ticket is not renewed");
        cluster.booth(0, &["revoke", "t2"]).expect_code(0);
        assert!(!cluster.crm(0).is_granted("t2"));
        never_two(&cluster);
    });
}

#[test]
fn a_hung_revoke_is_repeated_until_it_works() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        cluster.crm(0).control("revoke stubborn");
        let told = cluster.booth(0, &["revoke", "t1"]);
        assert_ne!(told.code, Some(0), "{told:?}");
        lists_are_quick(&cluster, 0, Duration::from_secs(2));
        // Nobody may be told that it is free.
        let free = value_within(Duration::from_secs(3), || {
            (cluster.leader(1, "t1") == "none").then_some(())
        });
        assert!(free.is_none(), "announced before the CIB said so");
        cluster.crm(0).control("");
        wait_revoked(&cluster, 0, Duration::from_secs(40));
        never_two(&cluster);
    });
}

#[test]
fn a_failing_renewal_shows_in_list_and_recovers() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        cluster.crm(0).control("grant exit 1");
        until(Duration::from_secs(8), "list says that the CIB is not written", || {
            cluster.list(0).contains(", note on ticket: CIB update failing since ").then_some(())
        });
        cluster.crm(0).control("");
        until(Duration::from_secs(15), "list says so no more", || {
            (!cluster.list(0).contains("failing")).then_some(())
        });
        never_two(&cluster);
    });
}

/// What `pcs booth ticket cleanup` does to a ticket that is held.
#[test]
fn a_holder_says_that_its_ticket_was_cleaned_up_by_hand() {
    run(test_name!(), NEEDS, |lab| {
        lab.own_devices();
        let syslog = Syslog::new(lab);
        let cluster = holding(lab, &Setup::usual());
        let log = || syslog.lines();
        until(Duration::from_secs(15), "it is renewed", || {
            (cluster.crm(0).calls_of("grant").len() > 2).then_some(())
        });
        // Between two renewals.
        pass(Duration::from_secs(2));
        assert!(!log().contains("cleaned it up"), "{}", log());
        cluster.crm(0).put("t1", false, &[]);
        until(Duration::from_secs(20), "the log says so", || {
            log().contains("t1 is held here, but the store does not say granted").then_some(())
        });
        until(Duration::from_secs(5), "it is granted again", || {
            cluster.crm(0).is_granted("t1").then_some(())
        });
    });
}

/// Without it a site does not start (`test/daemon`); but an upgrade may take it away for a while.
#[test]
fn a_crm_ticket_that_goes_away_is_told_again_and_again() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let (here, aside) = (cluster.crm(0).bin().join("crm_ticket"), lab.dir().join("aside"));
        std::fs::rename(&here, &aside).expect("it was there");
        let told = cluster.booth(0, &["grant", "t1"]);
        assert_ne!(told.code, Some(0), "{told:?}");
        until(Duration::from_secs(10), "it is logged more than once", || {
            let log = cluster.members[0].log();
            (log.matches("crm_ticket is not in PATH").count() >= 2).then_some(())
        });
        // Nobody knows there what the store says: the others wait for it.
        let told = cluster.booth(1, &["grant", "t1"]);
        assert_ne!(told.code, Some(0), "{told:?}");
        std::fs::rename(&aside, &here).expect("it is put back");
        until(FAIL_OVER, "the others go on", || {
            (cluster.booth(1, &["grant", "t1"]).code == Some(0)).then_some(())
        });
        wait_granted(&cluster, 1, FAIL_OVER);
        never_two(&cluster);
    });
}

#[test]
fn a_handler_that_ignores_sigterm_does_not_keep_the_ticket() {
    run(test_name!(), NEEDS, |lab| {
        let flag = lab.dir().join("hang");
        let text = format!(
            "#!/bin/sh\n[ -e {} ] && [ \"$BOOTH_LOCAL\" = {} ] || exit 0\ntrap '' TERM\n\
             n=0; while [ $n -lt 120 ]; do sleep 1; n=$((n + 1)); done\n",
            flag.display(),
            lab.address(1),
        );
        let handler = lab.write("handler", text, 0o755);
        let setup = Setup::usual();
        let tickets = setup.tickets.clone() + &format!("\tbefore-acquire-handler = {handler}\n");
        let cluster = holding(lab, &setup.tickets(tickets));
        lab.write("hang", "", 0o666);
        lists_are_quick(&cluster, 0, Duration::from_secs(6));
        wait_revoked(&cluster, 0, FAIL_OVER);
        wait_granted(&cluster, 1, FAIL_OVER);
        never_two(&cluster);
        keeps(&cluster, 1, Duration::from_secs(6));
    });
}
