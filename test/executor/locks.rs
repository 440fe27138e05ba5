// SPDX-License-Identifier: GPL-2.0-or-later
//! Who has a ticket's record in the lease table locked, and what that means for others: a change
//! gives up, a revoke ends a change, and lets another revoke finish.

use crate::process::{lives, signal, until};
use crate::site::{both, Kind, Site};
use booth::daemon::leases::{Holder, HolderKind, LeaseTable, Slot};
use booth::daemon::os;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// *g* of these tests: far more than a change takes, however busy the machine is.
const G: Duration = Duration::from_millis(2_500);

fn table(site: &Site) -> LeaseTable {
    let file = File::options().read(true).write(true).open(site.path("run/table"));
    LeaseTable::reopen(file.expect("there").as_fd()).expect("readable")
}

/// A process group that has a ticket's record locked until it ends, as a helper that hangs.
struct StandIn(Child);

impl StandIn {
    /// One that says that it does this; `real`: and when it started.
    fn new(site: &Site, kind: HolderKind, real: bool) -> StandIn {
        let table = table(site);
        until("the record is free", || table.try_lock(Slot(0)).expect("possible"));
        table.hand_on().expect("possible");
        let child = Command::new("sleep").arg("600").process_group(0).spawn().expect("started");
        let group = child.id();
        let started = os::start_time(group) + u64::from(!real);
        table.set_holder(Slot(0), Holder { group, started, kind }).expect("written");
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
        let table = table(&site);
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
