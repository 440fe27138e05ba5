// SPDX-License-Identifier: GPL-2.0-or-later
//! What a new daemon makes of its predecessor's work (`lease.md` L9).

use crate::process::{lives, named, signal, until};
use crate::site::{both, Driver, Kind, Site};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

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
