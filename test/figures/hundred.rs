// SPDX-License-Identifier: GPL-2.0-or-later
//! What a hundred tickets cost, beside the reference at the same time.

use crate::{median, pid, NEEDS};
use booth_harness::{self, report, run, test_name, until, Cluster, Kind, Lab, Setup};
use std::process::Command;
use std::time::{Duration, Instant};

/// Both in the same root directory: the fake `crm_ticket` is most of the cost here, and a shell
/// script takes a fifth more in a larger system.
const KINDS: [Kind; 2] = [Kind::OursBeside, Kind::Theirs];
const TICKETS: usize = 100;
const CLIENTS: usize = 4;
/// How long the costs of held tickets are watched.
const WATCH: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(60);

/// Two sites and an arbitrator with a hundred tickets, each of which is renewed every 5 s.
fn cluster(lab: &Lab, kind: Kind) -> Cluster<'_> {
    let ticket =
        |n| format!("ticket = \"h{n}\"\nexpire = 20\nrenewal-freq = 5\ntimeout = 1\nretries = 3\n");
    let tickets: String = (0..TICKETS).map(ticket).collect();
    let cluster = Cluster::started(lab, &Setup::of(&[kind; 3]).tickets(&tickets));
    let is_read = |list: String| list.lines().count() == TICKETS && !list.contains("starting");
    until(SOON, "all have been read", || is_read(cluster.list(0)).then_some(()));
    cluster
}

/// Has clients run this for all tickets, and tells how long that takes.
fn all(cluster: &Cluster<'_>, arguments: &[&str]) -> Duration {
    let (kind, tickets) = (cluster.members[0].kind, 0..TICKETS);
    let command = |n| cluster.client(kind, 0, &[arguments, &[&format!("h{n}")]].concat());
    let mut clients: Vec<Vec<Command>> = (0..CLIENTS)
        .map(|first| tickets.clone().skip(first).step_by(CLIENTS).map(command).collect())
        .collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for commands in &mut clients {
            scope.spawn(|| {
                for command in commands {
                    booth_harness::finish(command, SOON).expect_code(0);
                }
            });
        }
    });
    begun.elapsed()
}

/// How many tickets the store of site 0 says are granted.
fn granted(cluster: &Cluster<'_>) -> usize {
    (0..TICKETS).filter(|n| cluster.crm(0).is_granted(&format!("h{n}"))).count()
}

#[test]
fn a_hundred_grants_by_four_clients_take_no_longer() {
    run(test_name!(), NEEDS, |lab| {
        let clusters = KINDS.map(|kind| cluster(lab, kind));
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..3 {
            for (cluster, took) in clusters.iter().zip(&mut took) {
                took.push(all(cluster, &["grant"]));
                until(SOON, "all are granted", || (granted(cluster) == TICKETS).then_some(()));
                all(cluster, &["revoke"]);
                until(SOON, "all are revoked", || (granted(cluster) == 0).then_some(()));
            }
        }
        let [ours, theirs] = took.each_ref().map(|all| median(all));
        report(&format!("a hundred grants: ours {ours:.2?}, the reference {theirs:.2?}"));
        // 1.1 on a quiet machine.
        assert!(ours <= theirs.mul_f64(1.35), "{took:.2?}");
    });
}

/// What processes have used, with their children that have ended.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// Hundredths of a second of processor time.
    ticks: u64,
    /// How often their threads went to sleep.
    sleeps: u64,
}

impl Used {
    fn by(pids: &[u32]) -> Used {
        let mut used = Used::default();
        for pid in pids {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
            // Behind the name, which may contain spaces: state, and ten more before the times of
            // the process and of its children (proc(5)).
            let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
            let times = rest.split_whitespace().skip(11).take(4);
            used.ticks += times.map(|time| time.parse::<u64>().expect("a number")).sum::<u64>();
            used.sleeps += crate::sleeps(*pid).values().sum::<u64>();
        }
        used
    }

    fn since(self, before: Used) -> Used {
        Used { ticks: self.ticks - before.ticks, sleeps: self.sleeps - before.sleeps }
    }
}

#[test]
fn a_hundred_held_tickets_cost_no_more() {
    run(test_name!(), NEEDS, |lab| {
        let clusters = KINDS.map(|kind| cluster(lab, kind));
        let processes = clusters.each_ref().map(|cluster| {
            all(cluster, &["grant"]);
            until(SOON, "all are granted", || (granted(cluster) == TICKETS).then_some(()));
            let keeper = cluster.keeper(0);
            [pid(cluster, 0)].into_iter().chain(keeper).collect::<Vec<u32>>()
        });
        assert_eq!([2, 1], processes.each_ref().map(Vec::len), "ours has a keeper");
        // The hurry of the grants is to be over.
        booth_harness::pass(Duration::from_secs(6));
        let before = processes.each_ref().map(|pids| Used::by(pids));
        booth_harness::pass(WATCH);
        let after = processes.each_ref().map(|pids| Used::by(pids));
        let [ours, theirs] = [0, 1].map(|which: usize| after[which].since(before[which]));
        report(&format!("a hundred held tickets, {WATCH:?}: ours {ours:?}, theirs {theirs:?}"));
        assert!(clusters.iter().all(|cluster| granted(cluster) == TICKETS));
        let ratio = |ours: u64, theirs: u64| ours as f64 / theirs as f64;
        // 1.1 on a quiet machine; nearly all of it is the fake's, of which ours runs several at
        // once.
        assert!(ratio(ours.ticks, theirs.ticks) <= 1.3, "{ours:?}, {theirs:?}");
        // 1.23 to 1.39; the reference has one process with one thread. It was 1.37 with a thread
        // for each client, but looked like 0.95: threads that had served the grants ended meanwhile
        // and took their counts with them. One wake-up more for each write would be 1.6 or more.
        assert!(ratio(ours.sleeps, theirs.sleeps) <= 1.5, "{ours:?}, {theirs:?}");
    });
}
