// SPDX-License-Identifier: GPL-2.0-or-later
//! Wall clocks of another century: before 1970, after 2038 and after 2106, of all members or of
//! one, from the start or set while a ticket is held. Nothing about a lease may depend on them.

use crate::support::{frees, granted, holds, leaves_nothing, GRANTED, POOR, SOON};
use booth_harness::{
    finish, overlaps, pass, run, test_name, until, Cluster, Lab, Need, Setup, WallClock,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CLOCK_NEEDS: &[Need] = &[Need::Root, Need::Faketime];
/// More than a renewal, which comes every 5 s, and more than a lease.
const LEASE_AND_MORE: Duration = Duration::from_secs(12);

/// 1969-12-31, in seconds since 1970.
const BEFORE_1970: i64 = -86_400;
/// A day after the last second that 31 bits can count.
const AFTER_2038: i64 = (1 << 31) + 86_400;
/// The same with 32 bits.
const AFTER_2106: i64 = (1 << 32) + 86_400;

/// How far ahead, in seconds, a clock is that shows this time now.
fn ahead(time: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    time - i64::try_from(now.as_secs()).unwrap_or(0)
}

/// A cluster that has not started, whose members' clocks show this.
#[track_caller]
fn clocked<'lab>(
    lab: &'lab Lab,
    setup: &Setup,
    times: [Option<i64>; 3],
) -> (Cluster<'lab>, Vec<WallClock>) {
    lab.own_devices();
    let mut cluster = Cluster::new(lab, setup);
    let mut clocks = Vec::new();
    for (index, time) in times.into_iter().enumerate() {
        let clock = WallClock::new(lab, &index.to_string());
        clock.set(time.map_or(0, ahead));
        cluster.members[index].environment.extend(clock.environment(lab));
        clocks.push(clock);
    }
    (cluster, clocks)
}

/// What a client on the host of a member says that goes by the same clock.
#[track_caller]
fn client(lab: &Lab, cluster: &Cluster, index: usize, clock: &WallClock, words: &[&str]) -> String {
    let mut command = cluster.client(cluster.members[index].kind, index, words);
    let ended = finish(command.envs(clock.environment(lab)), GRANTED);
    if words[0] == "grant" {
        return ended.text();
    }
    ended.expect_code(0).text()
}

/// All have such a clock; a ticket is granted, renewed, moved and listed, with a key or without.
fn all_live_in(name: &str, time: i64, year: &str, with_key: bool) {
    run(name, CLOCK_NEEDS, |lab| {
        let setup = Setup::usual();
        let setup = if with_key { setup.with_key() } else { setup };
        let (mut cluster, clocks) = clocked(lab, &setup, [Some(time); 3]);
        cluster.start_all();
        let ask = |words: &[&str]| client(lab, &cluster, POOR, &clocks[POOR], words);
        until(GRANTED, "site 0 is granted the ticket", || {
            ask(&["grant", "t1"]);
            granted(&cluster, POOR).then_some(())
        });
        pass(LEASE_AND_MORE);
        assert!(granted(&cluster, POOR), "it is renewed");
        let list = ask(&["list"]);
        let expires = format!("leader: {}, expires: {year}", cluster.address(POOR));
        assert!(list.contains(&expires), "{list}");
        ask(&["revoke", "-w", "t1"]);
        assert!(!granted(&cluster, POOR));
        let peers = ask(&["peers"]);
        assert!(peers.contains(&cluster.address(1).to_string()), "{peers}");
    });
}

#[test]
fn all_live_before_1970() {
    all_live_in(test_name!(), BEFORE_1970, "1970-0", false);
}

#[test]
fn all_live_before_1970_with_a_key() {
    all_live_in(test_name!(), BEFORE_1970, "1970-0", true);
}

#[test]
fn all_live_after_2038_with_a_key() {
    all_live_in(test_name!(), AFTER_2038, "2038-01-20 ", true);
}

#[test]
fn all_live_after_2106() {
    all_live_in(test_name!(), AFTER_2106, "2106-02-08 ", false);
}

#[test]
fn all_live_after_2106_with_a_key() {
    all_live_in(test_name!(), AFTER_2106, "2106-02-08 ", true);
}

/// The holder's clock is set to each of these times while it holds.
#[test]
fn a_holder_goes_through_the_centuries() {
    run(test_name!(), CLOCK_NEEDS, |lab| {
        let (mut cluster, clocks) = clocked(lab, &Setup::usual(), [None; 3]);
        cluster.start_all();
        holds(&cluster, POOR);
        for time in [BEFORE_1970, AFTER_2038, AFTER_2106, BEFORE_1970] {
            clocks[POOR].set(ahead(time));
            pass(LEASE_AND_MORE / 2);
            assert!(granted(&cluster, POOR), "lost in {time}");
        }
        // Its restart goes on, or gives the ticket up; it is never held twice.
        cluster.kill(POOR);
        cluster.start(POOR);
        holds(&cluster, POOR);
        frees(&cluster, POOR);
        let both = overlaps(&cluster.histories("t1"));
        assert!(both.is_empty(), "granted at two sites: {both:#?}");
    });
}

#[test]
fn one_in_another_century_with_a_key_is_refused_with_a_word() {
    run(test_name!(), CLOCK_NEEDS, |lab| {
        let (mut cluster, clocks) =
            clocked(lab, &Setup::usual().with_key(), [None, Some(BEFORE_1970), None]);
        cluster.start_all();
        holds(&cluster, POOR);
        until(SOON, "the right one says what is wrong with the other", || {
            let log = cluster.members[POOR].log();
            let from = cluster.address(1).to_string();
            log.lines().any(|line| line.contains(&from) && line.contains("clock")).then_some(())
        });
        // Its own clients go by its clock.
        client(lab, &cluster, 1, &clocks[1], &["list"]);
        cluster.members[1].end("TERM");
        frees(&cluster, POOR);
    });
}

/// A boot without a battery: the clock is before 1970 until the time comes from the network.
#[test]
fn the_time_comes_after_the_start() {
    run(test_name!(), CLOCK_NEEDS, |lab| {
        let (mut cluster, clocks) =
            clocked(lab, &Setup::usual().with_key(), [Some(BEFORE_1970), None, None]);
        cluster.start_all();
        pass(Duration::from_secs(3));
        clocks[POOR].set(0);
        holds(&cluster, POOR);
        pass(LEASE_AND_MORE);
        assert!(granted(&cluster, POOR), "it is renewed");
        frees(&cluster, POOR);
        cluster.stop(POOR);
        leaves_nothing(&cluster, POOR);
    });
}
