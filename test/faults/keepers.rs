// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper of a holder whose store, disk, run directory or wall clock fails when the ticket
//! has to be revoked.
//!
//! Where the store needs longer than *g*, condition 2 of `RULES.md` fails. There every link is
//! cut, so that no site can be granted the ticket meanwhile, and what is shown is that and how
//! soon it is revoked; everywhere else it moves to the other site as well.

use crate::clocks::with_clocks;
use crate::guards::{directory, granted, moves, prepared, start_and_grant, Store};
use crate::watch::{
    holding, keeps, never_two, wait_granted, wait_until, FAIL_OVER, LEASE, LINK_NEEDS, NEEDS,
};
use booth_harness::{
    now, pass, report, run, run_for, shell, test_name, Call, Cluster, Lab, Links, Need, Setup,
    SmallDisk,
};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(5);
/// *g*, a tenth of the lease.
const GUARD: Duration = Duration::from_secs(1);
/// What a process that starts may take on a busy machine.
const ROOM: Duration = Duration::from_millis(700);

/// No member reaches another.
fn cut_all(cluster: &Cluster, links: &Links) {
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        links.cut(cluster.address(one), cluster.address(other));
    }
}

/// Site 0 reaches nobody.
fn cut_off(cluster: &Cluster, links: &Links) {
    for other in [1, 2] {
        links.cut(cluster.address(0), cluster.address(other));
    }
}

/// The first revoke at site 0, which begins when the lease ends.
#[track_caller]
fn first_revoke(cluster: &Cluster) -> Call {
    let revokes = || cluster.crm(0).calls_of("revoke");
    wait_until(LEASE + ROOM, "a revoke begins", || !revokes().is_empty());
    revokes().swap_remove(0)
}

/// When site 0's CIB was changed to *revoked*, which it has to be within `limit`.
#[track_caller]
fn revoked_at(cluster: &Cluster, limit: Duration) -> f64 {
    crate::watch::wait_revoked(cluster, 0, limit);
    let history = cluster.crm(0).history("t1");
    let revokes = history.iter().rev().take_while(|change| change.granted == Some(false));
    let first = revokes.last().expect("it is revoked");
    first.done.unwrap_or_else(now)
}

/// The links are there again, and the ticket is held again, by one site at a time.
#[track_caller]
fn heals(cluster: &Cluster, links: &Links) {
    links.heal();
    wait_until(LEASE * 2 + FAIL_OVER, "somebody has it again", || {
        (0..2).any(|site| cluster.crm(site).is_granted("t1"))
    });
    never_two(cluster);
}

/// For `time`, site 0's CIB never says *granted*, and nothing asks for that.
#[track_caller]
fn stays_revoked(cluster: &Cluster, time: Duration) {
    let grants = cluster.crm(0).calls_of("grant").len();
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert!(!cluster.crm(0).is_granted("t1"), "granted after {:?}", begun.elapsed());
        pass(Duration::from_millis(20));
    }
    assert_eq!(cluster.crm(0).calls_of("grant").len(), grants, "a grant without a lease");
}

#[test]
fn a_revoke_that_takes_eight_seconds_ends() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        cluster.crm(0).control("revoke delay 8");
        cut_all(&cluster, &links);
        let first = first_revoke(&cluster);
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", first.process));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        // It is let run to its end, and does the work itself.
        while cluster.crm(0).is_granted("t1") {
            let (alive, took) = (lives(), now() - first.at);
            assert!(alive || !cluster.crm(0).is_granted("t1"), "killed after {took} s");
            assert!(took < 10.0, "not revoked after {took} s");
            pass(Duration::from_millis(20));
        }
        let took = revoked_at(&cluster, ROOM) - first.at;
        assert!((8.0..9.0).contains(&took), "revoked after {took} s");
        stays_revoked(&cluster, LEASE);
        // Others have joined it in growing pauses, after 1, 3 and 7 s; they ended with it.
        let calls = cluster.crm(0).calls_of("revoke");
        let pauses: Vec<f64> = calls.windows(2).map(|two| two[1].at - two[0].at).collect();
        // What boothd wishes may differ from what the keeper began with: then there is one more.
        assert!((2..=5).contains(&calls.len()), "{calls:#?}");
        assert!(pauses.iter().all(|pause| *pause > 0.9), "{pauses:?}");
        assert!(pauses.windows(2).all(|two| two[1] > two[0] - 0.1), "{pauses:?}");
        let revokes = cluster.crm(0).history("t1").into_iter();
        let revokes = revokes.filter(|change| change.granted == Some(false)).count();
        assert!(revokes <= 2 && revokes < calls.len(), "written {revokes} times");
        cluster.crm(0).control("");
        heals(&cluster, &links);
        report(&format!("revoked {took:.2} s after it began, in {} calls", calls.len()));
    });
}

#[test]
fn a_revoke_that_fails_is_tried_twice_a_second() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        cluster.crm(0).control("revoke exit 1");
        cut_all(&cluster, &links);
        let first = first_revoke(&cluster);
        pass(Duration::from_secs(15));
        let count = cluster.crm(0).calls_of("revoke").len();
        let seconds = now() - first.at;
        assert!(cluster.crm(0).is_granted("t1"), "each revoke fails");
        cluster.crm(0).control("");
        let works = now();
        let took = revoked_at(&cluster, SOON) - works;
        report(&format!("{count} attempts in {seconds:.1} s; revoked {took:.2} s after it works"));
        assert!(took < 1.0, "revoked {took} s after the store works");
        // One that starts slowly begins later, never more often than that.
        assert!(count as f64 <= seconds * 2.0 + 2.0 && count as f64 >= seconds, "{count}");
        stays_revoked(&cluster, SOON);
        heals(&cluster, &links);
    });
}

#[test]
fn a_hung_revoke_does_not_block_the_next() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        cluster.crm(0).control("revoke hang");
        cut_off(&cluster, &links);
        let first = first_revoke(&cluster);
        // It has read that by now, and hangs for as long as the word stands there.
        pass(GUARD / 3);
        cluster.crm(0).control("nothing hang");
        let took = revoked_at(&cluster, SOON) - first.at;
        let limit = GUARD + ROOM;
        report(&format!("revoked {took:.2} s after the one that hangs began"));
        assert!(took < limit.as_secs_f64(), "revoked after {took} s");
        assert_eq!(cluster.crm(0).calls_of("revoke").len(), 2);
        // The one that hangs ends with it.
        let process = format!("/proc/{}/cmdline", first.process);
        wait_until(SOON, "it is ended", || std::fs::read(&process).unwrap_or_default().is_empty());
        // Early enough for the other site, too.
        wait_granted(&cluster, 1, FAIL_OVER);
        stays_revoked(&cluster, SOON);
        heals(&cluster, &links);
    });
}

/// The whole cluster does not answer while the lease ends, and then does again.
fn answers_again(name: &str, how: &str, limit: Duration) {
    run_for(name, LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        cluster.crm(0).control(&format!("any {how}"));
        cut_all(&cluster, &links);
        first_revoke(&cluster);
        pass(Duration::from_secs(20));
        assert!(cluster.crm(0).is_granted("t1"), "nothing is answered");
        let works = now();
        cluster.crm(0).control("");
        let took = revoked_at(&cluster, SOON) - works;
        report(&format!("revoked {took:.2} s after the cluster answers again"));
        assert!(took < limit.as_secs_f64(), "revoked after {took} s");
        stays_revoked(&cluster, SOON);
        heals(&cluster, &links);
    });
}

#[test]
fn a_cluster_that_answers_again_is_revoked_at_once() {
    // Calls that waited for it do what they were for.
    answers_again(test_name!(), "blocked", Duration::from_millis(1500));
}

#[test]
fn a_cluster_that_refuses_and_then_answers_is_revoked_at_once() {
    // Calls that waited for it fail, within the second after which the fake looks again.
    answers_again(test_name!(), "hang", Duration::from_secs(1) + Duration::from_millis(1500));
}

#[test]
fn a_restart_with_the_wall_clock_set_back_holds_no_longer() {
    run_for(test_name!(), &[Need::Root, Need::Nft, Need::Faketime], LIMIT, |lab| {
        let (mut cluster, clocks) = with_clocks(lab);
        let links = Links::new(lab);
        let writes = cluster.crm(0).calls_of("grant").len();
        wait_until(LEASE, "a renewal", || cluster.crm(0).calls_of("grant").len() > writes);
        pass(ROOM);
        cut_off(&cluster, &links);
        let expires = cluster.crm(0).state("t1").expect("granted").number("expires");
        cluster.kill(0);
        clocks[0].set(-3600);
        cluster.start(0);
        assert!(now() < expires as f64 - 2.0, "too late to show anything");
        assert!(cluster.crm(0).is_granted("t1"), "the lease lives");
        let left = expires as f64 - revoked_at(&cluster, LEASE + SOON);
        report(&format!("revoked {left:.2} s before the old lease ended"));
        assert!(left > 0.0, "{left}");
        wait_granted(&cluster, 1, FAIL_OVER);
        stays_revoked(&cluster, LEASE);
        never_two(&cluster);
        links.heal();
        cluster.wait_leader(&[0, 1, 2], 1, SOON * 2);
        keeps(&cluster, 1, SOON);
    });
}

/// The built-in store of site 0 lies on a disk that is full up to the last byte.
fn with_a_full_disk(lab: &Lab, fault: impl FnOnce(&mut Cluster)) {
    let mut cluster = prepared(lab, Store::Directory);
    let dir = directory(&cluster, 0);
    let disk = SmallDisk::new(&dir);
    start_and_grant(&mut cluster, Store::Directory);
    cluster.wait_leader(&[0, 1, 2], 0, SOON);
    disk.fill();
    // Renewals go on, or fail: the lease goes on in any case.
    let begun = Instant::now();
    while begun.elapsed() < LEASE + SOON {
        assert!(granted(&cluster, Store::Directory, 0), "lost after {:?}", begun.elapsed());
        assert!(!granted(&cluster, Store::Directory, 1), "two after {:?}", begun.elapsed());
        pass(Duration::from_millis(20));
    }
    fault(&mut cluster);
    let free = moves(&cluster, Store::Directory, 0, 1);
    report(&format!("revoked {:.2} s before the other site was granted", free.as_secs_f64()));
    let text = std::fs::read_to_string(dir.join("t1")).expect("it is there");
    assert!(text.lines().any(|line| line == "granted=false"), "{text}");
}

#[test]
fn a_full_disk_does_not_keep_a_revoke_from_the_built_in_store() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        with_a_full_disk(lab, |cluster| cut_off(cluster, &Links::new(lab)));
    });
}

#[test]
fn a_full_disk_does_not_keep_the_guard_from_the_built_in_store() {
    run_for(test_name!(), NEEDS, LIMIT, |lab| with_a_full_disk(lab, |cluster| cluster.kill(0)));
}

/// Something happens to the run directory of a holder, and then its boothd is killed.
fn without_its_run_directory(lab: &Lab, script: &str) {
    let mut cluster = Cluster::new(lab, &Setup::usual());
    let dir = cluster.members[0].dir().join("run");
    shell("mkdir -m 1777 \"$1\"", &[&dir.display().to_string()]);
    cluster.members[0].run_dir = Some(dir.clone());
    start_and_grant(&mut cluster, Store::Pacemaker);
    cluster.wait_leader(&[0, 1, 2], 0, SOON);
    shell(script, &[&dir.display().to_string()]);
    // The daemon that runs, and its keeper, go on.
    keeps(&cluster, 0, LEASE + SOON);
    cluster.kill(0);
    let free = moves(&cluster, Store::Pacemaker, 0, 1);
    never_two(&cluster);
    report(&format!("revoked {:.2} s before the other site was granted", free.as_secs_f64()));
}

#[test]
fn a_run_directory_that_changes_hands_keeps_nothing() {
    run(test_name!(), NEEDS, |lab| {
        without_its_run_directory(lab, "chown -R 65533:65533 \"$1\" && chmod -R go= \"$1\"");
    });
}

#[test]
fn a_run_directory_that_is_removed_keeps_nothing() {
    // boothd makes its lock file anew, also while the rest is being removed.
    let script = "mv \"$1\" \"$1.gone\"; n=0
        until rm -r \"$1.gone\" || [ $n = 20 ]; do n=$((n + 1)); done
        [ ! -e \"$1.gone\" ]";
    run(test_name!(), NEEDS, |lab| without_its_run_directory(lab, script));
}
