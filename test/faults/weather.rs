// SPDX-License-Identifier: GPL-2.0-or-later
//! Links that delay, double, reorder and hold back: a switch of the tests' own between members
//! in network namespaces of their own.

use crate::watch::{holding, keeps, never_two, wait_granted, wait_revoked, FAIL_OVER, LEASE};
use booth_harness::{run, test_name, until, Cluster, Counts, Link, Need, Setup, Weather};
use std::time::Duration;

/// What cases with a switch need.
const SWITCH_NEEDS: &[Need] = &[Need::Root, Need::Tap];
const SOON: Duration = Duration::from_secs(8);

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// What becomes of a thousand frames in this weather: the copies, by arrival.
fn thousand(seed: u64, weather: Weather) -> (Vec<(Duration, u64)>, Counts) {
    let mut link = Link::new(seed);
    link.weather = weather;
    let mut arrivals = Vec::new();
    for number in 0..1000_u64 {
        let copies = link.take(&number.to_be_bytes());
        // One frame a millisecond.
        arrivals.extend(copies.iter().map(|copy| (millis(number) + copy.after, copy.number)));
    }
    arrivals.sort();
    for (_, number) in &arrivals {
        link.arrives(*number);
    }
    (arrivals, link.counts)
}

#[test]
fn a_link_does_what_its_weather_says() {
    let (fair, counts) = thousand(1, Weather::default());
    assert!(fair.iter().enumerate().all(|(n, (at, _))| *at == millis(n as u64)), "{fair:?}");
    assert_eq!(counts, Counts { came: 1000, went: 1000, ..Counts::default() });
    let (_, counts) = thousand(1, Weather { loss: 30, twice: 20, ..Weather::default() });
    assert!((250..350).contains(&counts.lost), "{counts:?}");
    assert!((100..180).contains(&counts.twice), "{counts:?}");
    assert_eq!(counts.went, 1000 - counts.lost + counts.twice);
    let slow = Weather { delay: millis(50), jitter: millis(30), ..Weather::default() };
    let (late, counts) = thousand(1, slow);
    assert!(late.iter().all(|(at, n)| (50..80).contains(&(at.as_millis() as u64 + 1 - n))));
    assert!(counts.overtaken > 300, "{counts:?}");
    assert_eq!(thousand(7, slow), thousand(7, slow), "the same seed");
    assert_ne!(thousand(7, slow), thousand(8, slow), "another seed");
}

#[test]
fn a_clogged_link_keeps_frames_and_a_cut_one_loses_them() {
    let mut link = Link::new(1);
    link.weather.clogged = true;
    assert!(link.take(b"one").is_empty() && link.take(b"two").is_empty());
    assert!(link.holds() && link.released().is_empty());
    link.weather = Weather { cut: true, ..Weather::default() };
    assert!(link.take(b"three").is_empty());
    assert_eq!(link.counts.lost, 1);
    let bytes: Vec<Vec<u8>> = link.released().into_iter().map(|copy| copy.bytes).collect();
    assert_eq!(bytes, [b"one", b"two"]);
    assert!(!link.holds());
}

#[test]
fn a_holder_stays_in_foul_weather() {
    run(test_name!(), SWITCH_NEEDS, |lab| {
        let switch = lab.plug(3, 11);
        let cluster = holding(lab, &Setup::usual());
        let foul = Weather {
            loss: 15,
            twice: 25,
            delay: millis(20),
            jitter: millis(500),
            ..Weather::default()
        };
        switch.set_all(|weather| *weather = foul);
        keeps(&cluster, 0, Duration::from_secs(25));
        // Few datagrams are on one link at once, so that it may take long until one overtakes.
        until(Duration::from_secs(60), "all of it has happened", || {
            keeps(&cluster, 0, millis(500));
            let counts = switch.counts();
            [counts.lost, counts.twice, counts.overtaken]
                .iter()
                .all(|count| *count > 0)
                .then_some(())
        });
        switch.heal();
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        never_two(&cluster);
    });
}

/// With a key, members that have been restarted let each other's packets in only after a round
/// trip (boothd(8), AUTHENTICATION), of which every part can be lost, doubled or late.
#[test]
fn with_a_key_restarts_in_foul_weather_cost_no_lease() {
    run(test_name!(), SWITCH_NEEDS, |lab| {
        let switch = lab.plug(3, 14);
        let mut cluster = holding(lab, &Setup::usual().with_key());
        let foul = Weather {
            loss: 15,
            twice: 25,
            delay: millis(20),
            jitter: millis(300),
            ..Weather::default()
        };
        switch.set_all(|weather| *weather = foul);
        for _ in 0..3 {
            for follower in [1, 2] {
                cluster.kill(follower);
            }
            cluster.start_all();
            keeps(&cluster, 0, Duration::from_secs(8));
        }
        cluster.kill(0);
        cluster.start(0);
        keeps(&cluster, 0, LEASE);
        switch.heal();
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        never_two(&cluster);
    });
}

#[test]
fn with_a_key_all_start_at_once_in_foul_weather() {
    run(test_name!(), SWITCH_NEEDS, |lab| {
        let switch = lab.plug(3, 15);
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        let foul =
            Weather { loss: 30, delay: millis(5), jitter: millis(100), ..Weather::default() };
        switch.set_all(|weather| *weather = foul);
        for _ in 0..3 {
            for member in [0, 1, 2] {
                cluster.kill(member);
            }
            cluster.start_all();
            until(Duration::from_secs(10), "every member knows that it is free", || {
                let free = |index| cluster.list(index) == "ticket: t1, leader: none\n";
                (0..3).all(free).then_some(())
            });
        }
    });
}

#[test]
fn acknowledgements_that_arrive_after_the_lease_revive_nothing() {
    run(test_name!(), SWITCH_NEEDS, |lab| {
        let switch = lab.plug(3, 12);
        let cluster = holding(lab, &Setup::usual());
        // The followers hear the holder; what they say is held back for longer than a lease.
        for follower in [1, 2] {
            switch.set(follower, 0, |weather| weather.clogged = true);
        }
        wait_revoked(&cluster, 0, LEASE + Duration::from_secs(1));
        let grants = cluster.crm(0).calls_of("grant").len();
        wait_granted(&cluster, 1, FAIL_OVER * 2);
        switch.heal();
        until(SOON, "what was held back has arrived", || (!switch.holds()).then_some(()));
        cluster.wait_leader(&[0, 1, 2], 1, SOON);
        keeps(&cluster, 1, LEASE);
        assert_eq!(cluster.crm(0).calls_of("grant").len(), grants, "a grant after the lease");
    });
}

#[test]
fn datagrams_that_are_several_leases_late_move_nothing() {
    run(test_name!(), SWITCH_NEEDS, |lab| {
        let switch = lab.plug(3, 13);
        let cluster = holding(lab, &Setup::usual());
        for member in [1, 2] {
            switch.set(0, member, |weather| weather.clogged = true);
            switch.set(member, 0, |weather| weather.clogged = true);
        }
        wait_granted(&cluster, 1, FAIL_OVER + LEASE);
        keeps(&cluster, 1, LEASE * 2);
        switch.heal();
        cluster.wait_leader(&[0, 1, 2], 1, SOON);
        keeps(&cluster, 1, LEASE);
    });
}
