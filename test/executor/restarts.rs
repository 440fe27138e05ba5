// SPDX-License-Identifier: GPL-2.0-or-later
//! What a new daemon makes of its predecessor's work (`RULES.md` L9).

use crate::driver;
use crate::process::{lives, named, signal, until};
use crate::site::{both, Driver, Kind, Site};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// *g* of the tests that look whether it is waited for: far more than a start takes otherwise.
const G: Duration = Duration::from_millis(2_500);

/// Starts a daemon that has to wait for *g* first, or must not.
#[track_caller]
fn starts(site: &Site, waits: bool) -> Driver {
    let driver = site.start();
    assert_eq!(driver.ready_after >= site.guard, waits, "ready after {:?}", driver.ready_after);
    driver
}

fn unknown_site(kind: Kind) -> Site {
    let mut site = Site::new(kind);
    (site.guard, site.unknown) = (G, true);
    site
}

#[test]
fn the_first_start_on_a_machine_waits_for_what_another_may_have_begun() {
    both(|kind| {
        let site = unknown_site(kind);
        starts(&site, true).kill();
        starts(&site, false).stop();
        starts(&site, false).stop();
        // Without an entry that it has waited, as an earlier version leaves the table.
        let table = File::options().write(true).open(site.path("run/table")).expect("there");
        table.write_all_at(&[0; 64], 256).expect("written");
        starts(&site, true).stop();
        // Of another boot, or damaged.
        table.write_all_at(&[0; 96], 0).expect("written");
        starts(&site, true).stop();
        fs::remove_file(site.path("run/table")).expect("removed");
        starts(&site, true).stop();
    });
}

/// L9: the write in flight may be that of any ticket.
#[test]
fn the_first_start_waits_for_the_longest_g_of_all_tickets() {
    let g = G.as_millis();
    for guards in [format!("500 {g}"), format!("{g} 500")] {
        let mut site = unknown_site(Kind::Pacemaker);
        site.tickets.push("t1".to_owned());
        let driver = site.start_with(site.command().env(driver::GUARD, &guards));
        assert!(driver.ready_after >= G, "{guards}: ready after {:?}", driver.ready_after);
        driver.stop();
    }
}

#[test]
fn a_daemon_that_dies_while_it_waits_has_not_waited() {
    let site = unknown_site(Kind::Pacemaker);
    let driver = Driver::start(&mut site.command());
    until("it waits behind its guard", || !site.guards().is_empty());
    driver.kill();
    starts(&site, true).stop();
}

#[test]
fn one_that_was_stopped_for_long_may_have_run_elsewhere_meanwhile() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(1_000);
        site.start().stop();
        let stopped = Instant::now();
        starts(&site, false).stop();
        until("longer than g has passed", || stopped.elapsed() > 2 * site.guard);
        starts(&site, kind == Kind::Pacemaker).stop();
    });
}

#[test]
fn a_change_that_was_killed_after_its_daemon_is_waited_for_once() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = G;
    for (operation, wish) in [
        ("grant", "grant 0 1 1 600000"),
        ("revoke", "revoke 0 1 1 600000"),
        ("attr", "set 0 1 geo v 600000"),
    ] {
        site.control(&format!("{operation} stubborn\n"));
        let mut driver = starts(&site, false);
        driver.tell("hold 0 1 600000 640000 500000 550000");
        driver.tell(wish);
        let hung = site.call(operation, 0);
        driver.kill();
        for pid in named("booth-ticket-writer", site.text()) {
            signal(pid, libc::SIGKILL);
        }
        signal(hung, libc::SIGKILL);
        // It ends within a second, and holds the lock so long.
        let left = || named("sleep", site.text()).into_iter().any(lives);
        until("nobody has the lock any more", || site.helpers() == 0 && !lives(hung) && !left());
        starts(&site, true).kill();
        starts(&site, false).kill();
    }
}

#[test]
fn a_change_that_failed_may_be_made_all_the_same_until_a_later_one_has_been() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = G;
    for again in [false, true] {
        site.control("revoke exit 13\n");
        let mut driver = starts(&site, false);
        driver.tell("revoke 0 1 1 20000");
        assert!(driver.next().starts_with("written 1 Failed"));
        if again {
            site.control("");
            driver.tell("revoke 0 2 1 20000");
            assert_eq!(driver.next(), "written 2 Written");
        }
        driver.kill();
        starts(&site, !again).kill();
    }
}

#[test]
fn changes_that_have_ended_are_not_waited_for() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = G;
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
        for round in 0..7 {
            let mut driver = starts(&site, false);
            match round {
                0 => grant(&mut driver, 0),
                1 => {
                    driver.tell("set 0 2 geo v 60000");
                    assert_eq!(driver.next(), "attr 2 Written");
                }
                // Too late: it had the lock of the built-in store, and did nothing with it.
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
                    until("the guard has revoked all", || (0..9).all(|n| !site.is_granted(n)));
                    until("and noted it", || site.helpers() == 0);
                    (0..count).for_each(|n| driver.tell(&format!("unhold {n} 1")));
                }
            }
            driver.kill();
        }
        starts(&site, false).kill();
    });
}

#[test]
fn a_hung_grant_of_the_predecessor_is_ended_before_anything_else() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = Duration::from_millis(1_500);
    site.control("grant stubborn\n");
    let mut driver = site.start();
    driver.hold(0, 1, 600_000);
    driver.tell("grant 0 1 1 600000");
    let hung = site.call("grant", 0);
    driver.kill();
    assert!(lives(hung), "it outlives its parent");
    let mut driver = site.start();
    assert!(!lives(hung));
    assert!(driver.ready_after >= site.guard, "what it had begun had its time");
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
}

#[test]
fn a_start_after_a_kill_without_work_does_not_wait() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_secs(20);
        let mut driver = site.start();
        driver.tell("hold 0 1 600000 640000 500000 550000");
        driver.tell("grant 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written");
        driver.kill();
        let mut driver = site.start();
        assert!(driver.ready_after < Duration::from_secs(15), "{:?}", driver.ready_after);
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"));
    });
}

#[test]
fn a_revoke_of_the_predecessor_is_let_finish() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = Duration::from_secs(20);
    let mut driver = site.start();
    driver.tell("hold 0 1 600000 640000 500000 550000");
    driver.tell("grant 0 1 1 60000");
    assert_eq!(driver.next(), "written 1 Written");
    site.control("revoke delay 1\n");
    driver.tell("revoke 0 2 1 60000");
    site.call("revoke", 0);
    driver.kill();
    assert!(site.is_granted(0));
    let driver = site.start();
    assert!(!site.is_granted(0));
    assert!(driver.ready_after < site.guard, "nothing was killed");
}

#[test]
fn work_that_the_predecessor_had_only_asked_for_is_not_done() {
    let site = Site::new(Kind::BuiltIn);
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    let process = named("booth-ticket-writer", site.text())[0];
    signal(process, libc::SIGSTOP);
    driver.tell("manual 0 1 1 600000");
    // The wish is behind this one in the executor's order, so it has been sent by then.
    driver.tell("probe 0 1 0 20000");
    assert!(driver.next().starts_with("probed 1 Failed"));
    driver.kill();
    let mut driver = site.start();
    signal(process, libc::SIGCONT);
    until("the old process has ended", || !lives(process));
    assert_eq!(site.stored(0), None);
    driver.tell("manual 0 1 2 20000");
    assert_eq!(driver.next(), "written 1 Written");
}

#[test]
fn a_helper_of_an_earlier_daemon_that_comes_late_does_nothing() {
    let site = Site::new(Kind::Pacemaker);
    let driver = site.start();
    let helper = |generation: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booth"));
        let table = File::open(site.path("run/table")).expect("there");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg0("booth-ticket-writer")
            .args(["change", "0", generation, "some", "grant", "12345", "1", "never"])
            .env("PATH", format!("{}:{path}", site.path("bin").display()))
            .stdin(table);
        command.output().expect("run")
    };
    let output = helper("1");
    assert_eq!(output.status.code(), Some(201));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "a newer boothd has started\n");
    assert!(site.calls().is_empty());
    driver.stop();
}

#[test]
fn only_one_daemon_of_a_site_can_run() {
    let site = Site::new(Kind::BuiltIn);
    let first = site.start();
    let second = Driver::start(&mut site.command());
    let said = second.next();
    assert!(said.starts_with("error another daemon of this site uses the lease table"), "{said}");
    first.stop();
    site.start().stop();
}

#[test]
fn a_run_directory_that_is_emptied_does_not_end_a_running_daemon_s_work() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        fs::remove_dir_all(site.path("run")).expect("removed");
        driver.grant(0, 1, 4_000);
        driver.kill();
        until("the guard has revoked it all the same", || !site.is_granted(0));
    });
}

#[test]
fn a_run_directory_that_cannot_be_used_is_named() {
    let site = Site::new(Kind::Pacemaker);
    fs::remove_dir_all(site.path("run")).expect("removed");
    let driver = Driver::start(&mut site.command());
    let said = driver.next();
    assert!(said.starts_with("error the lease table ") && said.contains("/run/table"), "{said}");
}
