// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines that fail around the daemon: a syslog daemon that hangs, a full disk.

use crate::watch::{grant, keeps, list_time, never_two, NEEDS};
use booth_harness::{run, test_name, until, Cluster, Lab, Need, Setup, SmallDisk, Syslog};
use std::time::{Duration, Instant};

const SYSLOG_NEEDS: &[Need] = &[Need::Root, Need::Tap];
const SOON: Duration = Duration::from_secs(2);

/// Every member logs to a syslog daemon.
#[track_caller]
fn in_background(lab: &Lab) -> (Syslog, Cluster<'_>) {
    lab.own_devices();
    lab.plug(3, 21);
    let syslog = Syslog::new(lab);
    let mut cluster = Cluster::new(lab, &Setup::usual());
    for member in &mut cluster.members {
        member.background = true;
    }
    cluster.start_all();
    until(SOON * 5, "they log to syslog", || syslog.text().contains("boothd-site").then_some(()));
    grant(&cluster, 0);
    (syslog, cluster)
}

#[test]
fn a_syslog_daemon_that_never_reads_stops_nobody() {
    run(test_name!(), SYSLOG_NEEDS, |lab| {
        let (syslog, mut cluster) = in_background(lab);
        let expires = |cluster: &Cluster| cluster.crm(0).state("t1").map(|s| s.number("expires"));
        syslog.freeze();
        let (before, begun) = (expires(&cluster), Instant::now());
        while begun.elapsed() < Duration::from_secs(12) {
            // Much to say: whoever asks for a ticket that does not exist is written down.
            drop(cluster.ask(0, &cluster.request(0, "CGnt", "t1"), SOON));
            assert!(list_time(&cluster, 0) < Duration::from_secs(1));
            keeps(&cluster, 0, Duration::from_millis(200));
        }
        assert!(expires(&cluster) > before, "it is not renewed");
        // It stops and starts with a log that nobody reads, too.
        cluster.stop(0);
        cluster.start(0);
        keeps(&cluster, 0, Duration::from_secs(6));
        let text = syslog.text().len();
        syslog.thaw();
        until(SOON * 5, "it is logged again", || (syslog.text().len() > text).then_some(()));
        never_two(&cluster);
    });
}

/// A cluster that has not started, whose first member has its lock file on a small disk.
fn with_a_small_disk(lab: &Lab) -> (Cluster<'_>, SmallDisk) {
    let mut cluster = Cluster::new(lab, &Setup::usual());
    let run_dir = cluster.members[0].dir().join("run");
    let disk = SmallDisk::new(&run_dir);
    cluster.members[0].run_dir = Some(run_dir);
    (cluster, disk)
}

#[test]
fn a_full_disk_at_the_lock_file_is_told_at_the_start() {
    run(test_name!(), NEEDS, |lab| {
        let (mut cluster, disk) = with_a_small_disk(lab);
        disk.fill();
        cluster.start(1);
        cluster.start(2);
        cluster.members[0].spawn(lab);
        let status = cluster.members[0].wait_end(Duration::from_secs(10));
        let log = cluster.members[0].log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("No space left on device"), "{log}");
        assert!(log.contains(&cluster.members[0].lock_file().display().to_string()), "{log}");
        // With room again it starts as if nothing had been.
        disk.clear();
        cluster.start(0);
        grant(&cluster, 0);
        never_two(&cluster);
    });
}

#[test]
fn a_disk_that_fills_up_does_not_harm_a_daemon_that_runs() {
    run(test_name!(), NEEDS, |lab| {
        let (mut cluster, disk) = with_a_small_disk(lab);
        cluster.start_all();
        disk.fill();
        // Granted, renewed, revoked and granted again with a full disk.
        grant(&cluster, 0);
        keeps(&cluster, 0, Duration::from_secs(12));
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        assert!(!cluster.crm(0).is_granted("t1"));
        grant(&cluster, 0);
        let status = cluster.members[0].end("TERM");
        assert_eq!(status.code(), Some(0), "{}", cluster.members[0].log());
        never_two(&cluster);
    });
}

#[test]
fn the_lease_guard_works_with_a_full_disk() {
    run(test_name!(), NEEDS, |lab| {
        let (mut cluster, disk) = with_a_small_disk(lab);
        cluster.start_all();
        disk.fill();
        grant(&cluster, 0);
        cluster.kill(0);
        crate::watch::wait_granted(&cluster, 1, crate::watch::FAIL_OVER);
        assert!(!cluster.crm(0).is_granted("t1"));
        never_two(&cluster);
    });
}
