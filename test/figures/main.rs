// SPDX-License-Identifier: GPL-2.0-or-later
//! What the daemon costs, beside the reference on the same machine in the same run. A check is
//! a ratio between the two, or between a figure and what follows from the configuration.
//!
//!     cargo test --release --test figures -- --nocapture --test-threads 1

#[path = "../harness/mod.rs"]
mod harness;

use harness::{ask, report, run, test_name, until, Cluster, Kind, Lab, Need, Setup};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const NEEDS: &[Need] = &[Need::Root, Need::Reference];
const PROGRAMS: [Kind; 2] = [Kind::Ours, Kind::Theirs];
const SOON: Duration = Duration::from_secs(8);

/// Two sites and an arbitrator of this kind with a ticket that is renewed every 30 s.
fn cluster(lab: &Lab, kind: Kind) -> Cluster<'_> {
    let ticket = "ticket = \"t1\"\nexpire = 60\ntimeout = 3\nretries = 5\n";
    Cluster::started(lab, &Setup::of(&[kind; 3]).tickets(ticket))
}

/// The sum over all threads of how often they went to sleep by themselves.
fn sleeps(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let statuses =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let number = |text: String| -> Option<u64> {
        text.lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
    };
    statuses.filter_map(number).sum()
}

/// The daemon of a member: the process that has its lock file, which `chroot` has become.
fn pid(cluster: &Cluster<'_>, member: usize) -> u32 {
    cluster.members[member].pid().expect("it runs")
}

/// Wake-ups a second over ten seconds.
fn wake_ups(pid: u32) -> f64 {
    let (before, begun) = (sleeps(pid), Instant::now());
    harness::pass(Duration::from_secs(10));
    (sleeps(pid) - before) as f64 / begun.elapsed().as_secs_f64()
}

#[test]
fn an_idle_daemon_sleeps() {
    run(test_name!(), NEEDS, |lab| {
        let measured = PROGRAMS.map(|kind| {
            let cluster = cluster(lab, kind);
            until(SOON, "the election is over", || {
                cluster.leader(0, "t1").eq_ignore_ascii_case("none").then_some(())
            });
            let free = wake_ups(pid(&cluster, 0));
            cluster.grant(0, &[0, 1, 2]);
            let held = wake_ups(pid(&cluster, 0));
            report(&format!("{kind:?}: {free:.1} wake-ups a second, {held:.1} with a held ticket"));
            (free, held)
        });
        let [(free, held), (their_free, their_held)] = measured;
        // The loop's look once a second, and what the held ticket's packets cost.
        assert!(free <= 2.0 && held <= 4.0, "{free}, {held}");
        assert!(free < their_free && held < their_held, "{measured:?}");
    });
}

/// How many `list` connections a second a server answers, asked by four threads for two seconds.
fn lists(address: Ipv4Addr, request: &harness::Packet) -> f64 {
    let begun = Instant::now();
    let one = || {
        let mut count = 0u32;
        while begun.elapsed() < Duration::from_secs(2) {
            let answers = ask(address, request, None, SOON);
            assert!(!answers.packets.is_empty(), "no answer");
            count += 1;
        }
        count
    };
    let total: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).sum()
    });
    f64::from(total) / begun.elapsed().as_secs_f64()
}

#[test]
fn lists_are_answered_about_as_fast_as_by_the_reference() {
    run(test_name!(), NEEDS, |lab| {
        let clusters = PROGRAMS.map(|kind| cluster(lab, kind));
        let mut best = [0f64; 2];
        // In turn, so that other work on the machine meets both.
        for _ in 0..3 {
            for (cluster, best) in clusters.iter().zip(&mut best) {
                let request = cluster.request(0, "CLst", "");
                *best = best.max(lists(cluster.address(0), &request));
            }
        }
        let [ours, theirs] = best;
        report(&format!("list connections a second: ours {ours:.0}, the reference {theirs:.0}"));
        // Ours hands each connection through three threads, the reference through none: 0.8 of its
        // rate on a quiet machine, 0.6 without optimization, 0.55 among fifty busy processes.
        assert!(ours >= 0.3 * theirs, "{ours:.0} against {theirs:.0}");
    });
}

#[test]
fn start_grant_and_memory() {
    run(test_name!(), NEEDS, |lab| {
        for kind in PROGRAMS {
            let mut cluster = cluster(lab, kind);
            cluster.stop(2);
            let begun = Instant::now();
            cluster.members[2].spawn(lab);
            let request = cluster.request(2, "CLst", "");
            until(SOON, "it answers", || {
                let answers = ask(cluster.address(2), &request, None, SOON);
                (!answers.packets.is_empty()).then_some(())
            });
            let start = begun.elapsed();
            cluster.members[2].wait_started();
            let begun = Instant::now();
            cluster.booth(0, &["grant", "t1"]).expect_code(0);
            let grant = begun.elapsed();
            let begun = Instant::now();
            cluster.list(0);
            let list = begun.elapsed();
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid(&cluster, 0)));
            let status = status.expect("it lives");
            let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let rss = rss.unwrap_or("?").trim();
            let times =
                format!("start to first list {start:.1?}, grant {grant:.1?}, list {list:.1?}");
            report(&format!("{kind:?}: {times}, RSS {rss}"));
        }
    });
}
