// SPDX-License-Identifier: GPL-2.0-or-later
//! The family `sick`: a site's store fails, hangs or answers late for longer than a lease, also
//! when its lease ends, while the network works. That is outside condition 2 of the promise; what
//! holds even then:
//!
//! - a site whose store may say granted keeps its lease while its daemon runs and hears a majority
//!   both ways, so no second site is granted;
//! - a site that hears it both ways is told that it still has the ticket, and is not granted.

use super::aimed::Aimed;
use super::choice::mix;
use super::clock::{True, MILLI, SECOND};
use super::excuses::Excuse;
use super::hunt::{Hunter, HOLDER};
use super::plan::{pick, Order, Trouble};
use super::store::{Course, Task};
use super::world::World;
use booth_core::model::MemberRole;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Every call hangs and does nothing.
    Hangs,
    /// Every call fails.
    Fails,
    /// Every change takes many times *g*.
    Slow,
    /// Only revokes fail.
    RevokesFail,
    /// Only revokes hang.
    RevokesHang,
    /// Revokes say that they failed, and are done.
    RevokesLie,
    /// Only revokes take long, up to ten times *g*, and succeed.
    RevokesSlow,
}

/// What is drawn: revokes that fail twice as often as anything else.
const AILMENTS: [Ailment; 7] = [
    Ailment::Hangs,
    Ailment::Fails,
    Ailment::Slow,
    Ailment::RevokesFail,
    Ailment::RevokesFail,
    Ailment::RevokesHang,
    Ailment::RevokesLie,
];

/// A store that is ill until a time.
#[derive(Clone, Copy, Debug)]
pub struct Sickness {
    /// What is wrong.
    pub what: Ailment,
    /// Until when.
    pub until: True,
}

impl World {
    /// A store falls ill.
    pub fn sicken(&mut self, site: usize, what: Ailment, length: True) {
        if !self.faulty(site) || self.faithful_among() {
            return;
        }
        self.coverage.note(match what {
            Ailment::Hangs | Ailment::RevokesHang => "store: hangs for long",
            Ailment::Fails | Ailment::RevokesFail => "store: fails for long",
            Ailment::Slow => "store: is slow for long",
            Ailment::RevokesSlow => "revoke: slow for long, and succeeds",
            Ailment::RevokesLie => "store: misstates its revokes for long",
        });
        self.sites[site].sick = Some(Sickness { what, until: self.now + length });
    }

    /// All stores are well again.
    pub fn cure(&mut self) {
        let now = self.now;
        for sick in self.sites.iter_mut().filter_map(|site| site.sick.as_mut()) {
            sick.until = sick.until.min(now);
        }
    }

    /// How a call goes in a store that is ill; `None`: as usual.
    pub fn sick_course(&mut self, site: usize, ticket: usize, task: &Task) -> Option<Course> {
        let sickness = self.sites[site].sick.filter(|sick| sick.until > self.now)?;
        let revoke = matches!(task, Task::Write(entry) if !entry.granted);
        let guard = self.spec(site, ticket).guard().as_micros();
        let quick = self.choices.jitter(site, ticket, MILLI, guard / 4);
        let hangs = Course { effect: None, end: None, success: true };
        let fails = Course { effect: None, end: Some(quick), success: false };
        match sickness.what {
            Ailment::Hangs => Some(hangs),
            Ailment::Fails => Some(fails),
            Ailment::Slow => {
                let end = self.choices.jitter(site, ticket, guard, guard * 20);
                Some(Course { effect: Some(end - MILLI), end: Some(end), success: true })
            }
            Ailment::RevokesSlow if revoke => {
                let end = self.choices.jitter(site, ticket, guard, guard * 10);
                Some(Course { effect: Some(end - MILLI), end: Some(end), success: true })
            }
            Ailment::RevokesFail if revoke => Some(fails),
            Ailment::RevokesHang if revoke => Some(hangs),
            Ailment::RevokesLie if revoke => Some(Course { effect: Some(quick / 2), ..fails }),
            Ailment::RevokesFail
            | Ailment::RevokesHang
            | Ailment::RevokesLie
            | Ailment::RevokesSlow => None,
        }
    }

    /// Whether a store that says granted was ill when its site's time to hold ended, or is.
    fn ails(&self, site: usize, ticket: usize) -> bool {
        let spec = self.spec(site, ticket);
        let near = 2 * spec.guard().as_micros();
        let end = self.checks.claim_end(ticket, site).unwrap_or(self.now);
        // Somebody revokes soon after the store is well again: the longest pause, and a call.
        let soon = near + spec.patience().as_micros() + 40 * SECOND;
        self.sites[site].sick.is_some_and(|sick| {
            sick.until + near >= end.min(self.now) && self.now <= sick.until + soon
        })
    }

    /// Whether a store that said revoked at this time was ill right before: within the longest
    /// pause between two tries, and what one takes.
    pub fn ailed(&self, site: usize, at: True) -> bool {
        self.sites[site].sick.is_some_and(|sick| sick.until + 40 * SECOND >= at)
    }

    /// Since when two members run and hear each other.
    fn linked_since(&mut self, a: usize, b: usize) -> Option<True> {
        if !self.nodes[a].runs() || !self.nodes[b].runs() || self.strangers(a, b) {
            return None;
        }
        let mut since = 0;
        for (from, to) in [(a, b), (b, a)] {
            let link = *self.net.link(from, to);
            since = since.max(link.cut_until).max(link.clog_until);
        }
        let runs = |n: usize| {
            let node = &self.nodes[n];
            node.began.max(node.resumed_at).max(node.strange_at)
        };
        let since = since.max(runs(a)).max(runs(b));
        (since <= self.now).then_some(since)
    }

    /// Since when a site runs and hears the same majority both ways.
    fn heard_since(&mut self, site: usize) -> Option<True> {
        let others = (0..self.nodes.len()).filter(|m| *m != site).collect::<Vec<_>>();
        let mut linked: Vec<True> =
            others.into_iter().filter_map(|m| self.linked_since(site, m)).collect();
        linked.sort_unstable();
        let needed = self.nodes.len() / 2;
        linked.get(needed.checked_sub(1)?).copied()
    }

    /// Why a site cannot have lost its lease: its daemon has run, and heard a majority both ways,
    /// since a time at which the lease lived.
    /// `by`: when another site was granted; what was right then is not wrong because it is looked
    /// at again later.
    pub fn keeps_its_lease(&mut self, site: usize, ticket: usize, by: True) -> Option<String> {
        let spec = self.spec(site, ticket).clone();
        let lease = self.checks.ghosts.leads_until(site, ticket, spec.expire.as_micros());
        // The time for a renewal with all of its repetitions.
        let renewal = (spec.patience().plus(spec.timeout)).as_micros() + SECOND;
        let since = self.heard_since(site).filter(|since| since + renewal < lease)?;
        (since <= by).then(|| {
            format!(
                "m{site} has heard a majority since {since}, when its lease lasted until {lease}"
            )
        })
    }

    /// A second site is granted while the store of an ill site still says so: why that is a
    /// violation all the same, if it is one.
    pub fn despite_sickness(&mut self, ill: usize, new: usize, ticket: usize) -> Option<String> {
        let granted = self.sites[new].granted_at[ticket];
        if let Some(why) = self.keeps_its_lease(ill, ticket, granted) {
            return Some(format!("{why}; its store is ill"));
        }
        let stood = self.checks.answers.stood_at(new, ticket);
        // An objection that takes longer than a winner waits for it is not heard in time (L3).
        let timeout = self.spec(new, ticket).timeout.as_micros();
        let prompt = self.plan.net.fault_ppm == 0 && 2 * self.plan.net.delay_max < timeout;
        if let (Some(since), Some(stood), true) = (self.linked_since(ill, new), stood, prompt) {
            if since < stood {
                return Some(format!(
                    "m{ill}, whose store is ill, and m{new} have heard each other since {since}, \
                     m{new} stood at {stood}"
                ));
            }
        }
        None
    }

    /// S1 where one of the stores is ill. True: that is judged here.
    pub fn check_sick(&mut self, ticket: usize, granted: &[usize]) -> bool {
        let latest = granted.iter().max_by_key(|m| self.sites[**m].granted_at[ticket]).copied();
        let Some(new) = latest else { return false };
        let (ill, mut well): (Vec<usize>, Vec<usize>) =
            granted.iter().filter(|m| **m != new).partition(|m| self.ails(**m, ticket));
        well.retain(|m| !self.left_alone(*m, ticket));
        if ill.is_empty() || !well.is_empty() {
            return false;
        }
        for ill in ill {
            match self.despite_sickness(ill, new, ticket) {
                Some(why) => {
                    let text = format!("t{ticket} is granted at m{new}; {why}");
                    self.fail_of(ticket, "S1", text);
                }
                None => self.excuse(Excuse::SickStore),
            }
        }
        true
    }
}

impl Hunter {
    /// The holder's store is ill while it must give up, or renew, or is cut off.
    pub(super) fn sick(&mut self) {
        if self.chance(80) {
            self.plan.net.fault_ppm = 0;
        }
        self.plan.net.delay_max = self.plan.net.delay_min * 2;
        self.plan.store.fault_ppm = 0;
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            self.ask_other(at + SECOND, Order::Grant);
            let ill = at + self.between(SECOND * 2, self.expire);
            let length = self.between(self.expire, self.expire * 5);
            let what = pick(&mut self.prng, &AILMENTS);
            self.add(ill, HOLDER, Trouble::Sick { length, what });
            let hit = ill + self.between(MILLI, self.expire / 2);
            self.trouble_the_ill(hit, length);
            for _ in 0..3 {
                let later = hit + self.between(0, length);
                self.ask_other(later, Order::Grant);
            }
            at = ill + length + self.between(self.expire / 2, self.expire * 2);
        }
    }

    /// What happens to a holder whose store is ill.
    fn trouble_the_ill(&mut self, hit: True, length: True) {
        let everyone = u16::MAX;
        match self.prng.below(12) {
            0..=3 => self.ask(hit, HOLDER, Order::Revoke),
            4 => {
                let length = self.between(self.expire, length.max(self.expire + 1));
                let (out, into) = pick(&mut self.prng, &[(true, true), (true, false)]);
                self.add(hit, HOLDER, Trouble::Cut { length, out, into, peers: everyone });
            }
            5 => {
                let peers = 1 << self.prng.below(self.plan.members() as u64);
                self.add(hit, HOLDER, Trouble::Cut { length, out: true, into: true, peers });
                self.ask(hit + SECOND, HOLDER, Order::Revoke);
            }
            6 => {
                let down = self.spread(MILLI, self.expire * 2);
                self.crash(hit, HOLDER, down);
            }
            7 => {
                let turn = self.turn();
                let down = self.spread(MILLI, self.expire / 2);
                self.ask(hit, HOLDER, Order::Revoke);
                self.aim(hit + SECOND, Aimed::CrashOther { turn, down });
            }
            8 | 9 => {
                // It hears the other sites, and they it, but nobody votes for it.
                let roles = self.plan.roles.iter().enumerate();
                let others = roles.filter(|(_, role)| **role != MemberRole::Site);
                let peers = others.fold(0, |all, (m, _)| all | (1 << m));
                self.add(hit, HOLDER, Trouble::Cut { length, out: true, into: true, peers });
            }
            10 => {
                let length = self.spread(10 * MILLI, self.expire * 2);
                self.add(hit, HOLDER, Trouble::Pause { length });
            }
            _ => {}
        }
    }
}

/// In a few ordinary runs a store is ill for a while.
pub fn draw_sickness(prng: &mut booth_core::prng::Prng, plan: &mut super::plan::Plan) {
    use super::plan::{between, chance, spread, Disturbance, Target};
    if !chance(prng, 10) {
        return;
    }
    let expire = plan.expire_max();
    for _ in 0..between(prng, 1, 3) {
        let at = between(prng, expire, plan.chaos.max(expire));
        let what = pick(prng, &AILMENTS);
        let length = spread(prng, expire / 4, expire * 4);
        let ticket = mix(plan.seed) % plan.tickets.len() as u64;
        let target = Target::Holder(u8::try_from(ticket).unwrap_or(0));
        plan.disturbances.push(Disturbance { at, target, what: Trouble::Sick { length, what } });
    }
    plan.disturbances.sort_by_key(|d| d.at);
}
