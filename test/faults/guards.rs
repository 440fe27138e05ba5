// SPDX-License-Identifier: GPL-2.0-or-later
//! A holder that is killed or stopped and not restarted: its own store says *revoked*, by the
//! keeper, before another site is granted the ticket. Every time, with both stores.
//!
//! `BOOTH_FAULTS_ROUNDS` says how many times, 5 if it says nothing.

use crate::watch::{never_two, number, wait_until, FAIL_OVER, NEEDS};
use booth_harness::{pass, report, run_for, test_name, under_test, Cluster, Kind, Lab, Setup};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

/// Where the sites keep the ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The CIB.
    Pacemaker,
    /// The built-in one.
    Directory,
}

/// The directory of a site's built-in store.
pub fn directory(cluster: &Cluster, site: usize) -> PathBuf {
    cluster.members[site].dir().join("tickets")
}

/// Whether the site's store says *granted*.
pub fn granted(cluster: &Cluster, store: Store, site: usize) -> bool {
    match store {
        Store::Pacemaker => cluster.crm(site).is_granted("t1"),
        Store::Directory => {
            let text = std::fs::read_to_string(directory(cluster, site).join("t1"));
            text.is_ok_and(|text| text.lines().any(|line| line == "granted=true"))
        }
    }
}

/// A cluster whose sites keep their tickets there; nothing runs yet.
#[track_caller]
pub fn prepared(lab: &Lab, store: Store) -> Cluster<'_> {
    let mut cluster = Cluster::new(lab, &Setup::usual());
    if store == Store::Directory {
        let common = std::fs::read_to_string(&cluster.config).expect("it was written");
        for site in [0, 1] {
            let dir = directory(&cluster, site);
            std::fs::create_dir(&dir).expect("the lab can be written");
            // Whoever the daemon is on this machine.
            let all = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(&dir, all).expect("set");
            let text = format!("ticket-store = {}\n{common}", dir.display());
            let config = lab.write(&format!("site{site}.conf"), text, 0o644);
            cluster.members[site].config = config;
            // Whoever calls it all the same is told so.
            std::fs::remove_file(cluster.crm(site).bin().join("crm_ticket")).expect("installed");
        }
    }
    cluster
}

/// The same, started, with the ticket at site 0.
#[track_caller]
pub fn started(lab: &Lab, store: Store) -> Cluster<'_> {
    let mut cluster = prepared(lab, store);
    start_and_grant(&mut cluster, store);
    cluster
}

/// Starts all members, and grants the ticket to site 0.
#[track_caller]
pub fn start_and_grant(cluster: &mut Cluster, store: Store) {
    cluster.start_all();
    cluster.booth(0, &["grant", "t1"]).expect_code(0);
    wait_until(SOON, "site 0 holds it", || granted(cluster, store, 0));
}

/// Looks at both stores until `to` has the ticket, and returns how long before that, at least,
/// `from` had it no more.
///
/// Each look reads `from` first: if it says *revoked* and `to`, read after it, does not say
/// *granted* yet, then the one came before the other. Panics if no look saw that.
#[track_caller]
pub fn moves(cluster: &Cluster, store: Store, from: usize, to: usize) -> Duration {
    let begun = Instant::now();
    let mut free_since = None;
    while begun.elapsed() < FAIL_OVER {
        let old = granted(cluster, store, from);
        let seen = Instant::now();
        let new = granted(cluster, store, to);
        assert!(!(old && new), "granted at both after {:?}", begun.elapsed());
        if new {
            let free: Instant = free_since.unwrap_or_else(|| panic!("site {from} never seen free"));
            return free.elapsed();
        }
        if !old {
            free_since = free_since.or(Some(seen));
        }
        pass(Duration::from_millis(1));
    }
    panic!("site {to} has it not within {FAIL_OVER:?}");
}

fn rounds(name: &str, store: Store, fault: &str) {
    let count = number("BOOTH_FAULTS_ROUNDS").unwrap_or(5);
    let limit = Duration::from_secs(60 + 40 * count);
    run_for(name, NEEDS, limit, |lab| {
        assert_eq!(under_test(), Kind::Ours, "the reference has no keeper");
        let mut cluster = started(lab, store);
        let mut shortest = Duration::MAX;
        for round in 0..usize::try_from(count).unwrap_or(usize::MAX) {
            let (from, to) = (round % 2, 1 - round % 2);
            cluster.wait_leader(&[0, 1, 2], from, SOON);
            match fault {
                "KILL" => cluster.kill(from),
                _ => cluster.members[from].signal(fault),
            }
            shortest = shortest.min(moves(&cluster, store, from, to));
            match fault {
                "KILL" => cluster.start(from),
                _ => cluster.members[from].signal("CONT"),
            }
        }
        if store == Store::Pacemaker {
            never_two(&cluster);
        }
        report(&format!(
            "{fault} of the holder, {store:?}: {count} times, revoked at least {:.2} s before \
             the other site was granted",
            shortest.as_secs_f64()
        ));
    });
}

#[test]
fn the_guard_of_a_killed_holder_revokes_in_the_cib() {
    rounds(test_name!(), Store::Pacemaker, "KILL");
}

#[test]
fn the_guard_of_a_stopped_holder_revokes_in_the_cib() {
    rounds(test_name!(), Store::Pacemaker, "STOP");
}

#[test]
fn the_guard_of_a_killed_holder_revokes_in_its_directory() {
    rounds(test_name!(), Store::Directory, "KILL");
}

#[test]
fn the_guard_of_a_stopped_holder_revokes_in_its_directory() {
    rounds(test_name!(), Store::Directory, "STOP");
}
