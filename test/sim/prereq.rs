// SPDX-License-Identifier: GPL-2.0-or-later
//! `attr-prereq`: rules of both modes with both operators, attributes that change, and `S12`: a
//! site stands by itself only while its `auto` rules hold, and for an administrator only while its
//! `manual` rules do. What counts is what its daemon has read and written.

use super::plan::{between, chance, pick, Disturbance, Plan, Target, Trouble};
use super::world::World;
use booth_core::engine::{
    AttrChange, CibLoad, CibOutcome, Effect, Event, JobWish, StoreWish, WriteSerial,
};
use booth_core::model::{AttrName, AttrOp, AttrRule, AttrValue, RuleMode, Term};
use booth_core::prng::Prng;
use booth_core::wire::Reason;
use std::collections::BTreeMap;

/// What one daemon knows of one ticket's attributes.
#[derive(Clone, Debug, Default)]
struct Known {
    values: BTreeMap<AttrName, AttrValue>,
    /// Changes under way.
    writes: BTreeMap<WriteSerial, AttrChange>,
    /// The last term in which it stood.
    stood: Option<Term>,
    /// Which rules held when its handler was started: automatic, manual.
    at_handler: [bool; 2],
}

/// What all daemons know.
#[derive(Debug)]
pub struct Prereqs {
    members: usize,
    known: Vec<Known>,
}

impl Prereqs {
    /// Nobody knows anything.
    pub fn new(tickets: usize, members: usize) -> Prereqs {
        Prereqs { members, known: vec![Known::default(); tickets * members] }
    }

    /// A process starts with an empty memory.
    pub fn forget(&mut self, n: usize) {
        for known in self.known.iter_mut().skip(n).step_by(self.members) {
            *known = Known::default();
        }
    }

    fn of(&mut self, n: usize, ticket: usize) -> &mut Known {
        &mut self.known[ticket * self.members + n]
    }
}

impl Known {
    fn change(&mut self, change: AttrChange) {
        match change {
            AttrChange::Set(name, value) => {
                self.values.insert(name, value);
            }
            AttrChange::Delete(name) => {
                self.values.remove(&name);
            }
        }
    }

    /// The rules of this mode that do not hold.
    fn broken<'a>(&self, rules: &'a [AttrRule], mode: RuleMode) -> Option<&'a AttrRule> {
        rules.iter().find(|rule| {
            let equal = self.values.get(&rule.name) == Some(&rule.value);
            rule.mode == mode && equal != (rule.op == AttrOp::Equal)
        })
    }
}

impl World {
    /// An engine hears what its store has.
    pub fn prereq_event(&mut self, n: usize, event: &Event) {
        match event {
            Event::CibLoaded { ticket, outcome: CibLoad::Loaded(stored) } => {
                let known = self.checks.prereqs.of(n, ticket.get());
                known.values = stored.attrs.iter().cloned().collect();
            }
            Event::CibLoaded { ticket, outcome: CibLoad::Absent } => {
                self.checks.prereqs.of(n, ticket.get()).values.clear();
            }
            Event::AttrWritten { ticket, serial, outcome } => {
                let known = self.checks.prereqs.of(n, ticket.get());
                let change = known.writes.remove(serial);
                if let (Some(change), CibOutcome::Written) = (change, outcome) {
                    known.change(change);
                }
            }
            _ => {}
        }
    }

    /// An engine wishes something of its executor.
    pub fn prereq_wish(&mut self, n: usize, wish: &Effect) {
        match wish {
            Effect::Store(StoreWish::WriteAttr { ticket, serial, change, .. }) => {
                let known = self.checks.prereqs.of(n, ticket.get());
                known.writes.insert(*serial, change.clone());
            }
            Effect::Job(JobWish::StartProbe { ticket, .. }) => {
                let rules = self.spec(n, ticket.get()).rules.clone();
                let known = self.checks.prereqs.of(n, ticket.get());
                let holds = |mode| known.broken(&rules, mode).is_none();
                known.at_handler = [holds(RuleMode::Auto), holds(RuleMode::Manual)];
            }
            _ => {}
        }
    }

    /// S12: a member stands for election.
    pub fn prereq_stands(&mut self, n: usize, ticket: usize, term: Term, reason: Reason) {
        if self.plan.tickets[ticket].rules.is_empty() || self.faithful(n) {
            return;
        }
        let spec = self.spec(n, ticket).clone();
        let known = self.checks.prereqs.of(n, ticket);
        if known.stood.replace(term) == Some(term) || reason == Reason::Reacquire {
            return;
        }
        let manual = reason == Reason::Admin;
        let mode = if manual { RuleMode::Manual } else { RuleMode::Auto };
        // They are looked at before the handler runs.
        let before = spec.has_handler && known.at_handler[usize::from(manual)];
        let broken = known.broken(&spec.rules, mode).filter(|_| !before).cloned();
        self.coverage.note(if manual { "prereq: manual, holds" } else { "prereq: auto, holds" });
        if let Some(rule) = broken {
            let text = format!("m{n} stands for t{ticket} ({reason:?}) although {rule:?}");
            self.fail_of(ticket, "S12", text);
        }
    }

    /// The attributes with which all rules hold are in each store from the beginning.
    pub fn fulfil_rules(&mut self) {
        for ticket in 0..self.plan.tickets.len() {
            let rules = self.plan.tickets[ticket].rules.clone();
            for n in self.plan.sites().collect::<Vec<_>>() {
                for rule in rules.iter().filter(|rule| rule.op == AttrOp::Equal) {
                    let attrs = &mut self.sites[n].attrs[ticket];
                    attrs.push((rule.name.clone(), rule.value.clone()));
                }
                if !rules.is_empty() {
                    self.store_idle(n, ticket);
                }
            }
        }
    }
}

/// In some runs tickets have rules. `worlds.rules_hold`: all of them hold all the time.
pub fn draw_rules(prng: &mut Prng, plan: &mut Plan) {
    if !chance(prng, 15) {
        return;
    }
    for spec in &mut plan.tickets {
        // One rule for a name, or they could contradict each other.
        for name in ["mode", "role"] {
            if !chance(prng, 70) {
                continue;
            }
            let mode = pick(prng, &[RuleMode::Auto, RuleMode::Auto, RuleMode::Manual]);
            let op = pick(prng, &[AttrOp::Equal, AttrOp::NotEqual]);
            // Letters are a name, and a value.
            let name = AttrName::new(name).expect("a plain name");
            let value = AttrValue::new("on").expect("a plain value");
            spec.rules.push(AttrRule { mode, name, op, value });
        }
    }
    plan.worlds.rules = plan.tickets.iter().any(|spec| !spec.rules.is_empty());
    if chance(prng, 50) {
        plan.disturbances.retain(|d| !matches!(d.what, Trouble::Attribute { .. }));
        return;
    }
    plan.worlds.rules_change = plan.worlds.rules;
    let (sites, tickets) = (plan.sites().count() as u64, plan.tickets.len() as u64);
    for _ in 0..between(prng, 4, 40) {
        let at = between(prng, 0, plan.chaos);
        let index = |n: u64| u8::try_from(n).unwrap_or(0);
        let target = Target::Member(index(prng.below(sites)));
        let what = Trouble::Attribute { ticket: index(prng.below(tickets)) };
        plan.disturbances.push(Disturbance { at, target, what });
    }
    plan.disturbances.sort_by_key(|d| d.at);
}
