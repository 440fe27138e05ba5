// SPDX-License-Identifier: GPL-2.0-or-later
//! A holder whose keeper lives and cannot be reached, or hears nothing, when its boothd comes
//! back; and one whose `crm_ticket` is a script.

use crate::guards::{granted, moves, start_and_grant, started, Store};
use crate::keeper_kills::{signal_keeper, stays};
use crate::watch::{
    holding, never_two, wait_granted, wait_until, FAIL_OVER, LEASE, LINK_NEEDS, NEEDS,
};
use booth_harness::{
    now, pass, report, run_for, shell, test_name, under_test, Cluster, Kind, Links, Setup,
};
use socket2::{Domain, SockAddr, Socket, Type};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(10);

/// Where the keeper of a site is found.
fn run_dir(cluster: &Cluster, site: usize) -> PathBuf {
    let lock_file = cluster.members[site].lock_file();
    let dir = lock_file.parent().expect("it has one");
    let entries = std::fs::read_dir(dir).expect("there").flatten();
    let name = format!("-{}.keeper", cluster.address(site));
    let is_it = |path: &PathBuf| path.to_string_lossy().ends_with(&name);
    entries.map(|entry| entry.path()).find(is_it).expect("a site has one")
}

/// Connects to a keeper that is stopped until it has no room for more.
fn fill(cluster: &Cluster, site: usize) -> Vec<Socket> {
    // Paths of sockets are short.
    let dir = std::fs::File::open(run_dir(cluster, site)).expect("there");
    let number = std::os::fd::AsRawFd::as_raw_fd(&dir);
    let address = SockAddr::unix(format!("/proc/self/fd/{number}/keeper")).expect("short");
    let mut callers = Vec::new();
    for _ in 0..1_000 {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
        socket.set_nonblocking(true).expect("set");
        match socket.connect(&address) {
            Ok(()) => callers.push(socket),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return callers,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("there is always room");
}

/// The keeper is stopped, boothd is killed, and callers have taken all the room that there is.
fn crowded(name: &str, store: Store) {
    run_for(name, NEEDS, LIMIT, |lab| {
        assert_eq!(under_test(), Kind::Ours, "the reference has no keeper");
        let mut cluster = started(lab, store);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        let old = signal_keeper(&cluster, 0, "STOP");
        cluster.kill(0);
        let callers = fill(&cluster, 0);
        cluster.start(0);
        stays(&cluster, store, 0, LEASE + Duration::from_secs(5));
        let new = cluster.keeper(0).expect("there is one");
        assert_ne!(new, old, "beside it, or still there");
        // The new one guards as well.
        cluster.kill(0);
        let free = moves(&cluster, store, 0, 1);
        drop(callers);
        report(&format!("revoked {:.2} s before the other had it", free.as_secs_f64()));
    });
}

#[test]
fn a_stopped_keeper_with_many_callers_is_replaced_cib() {
    crowded(test_name!(), Store::Pacemaker);
}

#[test]
fn a_stopped_keeper_with_many_callers_is_replaced_directory() {
    crowded(test_name!(), Store::Directory);
}

/// The file system of the run directory has become read-only.
fn read_only(name: &str, store: Store) {
    run_for(name, NEEDS, LIMIT, |lab| {
        let mut cluster = started(lab, store);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        let (old, dir) = (cluster.keeper(0).expect("there is one"), run_dir(&cluster, 0));
        let dir = dir.display().to_string();
        shell("mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"", &[&dir]);
        cluster.kill(0);
        cluster.start(0);
        stays(&cluster, store, 0, LEASE + Duration::from_secs(2));
        assert_eq!(cluster.keeper(0), Some(old));
        // Without one, none is started that could not be found.
        cluster.kill(0);
        signal_keeper(&cluster, 0, "KILL");
        wait_until(SOON, "it is gone", || cluster.keeper(0).is_none());
        cluster.members[0].spawn(lab);
        let exit = cluster.members[0].wait_end(SOON);
        assert!(!exit.success());
        let log = cluster.members[0].log();
        let said = log.lines().find(|line| line.contains("make the directory writable"));
        assert!(said.is_some_and(|line| line.contains(&dir)), "{log}");
        assert_eq!(cluster.keeper(0), None);
        shell("umount \"$1\"", &[&dir]);
        cluster.start(0);
        wait_until(FAIL_OVER, "somebody has it", || {
            granted(&cluster, store, 0) != granted(&cluster, store, 1)
        });
    });
}

#[test]
fn a_keeper_in_a_read_only_run_directory_is_found_cib() {
    read_only(test_name!(), Store::Pacemaker);
}

#[test]
fn a_keeper_in_a_read_only_run_directory_is_found_directory() {
    read_only(test_name!(), Store::Directory);
}

/// The keeper is stopped right after a renewal, and boothd hears nobody: it has nothing to say
/// until the window ends.
#[test]
fn a_keeper_stopped_while_boothd_is_silent_is_replaced_in_time() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        let writes = cluster.crm(0).calls_of("grant").len();
        wait_until(LEASE, "a renewal", || cluster.crm(0).calls_of("grant").len() > writes);
        pass(Duration::from_millis(700));
        for other in [1, 2] {
            links.cut(cluster.address(0), cluster.address(other));
        }
        let old = signal_keeper(&cluster, 0, "STOP");
        wait_until(LEASE * 2, "it is replaced", || cluster.keeper(0).is_some_and(|pid| pid != old));
        let replaced = now();
        let free = moves(&cluster, Store::Pacemaker, 0, 1);
        let revoke = cluster.crm(0).calls_of("revoke").swap_remove(0);
        let waited = revoke.at - replaced;
        report(&format!(
            "replaced {waited:.2} s before it had to revoke, which was {:.2} s before the other \
             had it",
            free.as_secs_f64()
        ));
        // It is noticed 2 g before the end of the window, which takes some 0.6 s. The first to
        // need it would otherwise be the revoke.
        assert!(waited > 0.4, "replaced {waited} s before it had to revoke");
        never_two(&cluster);
    });
}

/// A site has put a script in the place of `crm_ticket`, and boothd and keeper are killed while
/// the real one is about to grant: it must not do so when another site has the ticket.
#[test]
fn a_grant_behind_a_script_ends_with_its_keeper() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let bin = cluster.crm(0).bin().display().to_string();
        let script = "mv \"$1/crm_ticket\" \"$1/real\"\n\
            printf '#!/bin/sh\\ntimeout 60 \"${0%%/*}/real\" \"$@\"\\n' >\"$1/crm_ticket\"\n\
            chmod 755 \"$1/crm_ticket\"";
        shell(script, &[&bin]);
        start_and_grant(&mut cluster, Store::Pacemaker);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        let links = Links::new(lab);
        cluster.crm(0).control("grant delay 16");
        let writes = cluster.crm(0).calls_of("grant").len();
        wait_until(LEASE, "a renewal", || cluster.crm(0).calls_of("grant").len() > writes);
        for other in [1, 2] {
            links.cut(cluster.address(0), cluster.address(other));
        }
        let begun = Instant::now();
        signal_keeper(&cluster, 0, "KILL");
        cluster.kill(0);
        cluster.crm(0).control("");
        cluster.start(0);
        wait_granted(&cluster, 1, FAIL_OVER);
        while begun.elapsed() < Duration::from_secs(18) {
            assert!(!cluster.crm(0).is_granted("t1"), "granted after {:?}", begun.elapsed());
            pass(Duration::from_millis(20));
        }
        never_two(&cluster);
    });
}
