// SPDX-License-Identifier: GPL-2.0-or-later
//! What happens to keepers: they are killed or stopped, boothd with them or not; boothd replaces
//! what has died, and what does not answer, in time. Only where both are dead or stopped, a store
//! may say *granted* for too long (`RULES.md`, condition 4): that is excused as in `machine.rs`.
//!
//! And what must hold of everything that a keeper starts and ends:
//!
//! - `K2`: a revoke is never ended for being slow, only when another attempt has succeeded, or as
//!   the oldest of eight;
//! - `K4`: a grant begins inside its window only, beside no other change of its ticket, and not
//!   while a revoke that was killed may take effect; it takes effect before that window ends; a
//!   revoke begins beside no grant that lives; a boothd reads the store when no grant of an earlier
//!   life can take effect any more;
//! - `K5`: when a keeper dies beside a boothd that runs, that one knows its windows, from when it
//!   has started and the keeper has heard of it, until it has read the store.

use super::clock::{True, MILLI, SECOND};
use super::hunt::{Hunter, HOLDER};
use super::node::Waiting;
use super::plan::{between, chance, spread, Disturbance, Order, Plan, Target, Trouble};
use super::sick::Ailment;
use super::store::{By, Child, Task};
use super::world::{Happening, World};
use booth_core::engine::HoldWindow;
use booth_core::keeper::{Change, Input, Told};
use booth_core::model::TicketIndex;
use booth_core::prng::Prng;
use booth_core::time::MonoTime;

/// How many attempts of a revoke run beside each other.
const ATTEMPTS: usize = 8;

/// In some ordinary runs keepers are killed or stopped.
pub fn draw_keepers(prng: &mut Prng, plan: &mut Plan) {
    if !chance(prng, 15) {
        return;
    }
    let expire = plan.expire_max();
    let index = |n: u64| u8::try_from(n).unwrap_or(0);
    for _ in 0..between(prng, 1, 6) {
        let at = between(prng, SECOND, plan.chaos.max(2 * SECOND));
        let target = if chance(prng, 70) {
            Target::Holder(index(prng.below(plan.tickets.len() as u64)))
        } else {
            Target::Member(index(prng.below(plan.members() as u64)))
        };
        let what = draw_trouble(prng, expire);
        plan.disturbances.push(Disturbance { at, target, what });
        if chance(prng, 30) {
            let length = spread(prng, expire / 4, expire * 4);
            let what = Trouble::Sick { length, what: Ailment::RevokesSlow };
            plan.disturbances.push(Disturbance { at, target, what });
        }
    }
    plan.disturbances.sort_by_key(|d| d.at);
}

fn draw_trouble(prng: &mut Prng, expire: True) -> Trouble {
    let length = if chance(prng, 60) { 0 } else { spread(prng, MILLI, expire * 3) };
    let both = if chance(prng, 60) { 0 } else { spread(prng, MILLI, expire * 3) };
    Trouble::Keeper { length, both }
}

impl Hunter {
    /// The holder's keeper is killed or stopped while the ticket is granted, renewed or revoked;
    /// revokes take long; the wall clock is set while boothd is down.
    pub(super) fn keeper(&mut self) {
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            let hit = at + self.between(MILLI, self.expire);
            match self.prng.below(4) {
                0 => {
                    let length = self.between(self.expire, self.expire * 3);
                    let what = Ailment::RevokesSlow;
                    self.add(hit, HOLDER, Trouble::Sick { length, what });
                    self.ask(hit + MILLI, HOLDER, Order::Revoke);
                }
                1 => {
                    // boothd is away for a while, and its wall clock is set.
                    let down = self.spread(10 * MILLI, self.expire);
                    self.crash(hit, HOLDER, down);
                    let far = self.expire * 20;
                    let by = self.between(0, 2 * far) as i64 - far as i64;
                    self.add(hit + down / 2, HOLDER, Trouble::WallJump { by });
                }
                2 => {
                    let length = self.between(self.expire / 2, self.expire * 2);
                    let (out, into, peers) = (true, true, u16::MAX);
                    self.add(hit, HOLDER, Trouble::Cut { length, out, into, peers });
                    self.ask_others(hit + self.expire, self.expire);
                }
                _ => self.ask(hit, HOLDER, Order::Revoke),
            }
            for _ in 0..self.between(1, 4) {
                let near = hit + self.between(0, self.expire * 3 / 2);
                let what = draw_trouble(&mut self.prng, self.expire);
                self.add(near, HOLDER, what);
            }
            at = hit + self.between(self.expire, self.expire * 3);
        }
    }
}

impl World {
    /// Something happens to a keeper, or between it and its boothd.
    pub fn happen_to_keeper(&mut self, happening: Happening) {
        match happening {
            Happening::KeeperTick { site, machine, number } => {
                self.keeper_tick(site, machine, number);
            }
            Happening::KeeperJob { site, keeper, over } => {
                self.keeper_job_over(site, keeper, *over);
            }
            Happening::KeeperGoesOn { site, machine, number } => {
                self.keeper_goes_on(site, machine, number);
            }
            Happening::KeeperAgain { node, life } if self.alive(node, life) => {
                self.keeper_again(node);
            }
            Happening::Answer { node, life, answer } if self.alive(node, life) => {
                self.reach(node, Waiting::Answer(answer));
            }
            _ => {}
        }
    }

    /// The keeper of a member's machine is killed, or stopped for `length`; boothd, too, if `both`
    /// says for how long.
    pub fn keeper_trouble(&mut self, n: usize, length: True, both: True) {
        let machine = self.nodes[n].machine;
        let there = self.nodes[n].site && self.sites[n].keepers[machine].is_some();
        // Condition 3: what only the keeper knows better must not get lost.
        if !there || !self.faulty(n) || self.faithful_among() || !self.wall_needs_no_keeper(n) {
            return;
        }
        if both > 0 && length == 0 {
            self.crash(n, both, false, false);
        } else if both > 0 {
            self.pause(n, both);
        }
        let lives = self.nodes[n].runs();
        if length == 0 {
            self.coverage.note(match lives {
                true => "keeper: is killed while boothd lives",
                false => "keeper: is killed while boothd is down or stopped",
            });
            self.keeper_dies(n);
            return;
        }
        self.coverage.note(match lives {
            true => "keeper: is stopped while boothd lives",
            false => "keeper: is stopped while boothd is down or stopped",
        });
        let Some(warden) = &mut self.sites[n].keepers[machine] else { return };
        if warden.stopped.is_some() {
            return;
        }
        warden.stopped = Some(Vec::new());
        let number = warden.number;
        self.trace(|w| format!("{} keeper {number} is stopped", w.name(n)));
        let goes_on = Happening::KeeperGoesOn { site: n, machine, number };
        self.future.plan(self.now + length, goes_on);
        self.keeper_missing(n);
        self.keeper_is_noticed(n);
    }

    /// The keeper of a member's machine dies, and its processes with it.
    pub fn keeper_dies(&mut self, n: usize) {
        let machine = self.nodes[n].machine;
        let mono = self.nodes[n].clock().mono(self.now);
        let Some(warden) = &self.sites[n].keepers[machine] else { return };
        let number = warden.number;
        let unsettled = warden.machine.is_unsettled(mono);
        // It was stopped when boothd started, and has told it nothing.
        let waits = warden.stopped.iter().flatten();
        let unheard = waits.into_iter().any(|input| matches!(input, Input::TakeOver(_)));
        self.trace(|w| format!("{} keeper {number} dies, unsettled: {unsettled}", w.name(n)));
        if unsettled {
            self.coverage.note("keeper: is killed with something under way");
        }
        for ticket in 0..self.plan.tickets.len() {
            self.guard_dies(n, ticket);
            let Some(window) = self.keeper_watches(n, machine, ticket) else { continue };
            if !self.nodes[n].runs() || unheard {
                let from = self.nodes[n].clock().when(window.hold_until);
                self.unwatch(n, ticket, from);
            } else if self.unread_and_untold(n, ticket) {
                let text = format!("m{n}, t{ticket}: boothd does not know of {window:?}");
                self.fail_of(ticket, "K5", text);
            }
        }
        let of_it = |by: By| matches!(by, By::Keeper { number: it, .. } if it == number);
        let here = self.sites[n].children.iter();
        let left = here.filter(|child| of_it(child.by) && !child.killed).map(|child| child.id);
        for child in left.collect::<Vec<u32>>() {
            self.child_kill(n, child);
        }
        self.sites[n].keepers[machine] = None;
        self.sites[n].unsettled = unsettled;
        if self.nodes[n].engine.is_some() {
            let after = self.choices.jitter(n, 5, MILLI, 10 * MILLI);
            let (at, life) = (self.answers_end(n) + after, self.nodes[n].life);
            self.future.plan(at, Happening::KeeperAgain { node: n, life });
        }
    }

    /// Whether a boothd knows nothing of a ticket: it has neither read nor written it, nor told a
    /// window, nor been told one.
    fn unread_and_untold(&self, n: usize, ticket: usize) -> bool {
        let knows = self.sites[n].read[ticket].is_some();
        !knows && self.nodes[n].told[ticket].window().is_none()
    }

    /// Whether the keeper of a member's machine is there, and stopped.
    pub fn keeper_is_stopped(&self, n: usize) -> bool {
        let warden = &self.sites[n].keepers[self.nodes[n].machine];
        warden.as_ref().is_some_and(|warden| warden.stopped.is_some())
    }

    /// Whether the keeper of a member's machine is there, and goes on.
    pub fn keeper_works(&self, n: usize) -> bool {
        let warden = &self.sites[n].keepers[self.nodes[n].machine];
        warden.as_ref().is_some_and(|warden| warden.stopped.is_none())
    }

    /// A boothd that runs has no answer from its keeper: it replaces it before the nearest grant
    /// would come too late, and at once if that has passed.
    pub fn keeper_is_noticed(&mut self, n: usize) {
        if !self.nodes[n].runs() {
            return;
        }
        let clock = *self.nodes[n].clock();
        let told = self.nodes[n].told.iter().filter_map(Told::window);
        let first = told.map(|window| clock.when(window.start_before)).min();
        let wait = self.choices.jitter(n, 6, MILLI, SECOND);
        let latest = first.map_or(u64::MAX, |first| first.saturating_sub(MILLI));
        let at = (self.now + wait).min(latest).max(self.now);
        let life = self.nodes[n].life;
        self.future.plan(at, Happening::KeeperAgain { node: n, life });
    }

    /// A boothd that runs looks after its keeper: one that is dead or does not answer is replaced,
    /// and told what the one before knew.
    pub fn keeper_again(&mut self, n: usize) {
        if !self.nodes[n].runs() || !self.nodes[n].site || self.faithful(n) {
            return;
        }
        let (machine, life) = (self.nodes[n].machine, self.nodes[n].life);
        if self.keeper_is_stopped(n) {
            self.keeper_dies(n);
        }
        if self.sites[n].keepers[machine].is_some() {
            return;
        }
        self.coverage.note("keeper: is replaced by a boothd that lives");
        self.trace(|w| format!("{} has a new keeper, life {life}", w.name(n)));
        let quiet_at = match self.sites[n].unsettled {
            true => self.keeper_quiet_at(n),
            false => MonoTime::ZERO,
        };
        self.keeper_starts(n, machine, quiet_at);
        self.keeper_has_boothd(n);
        for (ticket, told) in self.nodes[n].told.clone().into_iter().enumerate() {
            for word in told.words(TicketIndex::new(ticket)) {
                self.keeper_said(n, word);
            }
        }
    }

    /// A keeper that was stopped goes on, if nobody has replaced it.
    pub fn keeper_goes_on(&mut self, site: usize, machine: usize, number: u32) {
        let Some(warden) = &mut self.sites[site].keepers[machine] else { return };
        if warden.number != number {
            return;
        }
        let Some(waiting) = warden.stopped.take() else { return };
        self.trace(|w| format!("{} keeper {number} goes on", w.name(site)));
        for input in waiting {
            self.keeper_step(site, machine, input);
        }
        self.keeper_step(site, machine, Input::Tick);
        for ticket in 0..self.plan.tickets.len() {
            if let Some(window) = self.keeper_watches(site, machine, ticket) {
                let due = self.nodes[site].clocks[machine].when(window.hold_until);
                // After a sleep it looks at the store first, for that long at most.
                let look = self.spec(site, ticket).guard().as_micros().min(2 * SECOND);
                self.told_again(site, ticket, due.max(self.now), look);
            }
        }
    }

    /// A boothd ends or is stopped while its keeper is dead or stopped, or the other way round:
    /// nobody watches over its tickets.
    pub fn keeper_missing(&mut self, n: usize) {
        if self.nodes[n].runs() || !self.nodes[n].site || self.faithful_among() || self.no_guard {
            return;
        }
        let machine = self.nodes[n].machine;
        let warden = self.sites[n].keepers[machine].as_ref();
        if warden.is_some_and(|warden| warden.stopped.is_none()) {
            return;
        }
        for ticket in 0..self.plan.tickets.len() {
            let watched = self.keeper_watches(n, machine, ticket);
            let told = self.nodes[n].told[ticket].window();
            if let Some(window) = watched.or(told) {
                let from = self.nodes[n].clock().when(window.hold_until);
                self.unwatch(n, ticket, from);
            }
        }
    }

    /// K1: whatever its store and its keeper do, while the holder's daemon lives and reaches a
    /// majority, no second site is granted.
    pub fn check_kept_lease(&mut self, ticket: usize, granted: &[usize]) {
        let latest = granted.iter().max_by_key(|m| self.sites[**m].granted_at[ticket]).copied();
        let Some(latest) = latest else { return };
        let by = self.sites[latest].granted_at[ticket];
        for m in granted.iter().copied().filter(|m| *m != latest) {
            if let Some(why) = self.keeps_its_lease(m, ticket, by) {
                self.fail_of(ticket, "K1", format!("t{ticket} is granted at {granted:?}; {why}"));
            }
        }
    }

    /// K3: a restart on the same boot counts on no longer lease than the life before had told its
    /// keeper, where the grant was made on this machine. (What it keeps back of that follows from
    /// its own `expire`: S6.)
    pub fn check_heir(&mut self, n: usize, t: usize, until: True) {
        let here = self.sites[n].granted_on[t] == self.nodes[n].machine;
        let heir = self.nodes[n].heirs[t].filter(|_| here && self.checks.ghosts.restarted(n, t));
        if let Some(told) = heir.filter(|told| until > told + 8) {
            let text = format!(
                "t{t}: m{n}, just started, counts on a lease until {until}; the life before had \
                 told {told}"
            );
            self.fail_of(t, "K3", text);
        }
    }

    /// K4: a keeper starts a change.
    pub fn check_keeper_starts(
        &mut self,
        site: usize,
        (machine, ticket): (usize, usize),
        (change, window): (Option<&Change>, Option<HoldWindow>),
        mono: MonoTime,
    ) {
        let grants = |child: &Child| matches!(&child.task, Task::Write(entry) if entry.granted);
        let revokes = |child: &Child| matches!(&child.task, Task::Write(entry) if !entry.granted);
        let number = self.sites[site].keepers[machine].as_ref().map(|warden| warden.number);
        let same = |child: &&Child| {
            let own = matches!(child.by, By::Keeper { number: it, .. } if Some(it) == number);
            own && child.ticket == ticket && !matches!(child.task, Task::Load)
        };
        let mut beside = self.sites[site].children.iter().filter(same);
        let late = || window.is_none_or(|window| mono >= window.start_before);
        let wrong = match change {
            Some(Change::Grant { start_before: Some(_), .. }) if late() => {
                Some("a grant begins outside its window")
            }
            Some(Change::Grant { .. }) => beside
                .any(|child| !child.killed || revokes(child))
                .then_some("a grant begins while another change may take effect"),
            Some(Change::Revoke(_)) => beside
                .any(|child| !child.killed && grants(child))
                .then_some("a revoke begins beside a grant that lives"),
            Some(Change::Attr(_)) | None => None,
        };
        if let Some(wrong) = wrong {
            self.fail("K4", format!("m{site}, t{ticket}: {wrong}; {window:?}, now {mono:?}"));
        }
    }

    /// K4: a grant takes effect. A keeper that runs has killed it so early that this is before the
    /// end of its window.
    pub fn check_keeper_grants(&mut self, site: usize, (machine, ticket): (usize, usize), by: By) {
        let By::Keeper { number, .. } = by else { return };
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        if warden.number != number || warden.stopped.is_some() || !self.checks.automatic(ticket) {
            return;
        }
        let mono = self.nodes[site].clocks[machine].mono(self.now);
        let window = self.keeper_watches(site, machine, ticket);
        if let Some(window) = window.filter(|window| mono >= window.hold_until) {
            let text = format!("m{site}, t{ticket}: a grant takes effect after {window:?}");
            self.fail_of(ticket, "K4", text);
        }
    }

    /// K4: a boothd reads its store, in which nothing that an earlier life has begun on this
    /// machine may change anything unseen.
    pub fn check_keeper_quiet(&mut self, n: usize, ticket: usize) {
        let (machine, life) = (self.nodes[n].machine, self.nodes[n].life);
        let number = self.sites[n].keepers[machine].as_ref().map(|warden| warden.number);
        let older = |child: &&Child| {
            let own = matches!(child.by, By::Keeper { number: it, life: Some(of), .. }
                if Some(it) == number && of != life);
            let grants = matches!(&child.task, Task::Write(entry) if entry.granted);
            own && grants && child.ticket == ticket && child.effect_at.is_some()
        };
        if let Some(child) = self.sites[n].children.iter().find(older) {
            let text = format!("m{n} reads t{ticket} while child {} may take effect", child.id);
            self.fail("K4", text);
        }
    }

    /// K2: a keeper kills a process. `done`: it has just heard that a change of it was made. An
    /// attempt that it has killed, and that the kernel has not ended within a second, is one of
    /// eight until it ends. Tells whether it is a revoke.
    pub fn check_keeper_kills(&mut self, site: usize, number: u32, child: u32, done: bool) -> bool {
        let Some(killed) = self.sites[site].child(child).cloned() else { return false };
        let revokes = |child: &Child| matches!(&child.task, Task::Write(entry) if !entry.granted);
        let same = |child: &&Child| {
            let own = matches!(child.by, By::Keeper { number: it, .. } if it == number);
            own && child.ticket == killed.ticket && !child.killed && revokes(child)
        };
        let alive = self.sites[site].children.iter().filter(same).count();
        let wardens = self.sites[site].keepers.iter().flatten();
        let killer = wardens.filter(|warden| warden.number == number);
        let lingers = |(of, since, until): &&(usize, True, True)| {
            // It waits for a second of its own clock, which may run fast.
            let waited = since + SECOND * 99 / 100 <= self.now;
            *of == killed.ticket && waited && self.now < *until
        };
        let count = alive + killer.flat_map(|warden| &warden.lingering).filter(lingers).count();
        if revokes(&killed) && !done && count < ATTEMPTS {
            let ticket = killed.ticket;
            let text = format!("m{site}, t{ticket}: a revoke is killed, one of {count} attempts");
            self.fail("K2", text);
        }
        revokes(&killed)
    }
}
