// SPDX-License-Identifier: GPL-2.0-or-later
//! Wall clocks that are set while the daemon runs: nothing about a ticket may depend on them but
//! the times that are shown and stored. The clocks that count go on as they are.

use crate::watch::{grant, keeps, never_two, wait_granted, FAIL_OVER, LEASE};
use booth_harness::{run, test_name, until, Cluster, Lab, Need, Setup, WallClock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CLOCK_NEEDS: &[Need] = &[Need::Root, Need::Faketime];
/// A renewal, every 5 s, corrects what the CIB says.
const RENEWED: Duration = Duration::from_secs(9);
const MINUTES: i64 = 60;

/// A cluster whose members have a clock each, with `t1` at site 0.
#[track_caller]
pub fn with_clocks(lab: &Lab) -> (Cluster<'_>, Vec<WallClock>) {
    clocks_of(lab, &Setup::usual())
}

/// The same with another configuration.
#[track_caller]
fn clocks_of<'lab>(lab: &'lab Lab, setup: &Setup) -> (Cluster<'lab>, Vec<WallClock>) {
    lab.own_devices();
    let mut cluster = Cluster::new(lab, setup);
    let clocks: Vec<WallClock> =
        (0..3).map(|member| WallClock::new(lab, &member.to_string())).collect();
    for (member, clock) in cluster.members.iter_mut().zip(&clocks) {
        member.environment.extend(clock.environment(lab));
    }
    cluster.start_all();
    grant(&cluster, 0);
    (cluster, clocks)
}

fn right_time() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// The site's CIB says within a renewal that the lease ends within a lease from now, by a clock
/// that is so many seconds ahead.
#[track_caller]
fn expires_by(cluster: &Cluster, site: usize, ahead: i64) {
    until(RENEWED, &format!("expires is right by a clock that is {ahead} s ahead"), || {
        let expires = cluster.crm(site).state("t1").expect("granted").number("expires");
        let left = expires - (right_time() + ahead);
        (-1..=10).contains(&left).then_some(())
    });
}

/// Sets the clocks of `whose` to each of these, and the ticket has to stay where it is.
#[track_caller]
fn stays(whose: &[usize]) -> impl FnOnce(&Lab) + '_ {
    move |lab| {
        let (cluster, clocks) = with_clocks(lab);
        expires_by(&cluster, 0, 0);
        for ahead in [7 * MINUTES, -5 * MINUTES, 20, 0] {
            for member in whose {
                clocks[*member].set(ahead);
            }
            let holders = if whose.contains(&0) { ahead } else { 0 };
            expires_by(&cluster, 0, holders);
            keeps(&cluster, 0, LEASE / 2 + Duration::from_secs(1));
            // Everybody still names the holder, and shows the end by a clock of its own.
            cluster.wait_leader(&[0, 1, 2], 0, Duration::from_secs(2));
        }
    }
}

#[test]
fn a_holder_whose_clock_is_set_keeps_its_ticket() {
    run(test_name!(), CLOCK_NEEDS, stays(&[0]));
}

#[test]
fn followers_whose_clocks_are_set_change_nothing() {
    run(test_name!(), CLOCK_NEEDS, stays(&[1, 2]));
}

#[test]
fn all_clocks_are_set_together() {
    run(test_name!(), CLOCK_NEEDS, stays(&[0, 1, 2]));
}

#[test]
fn the_program_goes_by_the_clock_that_is_set() {
    run(test_name!(), CLOCK_NEEDS, |lab| {
        // Without this, all other cases here would prove nothing.
        let (cluster, clocks) = with_clocks(lab);
        clocks[0].set(60 * MINUTES);
        expires_by(&cluster, 0, 60 * MINUTES);
        let expires = cluster.crm(0).state("t1").expect("granted").number("expires");
        assert!(expires - right_time() > 59 * MINUTES, "{expires}");
        keeps(&cluster, 0, Duration::from_secs(1));
    });
}

/// Nobody is there who could renew the lease, and the clock is set while it runs out.
fn ends_in_time(lab: &Lab, ahead: i64) {
    let (mut cluster, clocks) = with_clocks(lab);
    cluster.members[1].signal("STOP");
    cluster.members[2].signal("STOP");
    clocks[0].set(ahead);
    crate::watch::wait_revoked(&cluster, 0, LEASE + Duration::from_secs(1));
    cluster.kill(0);
    cluster.members[1].signal("CONT");
    cluster.members[2].signal("CONT");
    wait_granted(&cluster, 1, FAIL_OVER + LEASE);
    never_two(&cluster);
}

#[test]
fn a_lease_ends_in_time_although_the_clock_is_set_back() {
    run(test_name!(), CLOCK_NEEDS, |lab| ends_in_time(lab, -60 * MINUTES));
}

#[test]
fn a_lease_ends_in_time_although_the_clock_is_set_ahead() {
    run(test_name!(), CLOCK_NEEDS, |lab| ends_in_time(lab, 60 * MINUTES));
}

#[test]
fn a_promise_ends_in_time_whatever_the_clock_says() {
    run(test_name!(), CLOCK_NEEDS, |lab| {
        let (mut cluster, clocks) = with_clocks(lab);
        cluster.kill(0);
        clocks[1].set(30 * MINUTES);
        clocks[2].set(-30 * MINUTES);
        wait_granted(&cluster, 1, FAIL_OVER);
        never_two(&cluster);
        keeps(&cluster, 1, LEASE);
    });
}

/// The holder's clock is wrong, and was so when its keeper started; then it dies, and the
/// guard has to keep the right time.
fn guard_is_in_time(lab: &Lab, ahead: i64) {
    let (mut cluster, clocks) = with_clocks(lab);
    clocks[0].set(ahead);
    expires_by(&cluster, 0, ahead);
    cluster.kill(0);
    cluster.start(0);
    keeps(&cluster, 0, Duration::from_secs(6));
    cluster.kill(0);
    wait_granted(&cluster, 1, FAIL_OVER);
    assert!(!cluster.crm(0).is_granted("t1"), "the guard has not revoked");
    never_two(&cluster);
    keeps(&cluster, 1, Duration::from_secs(3));
}

#[test]
fn a_lease_guard_is_in_time_although_the_clock_is_set_back() {
    run(test_name!(), CLOCK_NEEDS, |lab| guard_is_in_time(lab, -30 * MINUTES));
}

#[test]
fn a_lease_guard_is_in_time_although_the_clock_is_set_ahead() {
    run(test_name!(), CLOCK_NEEDS, |lab| guard_is_in_time(lab, 30 * MINUTES));
}

/// With a key the clocks have to agree: they are set together, by more and by less than
/// `maxtimeskew`, in one step and in several.
#[test]
fn all_clocks_are_set_together_with_a_key() {
    run(test_name!(), CLOCK_NEEDS, |lab| {
        let (cluster, clocks) = clocks_of(lab, &Setup::usual().with_key());
        for ahead in [240, 230, 225, 0, 9, 0].map(|minutes| minutes * MINUTES) {
            clocks.iter().for_each(|clock| clock.set(ahead));
            expires_by(&cluster, 0, ahead);
            keeps(&cluster, 0, Duration::from_secs(4));
        }
        // Clients, whose clock is right, are answered now.
        cluster.wait_leader(&[0, 1, 2], 0, Duration::from_secs(2));
    });
}

/// A holder whose clock is off by hours is not heard, loses its ticket in time, and is heard
/// again when its clock is right.
fn is_replaced_and_comes_back(lab: &Lab, ahead: i64) {
    let (mut cluster, clocks) = clocks_of(lab, &Setup::usual().with_key());
    clocks[0].set(ahead);
    crate::watch::wait_revoked(&cluster, 0, LEASE + Duration::from_secs(1));
    wait_granted(&cluster, 1, FAIL_OVER + LEASE);
    clocks[0].set(0);
    cluster.wait_leader(&[0, 1, 2], 1, LEASE);
    keeps(&cluster, 1, Duration::from_secs(6));
    cluster.kill(1);
    wait_granted(&cluster, 0, FAIL_OVER + LEASE);
    never_two(&cluster);
}

#[test]
fn a_holder_with_a_key_and_a_clock_ahead_is_replaced_and_comes_back() {
    run(test_name!(), CLOCK_NEEDS, |lab| is_replaced_and_comes_back(lab, 180 * MINUTES));
}

#[test]
fn a_holder_with_a_key_and_a_clock_behind_is_replaced_and_comes_back() {
    run(test_name!(), CLOCK_NEEDS, |lab| is_replaced_and_comes_back(lab, -180 * MINUTES));
}
