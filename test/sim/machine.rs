// SPDX-License-Identifier: GPL-2.0-or-later
//! A whole machine dies, and boothd and its keeper with it: what the promise excuses then,
//! and for how long (`RULES.md`, condition 4).
//!
//! The store of a site with several nodes survives and may say *granted* after `hold_until`,
//! because nobody is left to revoke. That site, and no other, is excused for this ticket, from the
//! time that the dead guard was told on, until the first of:
//!
//! - boothd runs there again, on whatever machine, and has told its guard a time for the ticket
//!   (if that has passed, because boothd was stopped meanwhile: the guard has lived for *g* since,
//!   to revoke);
//! - a change of the new boothd, or of a guard, has taken effect;
//! - the new boothd has run, neither stopped nor ended, for `2g` for each ticket and a second: the
//!   time of a read and of a revoke of what it found.
//!
//! A site with one machine loses its store as well. The same where keeper and boothd are both dead
//! or stopped (`wardens.rs`).

use super::clock::{True, MILLI, SECOND};
use super::hunt::{Hunter, HOLDER};
use super::plan::{between, chance, spread, Disturbance, Order, Plan, Target, Trouble};
use super::store::{By, Child};
use super::world::{Happening, World};
use booth_core::prng::Prng;

/// One site's ticket after the death of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unguarded {
    /// From when on the store may not say *granted* any more, by what the dead guard was told.
    from: True,
    /// A guard was told a time that had already passed: when its revoke must be over.
    ends: Option<True>,
}

impl Unguarded {
    /// From when on the store may not say *granted* any more.
    pub fn from(self) -> True {
        self.from
    }

    /// From this time on the store may not say *granted*.
    pub fn since(from: True) -> Unguarded {
        Unguarded { from, ends: None }
    }
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

impl Hunter {
    /// The holder's machine dies, and what comes after it on the other machine dies, too.
    pub(super) fn orphan(&mut self) {
        let guard = self.plan.tickets[0].guard().as_micros();
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            let hit = at + self.expire / 4 + self.between(0, self.expire);
            let down = self.spread(MILLI, self.expire / 4);
            let cut = self.expire * 2 + self.between(0, self.expire);
            let (out, into, peers) = (true, true, u16::MAX);
            self.add(hit - MILLI, HOLDER, Trouble::Cut { length: cut, out, into, peers });
            self.add(hit, HOLDER, Trouble::MachineDies { down, alone: false });
            // It has waited for what may be under way, has read, and may have revoked.
            let blow = hit + down + guard + self.between(0, self.expire * 3 / 4);
            let length = self.between(self.expire / 2, self.expire * 2);
            let what = match self.prng.below(3) {
                0 => Trouble::Pause { length },
                1 => Trouble::Crash { down: length, moves: false, clean: false },
                _ => Trouble::Crash { down: length, moves: true, clean: false },
            };
            self.add(blow, HOLDER, what);
            self.ask_others(hit + self.expire, self.expire);
            at = hit + cut + self.between(0, self.expire);
        }
    }
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
        for ticket in 0..self.plan.tickets.len() {
            let told = self.keeper_watches(n, machine, ticket);
            let clock = &self.nodes[n].clocks[machine];
            let from = told.map_or(self.now, |told| clock.when(told.hold_until));
            self.unwatch(n, ticket, from);
        }
        self.sites[n].keepers[machine] = None;
        let here = |child: &Child| child.machine == machine && !child.killed;
        let left: Vec<u32> =
            self.sites[n].children.iter().filter(|c| here(c)).map(|child| child.id).collect();
        for child in left {
            self.child_kill(n, child);
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

    /// Nobody watches over a site's ticket from now on; its store may say *granted* until `from`.
    pub fn unwatch(&mut self, n: usize, ticket: usize, from: True) {
        // What an earlier death left counts on, if there was no guard in between.
        let from = self.checks.unguarded[ticket][n].map_or(from, |earlier| earlier.from);
        self.checks.unguarded[ticket][n] = Some(Unguarded { from, ends: None });
    }

    /// A process starts, or goes on after a stop: an excuse of its site ends when it has run for
    /// long enough.
    pub fn runs_again(&mut self, n: usize) {
        for ticket in self.specs(n).len()..self.plan.tickets.len() {
            // Its configuration lacks the ticket: nobody there revokes it.
            let nobody = Unguarded { from: self.now, ends: None };
            self.checks.unguarded[ticket][n].get_or_insert(nobody);
        }
        let stopped = self.keeper_is_stopped(n);
        if stopped {
            self.keeper_is_noticed(n);
        }
        if !(0..self.plan.tickets.len()).any(|ticket| self.unwatched(n, ticket)) {
            return;
        }
        // One that does not answer is given up within a second, and the next waits for *g*.
        let guard = self.longest_guard(n);
        let replaced = if stopped { SECOND + guard * 101 / 100 } else { 0 };
        let allowed = self.keeper_quiet_in(n) + replaced + self.time_to_revoke(n);
        let (life, stops) = (self.nodes[n].life, self.nodes[n].stops);
        let ends = Happening::ExcuseEnds { site: n, life, stops, blind: false };
        self.future.plan(self.now + allowed, ends);
    }

    fn longest_guard(&self, n: usize) -> True {
        let guard = self.specs(n).iter().map(|spec| spec.guard().as_micros()).max();
        guard.unwrap_or(SECOND)
    }

    /// How long a boothd that has its answer from the store takes to revoke, at most.
    fn time_to_revoke(&self, n: usize) -> True {
        // A report, a wish and an end each wait in a queue, for each of the two calls.
        let queues = self.plan.worlds.queues;
        let queued = 6 * (queues.usual + queues.slow_max);
        let calls = 2 * self.longest_guard(n) * self.plan.tickets.len() as u64;
        calls + queued + SECOND
    }

    /// The new boothd of a site has had its time, unless it was stopped or has ended meanwhile, or
    /// cannot read its store.
    pub fn excuse_ends(&mut self, site: usize, life: u32, stops: u32, blind: bool) {
        let node = &self.nodes[site];
        if !node.runs() || (node.life, node.stops) != (life, stops) {
            return;
        }
        let tickets = 0..self.specs(site).len();
        let unread = |ticket: &usize| {
            self.unwatched(site, *ticket) && self.sites[site].read[*ticket].is_none()
        };
        // It does not know yet what there is to watch over (condition 4 of the promise), and then
        // needs its time.
        let later = match tickets.clone().any(|ticket| unread(&ticket)) {
            true => Some((SECOND, true)),
            false => blind.then(|| (self.time_to_revoke(site), false)),
        };
        if let Some((pause, blind)) = later {
            let ends = Happening::ExcuseEnds { site, life, stops, blind };
            self.future.plan(self.now + pause, ends);
            return;
        }
        for ticket in tickets {
            self.watched_again(site, ticket);
        }
    }

    /// The new boothd has told its guard a time, which comes at `due`; if that has passed, it
    /// looks at the store for so long before it revokes.
    pub fn told_again(&mut self, site: usize, ticket: usize, due: True, look: u64) {
        let guard = self.spec(site, ticket).guard().as_micros();
        let Some(unguarded) = &mut self.checks.unguarded[ticket][site] else { return };
        if due > self.now {
            self.watched_again(site, ticket);
        } else if unguarded.ends.is_none() {
            let ends = self.now + look + guard * 101 / 100;
            unguarded.ends = Some(ends);
            self.future.plan(ends, Happening::GuardEnds { site, ticket });
        }
    }

    /// The guard dies, and with it the revoke that it has begun: the next one has its own time.
    pub fn guard_dies(&mut self, site: usize, ticket: usize) {
        if let Some(unguarded) = &mut self.checks.unguarded[ticket][site] {
            unguarded.ends = None;
        }
    }

    /// The guard that was told late has had its time, unless its machine died as well.
    pub fn guard_ends(&mut self, site: usize, ticket: usize) {
        let now = self.now;
        if self.checks.unguarded[ticket][site].is_some_and(|one| one.ends == Some(now)) {
            self.watched_again(site, ticket);
        }
    }

    /// Whether nobody watches over a site's ticket since its machine died.
    pub fn unwatched(&self, site: usize, ticket: usize) -> bool {
        self.checks.unguarded[ticket][site].is_some()
    }

    /// Whether that excuses a store that says *granted* now.
    pub fn left_alone(&self, site: usize, ticket: usize) -> bool {
        self.checks.unguarded[ticket][site].is_some_and(|unguarded| unguarded.from <= self.now)
    }

    /// Somebody watches over a site's ticket again: what its store says counts from now on.
    pub fn watched_again(&mut self, site: usize, ticket: usize) {
        if self.checks.unguarded[ticket][site].take().is_some() {
            self.trace(|w| format!("{}: t{ticket} is watched over again", w.name(site)));
            self.check_one_holder(ticket);
        }
    }

    /// A change has taken effect at a site: the excuse ends if it is the new boothd's or a
    /// guard's, and one of both goes on.
    pub fn written_by(&mut self, site: usize, ticket: usize, by: By, before: bool) {
        if !self.nodes[site].runs() && !self.keeper_works(site) {
            return;
        }
        let fresh = match by {
            By::Keeper { life: None, .. } => true,
            By::Keeper { life: Some(life), .. } | By::Daemon(life, _) => {
                life == self.nodes[site].life && self.nodes[site].engine.is_some()
            }
        };
        if fresh && self.unwatched(site, ticket) {
            if before {
                self.coverage.note("machine: died, granted until boothd revoked");
            }
            self.watched_again(site, ticket);
        }
    }
}
