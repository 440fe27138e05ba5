// SPDX-License-Identifier: GPL-2.0-or-later
//! Members that die, stop, go on and come back.

use crate::watch::{
    holding, keeps, never_two, wait_granted, wait_revoked, FAIL_OVER, LEASE, NEEDS,
};
use booth_harness::{report, run, setup_ticket, test_name, until, Setup};
use std::time::Duration;

#[test]
fn a_killed_holder_loses_its_ticket_to_the_other_site() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        cluster.kill(0);
        wait_granted(&cluster, 1, FAIL_OVER);
        never_two(&cluster);
        cluster.start(0);
        cluster.wait_leader(&[0, 1, 2], 1, Duration::from_secs(8));
        keeps(&cluster, 1, Duration::from_secs(6));
    });
}

#[test]
fn a_stopped_holder_does_not_hold_beyond_its_lease() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        cluster.members[0].signal("STOP");
        wait_granted(&cluster, 1, FAIL_OVER);
        never_two(&cluster);
        let grants = cluster.crm(0).calls_of("grant").len();
        cluster.members[0].signal("CONT");
        // It finds acknowledgements that waited in its socket, and may not believe them.
        cluster.wait_leader(&[0, 1, 2], 1, Duration::from_secs(8));
        keeps(&cluster, 1, Duration::from_secs(6));
        assert_eq!(cluster.crm(0).calls_of("grant").len(), grants, "a grant after the lease");
    });
}

/// `acquire-after` of the case that measures it: far more than an election takes.
const ACQUIRE_AFTER: u32 = 6;

/// The other site is granted the ticket `acquire-after` after the end of the lease, not before.
fn resources_have_their_time(name: &str, fault: &str) {
    run(name, NEEDS, |lab| {
        let more = format!("\tacquire-after = {ACQUIRE_AFTER}\n");
        let mut cluster = holding(lab, &Setup::usual().tickets(setup_ticket("t1", &more)));
        match fault {
            "KILL" => cluster.kill(0),
            _ => cluster.members[0].signal(fault),
        }
        let limit = FAIL_OVER + Duration::from_secs(u64::from(ACQUIRE_AFTER));
        wait_granted(&cluster, 1, limit);
        let granted = cluster.crm(1).history("t1").last().expect("it is granted").at;
        let history = cluster.crm(0).history("t1");
        let last = history.iter().rfind(|change| change.granted == Some(true));
        // Rounded down from the end of the lease, which may have been renewed once more since.
        let lease_until = last.expect("it was granted").number("expires") as f64;
        let after = granted - lease_until;
        report(&format!("{fault} of the holder: granted {after:.2} s after the end of its lease"));
        assert!(after >= f64::from(ACQUIRE_AFTER), "after {after:.2} s");
        never_two(&cluster);
    });
}

#[test]
fn after_a_kill_of_the_holder_the_resources_have_their_time() {
    resources_have_their_time(test_name!(), "KILL");
}

#[test]
fn after_a_stop_of_the_holder_the_resources_have_their_time() {
    resources_have_their_time(test_name!(), "STOP");
}

#[test]
fn a_holder_that_is_stopped_shortly_goes_on() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        for _ in 0..3 {
            cluster.members[0].signal("STOP");
            keeps(&cluster, 0, Duration::from_secs(3));
            cluster.members[0].signal("CONT");
            keeps(&cluster, 0, Duration::from_secs(5));
        }
    });
}

#[test]
fn a_holder_that_restarts_keeps_its_ticket() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        for _ in 0..3 {
            cluster.kill(0);
            cluster.start(0);
            keeps(&cluster, 0, Duration::from_secs(3));
        }
        keeps(&cluster, 0, LEASE);
    });
}

#[test]
fn a_flapping_follower_and_arbitrator_do_not_unseat_the_holder() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        for round in 0..8 {
            let member = 1 + round % 2;
            cluster.kill(member);
            cluster.start(member);
            keeps(&cluster, 0, Duration::from_secs(3));
        }
    });
}

#[test]
fn all_restart_together_and_the_holder_stays() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        for member in 0..3 {
            cluster.kill(member);
        }
        cluster.start_all();
        keeps(&cluster, 0, LEASE + Duration::from_secs(2));
    });
}

#[test]
fn a_holder_without_majority_gives_up_and_comes_back() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        cluster.kill(1);
        cluster.kill(2);
        wait_revoked(&cluster, 0, FAIL_OVER);
        cluster.start(2);
        // One site and the arbitrator are a majority; the lost ticket is acquired again.
        wait_granted(&cluster, 0, FAIL_OVER * 2);
        cluster.start(1);
        cluster.wait_leader(&[0, 1, 2], 0, Duration::from_secs(8));
        never_two(&cluster);
    });
}

#[test]
fn an_arbitrator_that_forgets_gives_no_second_lease() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        // The other site only hears the arbitrator, which has just forgotten its promise.
        cluster.members[0].signal("STOP");
        for _ in 0..6 {
            cluster.kill(2);
            cluster.start(2);
            let early = booth_harness::value_within(Duration::from_secs(1), || {
                cluster.crm(1).is_granted("t1").then_some(())
            });
            if early.is_some() {
                break;
            }
        }
        never_two(&cluster);
        wait_granted(&cluster, 1, FAIL_OVER + LEASE);
        cluster.members[0].signal("CONT");
        until(Duration::from_secs(8), "all follow the new holder", || {
            let wanted = cluster.address(1).to_string();
            (0..3).all(|index| cluster.leader(index, "t1") == wanted).then_some(())
        });
        never_two(&cluster);
    });
}
