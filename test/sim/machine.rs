// SPDX-License-Identifier: GPL-2.0-or-later
//! A whole machine dies, and boothd and its lease guard with it: what the promise excuses then,
//! and for how long (`lease.md`, condition 4).
//!
//! The store of a site with several nodes survives and may say *granted* after `hold_until`,
//! because nobody is left to revoke. That site, and no other, is excused: until boothd runs there
//! again, on whatever machine, has read the store and revoked what has expired, for which it has
//! twice *g* for each ticket of running time. A site with one machine loses its store as well.

use super::clock::{True, MILLI, SECOND};
use super::plan::{between, chance, spread, Disturbance, Plan, Target, Trouble};
use super::store::{By, Child};
use super::world::World;
use booth::prng::Prng;

/// One site's ticket after the death of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unguarded {
    /// How often boothd had been stopped when it started again; `None`: it has not.
    stops: Option<u32>,
}

/// In some runs machines die as a whole.
pub fn draw_deaths(prng: &mut Prng, plan: &mut Plan, expire: True) {
    if !chance(prng, 20) {
        return;
    }
    let sites = plan.sites().count() as u64;
    for _ in 0..between(prng, 1, 4) {
        let at = between(prng, expire, plan.chaos.max(expire));
        let index = |n: u64| u8::try_from(n).unwrap_or(0);
        let target = if chance(prng, 60) {
            Target::Holder(index(prng.below(plan.tickets.len() as u64)))
        } else {
            Target::Member(index(prng.below(sites)))
        };
        let (down, alone) = (spread(prng, MILLI, expire * 4), chance(prng, 25));
        let what = Trouble::MachineDies { down, alone };
        plan.disturbances.push(Disturbance { at, target, what });
    }
    plan.disturbances.sort_by_key(|d| d.at);
}

impl World {
    /// The machine on which a member runs, or ran last, dies; boothd starts again after `down`,
    /// on the site's other machine if there is one. `alone`: there is none, and the store is lost.
    pub fn machine_dies(&mut self, n: usize, down: True, alone: bool) {
        // Beside members that are as the reference is, the checkers ask who is to blame for an
        // overlap; a dead machine is not the question there.
        if self.nodes[n].engine.is_none() || !self.faulty(n) || self.faithful_among() {
            return;
        }
        let life = self.nodes[n].life;
        let machine = self.nodes[n].machine;
        self.crash(n, down, !alone, false);
        if self.nodes[n].life == life && self.nodes[n].engine.is_some() {
            // A wall clock was set: condition 3 would not hold.
            return;
        }
        if !self.nodes[n].site {
            return;
        }
        self.trace(|w| format!("{}'s machine is dead, store lost: {alone}", w.name(n)));
        self.coverage.note("machine: dies with its guard");
        self.sites[n].recorded[machine] = false;
        for told in &mut self.sites[n].told[machine] {
            *told = None;
        }
        let here = |child: &Child| child.machine == machine && !child.killed;
        let left: Vec<u32> =
            self.sites[n].children.iter().filter(|c| here(c)).map(|child| child.id).collect();
        for child in left {
            self.child_kill(n, child);
        }
        for ticket in 0..self.plan.tickets.len() {
            self.checks.unguarded[ticket][n] = Some(Unguarded { stops: None });
        }
        if alone {
            self.coverage.note("machine: dies with the store");
            self.sites[n].children.clear();
            for ticket in 0..self.plan.tickets.len() {
                let before = self.sites[n].granted(ticket);
                self.sites[n].entries[ticket] = None;
                self.sites[n].attrs[ticket].clear();
                self.check_store(n, ticket, before);
            }
        }
    }

    /// Boothd starts at a site whose machine died.
    pub fn guarded_again(&mut self, n: usize) {
        let stops = self.nodes[n].stops;
        for sites in &mut self.checks.unguarded {
            if let Some(unguarded) = &mut sites[n] {
                unguarded.stops = Some(stops);
            }
        }
    }

    /// Whether nobody watches over a site's ticket: its machine died, and boothd has not written
    /// it since.
    pub fn unguarded(&self, site: usize, ticket: usize) -> bool {
        self.checks.unguarded[ticket][site].is_some()
    }

    /// A change takes effect at a site: the excuse ends if it is the new boothd's or a guard's.
    pub fn written_by(&mut self, site: usize, ticket: usize, by: By) {
        let Some(unguarded) = self.checks.unguarded[ticket][site] else { return };
        let fresh = match by {
            By::Guard => true,
            By::Daemon(life, _) => {
                life == self.nodes[site].life && self.nodes[site].engine.is_some()
            }
        };
        if !fresh {
            return;
        }
        self.checks.unguarded[ticket][site] = None;
        let granted = (0..self.sites.len()).filter(|m| self.sites[*m].granted(ticket)).count();
        let here = self.sites[site].granted(ticket);
        if here {
            self.coverage.note("machine: died, granted until boothd revoked");
        }
        let spec = &self.plan.tickets[ticket];
        let allowed = 2 * spec.guard().as_micros() * self.plan.tickets.len() as u64 + SECOND;
        let stopped = unguarded.stops != Some(self.nodes[site].stops);
        let late = self.now > self.nodes[site].began + allowed;
        if granted > 1 && here && late && !stopped && self.checks.asserted(ticket) {
            let text = format!(
                "t{ticket}: the machine of m{site} died, and boothd, running since {}, revokes \
                 only now",
                self.nodes[site].began,
            );
            self.fail("S1", text);
        }
    }
}
