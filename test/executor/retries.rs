// SPDX-License-Identifier: GPL-2.0-or-later
//! What the lease guard makes of a store that has failed: it waits longer and longer for that
//! store, but never with what has ended since.

use crate::process::until;
use crate::site::{both, Driver, Kind, Site};
use std::fs;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

/// A guard that fails at 0, 1, 3 and 7 seconds tries again at 15.
const FAILURES: Duration = Duration::from_millis(7_500);

/// Far less than what is left until then.
const SOON: Duration = Duration::from_secs(4);

fn pass(time: Duration) {
    let begun = Instant::now();
    until("time has passed", || begun.elapsed() >= time);
}

/// Every change of the store fails from now on, or works again.
fn fail(site: &Site, kind: Kind, fails: bool) {
    let (dir, away) = (site.path("tickets"), site.path("away"));
    match (kind, fails) {
        (Kind::Pacemaker, true) => site.control("any exit 1\n"),
        (Kind::Pacemaker, false) => site.control(""),
        (Kind::BuiltIn, true) => {
            fs::rename(&dir, away).expect("renamed");
            fs::write(dir, "no directory").expect("written");
        }
        (Kind::BuiltIn, false) => {
            fs::remove_file(&dir).expect("removed");
            fs::rename(away, dir).expect("renamed");
        }
    }
}

/// The time of a granted ticket ends now; asserts that the guard revokes it soon.
fn is_revoked_soon(site: &Site, driver: &mut Driver, ticket: usize, term: u32) {
    site.write_to(ticket, true, term.into(), 4_000_000_000);
    let begun = Instant::now();
    driver.hold(ticket, term, 1);
    until("the guard has revoked the ticket", || !site.is_granted(ticket));
    let after = begun.elapsed();
    println!("revoked after {after:?}");
    assert!(after < SOON, "it waited for the next try of something else: {after:?}");
}

/// That the store failed says nothing of a later holding: the store may work again, and another
/// site may be granted the ticket as soon as the lease is over.
#[test]
fn failures_at_the_end_of_one_window_do_not_delay_the_end_of_the_next() {
    both(|kind| {
        let site = Site::new(kind);
        site.write(true, 1, 4_000_000_000);
        let mut driver = site.start();
        fail(&site, kind, true);
        driver.hold(0, 1, 1);
        pass(FAILURES);
        fail(&site, kind, false);
        driver.tell("revoke 0 2 1 20000");
        assert_eq!(driver.next(), "written 2 Written", "{kind:?}");
        driver.tell("unhold 0 1");
        is_revoked_soon(&site, &mut driver, 0, 2);
    });
}

#[test]
fn failures_of_one_ticket_do_not_delay_another() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.tickets = vec!["t0".to_owned(), "t1".to_owned()];
        let mut driver = site.start();
        match kind {
            Kind::Pacemaker => site.control("t0:any exit 1\n"),
            Kind::BuiltIn => fs::create_dir_all(site.path("tickets/t0")).expect("made"),
        }
        driver.hold(0, 1, 1);
        pass(FAILURES);
        is_revoked_soon(&site, &mut driver, 1, 1);
    });
}

/// Lets a process write no file, or lets it again.
fn may_write_files(pid: u32, may: bool) {
    let most = if may { libc::RLIM_INFINITY } else { 0 };
    let limit = libc::rlimit { rlim_cur: most, rlim_max: libc::RLIM_INFINITY };
    let pid = i32::try_from(pid).expect("a pid");
    // SAFETY: `limit` is a valid structure, and no old one is asked for.
    let result = unsafe {
        libc::prlimit(pid, libc::RLIMIT_FSIZE, std::ptr::from_ref(&limit), std::ptr::null_mut())
    };
    assert_eq!(result, 0, "the process is there");
}

/// The guard sleeps until what it knows of. A window that could not be written is nothing that it
/// knows of, so the next one has to wake it, however much later that ends.
#[test]
fn a_window_after_one_that_could_not_be_told_wakes_the_guard() {
    both(|kind| {
        let site = Site::new(kind);
        site.write(true, 1, 4_000_000_000);
        let mut command = site.command();
        // SAFETY: the call takes two numbers and is allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                Ok(())
            });
        }
        let mut driver = site.start_with(&mut command);
        may_write_files(driver.id(), false);
        // It ends at once, but not for a grant.
        driver.tell("hold 0 1 1 600000 600000 600000");
        driver.tell("grant 0 1 1 20000");
        let said = driver.next();
        assert!(said.contains("the lease table cannot be written"), "{kind:?}: {said}");
        may_write_files(driver.id(), true);
        driver.hold(0, 1, 500);
        driver.all_told();
        driver.pause();
        until("the guard has revoked the ticket", || !site.is_granted(0));
    });
}
