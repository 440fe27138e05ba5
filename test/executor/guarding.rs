// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper as the lease guard: it revokes when a daemon is killed, stopped or hung, not before
//! the time and not what is newer; and it is replaced when it has ended.

use crate::process::{lives, pass, signal, sleeps, until};
use crate::site::{both, Kind, Site};
use booth::sys::clock;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Within this of the end of the window a keeper has revoked, on a machine with nothing else to do:
/// the lease of these tests ends 0.6 s after it. It takes some 0.1 s.
const LATE: Duration = Duration::from_millis(500);

/// What a keeper does takes about as long as what [`pace`] does, however busy the machine is.
const TIMES_MAX: u32 = 4;

/// How long it takes now to read and to revoke a ticket of another site, behind the same programs.
fn pace(site: &Site) -> Duration {
    let begun = Instant::now();
    for arguments in [["-t", "t0", "-q"], ["-t", "t0", "-r"]] {
        let mut crm_ticket = Command::new(site.path("bin/crm_ticket"));
        crm_ticket.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        crm_ticket.status().expect("it can be run");
    }
    begun.elapsed()
}

/// Waits until the ticket is revoked; asserts that this is neither before the end of the window,
/// which was told at `begun` or later, nor much after it.
pub fn revoked_at(site: &Site, begun: Instant, hold: Duration) {
    let hold_until = site.hold_until(0);
    let left = || hold_until.since(clock::mono()).as_duration();
    let scale = Site::new(Kind::Pacemaker);
    let (pace, ends) = std::thread::scope(|scope| {
        let pace = scope.spawn(|| {
            std::thread::sleep(left());
            pace(&scale)
        });
        let ends = SystemTime::now() + left();
        until("the keeper has revoked the ticket", || !site.is_granted(0));
        let after = begun.elapsed();
        assert!(after >= hold, "revoked {after:?} after it was told to wait for {hold:?}");
        (pace.join().expect("it ends"), ends)
    });
    let late = site.changed_at(0).duration_since(ends).unwrap_or_default();
    println!("told {hold:?}, revoked {late:?} after that; others take {pace:?}");
    assert!(late < LATE.max(pace * TIMES_MAX), "{late:?} late, while others take {pace:?}");
}

#[test]
fn a_killed_daemon_s_ticket_is_revoked_at_the_end_of_its_window() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 2_000);
        let (_, _, expires) = site.stored(0).expect("there");
        driver.kill();
        revoked_at(&site, begun, Duration::from_millis(2_000));
        let stored = site.stored(0).expect("there");
        assert_eq!(stored, (false, 7, expires), "{kind:?}: all but the grant stays");
        until("the keeper has nothing to do and ends", || site.keepers().is_empty());
    });
}

/// That a keeper has revoked a ticket once says nothing of the next grant: that is another window.
#[test]
fn a_ticket_that_was_revoked_once_is_guarded_again() {
    both(|kind| {
        let site = Site::new(kind);
        for term in [7, 8] {
            let mut driver = site.start();
            let begun = Instant::now();
            driver.grant(0, term, 2_000);
            driver.kill();
            revoked_at(&site, begun, Duration::from_millis(2_000));
        }
    });
}

#[test]
fn a_stopped_daemon_s_ticket_is_revoked_and_the_daemon_can_go_on() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 2_000);
        driver.pause();
        revoked_at(&site, begun, Duration::from_millis(2_000));
        driver.resume();
        driver.tell("revoke 0 2 7 20000");
        assert_eq!(driver.next(), "written 2 Written", "{kind:?}");
        driver.grant(0, 8, 60_000);
        assert!(site.is_granted(0));
        assert_eq!(site.keepers().len(), 1);
    });
}

#[test]
fn a_window_that_moves_on_keeps_the_ticket_and_wakes_the_keeper_for_nothing_else() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 4_000);
        let keeper = site.keeper();
        pass(Duration::from_millis(700));
        let before = sleeps(keeper);
        let begun = Instant::now();
        for step in 1..30 {
            let next = begun + Duration::from_millis(step * 200);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            driver.hold(0, 7, 4_000);
            assert!(site.is_granted(0), "after {:?}", begun.elapsed());
        }
        // 5.8 s: the ends of windows that have moved on are none.
        let woken = sleeps(keeper) - before;
        assert!(woken <= 29 + 3, "woken {woken} times");
        let begun = Instant::now();
        driver.hold(0, 7, 2_000);
        driver.all_told();
        driver.kill();
        revoked_at(&site, begun, Duration::from_millis(2_000));
    });
}

#[test]
fn a_hung_grant_of_a_stopped_daemon_does_not_hold_up_the_revoke() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 7, 60_000);
    site.control("grant stubborn\n");
    driver.tell("grant 0 2 7 60000");
    let hung = site.call("grant", 1);
    let begun = Instant::now();
    // The daemon would end it only at the end of the window, too.
    driver.tell("hold 0 7 2000 2600 0 2000");
    driver.all_told();
    driver.pause();
    revoked_at(&site, begun, Duration::from_millis(2_000));
    assert!(!lives(hung), "it was killed before");
    driver.resume();
    assert_eq!(driver.next(), "written 2 Killed");
}

#[test]
fn a_newer_grant_of_another_node_is_left_alone() {
    both(|kind| {
        for (term, later) in [(8, 0), (7, 1)] {
            let site = Site::new(kind);
            let mut driver = site.start();
            driver.grant(0, 7, 2_000);
            let (_, _, expires) = site.stored(0).expect("there");
            site.write(true, term, expires + later);
            driver.kill();
            until("the keeper has retired", || site.keepers().is_empty());
            assert_eq!(site.stored(0), Some((true, term, expires + later)), "{kind:?}");
        }
    });
}

/// The cluster of a node may be down for hours, while another node of the site goes on.
#[test]
fn a_newer_grant_of_another_node_that_came_while_the_store_failed_is_left_alone() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 7, 1_000);
    site.control("any exit 102\n");
    driver.kill();
    site.call("revoke", 2);
    site.write(true, 8, 5);
    site.control("");
    until("the keeper has retired", || site.keepers().is_empty());
    assert_eq!(site.stored(0), Some((true, 8, 5)));
}

#[test]
fn an_older_grant_that_came_late_is_revoked() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 2_000);
        let (_, _, expires) = site.stored(0).expect("there");
        site.write(true, 7, expires - 1);
        driver.kill();
        until("the keeper has retired", || site.keepers().is_empty());
        assert!(!site.is_granted(0), "{kind:?}");
    });
}

#[test]
fn the_store_s_answer_to_a_new_daemon_counts_as_its_own() {
    both(|kind| {
        let site = Site::new(kind);
        site.write(true, 5, 4_000_000_000);
        let mut driver = site.start();
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"));
        // What a restarted holder does: it holds without having granted anything itself.
        driver.hold(0, 5, 2_000);
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"), "and the window was told before");
        driver.kill();
        until("the keeper has revoked it", || !site.is_granted(0));
        assert_eq!(site.stored(0), Some((false, 5, 4_000_000_000)), "{kind:?}");
    });
}

/// The same where an older grant of this node stands in the table: what another node has granted
/// since is newer than that only until the daemon here has read it and holds it.
#[test]
fn what_another_node_granted_is_guarded_here_when_the_daemon_has_read_it() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 5, 60_000);
        driver.kill();
        site.write(true, 6, 4_000_000_000);
        let mut driver = site.start();
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"));
        driver.hold(0, 6, 2_000);
        driver.all_told();
        driver.kill();
        until("the keeper has revoked it", || !site.is_granted(0));
        assert_eq!(site.stored(0), Some((false, 6, 4_000_000_000)), "{kind:?}");
    });
}

#[test]
fn a_failing_store_is_tried_again_until_it_works() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 7, 2_000);
    site.control("revoke exit 1\n");
    driver.kill();
    site.call("revoke", 1);
    assert!(site.is_granted(0));
    assert_eq!(site.keepers().len(), 1);
    site.control("query exit 1\n");
    until("the keeper has revoked what it could not read", || !site.is_granted(0));
    until("the keeper ends", || site.keepers().is_empty());
}

#[test]
fn a_keeper_gives_a_site_up_that_was_taken_down_for_good_and_no_other() {
    both(|kind| {
        // Its store is gone; the run directory of one of the two is gone as well.
        let sites = [Site::new(kind), Site::new(kind)];
        for site in &sites {
            let mut driver = site.start();
            driver.grant(0, 7, 1_500);
            match kind {
                Kind::Pacemaker => site.control("any exit 1\n"),
                Kind::BuiltIn => {
                    std::fs::remove_dir_all(site.path("tickets")).expect("removed");
                    std::fs::write(site.path("tickets"), "no directory").expect("written");
                }
            }
            driver.kill();
        }
        let [removed, kept] = &sites;
        std::fs::remove_dir_all(removed.path("run")).expect("removed");
        let begun = Instant::now();
        // It fails from the end of the window on, after 1.5 s.
        until("it has failed for long", || {
            assert!(!removed.keepers().is_empty(), "{kind:?}: gave up after {:?}", begun.elapsed());
            begun.elapsed().as_secs() >= 14
        });
        until("the keeper has given up", || removed.keepers().is_empty());
        println!("{kind:?}: given up after {:?}", begun.elapsed());
        assert!(!kept.keepers().is_empty(), "{kind:?}: it goes on trying");
    });
}

#[test]
fn a_clean_stop_keeps_the_ticket_until_its_window_ends() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 2_000);
        driver.stop();
        assert_eq!(site.keepers().len(), 1);
        revoked_at(&site, begun, Duration::from_millis(2_000));
        until("the keeper ends", || site.keepers().is_empty());
    });
}

#[test]
fn a_stop_without_a_held_ticket_leaves_nothing_behind() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 60_000);
        driver.tell("revoke 0 2 7 20000");
        assert_eq!(driver.next(), "written 2 Written");
        driver.tell("unhold 0 7");
        driver.stop();
        until("the keeper ends", || site.keepers().is_empty());
    });
}

#[test]
fn a_new_daemon_takes_the_keeper_over_and_what_was_told_stays_told() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 3_000);
        let keeper = site.keeper();
        driver.kill();
        let driver = site.start();
        assert_eq!(site.keepers(), [keeper], "{kind:?}");
        driver.kill();
        revoked_at(&site, begun, Duration::from_millis(3_000));
    });
}

#[test]
fn a_keeper_that_was_killed_is_replaced_and_goes_on_where_it_was() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 60_000);
        let old = site.keeper();
        signal(old, libc::SIGKILL);
        driver.tell("grant 0 2 7 20000");
        assert_eq!(driver.next(), "written 2 Written");
        assert_ne!(site.keeper(), old);
        let begun = Instant::now();
        driver.hold(0, 7, 2_000);
        driver.all_told();
        driver.kill();
        revoked_at(&site, begun, Duration::from_millis(2_000));
    });
}

/// What it was told is told again: nothing else is said about the ticket.
#[test]
fn a_keeper_that_takes_the_place_of_another_knows_the_windows() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 3_000);
        signal(site.keeper(), libc::SIGKILL);
        revoked_at(&site, begun, Duration::from_millis(3_000));
        assert!(lives(driver.id()));
    });
}

/// The pause before a keeper is replaced grows only while none becomes ready: one that is killed
/// again and again, as for want of memory, is missed for no longer each time.
#[test]
fn a_keeper_that_was_ready_is_replaced_soon_however_often_it_is_killed() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.hold(0, 7, 600_000);
    driver.all_told();
    let mut missed = Duration::ZERO;
    for _ in 0..8 {
        let begun = Instant::now();
        signal(site.keeper(), libc::SIGKILL);
        driver.tell("grant 0 2 7 20000");
        assert_eq!(driver.next(), "written 2 Written");
        missed = begun.elapsed();
    }
    assert!(missed < Duration::from_secs(3), "missed for {missed:?}");
}

/// What the keeper knows when the window ends counts, not what it found before: a window that has
/// moved on meanwhile is that of a healthy holder.
#[test]
fn a_window_that_moves_on_after_the_keeper_has_looked_keeps_the_ticket() {
    both(|kind| {
        // One that is looked at alone, and nine that are looked at together.
        for tickets in [1, 9] {
            let mut site = Site::new(kind);
            site.tickets = (0..tickets).map(|n| format!("t{n}")).collect();
            (0..tickets).for_each(|n| site.write_to(n, true, 1, 4_000_000_000));
            site.control("query delay 1\ntickets delay 1\n");
            let mut driver = site.start();
            (0..tickets).for_each(|n| driver.tell(&format!("hold {n} 1 2500 600000 2500 1000")));
            driver.all_told();
            pass(Duration::from_millis(1_500));
            let last = tickets - 1;
            driver.tell(&format!("hold {last} 1 600000 600000 600000 600000"));
            driver.all_told();
            driver.kill();
            until("the others are revoked", || (0..last).all(|n| !site.is_granted(n)));
            pass(Duration::from_millis(2_500));
            assert!(site.is_granted(last), "{kind:?}, {tickets}: revoked in spite of its window");
        }
    });
}

#[test]
fn a_look_that_hangs_is_ended_and_does_not_hold_up_the_revoke() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    let begun = Instant::now();
    driver.grant(0, 1, 2_000);
    site.control("query stubborn\n");
    driver.kill();
    let hung = site.call("query", 0);
    revoked_at(&site, begun, Duration::from_millis(2_000));
    until("it has ended", || !lives(hung));
}
