// SPDX-License-Identifier: GPL-2.0-or-later
//! What a new daemon, and a new keeper, make of their predecessors' work (`RULES.md` L9).

use crate::driver;
use crate::process::{lives, named, pass, signal, until};
use crate::site::{both, Driver, Kind, Site};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// *g* of the tests that look whether it is waited for: far more than a start takes otherwise.
const G: Duration = Duration::from_millis(2_500);

fn site(kind: Kind) -> Site {
    let mut site = Site::new(kind);
    site.guard = G;
    site
}

/// Starts a daemon, which is ready at once; the store is read and believed after *g*, or at once.
#[track_caller]
fn starts(site: &Site, waits: bool) -> Driver {
    let mut driver = site.start();
    let ready = driver.ready_after;
    assert!(ready < site.guard, "ready after {ready:?}");
    let begun = Instant::now();
    driver.tell("load 0 20000");
    let said = driver.next();
    let after = ready + begun.elapsed();
    assert!(said.starts_with("loaded 0 ") && !said.contains("Failed"), "{said}");
    assert_eq!(after >= site.guard, waits, "read after {after:?}");
    driver
}

/// Ends the keeper as well: nobody is left who knows anything.
fn kill_both(site: &Site, driver: Driver) {
    let keepers = site.keepers();
    driver.kill();
    keepers.into_iter().for_each(|pid| signal(pid, libc::SIGKILL));
    until("the keeper is gone", || site.keepers().is_empty());
}

/// Another node of a cluster may have begun something; another machine has another built-in store.
#[test]
fn the_first_start_on_a_machine_waits_for_what_another_may_have_begun() {
    both(|kind| {
        let site = site(kind);
        let shared = kind == Kind::Pacemaker;
        starts(&site, shared).kill();
        starts(&site, false).stop();
        kill_both(&site, starts(&site, false));
        // What has died with nothing in flight was not alone, as far as anybody knows.
        let driver = starts(&site, shared);
        fs::remove_file(site.path("run/keeper")).expect("removed");
        driver.stop();
        // The keeper that lives cannot be found.
        starts(&site, shared).stop();
    });
}

#[test]
fn a_mark_of_something_in_flight_is_waited_for_with_every_store() {
    both(|kind| {
        let site = site(kind);
        fs::write(site.path("run/in-flight"), "1").expect("written");
        kill_both(&site, starts(&site, true));
        assert_eq!(site.mark(), "0", "{kind:?}: taken back when the time had passed");
        starts(&site, kind == Kind::Pacemaker).stop();
    });
}

/// L9: the write in flight may be that of any ticket.
#[test]
fn the_first_start_waits_for_the_longest_g_of_all_tickets() {
    let g = G.as_millis();
    for guards in [format!("500 {g}"), format!("{g} 500")] {
        let mut site = site(Kind::Pacemaker);
        site.tickets.push("t1".to_owned());
        let begun = Instant::now();
        let mut driver = site.start_with(site.command().env(driver::GUARD, &guards));
        for ticket in 0..2 {
            driver.tell(&format!("load {ticket} 20000"));
            driver.next();
            assert!(begun.elapsed() >= G, "{guards}: t{ticket} after {:?}", begun.elapsed());
        }
        driver.stop();
    }
}

#[test]
fn a_daemon_that_dies_while_its_keeper_waits_has_not_waited() {
    let site = site(Kind::Pacemaker);
    let begun = Instant::now();
    let driver = site.start();
    let keeper = site.keeper();
    driver.kill();
    // The keeper goes on waiting for both.
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    assert!(begun.elapsed() >= G, "{:?}", begun.elapsed());
    assert_eq!(site.keepers(), [keeper]);
    kill_both(&site, driver);
    // One that dies with its keeper has waited for nobody.
    let driver = site.start();
    kill_both(&site, driver);
    starts(&site, true).stop();
}

#[test]
fn a_keeper_that_dies_while_it_waits_has_not_waited() {
    both(|kind| {
        let site = site(kind);
        if kind == Kind::BuiltIn {
            fs::write(site.path("run/in-flight"), "1").expect("written");
        }
        let mut driver = site.start();
        pass(G / 2);
        let killed = Instant::now();
        signal(site.keeper(), libc::SIGKILL);
        driver.tell("load 0 20000");
        assert_eq!(driver.next(), "loaded 0 Absent");
        assert!(killed.elapsed() >= G, "{kind:?}: {:?}", killed.elapsed());
    });
}

/// A keeper stays for *g*; in longer than that another node may have begun something.
#[test]
fn one_that_was_stopped_for_long_may_have_run_elsewhere_meanwhile() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(1_000);
        starts(&site, kind == Kind::Pacemaker).stop();
        let stopped = Instant::now();
        starts(&site, false).stop();
        until("the keeper ends", || site.keepers().is_empty());
        assert!(stopped.elapsed() >= site.guard);
        starts(&site, kind == Kind::Pacemaker).stop();
    });
}

/// Makes the next change of this kind hang, and waits until it does: its process.
fn hang(site: &Site, driver: &mut Driver, kind: Kind, wish: &str, operation: &str) -> u32 {
    match kind {
        Kind::Pacemaker => {
            site.control(&format!("{operation} stubborn\n"));
            driver.tell(wish);
            site.call(operation, 0)
        }
        Kind::BuiltIn => {
            // Nobody reads what it writes.
            let pipe = site.path("tickets/.t0.new");
            let status = Command::new("mkfifo").arg(&pipe).status().expect("started");
            assert!(status.success());
            driver.tell(wish);
            let writers = || named("booth-ticket-writer", site.text());
            until("the helper hangs", || writers().len() == 1);
            pass(Duration::from_millis(200));
            writers()[0]
        }
    }
}

/// The store works again.
fn unhang(site: &Site, kind: Kind) {
    match kind {
        Kind::Pacemaker => site.control(""),
        Kind::BuiltIn => fs::remove_file(site.path("tickets/.t0.new")).expect("removed"),
    }
}

/// Daemon and keeper are killed with a change in flight: nobody else knows, but for the mark.
#[test]
fn a_change_that_was_killed_after_its_daemon_is_waited_for_once() {
    both(|kind| {
        for (operation, wish) in [
            ("grant", "grant 0 1 1 600000"),
            ("revoke", "revoke 0 1 1 600000"),
            ("attr", "set 0 1 geo v 600000"),
        ] {
            let site = site(kind);
            let mut driver = starts(&site, kind == Kind::Pacemaker);
            assert_eq!(site.mark(), "0");
            driver.tell("hold 0 1 600000 640000 500000 550000");
            let hung = hang(&site, &mut driver, kind, wish, operation);
            assert_eq!(site.mark(), "1", "{kind:?} {operation}");
            kill_both(&site, driver);
            until("what it had started ends with it", || !lives(hung));
            unhang(&site, kind);
            assert_eq!(site.mark(), "1", "{kind:?} {operation}");
            let driver = starts(&site, true);
            until("the mark is taken back", || site.mark() == "0");
            driver.kill();
            starts(&site, false).kill();
        }
    });
}

#[test]
fn a_grant_that_failed_may_be_made_all_the_same_for_the_time_g() {
    let site = site(Kind::Pacemaker);
    let mut driver = starts(&site, true);
    site.control("grant exit 13\n");
    driver.tell("hold 0 1 600000 640000 500000 550000");
    driver.tell("grant 0 1 1 20000");
    assert!(driver.next().starts_with("written 1 Failed"));
    let failed = Instant::now();
    assert_eq!(site.mark(), "1");
    driver.kill();
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    assert!(failed.elapsed() >= G, "read after {:?}", failed.elapsed());
    driver.kill();
    starts(&site, false).kill();
}

#[test]
fn changes_that_have_ended_are_not_waited_for() {
    both(|kind| {
        let mut site = site(kind);
        // More than are revoked one by one.
        site.tickets = (0..9).map(|n| format!("t{n}")).collect();
        let hold = |driver: &mut Driver, n: usize, time: u64| {
            driver.tell(&format!("hold {n} 1 {time} 640000 {time} {time}"));
        };
        let grant = |driver: &mut Driver, n: usize| {
            hold(driver, n, 600_000);
            driver.tell(&format!("grant {n} 1{n} 1 60000"));
            assert_eq!(driver.next(), format!("written 1{n} Written"));
        };
        starts(&site, kind == Kind::Pacemaker).kill();
        for round in 0..7 {
            let mut driver = starts(&site, false);
            match round {
                0 => grant(&mut driver, 0),
                1 => {
                    driver.tell("set 0 2 geo v 60000");
                    assert_eq!(driver.next(), "attr 2 Written");
                }
                // Too late: nothing was done.
                2 => {
                    hold(&mut driver, 0, 0);
                    driver.tell("grant 0 3 1 60000");
                    assert_eq!(driver.next(), "written 3 TooLate");
                }
                3 | 4 => {
                    let count = if round == 3 { 1 } else { 9 };
                    (0..count).for_each(|n| driver.tell(&format!("revoke {n} 1{n} 1 60000")));
                    (0..count).for_each(|_| assert!(driver.next().ends_with(" Written")));
                }
                _ => {
                    let count = if round == 5 { 1 } else { 9 };
                    (0..count).for_each(|n| grant(&mut driver, n));
                    (0..count).for_each(|n| hold(&mut driver, n, 500));
                    until("the keeper has revoked all", || (0..9).all(|n| !site.is_granted(n)));
                    (0..count).for_each(|n| driver.tell(&format!("unhold {n} 1")));
                }
            }
            until("nothing is in flight", || site.mark() != "1");
            driver.kill();
        }
        // Nor by a keeper that takes the place of one that has died.
        let mut driver = starts(&site, false);
        signal(site.keeper(), libc::SIGKILL);
        let begun = Instant::now();
        grant(&mut driver, 0);
        assert!(begun.elapsed() < G, "{kind:?}: {:?}", begun.elapsed());
        kill_both(&site, driver);
        starts(&site, kind == Kind::Pacemaker).kill();
    });
}

/// Nobody waits for it any more: it has had the time of one change, and is ended.
#[test]
fn a_hung_grant_of_the_predecessor_is_ended_before_anything_else() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(1_500);
        let mut driver = site.start();
        driver.hold(0, 1, 600_000);
        let hung = hang(&site, &mut driver, kind, "grant 0 1 1 600000", "grant");
        driver.kill();
        assert!(lives(hung), "it outlives boothd");
        let mut driver = site.start();
        let begun = Instant::now();
        driver.tell("load 0 20000");
        assert_eq!(driver.next(), "loaded 0 Absent");
        assert!(!lives(hung));
        assert!(begun.elapsed() >= site.guard, "what it had begun had its time");
    });
}

#[test]
fn a_start_after_a_kill_without_work_does_not_wait() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_secs(8);
        let mut driver = site.start();
        driver.tell("hold 0 1 600000 640000 500000 550000");
        driver.tell("grant 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written");
        driver.kill();
        let begun = Instant::now();
        let mut driver = site.start();
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"));
        assert!(begun.elapsed() < site.guard, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_revoke_of_the_predecessor_is_let_finish() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = Duration::from_secs(8);
    let mut driver = site.start();
    driver.tell("hold 0 1 600000 640000 500000 550000");
    driver.tell("grant 0 1 1 60000");
    assert_eq!(driver.next(), "written 1 Written");
    site.control("revoke delay 1\n");
    driver.tell("revoke 0 2 1 60000");
    site.call("revoke", 0);
    driver.kill();
    assert!(site.is_granted(0));
    let begun = Instant::now();
    let mut driver = site.start();
    driver.tell("load 0 60000");
    assert!(driver.next().contains("granted: false"), "read before it had ended");
    assert!(begun.elapsed() < site.guard, "nothing was killed");
}

/// The keeper hears nothing any more. What was only asked of it must not be done later.
#[test]
fn work_that_the_predecessor_had_only_asked_for_is_not_done() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.tell("load 0 20000");
        assert_eq!(driver.next(), "loaded 0 Absent");
        let keeper = site.keeper();
        signal(keeper, libc::SIGSTOP);
        driver.tell("manual 0 1 1 600000");
        driver.all_told();
        driver.kill();
        let mut driver = site.start();
        assert!(!lives(keeper), "{kind:?}");
        assert_eq!(site.stored(0), None);
        driver.tell("load 0 20000");
        assert_eq!(driver.next(), "loaded 0 Absent", "{kind:?}");
        driver.tell("manual 0 1 2 20000");
        assert_eq!(driver.next(), "written 1 Written");
    });
}

#[test]
fn a_run_directory_that_is_emptied_does_not_end_a_running_daemon_s_work() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        fs::remove_dir_all(site.path("run")).expect("removed");
        driver.grant(0, 1, 4_000);
        driver.kill();
        until("the keeper has revoked it all the same", || !site.is_granted(0));
    });
}

#[test]
fn a_run_directory_that_cannot_be_used_is_named() {
    let site = Site::new(Kind::Pacemaker);
    fs::remove_dir_all(site.path("run")).expect("removed");
    let said = site.begin().next();
    let expected =
        format!("error cannot start the keeper of the tickets: {}: ", site.path("run").display());
    assert!(said.starts_with(&expected), "{said}");
}
