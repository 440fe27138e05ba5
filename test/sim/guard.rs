// SPDX-License-Identifier: GPL-2.0-or-later
//! The lease guard of each machine (`RULES.md` L6): it is told `hold_until` before each grant and
//! revokes in the store when that passes, whatever has become of the daemon. What it decides is
//! what the shipped guard decides.

use super::store::{By, Entry, Task, Told};
use super::world::{Happening, World};
use booth::daemon::guard::{verdict, Decision, Left};
use booth::engine::{CibLoad, CibTicket, HoldWindow};
use booth::model::{Holder, Term};
use booth::time::WallTime;

impl World {
    /// The daemon tells the guard of its machine a window; `None`: the ticket is revoked.
    pub fn guard_tell(
        &mut self,
        site: usize,
        ticket: usize,
        window: Option<HoldWindow>,
        term: Term,
    ) {
        if self.no_guard {
            return;
        }
        let machine = self.nodes[site].machine;
        let told = window.map(|window| Told { hold_until: window.hold_until, term });
        self.sites[site].told[machine][ticket] = told;
        let Some(window) = window else { return };
        let at = self.nodes[site].clocks[machine].when(window.hold_until).max(self.now);
        self.told_again(site, ticket, at);
        self.future.plan(at, Happening::GuardDue { site, machine, ticket });
    }

    /// A time that the guard was told has come.
    pub fn guard_due(&mut self, site: usize, machine: usize, ticket: usize) {
        let Some(told) = self.sites[site].told[machine][ticket] else { return };
        if self.nodes[site].clocks[machine].mono(self.now) < told.hold_until {
            return;
        }
        let busy = |child: &super::store::Child| {
            child.machine == machine && child.ticket == ticket && !child.killed
        };
        if self.sites[site].children.iter().any(|c| busy(c) && c.by == By::Guard) {
            return;
        }
        // It ends the group that holds the lock, then takes the lock.
        let hung: Vec<u32> = self.sites[site]
            .children
            .iter()
            .filter(|child| busy(child) && matches!(child.task, Task::Write(_)))
            .map(|child| child.id)
            .collect();
        for child in hung {
            self.exec_lost(site, child);
        }
        let stored = match self.sites[site].read(ticket) {
            CibLoad::Loaded(stored) => stored,
            CibLoad::Absent | CibLoad::Failed(_) => CibTicket::default(),
        };
        let grant = self.sites[site].grants[machine][ticket];
        let me = Holder::Member(self.ids[site]);
        let decision = verdict(me, told.term, grant, Some(&stored));
        let retires = decision == Decision::Retire;
        self.trace(|w| format!("{} guard: t{ticket} due, retires: {retires}", w.name(site)));
        self.coverage.note(if retires { "guard: retires" } else { "guard: revokes" });
        match decision {
            Decision::Retire => self.sites[site].told[machine][ticket] = None,
            Decision::Revoke(Left { owner, term, expires, verdict: _ }) => {
                let expires = WallTime::from_secs(expires);
                let revoked = Entry { granted: false, owner, term, expires };
                self.spawn(site, machine, ticket, By::Guard, Task::Write(revoked));
            }
        }
    }

    /// The guard's revoke has ended: it retires unless it was told of something new meanwhile. One
    /// that failed is tried again until it succeeds.
    pub fn guard_done(&mut self, site: usize, machine: usize, ticket: usize, done: bool) {
        if let Some(told) = self.sites[site].told[machine][ticket] {
            let due = self.nodes[site].clocks[machine].mono(self.now) >= told.hold_until;
            if due && !done {
                let at = self.now + self.spec(site, ticket).guard().as_micros();
                self.future.plan(at, Happening::GuardDue { site, machine, ticket });
            } else if due {
                self.sites[site].told[machine][ticket] = None;
            }
        }
        self.exec_unlocked(site, machine, ticket);
    }

    /// Whether the guard of this machine holds the lock.
    pub fn guard_running(&self, site: usize, machine: usize, ticket: usize) -> bool {
        self.sites[site].children.iter().any(|child| {
            child.by == By::Guard && child.machine == machine && child.ticket == ticket
        })
    }
}
