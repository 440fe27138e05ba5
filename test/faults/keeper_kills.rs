// SPDX-License-Identifier: GPL-2.0-or-later
//! A holder whose keeper is killed or stopped, alone or together with its boothd (`guards` is
//! about boothd alone). As long as one of both lives no two stores say *granted*; where both are
//! gone while the lease ends, condition 4 of `RULES.md` fails, and what is shown is that the
//! store says *revoked* soon after boothd is back.
//!
//! `BOOTH_FAULTS_ROUNDS` says how many times, 5 if it says nothing.

use crate::guards::{directory, granted, moves, started, Store};
use crate::watch::{never_two, number, wait_until, FAIL_OVER, LEASE, NEEDS};
use booth_harness::{pass, report, run_for, test_name, under_test, Cluster, Kind, Lab};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// Within this after its start a boothd has revoked what it finds: *g*, with room for a busy
/// machine, and for a keeper that has to be given up first.
const BACK: Duration = Duration::from_secs(5);

/// One kind of round.
#[derive(Clone, Copy)]
struct Fault {
    /// What the keeper gets.
    keeper: &'static str,
    /// What boothd gets.
    boothd: &'static str,
    /// How long before boothd, in milliseconds; below 0: after it.
    before: i64,
    /// How long after the second of both boothd comes back.
    back: Duration,
    /// What has to come of it.
    end: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The holder keeps the ticket.
    Stays,
    /// The other site gets it, after the store of this one says *revoked*.
    Moves,
    /// Both hold it, until boothd is back.
    Revoked,
}

/// Sends a signal to the keeper of a site and returns its process id.
#[track_caller]
pub fn signal_keeper(cluster: &Cluster, site: usize, name: &str) -> u32 {
    let pid = cluster.keeper(site).expect("a keeper runs");
    booth_harness::signal(pid, name);
    pid
}

/// The end of the lease that the site's store shows.
fn expires(cluster: &Cluster, store: Store, site: usize) -> i64 {
    match store {
        Store::Pacemaker => cluster.crm(site).state("t1").map(|state| state.number("expires")),
        Store::Directory => {
            let text = std::fs::read_to_string(directory(cluster, site).join("t1"));
            let text = text.unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix("expires="));
            value.and_then(|value| value.parse().ok())
        }
    }
    .unwrap_or_default()
}

/// For `time`, the holder's store says *granted* at every look, and the other's never.
#[track_caller]
pub fn stays(cluster: &Cluster, store: Store, holder: usize, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let after = begun.elapsed();
        assert!(granted(cluster, store, holder), "lost after {after:?}");
        assert!(!granted(cluster, store, 1 - holder), "two after {after:?}");
        pass(Duration::from_millis(10));
    }
}

/// Gives a ticket to site 0 and lets `round` happen to its holder so often; it returns where
/// the ticket is then.
fn rounds(
    name: &str,
    store: Store,
    excused: bool,
    round: impl Fn(&Lab, &mut Cluster, usize) -> usize,
) {
    let count = number("BOOTH_FAULTS_ROUNDS").unwrap_or(5);
    run_for(name, NEEDS, Duration::from_secs(60 + 60 * count), |lab| {
        assert_eq!(under_test(), Kind::Ours, "the reference has no keeper");
        let mut cluster = started(lab, store);
        let mut holder = 0;
        for _ in 0..count {
            cluster.wait_leader(&[0, 1, 2], holder, SOON);
            holder = round(lab, &mut cluster, holder);
        }
        if store == Store::Pacemaker && !excused {
            never_two(&cluster);
        }
        report(&format!("{count} times"));
    });
}

/// The keeper alone: boothd puts another in its place, and renewals go on.
fn replaced(name: &str, store: Store, signal: &'static str) {
    rounds(name, store, false, |_, cluster, holder| {
        let before = expires(cluster, store, holder);
        let old = signal_keeper(cluster, holder, signal);
        // A stopped one is noticed by what it leaves unread, which takes a renewal and 5 s.
        stays(cluster, store, holder, LEASE + Duration::from_secs(3));
        let new = cluster.keeper(holder);
        assert!(new.is_some_and(|new| new != old), "{new:?} after {old}");
        let renewed = expires(cluster, store, holder) - before;
        assert!(renewed >= 5, "renewed by {renewed} s");
        holder
    });
}

/// Both.
fn both(name: &str, store: Store, fault: Fault) {
    let excused = fault.end == Outcome::Revoked;
    rounds(name, store, excused, |lab, cluster, holder| {
        strike(cluster, holder, &fault);
        let other = 1 - holder;
        let (begun, mut gone) = (Instant::now(), Instant::now());
        match fault.end {
            Outcome::Moves => {
                moves(cluster, store, holder, other);
                come_back(lab, cluster, holder, &fault);
            }
            Outcome::Stays => {
                stays(cluster, store, holder, fault.back);
                come_back(lab, cluster, holder, &fault);
                stays(cluster, store, holder, LEASE + Duration::from_secs(6));
            }
            Outcome::Revoked => {
                wait_until(FAIL_OVER, "the other has it", || granted(cluster, store, other));
                assert!(granted(cluster, store, holder), "who has revoked it?");
                pass(fault.back.saturating_sub(begun.elapsed()));
                gone = Instant::now();
                come_back(lab, cluster, holder, &fault);
                wait_until(BACK, "it is revoked", || !granted(cluster, store, holder));
            }
        }
        if fault.boothd == "KILL" {
            cluster.members[holder].wait_started();
        }
        if fault.end == Outcome::Revoked {
            report(&format!("revoked within {:?} after boothd is back", gone.elapsed()));
        }
        if fault.end == Outcome::Stays {
            holder
        } else {
            stays(cluster, store, other, Duration::from_secs(3));
            other
        }
    });
}

/// Both get their signals.
#[track_caller]
fn strike(cluster: &Cluster, site: usize, fault: &Fault) {
    let gap = Duration::from_millis(fault.before.unsigned_abs());
    if fault.before >= 0 {
        signal_keeper(cluster, site, fault.keeper);
        pass(gap);
        cluster.members[site].signal(fault.boothd);
    } else {
        cluster.members[site].signal(fault.boothd);
        pass(gap);
        signal_keeper(cluster, site, fault.keeper);
    }
}

/// boothd goes on, or another is started; whether that has started is not waited for.
#[track_caller]
fn come_back(lab: &Lab, cluster: &mut Cluster, site: usize, fault: &Fault) {
    if fault.boothd == "STOP" {
        cluster.members[site].signal("CONT");
    } else {
        cluster.members[site].wait_end(SOON);
        cluster.members[site].spawn(lab);
    }
}

/// The tests of one kind of round, with both stores.
macro_rules! with_both_stores {
    ($($in_the_cib:ident, $in_its_directory:ident: $how:ident($what:expr);)*) => { $(
        #[test]
        fn $in_the_cib() {
            $how(test_name!(), Store::Pacemaker, $what);
        }

        #[test]
        fn $in_its_directory() {
            $how(test_name!(), Store::Directory, $what);
        }
    )* };
}

const KILLED: Fault = Fault {
    keeper: "KILL",
    boothd: "KILL",
    before: 0,
    back: Duration::from_secs(1),
    end: Outcome::Stays,
};
const STOPPED: Fault = Fault { keeper: "STOP", boothd: "STOP", ..KILLED };
/// boothd has put another in the keeper's place by then.
const LATER: i64 = 2000;
/// Both are away while the lease ends. boothd first: it would put another in the keeper's place.
const LONG: Duration = Duration::from_secs(14);

with_both_stores! {
    a_killed_keeper_is_replaced_cib, a_killed_keeper_is_replaced_directory:
        replaced("KILL");
    a_stopped_keeper_is_replaced_cib, a_stopped_keeper_is_replaced_directory:
        replaced("STOP");
    the_next_keeper_guards_as_well_cib, the_next_keeper_guards_as_well_directory:
        both(Fault { before: LATER, end: Outcome::Moves, ..KILLED });
    the_next_keeper_guards_a_stopped_boothd_cib, the_next_keeper_guards_a_stopped_boothd_directory:
        both(Fault { before: LATER, boothd: "STOP", end: Outcome::Moves, ..KILLED });
    keeper_and_boothd_are_killed_cib, keeper_and_boothd_are_killed_directory:
        both(KILLED);
    keeper_and_boothd_are_stopped_cib, keeper_and_boothd_are_stopped_directory:
        both(STOPPED);
    boothd_and_then_its_keeper_is_killed_cib, boothd_and_then_its_keeper_is_killed_directory:
        both(Fault { before: -500, ..KILLED });
    boothd_and_then_its_keeper_is_stopped_cib, boothd_and_then_its_keeper_is_stopped_directory:
        both(Fault { before: -500, ..STOPPED });
    a_boothd_that_finds_a_stopped_keeper_cib, a_boothd_that_finds_a_stopped_keeper_directory:
        both(Fault { before: -500, keeper: "STOP", ..KILLED });
    both_killed_for_longer_than_a_lease_cib, both_killed_for_longer_than_a_lease_directory:
        both(Fault { before: -1, back: LONG, end: Outcome::Revoked, ..KILLED });
    both_stopped_for_longer_than_a_lease_cib, both_stopped_for_longer_than_a_lease_directory:
        both(Fault { before: -1, back: LONG, end: Outcome::Revoked, ..STOPPED });
}
