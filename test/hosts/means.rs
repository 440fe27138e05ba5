// SPDX-License-Identifier: GPL-2.0-or-later
//! Few descriptors, and little memory.

use crate::support::{
    all_but, answers, clear_away, fate, granted, holds, works, ARBITRATOR, GRANTED, NEEDS, POOR,
    SOON,
};
use booth_harness::{our_file, run, shell, test_name, until, Cluster, Lab, Setup};

/// What a start says that has not enough descriptors: the dynamic linker, or the daemon.
const NO_FILES: &[&str] = &["Error 24", "Too many open files", "files can be open at once, and"];
/// The same for memory: the linker, the daemon, or the runtime of the language.
const NO_MEMORY: &[&str] =
    &["cannot start a thread", "cannot start the log", "memory", "failed to map", "segment"];

/// The limits under which a member works, of all these.
#[track_caller]
fn works_from(
    lab: &Lab,
    poor: usize,
    limit: &str,
    values: impl Iterator<Item = usize>,
    reasons: &[&str],
) -> Vec<usize> {
    let mut cluster = all_but(lab, poor);
    let mut working = Vec::new();
    for value in values {
        cluster.members[poor].before = Some(format!("ulimit {limit} {value}"));
        println!("ulimit {limit} {value}");
        if fate(lab, &mut cluster, poor, reasons).is_alive() {
            working.push(value);
        }
        clear_away(&mut cluster, poor);
    }
    working
}

#[test]
fn a_site_with_few_descriptors_works_or_says_what_it_lacks() {
    run(test_name!(), NEEDS, |lab| {
        let values = (4..24).step_by(3).chain([24, 34, 48, 63, 64]);
        let working = works_from(lab, POOR, "-n", values, NO_FILES);
        assert_eq!(working, [64], "boothd(8) says from which limit on");
    });
}

#[test]
fn an_arbitrator_with_few_descriptors_works_or_says_what_it_lacks() {
    run(test_name!(), NEEDS, |lab| {
        let values = (4..47).step_by(6).chain([47, 48]);
        let working = works_from(lab, ARBITRATOR, "-n", values, NO_FILES);
        assert_eq!(working, [48], "boothd(8) says from which limit on");
    });
}

/// In KiB: from where the linker has a say to what is plenty. With less than the program itself
/// the kernel ends it with a signal before its first instruction.
fn sizes() -> impl Iterator<Item = usize> {
    let begins = |size: &usize| {
        let script = "ulimit -v \"$1\"; exec \"$2\" --version";
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script, "sh", &size.to_string()]).arg(our_file());
        shell.output().expect("sh starts").status.code().is_some_and(|code| code < 128)
    };
    let first = (1024..64 * 1024).step_by(384).find(begins).expect("64 MiB are enough");
    (first..first + 5 * 1024).step_by(384).chain([64 * 1024])
}

#[test]
fn a_site_with_little_memory_works_or_says_what_it_lacks() {
    run(test_name!(), NEEDS, |lab| {
        let working = works_from(lab, POOR, "-v", sizes(), NO_MEMORY);
        assert_eq!(working.last(), Some(&(64 * 1024)), "64 MiB are enough");
    });
}

#[test]
fn an_arbitrator_with_little_memory_works_or_says_what_it_lacks() {
    run(test_name!(), NEEDS, |lab| {
        let working = works_from(lab, ARBITRATOR, "-v", sizes(), NO_MEMORY);
        assert_eq!(working.last(), Some(&(64 * 1024)), "64 MiB are enough");
    });
}

#[test]
fn a_holder_that_gets_no_more_memory_works_or_ends_and_its_keeper_revokes() {
    run(test_name!(), NEEDS, |lab| {
        // Limits of a running process can be set only by its own user.
        let setup = Setup::usual().global("site-user = root\nsite-group = root\n");
        let mut cluster = Cluster::started(lab, &setup);
        holds(&cluster, POOR);
        let pid = cluster.members[POOR].pid().expect("it runs").to_string();
        shell("prlimit --pid \"$1\" --as=1048576:", &[&pid]);
        let begun = std::time::Instant::now();
        while begun.elapsed() < SOON && cluster.members[POOR].exited().is_none() {
            let limit = std::time::Duration::from_secs(2);
            drop(cluster.ask(POOR, &cluster.request(POOR, "CLst", ""), limit));
        }
        match cluster.members[POOR].exited() {
            Some(status) => {
                assert!(!status.success());
                let log = cluster.members[POOR].log_tail(5);
                assert!(log.contains("memory"), "{log}");
                until(GRANTED, "the keeper revokes", || (!granted(&cluster, POOR)).then_some(()));
                cluster.members[POOR].wait_end(SOON);
            }
            None => {
                assert!(granted(&cluster, POOR), "it has kept the ticket for two renewals");
                shell("prlimit --pid \"$1\" --as=unlimited:", &[&pid]);
                answers(&cluster, POOR);
                clear_away(&mut cluster, POOR);
            }
        }
        cluster.start(POOR);
        // The other site may have taken it over meanwhile.
        until(GRANTED, "nobody holds the ticket", || {
            cluster.booth(POOR, &["revoke", "-w", "t1"]);
            cluster.list(POOR).contains("leader: none").then_some(())
        });
        works(&cluster, POOR);
    });
}
