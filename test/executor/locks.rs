// SPDX-License-Identifier: GPL-2.0-or-later
//! Who has a ticket's record in the lease table locked, and what that means for others: a change
//! gives up, a revoke ends a change, and lets another revoke finish.

use crate::process::{lives, signal, until};
use crate::site::{both, Kind, Site};
use booth::daemon::clock;
use booth::daemon::leases::{Holder, HolderKind, Slot};
use booth::daemon::os;
use booth::engine::HoldWindow;
use booth::model::Term;
use booth::time::Span;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// *g* of these tests: far more than a change takes, however busy the machine is.
const G: Duration = Duration::from_millis(2_500);

/// A process group that has a ticket's record locked until it ends, as a helper that hangs.
struct StandIn(Child);

impl StandIn {
    /// One that says that it does this to the first ticket; `real`: and when it started.
    fn new(site: &Site, kind: HolderKind, real: bool) -> StandIn {
        StandIn::at(site, Slot(0), kind, real)
    }

    fn at(site: &Site, slot: Slot, kind: HolderKind, real: bool) -> StandIn {
        let table = site.table();
        until("the record is free", || table.try_lock(slot).expect("possible"));
        table.hand_on().expect("possible");
        let child = Command::new("sleep").arg("600").process_group(0).spawn().expect("started");
        let group = child.id();
        let started = os::start_time(group) + u64::from(!real);
        table.set_holder(slot, Holder { group, started, kind }).expect("written");
        // The lock is that of the process alone now.
        StandIn(child)
    }

    fn lives(&self) -> bool {
        lives(self.0.id())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn site(kind: Kind) -> Site {
    let mut site = Site::new(kind);
    site.guard = G;
    site
}

#[test]
fn a_grant_that_got_the_lock_after_its_time_is_not_written() {
    both(|kind| {
        let site = site(kind);
        let mut driver = site.start();
        let table = site.table();
        assert!(table.try_lock(Slot(0)).expect("possible"));
        // It may begin for one second, and would be killed much later.
        driver.tell("hold 0 1 600000 640000 1000 590000");
        let begun = Instant::now();
        driver.tell("grant 0 1 1 60000");
        until("it waits for the lock", || site.helpers() > 0);
        std::thread::sleep(Duration::from_millis(1_500).saturating_sub(begun.elapsed()));
        table.unlock(Slot(0)).expect("possible");
        assert_eq!(driver.next(), "written 1 TooLate", "{kind:?}");
        assert_eq!(site.stored(0), None, "{kind:?}");
    });
}

#[test]
fn a_change_ends_no_other_and_gives_up_after_g() {
    both(|kind| {
        for other in [HolderKind::Change, HolderKind::Revoke] {
            let site = site(kind);
            let mut driver = site.start();
            let stand_in = StandIn::new(&site, other, true);
            let begun = Instant::now();
            driver.tell("manual 0 1 1 60000");
            let said = driver.next();
            assert!(said.contains("another change of this ticket has not ended"), "{said}");
            assert!(begun.elapsed() >= G, "{kind:?} {other:?}: after {:?}", begun.elapsed());
            assert!(stand_in.lives(), "{kind:?} {other:?}");
            assert_eq!(site.stored(0), None, "{kind:?} {other:?}");
        }
    });
}

#[test]
fn a_revoke_ends_a_change_that_is_in_its_way_at_once() {
    both(|kind| {
        let site = site(kind);
        let mut driver = site.start();
        let stand_in = StandIn::new(&site, HolderKind::Change, true);
        let begun = Instant::now();
        driver.tell("revoke 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written", "{kind:?}");
        assert!(begun.elapsed() < G, "{kind:?}: after {:?}", begun.elapsed());
        assert!(!stand_in.lives(), "{kind:?}");
    });
}

#[test]
fn a_revoke_lets_another_finish_and_ends_it_after_g() {
    both(|kind| {
        let site = site(kind);
        let mut driver = site.start();
        let stand_in = StandIn::new(&site, HolderKind::Revoke, true);
        let begun = Instant::now();
        driver.tell("revoke 0 1 1 60000");
        std::thread::sleep(G / 2);
        assert!(stand_in.lives() || begun.elapsed() >= G, "{kind:?}");
        assert_eq!(driver.next(), "written 1 Written", "{kind:?}");
        assert!(begun.elapsed() >= G, "{kind:?}: after {:?}", begun.elapsed());
        assert!(begun.elapsed() < 2 * G, "{kind:?}: after {:?}", begun.elapsed());
        assert!(!stand_in.lives(), "{kind:?}");
    });
}

#[test]
fn a_revoke_goes_on_without_the_lock_of_somebody_who_cannot_be_found() {
    both(|kind| {
        let site = site(kind);
        let mut driver = site.start();
        // The number of the group belongs to another process by now, which started later.
        let stand_in = StandIn::new(&site, HolderKind::Change, false);
        let begun = Instant::now();
        driver.tell("revoke 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written", "{kind:?}");
        assert!(begun.elapsed() >= 2 * G, "{kind:?}: after {:?}", begun.elapsed());
        assert!(stand_in.lives(), "{kind:?}: it is somebody else");
        assert_eq!(site.stored(0), Some((false, 1, 0)), "{kind:?}");
    });
}

#[test]
fn a_hung_revoke_of_the_predecessor_has_g_and_is_ended() {
    let site = site(Kind::Pacemaker);
    site.control("revoke stubborn\n");
    let mut driver = site.start();
    driver.tell("revoke 0 1 1 600000");
    let hung = site.call("revoke", 0);
    driver.kill();
    let driver = site.start();
    assert!(!lives(hung));
    let after = driver.ready_after;
    assert!(after >= 2 * G, "ready after {after:?}: g for the revoke, g for what it had begun");
}

#[test]
fn a_guard_that_hangs_is_ended_by_the_next_one() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 1, 600_000);
        let old = site.guards()[0];
        driver.kill();
        // It cannot see that boothd is gone, nor that there is another guard.
        signal(old, libc::SIGSTOP);
        let driver = site.start();
        until("the old guard has been ended", || !lives(old));
        assert_eq!(site.guards().len(), 1, "{kind:?}");
        driver.stop();
    });
}

#[test]
fn a_helper_of_the_guard_that_hangs_is_ended_at_its_limit_and_another_revokes() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 500);
    site.control("query stubborn\n");
    driver.kill();
    let begun = Instant::now();
    let hung = site.call("query", 0);
    // The first goes on to hang; from now on others do not.
    site.control("attr stubborn\n");
    until("another has revoked the ticket", || !site.is_granted(0));
    let after = begun.elapsed();
    assert!(!lives(hung), "it would have the lock");
    // The limit is 10 s, and the next try comes after 1 s.
    assert!(after >= Duration::from_secs(9) && after < Duration::from_secs(20), "{after:?}");
}

/// A site that has so many tickets granted, and longer for a lock than a test takes.
fn site_with(kind: Kind, tickets: usize) -> Site {
    let mut site = Site::new(kind);
    site.guard = Duration::from_secs(8);
    site.tickets = (0..tickets).map(|n| format!("t{n}")).collect();
    (0..tickets).for_each(|n| site.write_to(n, true, 1, 4_000_000_000));
    site
}

/// Tells that a ticket may be held for so long from now; the guard looks when its daemon is gone.
fn tell(site: &Site, ticket: usize, hold: Span) {
    let hold_until = clock::mono().plus(hold);
    let window = HoldWindow {
        hold_until,
        lease_until: hold_until,
        start_before: hold_until,
        kill_at: hold_until,
    };
    site.table().tell(slot(ticket), Some(&window), Term::new(1)).expect("written");
}

fn slot(ticket: usize) -> Slot {
    Slot(u32::try_from(ticket).expect("a small number"))
}

/// What the guard finds when it has the lock counts, not what it found before it had to wait for
/// that: a window that has moved on meanwhile is that of a healthy holder.
#[test]
fn a_window_that_moves_on_while_the_guard_waits_for_the_lock_keeps_the_ticket() {
    both(|kind| {
        // One that is revoked alone, and nine that are revoked together.
        for last in [0, 8] {
            let site = site_with(kind, last + 1);
            let driver = site.start();
            (0..=last).for_each(|n| tell(&site, n, Span::ZERO));
            let stand_in = StandIn::at(&site, slot(last), HolderKind::Revoke, true);
            driver.kill();
            until("the others are revoked", || (0..last).all(|n| !site.is_granted(n)));
            until("the guard waits for the last one", || site.helpers() > 0);
            std::thread::sleep(Duration::from_millis(200));
            tell(&site, last, Span::from_secs(600));
            drop(stand_in);
            until("the guard has looked at it", || site.helpers() == 0);
            assert!(site.is_granted(last), "{kind:?}, {last}: revoked in spite of its new window");
            assert_eq!(site.table().mark(slot(last)).expect("readable"), None, "{kind:?}, {last}");
        }
    });
}

/// A change that does not let its lock go when it is killed is waited for after all others have
/// been revoked: they have their own *g*.
#[test]
fn a_lock_that_is_not_let_go_keeps_none_of_many_waiting() {
    let site = site_with(Kind::Pacemaker, 9);
    let driver = site.start();
    (0..9).for_each(|n| tell(&site, n, Span::ZERO));
    // Whoever has the lock is not in the group that is killed, again and again.
    let table = site.table();
    assert!(table.try_lock(Slot(8)).expect("possible"));
    let mut group = Command::new("true").process_group(0).spawn().expect("started");
    let started = os::start_time(group.id());
    until("it has ended and is not collected", || !lives(group.id()));
    let holder = Holder { group: group.id(), started, kind: HolderKind::Change };
    table.set_holder(Slot(8), holder).expect("written");
    let begun = Instant::now();
    driver.kill();
    until("the others are revoked", || (0..8).all(|n| !site.is_granted(n)));
    let after = begun.elapsed();
    assert!(after < site.guard, "they waited for it: {after:?}");
    assert!(site.is_granted(8), "it has been waited for");
    table.unlock(Slot(8)).expect("possible");
    until("it is revoked, too", || !site.is_granted(8));
    group.wait().expect("collected");
}
