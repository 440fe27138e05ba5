// SPDX-License-Identifier: GPL-2.0-or-later
//! A site that loses very many tickets of the CIB at the same instant: each is revoked within *g*,
//! by its keeper, whether the daemon lives or not (P20).

use crate::driver;
use crate::process::{lives, until};
use crate::site::{Driver, Kind, Site};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

/// *g* of a ticket with the default lease time.
const G: Duration = Duration::from_secs(5);

/// So many tickets in a site whose `crm_ticket` and `cibadmin` take so many seconds. The quick
/// `crm_ticket` writes what the fake one writes, without its own dozen of processes; its grants
/// hang.
fn site_of(tickets: usize, takes: &str) -> Site {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = G;
    site.tickets = (0..tickets).map(|n| format!("t{n}")).collect();
    site.script(&format!(
        "cd \"${{0%/*}}/../crm\"; echo \"$*\" >>calls\n\
         case \"$*\" in *' -g '*) exec sleep 600;; esac; sleep {takes}\n\
         while read -r _ g attributes; do granted=$g all=$attributes; done <cib.$2\n\
         case \"$*\" in *' -r '*) echo \"0\tfalse\t$all\" >>cib.$2; exit;; esac\n\
         echo; echo \"<ticket_state id=\\\"$2\\\" granted=\\\"$granted\\\" $all/>\""
    ));
    site.control(&format!("any delay {takes}\n"));
    for name in &site.tickets {
        let line = "0\ttrue\towner=\"1\" expires=\"4000000000\" term=\"1\"\n";
        fs::write(site.path(&format!("crm/cib.{name}")), line).expect("written");
    }
    site
}

/// All tickets may be held for `hold` from now, and the lease ends after *g* more. Tells when
/// that is. On a machine that is too slow to tell all of them before, they may be held for longer.
fn hold_all(site: &Site, driver: &mut Driver, hold: Duration, g: Duration) -> SystemTime {
    let lease_until = SystemTime::now() + hold + g;
    for n in 0..site.tickets.len() {
        // What passes meanwhile is taken off, so that all end at the same time.
        let left = lease_until.duration_since(SystemTime::now()).unwrap_or_default();
        let Some(hold_left) = left.checked_sub(g).filter(|left| *left > hold / 4) else {
            return hold_all(site, driver, hold * 2, g);
        };
        let (hold, left) = (hold_left.as_millis(), left.as_millis());
        driver.tell(&format!("hold {n} 1 {hold} {left} {hold} {hold}"));
    }
    driver.all_told();
    if SystemTime::now() + g >= lease_until {
        return hold_all(site, driver, hold * 2, g);
    }
    lease_until
}

/// How often the time of a single revoke all of them may take together. Eight at a time would be
/// 125 times for a thousand; how fast the machine is does not matter.
const TIMES_MAX: u32 = 40;

/// How long a single revoke takes now; the ticket is granted again afterwards.
fn one_revoke(site: &Site, driver: &mut Driver) -> Duration {
    let before = fs::read(site.path("crm/cib.t0")).expect("readable");
    let begun = Instant::now();
    driver.tell("revoke 0 1000000 1 60000");
    assert_eq!(driver.next(), "written 1000000 Written");
    let took = begun.elapsed();
    fs::write(site.path("crm/cib.t0"), before).expect("written");
    took
}

/// Waits until all are revoked; asserts that it took not much more than a single one.
fn all_revoked_soon(site: &Site, ended: SystemTime, one: Duration) {
    let mut next = 0;
    until("every ticket is revoked", || {
        // What is revoked stays so: the looks must not keep the machine busy.
        while next < site.tickets.len() && !site.is_granted(next) {
            next += 1;
        }
        next == site.tickets.len()
    });
    let written = |name: &String| {
        let file = fs::metadata(site.path(&format!("crm/cib.{name}"))).expect("there");
        file.modified().expect("a time")
    };
    let last = site.tickets.iter().map(written).max().expect("there are tickets");
    let took = last.duration_since(ended).unwrap_or_default();
    println!("{} tickets: revoked after {took:?}; one takes {one:?}", site.tickets.len());
    assert!(took < one * TIMES_MAX, "{took:?} against {one:?} for one");
}

/// How many calls of the quick `crm_ticket` have this in their arguments.
fn calls(site: &Site, part: &str) -> usize {
    let calls = fs::read_to_string(site.path("crm/calls")).unwrap_or_default();
    calls.lines().filter(|line| line.contains(part)).count()
}

fn revoke_all(site: &Site, driver: &mut Driver, limit: u64) {
    (0..site.tickets.len()).for_each(|n| driver.tell(&format!("revoke {n} {n} 1 {limit}")));
}

/// A site that may hold a thousand tickets, how long one revoke takes there, and when all windows
/// end.
fn thousand(takes: &str) -> (Site, Driver, Duration, SystemTime) {
    let site = site_of(1000, takes);
    let mut driver = site.start();
    let one = one_revoke(&site, &mut driver);
    let lease_until = hold_all(&site, &mut driver, Duration::from_secs(2), G);
    (site, driver, one, lease_until - G)
}

#[test]
fn the_keeper_revokes_a_thousand_tickets_of_a_dead_daemon_in_time() {
    for takes in ["0.03", "0.3"] {
        let (site, driver, one, ended) = thousand(takes);
        driver.kill();
        all_revoked_soon(&site, ended, one);
        until("the keeper has nothing to do and ends", || site.keepers().is_empty());
    }
}

#[test]
fn a_thousand_tickets_that_the_daemon_wants_revoked_are_in_time() {
    for takes in ["0.03", "0.3"] {
        let (site, mut driver, one, ended) = thousand(takes);
        until("the windows end", || SystemTime::now() >= ended);
        revoke_all(&site, &mut driver, 20_000);
        all_revoked_soon(&site, ended, one);
        let mut written = 0;
        while written < 1000 {
            let said = driver.next();
            written += usize::from(said.ends_with(" Written"));
            if !said.ends_with(" Written") {
                // What the engine does after a failure.
                println!("{said}");
                let n = said.split(' ').nth(1).expect("a number");
                driver.tell(&format!("revoke {n} {n} 1 20000"));
            }
        }
    }
}

#[test]
fn without_a_call_for_all_a_hundred_slow_calls_run_at_once() {
    let slow_calls = |dead| {
        let site = site_of(100, "60");
        fs::remove_file(site.path("bin/cibadmin")).expect("removed");
        site.program("bin/cibadmin", "exit 1");
        let mut driver = site.start();
        if dead {
            hold_all(&site, &mut driver, Duration::from_secs(1), G);
            driver.kill();
        } else {
            revoke_all(&site, &mut driver, 60_000);
        }
        until("each is being revoked", || calls(&site, " -r ") == 100);
        assert!((0..100).all(|n| site.is_granted(n)), "none had ended when the last began");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| slow_calls(true));
        scope.spawn(|| slow_calls(false));
    });
}

/// What a site does whose `cibadmin` is this script.
fn revoked_one_by_one(script: &str, outcome: &str) {
    let site = site_of(20, "0.01");
    fs::remove_file(site.path("bin/cibadmin")).expect("removed");
    let element = |n| format!("<ticket_state id=\"t{n}\" granted=\"true\"/>");
    let tickets: String = (0..20).map(element).collect();
    let text = format!("case $1 in -Q) echo '<tickets>{tickets}</tickets>'; exit;; esac\n{script}");
    site.program("bin/cibadmin", &text);
    let mut driver = site.start();
    revoke_all(&site, &mut driver, 3_000);
    let ends: Vec<String> = (0..20).map(|_| driver.next()).collect();
    assert!(ends.iter().any(|end| end.contains(outcome)), "{script}: {ends:?}");
    // What the engine does after a failure.
    for end in ends.iter().filter(|end| !end.ends_with("Written")) {
        let n = end.split(' ').nth(1).expect("a number");
        driver.tell(&format!("revoke {n} 1{n} 1 20000"));
        assert_eq!(driver.next(), format!("written 1{n} Written"));
    }
    assert!(calls(&site, " -r ") >= 20, "{script}");
    assert!((0..20).all(|n| !site.is_granted(n)));
}

#[test]
fn what_cannot_be_revoked_together_is_revoked_one_by_one() {
    // Fails; lies; hangs.
    let lie = "is still granted";
    let scripts = [("exit 1", "Written"), ("exit 0", lie), ("exec sleep 60", "Written")];
    std::thread::scope(|scope| {
        for (script, outcome) in scripts {
            scope.spawn(move || revoked_one_by_one(script, outcome));
        }
    });
}

/// A site whose `cibadmin` hangs when it shall change something. So many tickets that they cannot
/// all be revoked alone before it is called.
fn site_with_a_hung_cibadmin() -> Site {
    let site = site_of(128, "0.01");
    site.control("many hang\n");
    site
}

/// Waits until the second half is revoked; the call for tickets of the first would hang for long.
fn the_second_half_is_revoked(site: &Site) {
    until("the others are revoked", || (64..128).all(|n| !site.is_granted(n)));
}

/// The first half is revoked with a call that hangs, then the second.
fn revoked_in_halves(site: &Site, driver: &mut Driver) {
    let mut revoke = |n: usize| driver.tell(&format!("revoke {n} {n} 1 600000"));
    (0..64).for_each(&mut revoke);
    assert!(lives(site.call("many", 0)));
    (64..128).for_each(&mut revoke);
    the_second_half_is_revoked(site);
}

/// The windows of the first half end after two seconds, those of the second after so many
/// milliseconds.
fn hold_in_halves(driver: &mut Driver, second: u128) {
    let begun = Instant::now();
    for n in 0..128 {
        // What passes meanwhile is taken off, so that each half ends at the same time.
        let hold = if n < 64 { 2_000 } else { second } - begun.elapsed().as_millis();
        driver.tell(&format!("hold {n} 1 {hold} {} {hold} {hold}", hold + 60_000));
    }
    driver.all_told();
}

#[test]
fn a_hung_call_for_many_keeps_no_later_ones_waiting() {
    let site = site_with_a_hung_cibadmin();
    revoked_in_halves(&site, &mut site.start());
}

#[test]
fn nor_does_one_at_the_end_of_windows() {
    let site = site_with_a_hung_cibadmin();
    let mut driver = site.start();
    hold_in_halves(&mut driver, 4_000);
    driver.kill();
    assert!(lives(site.call("many", 0)));
    the_second_half_is_revoked(&site);
}

/// Condition 2 of the promise is about each ticket: the shortest *g* decides how long the others
/// wait for a call that hangs, whichever tickets have a longer one.
#[test]
fn a_longer_g_of_another_ticket_keeps_none_waiting_for_a_hung_call() {
    let site = site_with_a_hung_cibadmin();
    let mut driver = site.start_with(site.command().env(driver::GUARD, "500 600000"));
    revoked_in_halves(&site, &mut driver);
}

#[test]
fn nor_for_one_at_the_end_of_windows() {
    let site = site_with_a_hung_cibadmin();
    let mut driver = site.start_with(site.command().env(driver::GUARD, "500 600000"));
    hold_in_halves(&mut driver, 4_000);
    driver.kill();
    assert!(lives(site.call("many", 0)));
    the_second_half_is_revoked(&site);
}

/// What comes while a call for many is slow, as every call is on a busy machine, waits for a second
/// and is then revoked by another: a process for each would keep it busier.
#[test]
fn a_slow_call_for_many_is_followed_by_another() {
    let site = slow_site();
    let mut driver = site.start();
    let mut revoke = |n: usize| driver.tell(&format!("revoke {n} {n} 1 600000"));
    (0..64).for_each(&mut revoke);
    site.call("many", 0);
    (64..128).for_each(&mut revoke);
    all_together(&site);
}

#[test]
fn so_is_one_at_the_end_of_windows() {
    let site = slow_site();
    let mut driver = site.start();
    // The second half is due while the call for the first runs.
    hold_in_halves(&mut driver, 2_500);
    driver.kill();
    all_together(&site);
}

/// A site whose `cibadmin` takes a third of the guard time.
fn slow_site() -> Site {
    let site = site_of(128, "0.01");
    site.control("many delay 1.7\n");
    site
}

/// Waits until all are revoked; few alone, as when the first of them come.
fn all_together(site: &Site) {
    until("all are revoked", || (0..128).all(|n| !site.is_granted(n)));
    let alone = calls(site, " -r ");
    println!("{alone} made alone");
    assert!(alone < 32, "{alone} made alone");
}

#[test]
fn a_hung_grant_among_many_is_killed_and_keeps_none_of_them_waiting() {
    let site = site_of(40, "0.01");
    let mut driver = site.start();
    // Now what the store says of it is its own.
    driver.tell("load 7 20000");
    driver.next();
    let (hold, g) = (Duration::from_secs(3), G);
    let lease_until = hold_all(&site, &mut driver, hold, g);
    driver.tell("hold 7 1 60000 60000 60000 60000");
    driver.tell("grant 7 7 1 600000");
    until("the grant hangs", || calls(&site, " -g ") == 1);
    // Its window now ends with the others'; the daemon is stopped and cannot do anything.
    let left = lease_until.duration_since(SystemTime::now()).expect("it is early").as_millis();
    let hold = left - g.as_millis();
    driver.tell(&format!("hold 7 1 {hold} {left} 0 {hold}"));
    driver.all_told();
    driver.pause();
    let daemon = driver.id();
    let one = Duration::from_secs(1);
    all_revoked_soon(&site, lease_until - g, one);
    assert!(lives(daemon));
}

#[test]
fn what_is_newer_among_many_is_left_alone_by_the_keeper() {
    let site = site_of(40, "0.01");
    let mut driver = site.start();
    let (hold, g) = (Duration::from_secs(2), G);
    for n in 0..40 {
        driver.tell(&format!("load {n} 20000"));
    }
    (0..40).for_each(|_| drop(driver.next()));
    hold_all(&site, &mut driver, hold, g);
    // Granted through another node of the site, in a later term.
    let line = "0\ttrue\towner=\"1\" expires=\"4000000001\" term=\"2\"\n";
    fs::write(site.path("crm/cib.t5"), line).expect("written");
    driver.kill();
    until("the keeper has nothing to do and ends", || site.keepers().is_empty());
    for n in 0..40 {
        assert_eq!(site.is_granted(n), n == 5, "{n}");
    }
    assert_eq!(site.stored(5), Some((true, 2, 4_000_000_001)));
}

/// What one call has found out about all tickets at the start is old for those that have been
/// revoked since, alone or together.
#[test]
fn what_was_read_together_is_forgotten_when_it_is_revoked_together() {
    let count = 24;
    let site = site_of(count, "0.01");
    let element = |n| format!("<ticket_state id=\"t{n}\" granted=\"true\" term=\"1\"/>");
    let all: String = (0..=count).map(element).collect();
    let (real, link) = (site.path("bin/one"), site.path("bin/crm_ticket"));
    fs::rename(&link, &real).expect("renamed");
    site.program(
        "bin/crm_ticket",
        &format!(
            "[ \"$*\" != -q ] || {{ echo; echo '<tickets>{all}</tickets>'; exit; }}\n\
             exec \"${{0%/*}}/one\" \"$@\""
        ),
    );
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert!(driver.next().contains("granted: true"));
    assert_eq!(calls(&site, " -q"), 0, "asked for alone");
    revoke_all(&site, &mut driver, 60_000);
    (0..count).for_each(|_| assert!(driver.next().ends_with(" Written")));
    site.call("many", 0);
    for n in 0..count {
        driver.tell(&format!("load {n} 20000"));
        let said = driver.next();
        assert!(said.contains("granted: false"), "{n}: {said}");
    }
}
