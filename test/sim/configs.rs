// SPDX-License-Identifier: GPL-2.0-or-later
//! Members whose configurations differ: `expire` above all, raised or lowered while the cluster
//! runs; other times; a ticket that one of them does not have.
//!
//! The promise holds whatever order `expire` is raised in, and while members simply differ. It can
//! be lowered safely only at a member that has been down for the old `expire`: one that starts
//! again sooner has forgotten what it promised, and keeps still for too short a time.

use super::choice::mix;
use super::clock::{True, MILLI, SECOND};
use super::excuses::Excuse;
use super::plan::{between, chance, pick, spread, Disturbance, Plan, Target, Trouble};
use super::reference::Manner;
use super::world::World;
use booth_core::model::TicketSpec;
use booth_core::prng::Prng;
use booth_core::time::Span;

/// How a member's configuration differs from the plan's, in all of its tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its `expire` and `renewal-freq` are this many times as long.
    pub expire: u8,
    /// Its `timeout` is half as long.
    pub hasty: bool,
    /// It has fewer `retries`.
    pub curt: bool,
    /// Its `acquire-after` is this part of `expire`, in tenths; `None`: the plan's.
    pub after: Option<u8>,
    /// It does not have the last ticket.
    pub lacks: bool,
}

/// The plan's configuration.
pub const SAME: Variant =
    Variant { expire: 1, hasty: false, curt: false, after: None, lacks: false };

impl Variant {
    fn of(self, tickets: &[TicketSpec]) -> Vec<TicketSpec> {
        let kept = tickets.len() - usize::from(self.lacks && tickets.len() > 1);
        tickets[..kept].iter().map(|spec| self.ticket(spec)).collect()
    }

    fn ticket(self, spec: &TicketSpec) -> TicketSpec {
        let times = u64::from(self.expire);
        let half = spec.timeout.as_millis() / 2;
        // What was in whole seconds stays so: the wire's unit is the same at all members.
        let half = if spec.timeout.as_millis() % 1000 == 0 { half / 1000 * 1000 } else { half };
        let after = self.after.map(|tenths| spec.expire.divided(10).times(u64::from(tenths)));
        TicketSpec {
            expire: spec.expire.times(times),
            renewal: spec.renewal.times(times),
            timeout: if self.hasty && half > 0 { Span::from_millis(half) } else { spec.timeout },
            retries: if self.curt { spec.retries.min(3) } else { spec.retries },
            acquire_after: after.unwrap_or(spec.acquire_after),
            ..spec.clone()
        }
    }
}

/// In some runs the members' configurations differ.
pub fn draw_configs(prng: &mut Prng, plan: &mut Plan) {
    if !chance(prng, 20) {
        return;
    }
    let members = plan.members();
    let longer = |prng: &mut Prng| pick(prng, &[1, 1, 2, 3, 10]);
    let mut first = vec![SAME; members];
    let kind = prng.below(6);
    match kind {
        0 => first.iter_mut().for_each(|one| one.expire = longer(prng)),
        1 => {
            for one in &mut first {
                (one.hasty, one.curt) = (chance(prng, 50), chance(prng, 50));
                one.after = pick(prng, &[None, Some(0), Some(3), Some(10)]);
            }
        }
        2 => {
            let expire = pick(prng, &[2, 3, 10]);
            roll_out(prng, plan, &mut first, (1, expire), false);
        }
        3 => {
            let expire = pick(prng, &[2, 3, 10]);
            roll_out(prng, plan, &mut first, (expire, 1), true);
        }
        4 => {
            let expire = pick(prng, &[2, 3, 10]);
            roll_out(prng, plan, &mut first, (expire, 1), false);
        }
        _ => {
            first.iter_mut().for_each(|one| one.expire = longer(prng));
            for who in 0..members {
                let (at, to) = (between(prng, 0, plan.chaos), longer(prng));
                configure(prng, plan, (who, at), to, MILLI);
            }
        }
    }
    if kind < 2 && plan.tickets.len() > 1 {
        let who = usize::try_from(prng.below(members as u64)).unwrap_or(0);
        first[who].lacks = true;
        // It must be able to start again when it gets the ticket (condition 3).
        plan.disturbances.retain(|d| !matches!(d.what, Trouble::WallJump { .. }));
    }
    plan.worlds.configs = first;
    plan.disturbances.sort_by_key(|d| d.at);
}

/// One member after the other gets another `expire` and starts again. `patient`: it is down for
/// as long as it may have promised.
fn roll_out(
    prng: &mut Prng,
    plan: &mut Plan,
    first: &mut [Variant],
    (from, to): (u8, u8),
    patient: bool,
) {
    first.iter_mut().for_each(|one| one.expire = from);
    let old = plan.expire_max() * u64::from(from);
    let down = if patient { old * 102 / 100 } else { MILLI };
    let mut at = between(prng, SECOND, plan.chaos / 4);
    let turn = usize::try_from(prng.below(first.len() as u64)).unwrap_or(0);
    for step in 0..first.len() {
        let who = (turn + step) % first.len();
        configure(prng, plan, (who, at), to, down);
        at += down + spread(prng, MILLI, plan.expire_max() * 2);
    }
    // A safe procedure takes its time.
    plan.chaos = plan.chaos.max(at);
}

fn configure(prng: &mut Prng, plan: &mut Plan, (who, at): (usize, True), to: u8, least: True) {
    let target = Target::Member(u8::try_from(who).unwrap_or(0));
    let down = least.max(spread(prng, MILLI, SECOND));
    let (moves, clean) = (false, true);
    let mut add = |what| plan.disturbances.push(Disturbance { at, target, what });
    add(Trouble::Configure { expire: to });
    add(Trouble::Crash { down, moves, clean });
}

impl World {
    /// The configuration of a ticket that a member runs with.
    pub fn spec(&self, n: usize, ticket: usize) -> &TicketSpec {
        let own = self.nodes[n].tickets.as_ref().and_then(|tickets| tickets.get(ticket));
        own.unwrap_or(&self.plan.tickets[ticket])
    }

    /// All tickets as a member has them.
    pub fn specs(&self, n: usize) -> &[TicketSpec] {
        self.nodes[n].tickets.as_deref().unwrap_or(&self.plan.tickets)
    }

    /// The members' first configurations. Reference members, and ours without marks, cannot state
    /// what they promise: all have the same.
    pub fn configure_all(&mut self) {
        if self.manners.iter().any(|manner| *manner != Manner::Ours) {
            self.plan.worlds.configs.clear();
        }
        for (n, variant) in self.plan.worlds.configs.clone().into_iter().enumerate() {
            if n < self.nodes.len() && variant != SAME {
                self.coverage.note(match variant {
                    Variant { lacks: true, .. } => "members: one lacks a ticket",
                    Variant { expire: 1, .. } => "members: other times differ",
                    _ => "members: expire differs",
                });
                self.nodes[n].variant = variant;
                self.nodes[n].tickets = Some(variant.of(&self.plan.tickets));
            }
        }
    }

    /// The configuration file of a member is changed; it counts from its next start.
    pub fn configure(&mut self, n: usize, expire: u8) {
        if !self.plan.worlds.configs.is_empty() {
            self.nodes[n].variant.expire = expire;
        }
    }

    /// A member starts, with the configuration that its file has now.
    pub fn read_config(&mut self, n: usize) {
        if self.plan.worlds.configs.is_empty() {
            return;
        }
        let tickets = self.nodes[n].variant.of(&self.plan.tickets);
        for ticket in 0..self.plan.tickets.len() {
            self.kept_back(ticket);
        }
        for ticket in 0..self.plan.tickets.len() {
            let old = self.spec(n, ticket).expire;
            let new = tickets.get(ticket).map_or(old, |spec| spec.expire);
            if new > old {
                self.coverage.note("members: expire is raised");
            }
            if new >= old {
                continue;
            }
            // What it forgets it has promised until then; clocks run up to 0.5 % apart.
            let until = self.nodes[n].ended_at + old.as_micros() * 101 / 100;
            if until <= self.now {
                self.coverage.note("members: expire is lowered safely");
            } else {
                self.coverage.note("members: expire is lowered at once");
                self.checks.suspended.begin(self.now, ticket, Excuse::LoweredExpire, until);
            }
        }
        self.nodes[n].tickets = Some(tickets);
    }

    /// How many times the plan's `expire` any member has at any time: what was promised by the
    /// longest of all configurations may count still.
    pub fn longest_expire(&self) -> u64 {
        let changes = self.plan.disturbances.iter().filter_map(|d| match d.what {
            Trouble::Configure { expire } => Some(expire),
            _ => None,
        });
        let first = self.plan.worlds.configs.iter().map(|variant| variant.expire);
        u64::from(changes.chain(first).max().unwrap_or(1))
    }

    /// Phase two: a ticket that a healed member lacks is configured there; and what is judged by
    /// the plan's times is judged by the longest of any member's.
    pub fn merge_configs(&mut self) {
        if self.plan.worlds.configs.is_empty() {
            return;
        }
        for n in 0..self.nodes.len() {
            let own = self.specs(n).to_vec();
            self.nodes[n].tickets = Some(own);
        }
        let all = (0..self.nodes.len()).flat_map(|n| self.specs(n));
        let timeout = all.map(|spec| spec.timeout.as_micros()).min().unwrap_or(SECOND);
        let delay_max = self.plan.net.delay_max.min(timeout / 5);
        self.plan.net.delay_max = delay_max;
        self.plan.net.delay_min = self.plan.net.delay_min.min(delay_max);
        let times = self.longest_expire();
        for ticket in 0..self.plan.tickets.len() {
            let mut all = self.plan.tickets[ticket].clone();
            all.expire = all.expire.times(times);
            for n in 0..self.nodes.len() {
                all.acquire_after = all.acquire_after.max(self.spec(n, ticket).acquire_after);
            }
            self.plan.tickets[ticket] = all;
        }
        self.plan.worlds.configs.clear();
    }

    /// Before that: members that lack a ticket end, and start again with it.
    pub fn complete_configs(&mut self) {
        for n in 0..self.nodes.len() {
            if self.nodes[n].variant.lacks {
                self.nodes[n].variant.lacks = false;
                let down = MILLI + mix(self.plan.seed ^ n as u64) % SECOND;
                self.crash(n, down, false, false);
                self.nodes[n].tickets = Some(self.nodes[n].variant.of(&self.plan.tickets));
            }
        }
    }
}
