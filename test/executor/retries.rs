// SPDX-License-Identifier: GPL-2.0-or-later
//! What the keeper makes of a store that is slow, hangs, or fails: a revoke goes on until one has
//! worked, and what has ended since never waits for what failed before.

use crate::guarding::revoked_at;
use crate::process::{lives, pass, until};
use crate::site::{both, Driver, Kind, Site};
use std::fs;
use std::time::{Duration, Instant};

/// Long enough that pauses have grown, where they grow.
const FAILURES: Duration = Duration::from_millis(7_500);

/// Far less than what is left until then.
const SOON: Duration = Duration::from_secs(4);

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

/// The time of a granted ticket ends now; asserts that the keeper revokes it soon.
fn is_revoked_soon(site: &Site, driver: &mut Driver, ticket: usize, term: u32) {
    site.write_to(ticket, true, term.into(), 4_000_000_000);
    let begun = Instant::now();
    driver.hold(ticket, term, 1);
    until("the keeper has revoked the ticket", || !site.is_granted(ticket));
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

/// One that is given up for being slow is never made by a store that needs its time.
#[test]
fn a_slow_revoke_ends_by_itself_and_another_joins_it() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 600_000);
    site.control("revoke delay 8\n");
    let begun = Instant::now();
    driver.tell("revoke 0 2 1 60000");
    let first = site.call("revoke", 0);
    // After g, and then after twice as long each time.
    for (n, after) in [(1, 500), (2, 1_500), (3, 3_500)] {
        site.call("revoke", n);
        assert!(begun.elapsed() >= Duration::from_millis(after), "{n}: {:?}", begun.elapsed());
    }
    until("the first has had seven seconds", || {
        assert!(lives(first), "it was ended after {:?}", begun.elapsed());
        begun.elapsed() >= Duration::from_secs(7)
    });
    assert_eq!(driver.next(), "written 2 Written");
    assert!(!site.is_granted(0));
    let after = begun.elapsed();
    println!("revoked after {after:?}");
    assert!(after >= Duration::from_secs(8), "{after:?}");
    let calls: Vec<u32> =
        site.calls().into_iter().filter(|call| call.1 == "revoke").map(|call| call.0).collect();
    assert_eq!(calls.len(), 5, "one more after seven and a half seconds");
    until("the others are ended", || !calls.iter().any(|pid| lives(*pid)));
    // They may only write the same once more; the next grant waits for that.
    site.control("");
    driver.grant(0, 2, 600_000);
    pass(Duration::from_secs(1));
    assert!(site.is_granted(0));
}

#[test]
fn a_slow_revoke_of_a_dead_daemon_ends_by_itself() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 1_000);
    site.control("revoke delay 8\n");
    driver.kill();
    let first = site.call("revoke", 0);
    let begun = Instant::now();
    until("the first has had seven seconds", || {
        assert!(lives(first), "it was ended after {:?}", begun.elapsed());
        begun.elapsed() >= Duration::from_secs(7)
    });
    until("the keeper has revoked the ticket", || !site.is_granted(0));
    until("the keeper ends", || site.keepers().is_empty());
}

/// A store whose first revoke hangs for good, whatever the control file says.
fn with_a_revoke_that_hangs() -> Site {
    let site = Site::new(Kind::Pacemaker);
    let fake = site.path("bin/fake");
    fs::rename(site.path("bin/crm_ticket"), &fake).expect("renamed");
    site.program(
        "bin/crm_ticket",
        "dir=${0%/*}\n\
         case \" $* \" in *' -r '*) mkdir \"$dir/hung\" 2>/dev/null && exec sleep 600;; esac\n\
         exec \"$dir/fake\" \"$@\"",
    );
    site
}

#[test]
fn a_hung_revoke_does_not_keep_the_next_attempt_waiting() {
    for dead in [false, true] {
        let site = with_a_revoke_that_hangs();
        let mut driver = site.start();
        driver.grant(0, 1, if dead { 1_000 } else { 600_000 });
        let begun = Instant::now();
        let driver = if dead {
            driver.kill();
            None
        } else {
            driver.tell("revoke 0 2 1 1000");
            Some(driver)
        };
        until("the first hangs", || site.path("bin/hung").exists());
        until("the keeper has revoked the ticket", || !site.is_granted(0));
        println!("revoked after {:?}", begun.elapsed());
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        if let Some(driver) = driver {
            assert_eq!(driver.next(), "written 2 Written");
        }
    }
}

/// A revoke that hangs when the window ends gets company at that instant.
#[test]
fn a_fresh_attempt_begins_at_the_end_of_the_window() {
    let mut site = with_a_revoke_that_hangs();
    site.guard = Duration::from_secs(3);
    let mut driver = site.start();
    let begun = Instant::now();
    driver.grant(0, 1, 600_000);
    driver.tell("hold 0 1 2000 60000 0 2000");
    driver.tell("revoke 0 2 1 1000");
    until("the first hangs", || site.path("bin/hung").exists());
    driver.pause();
    revoked_at(&site, begun, Duration::from_millis(2_000));
}

/// Twice a second, for the price of one short call each; the log is told in growing pauses.
#[test]
fn a_revoke_that_fails_is_tried_again_twice_a_second() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 1_000);
    site.control("revoke exit 1\n");
    driver.kill();
    site.call("revoke", 0);
    let keeper = site.keeper();
    let (begun, spent) = (Instant::now(), ticks(keeper));
    let tries = || site.calls().iter().filter(|call| call.1 == "revoke").count();
    pass(Duration::from_secs(8));
    let (tries, after) = (tries() - 1, begun.elapsed());
    let spent = ticks(keeper) - spent;
    println!("{tries} more in {after:?}, for {spent} ticks of the processor");
    // On a busy machine a call itself takes long; but they never come all at once.
    assert!((8..=17).contains(&tries), "{tries} in {after:?}");
    assert!(spent <= 20, "{spent} ticks");
    site.control("");
    until("the keeper has revoked the ticket", || !site.is_granted(0));
}

/// The time that a process has had the processor, without its children, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = text.rsplit_once(')').expect("a name in parentheses").1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}
