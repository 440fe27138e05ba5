// SPDX-License-Identifier: GPL-2.0-or-later
//! Directories without room, without inodes, read-only, with long names, and such that go away
//! and come back: the run directory, and that of the built-in store.

use crate::support::{
    all_but, clear_away, fate, frees, granted, holds, keepers, tickets, use_directory, works, Fate,
    GRANTED, NEEDS, POOR, SOON,
};
use booth_harness::{make_shared, run, shell, signal, test_name, until, Cluster, Lab, Setup};
use booth_harness::{SmallDisk, PORT};
use std::path::PathBuf;
use std::time::Duration;

/// What a start says that has no room.
const NO_ROOM: &[&str] = &["No space left on device"];
/// A renewal comes every 5 s.
const RENEWED: Duration = Duration::from_secs(7);

/// The usual cluster without its first site, whose run directory lies on a disk of its own.
#[track_caller]
fn on_a_disk<'lab>(lab: &'lab Lab, options: &str) -> (Cluster<'lab>, SmallDisk, PathBuf) {
    let mut cluster = all_but(lab, POOR);
    let dir = cluster.members[POOR].dir().join("run");
    let disk = SmallDisk::with(&dir, options);
    cluster.members[POOR].run_dir = Some(dir.clone());
    (cluster, disk, dir)
}

/// Removes what a daemon has left there.
#[track_caller]
fn empty(dir: &std::path::Path) {
    shell("rm -rf \"$1\"/*", &[&dir.display().to_string()]);
}

#[test]
fn a_run_directory_with_room_for_a_part_of_it_is_told() {
    run(test_name!(), NEEDS, |lab| {
        let (mut cluster, disk, dir) = on_a_disk(lab, "size=1m");
        let mut told = Vec::new();
        // tmpfs takes an inode for its root, the keeper's directory, its socket and its lock.
        for options in ["nr_inodes=1", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "size=4k"] {
            disk.change(&format!("size=1m,nr_inodes=100,{options}"));
            if options.starts_with("size") {
                disk.fill();
            }
            if let Fate::Ended(said) = fate(lab, &mut cluster, POOR, NO_ROOM) {
                assert!(said.contains(&dir.display().to_string()), "it says where: {said}");
                told.push(options);
            }
            clear_away(&mut cluster, POOR);
            empty(&dir);
        }
        assert_eq!(told[..3], ["nr_inodes=1", "nr_inodes=2", "nr_inodes=3"]);
        assert_eq!(told.last(), Some(&"size=4k"));
        disk.change("size=1m,nr_inodes=100");
        assert!(fate(lab, &mut cluster, POOR, NO_ROOM).is_alive(), "there is room again");
    });
}

#[test]
fn a_holder_whose_run_directory_fills_up_is_replaced_by_the_next_start_or_says_why_not() {
    run(test_name!(), NEEDS, |lab| {
        let (mut cluster, disk, dir) = on_a_disk(lab, "size=64k");
        cluster.start(POOR);
        holds(&cluster, POOR);
        disk.fill();
        booth_harness::pass(RENEWED);
        assert!(granted(&cluster, POOR), "it is renewed with a full disk");
        // Killed, its lock file is still there, and so is its keeper: the next one goes on.
        cluster.kill(POOR);
        cluster.start(POOR);
        booth_harness::pass(RENEWED);
        assert!(granted(&cluster, POOR), "it has gone on with its ticket");
        frees(&cluster, POOR);
        works(&cluster, POOR);
        // Without its keeper, and nothing held, a start has to make another one.
        cluster.kill(POOR);
        let keeper = cluster.keeper(POOR).expect("there is one");
        signal(keeper, "KILL");
        until(SOON, "the keeper ends", || (cluster.keeper(POOR) != Some(keeper)).then_some(()));
        if let Fate::Ended(said) = fate(lab, &mut cluster, POOR, NO_ROOM) {
            assert!(said.contains(&dir.display().to_string()), "it says where: {said}");
            disk.clear();
            cluster.start(POOR);
            works(&cluster, POOR);
        }
    });
}

#[test]
fn a_read_only_run_directory_is_told_at_the_start() {
    run(test_name!(), NEEDS, |lab| {
        let (mut cluster, disk, dir) = on_a_disk(lab, "size=64k");
        disk.change("ro");
        let said = fate(lab, &mut cluster, POOR, &["Read-only file system"]).said();
        assert!(said.contains(&dir.display().to_string()), "it says where: {said}");
        disk.change("rw");
        assert!(fate(lab, &mut cluster, POOR, &[]).is_alive());
    });
}

#[test]
fn a_full_ticket_directory_grants_nothing_until_there_is_room() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        use_directory(lab, &mut cluster, POOR);
        let dir = tickets(&cluster, POOR);
        let disk = SmallDisk::new(&dir);
        disk.fill();
        cluster.start_all();
        cluster.booth(POOR, &["grant", "t1"]);
        until(GRANTED, "the log says why", || {
            let log = cluster.members[POOR].log();
            (log.contains("No space left on device")).then_some(())
        });
        assert!(!granted(&cluster, POOR), "there is no room to say so");
        // Whatever the client was told, the ticket is never half granted: with room it comes.
        disk.clear();
        holds(&cluster, POOR);
        frees(&cluster, POOR);
    });
}

#[test]
fn a_read_only_ticket_directory_grants_nothing_until_it_can_be_written() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        use_directory(lab, &mut cluster, POOR);
        let disk = SmallDisk::new(&tickets(&cluster, POOR));
        disk.change("ro");
        let said = fate_of_store(lab, &mut cluster);
        assert!(said.contains("Read-only file system"), "{said}");
        assert!(!granted(&cluster, POOR));
        disk.change("rw");
        if !cluster.members[POOR].runs() {
            cluster.start(POOR);
        }
        works(&cluster, POOR);
    });
}

/// Starts all members of which one has a spoilt store; what that one says until it has ended or
/// has refused a grant.
#[track_caller]
fn fate_of_store(lab: &Lab, cluster: &mut Cluster) -> String {
    for index in 0..cluster.members.len() {
        cluster.members[index].spawn(lab);
    }
    for index in (0..cluster.members.len()).filter(|index| *index != POOR) {
        cluster.members[index].wait_started();
    }
    if cluster.members[POOR].has_started(SOON).is_ok() {
        cluster.booth(POOR, &["grant", "t1"]);
        until(GRANTED, "the log says why", || {
            cluster.members[POOR].log().contains("Read-only").then_some(())
        });
    } else {
        let status = cluster.members[POOR].wait_end(SOON);
        assert_eq!(status.code(), Some(1));
    }
    cluster.members[POOR].log()
}

/// A holder's run directory is removed and made anew, for everybody or for root alone.
fn made_anew(lab: &Lab, mode: &str) {
    let mut cluster = all_but(lab, POOR);
    let dir = cluster.members[POOR].dir().join("run");
    std::fs::create_dir(&dir).expect("the lab can be written");
    make_shared(&dir);
    cluster.members[POOR].run_dir = Some(dir.clone());
    cluster.start(POOR);
    holds(&cluster, POOR);
    // The daemon cannot make its lock file anew meanwhile.
    let script = "chown root \"$1\" && chmod 755 \"$1\" && rm -rf \"$1\"";
    shell(script, &[&dir.display().to_string()]);
    until(SOON, "the log says so", || {
        let log = cluster.members[POOR].log();
        log.contains("the lock file was removed").then_some(())
    });
    cluster.status(POOR).expect_code(0);
    shell("install -d -m \"$2\" \"$1\"", &[&dir.display().to_string(), mode]);
    booth_harness::pass(RENEWED);
    assert!(granted(&cluster, POOR), "it has kept its ticket");
    // Root finds it, whatever has become of the directory.
    let found = cluster.status(POOR).expect_code(0).stdout;
    let pid = cluster.members[POOR].pid().expect("it runs");
    assert!(found.contains(&format!("booth_lockpid={pid} ")), "{found}");
    let anyone_may_write = mode == "1777";
    assert_eq!(cluster.members[POOR].lock_file().exists(), anyone_may_write);
    let log = cluster.members[POOR].log();
    assert_eq!(log.matches("the lock file was removed").count(), 1, "{log}");
    // A clean stop leaves the keeper: the next start takes its place, and holds on or wins again.
    assert_eq!(cluster.members[POOR].end("TERM").code(), Some(0));
    cluster.start(POOR);
    until(GRANTED, "the ticket is here again", || {
        cluster.booth(POOR, &["grant", "t1"]);
        granted(&cluster, POOR).then_some(())
    });
    frees(&cluster, POOR);
    let both = booth_harness::overlaps(&cluster.histories("t1"));
    assert!(both.is_empty(), "granted at two sites: {both:#?}");
    until(SOON * 2, "one keeper is left", || (keepers(&cluster, POOR) == 1).then_some(()));
}

#[test]
fn a_run_directory_that_is_made_anew_for_all_is_used_again() {
    run(test_name!(), NEEDS, |lab| made_anew(lab, "1777"));
}

#[test]
fn a_run_directory_that_is_made_anew_for_root_is_used_by_the_next_start() {
    run(test_name!(), NEEDS, |lab| made_anew(lab, "0755"));
}

/// The longest path of a socket is 107 bytes; this is beyond it.
#[test]
fn a_run_directory_with_a_long_path_works() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = all_but(lab, POOR);
        let mut dir = cluster.members[POOR].dir().clone();
        for letter in ["a", "b", "c"] {
            dir.push(letter.repeat(200));
            std::fs::create_dir(&dir).expect("the lab can be written");
            make_shared(&dir);
        }
        cluster.members[POOR].run_dir = Some(dir);
        assert!(fate(lab, &mut cluster, POOR, &[]).is_alive());
        // Its keeper is found through such a path, too.
        holds(&cluster, POOR);
        let keeper = cluster.keeper(POOR);
        cluster.kill(POOR);
        cluster.start(POOR);
        booth_harness::pass(RENEWED);
        assert_eq!(cluster.keeper(POOR), keeper);
        assert!(granted(&cluster, POOR), "it has gone on with its ticket");
        let port = PORT.to_string();
        assert!(cluster.status(POOR).expect_code(0).stdout.contains(&port));
    });
}
