// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member's process runs: the engine that ships, or the model of the reference; and how
//! the model's calls of `crm_ticket` run in the world, during which its process stands still.

use super::super::choice::Kind;
use super::super::clock::MILLI;
use super::super::store::{By, Entry, Report, Task};
use super::super::world::{Happening, Stage, World};
use super::model::Model;
use super::Manner;
use booth_core::engine::{
    CibExpiry, CibState, Effect, Engine, Event, JobWish, ProbeOutcome, ProbeRun, Setup, StoreWish,
};
use booth_core::model::TicketIndex;
use booth_core::slots::JobId;
use booth_core::time::{MonoTime, Now, WallTime};

/// What a member's process runs.
#[derive(Debug)]
pub enum Brain {
    /// The engine that ships.
    Ours(Box<Engine>),
    /// The model.
    Theirs(Box<Model>),
}

impl Brain {
    /// One step.
    pub fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match self {
            Brain::Ours(engine) => engine.step(now, event, effects),
            Brain::Theirs(model) => model.step(now, event, effects),
        }
    }

    /// When it wants to be woken for a ticket; the model has one timer for all its tickets.
    pub fn deadline_of(&self, ticket: TicketIndex) -> Option<MonoTime> {
        match self {
            Brain::Ours(engine) => engine.deadline_of(ticket),
            Brain::Theirs(model) => model.next_deadline().filter(|_| ticket.get() == 0),
        }
    }
}

impl World {
    /// Whether a member runs the model.
    pub fn faithful(&self, n: usize) -> bool {
        self.manners[n] == Manner::Faithful
    }

    /// A new engine for a member.
    pub fn new_engine(&mut self, n: usize) -> Brain {
        let (roster, tickets) = (self.rosters[n].clone(), self.specs(n).to_vec());
        let seed = self.choices.seed(n);
        self.script_start(n, seed);
        if self.faithful(n) {
            return Brain::Theirs(Box::new(Model::new(roster, tickets, seed)));
        }
        Brain::Ours(Box::new(Engine::new(Setup { roster, tickets, seed })))
    }

    /// The model has one timer for all its tickets.
    pub fn reference_arm(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let Some(Brain::Theirs(model)) = &node.engine else { return };
        match model.next_deadline() {
            Some(at) => node.wheel.arm(TicketIndex::new(0), at),
            None => {
                node.wheel.disarm(TicketIndex::new(0));
            }
        }
    }

    /// The model calls `crm_ticket` and stands still until that ends.
    pub fn reference_call(&mut self, n: usize, effect: &Effect) {
        let (ticket, task) = match effect {
            Effect::Job(JobWish::LoadCib { ticket, .. }) => (ticket.get(), Task::Load),
            Effect::Store(StoreWish::WriteCib { ticket, state, .. }) => {
                (ticket.get(), Task::Write(entry(state)))
            }
            _ => return,
        };
        let granted = matches!(&task, Task::Write(entry) if entry.granted);
        let (machine, life) = (self.nodes[n].machine, self.nodes[n].life);
        let id = self.spawn(n, machine, ticket, By::Daemon(life, JobId(u64::MAX)), task);
        let until = self.now + 2 * self.plan.expire_max();
        if let Some(child) = self.sites[n].child(id).filter(|child| child.end_at.is_none()) {
            // Nothing ends a call that hangs; in this world somebody does at some time.
            child.end_at = Some(until);
            self.future.plan(until, Happening::Child { site: n, child: id, stage: Stage::End });
        }
        let node = &mut self.nodes[n];
        node.stops += 1;
        node.paused = Some(node.stops);
        if granted {
            self.aim_at_leader(n, true);
        }
        self.aim_at_store(n, ticket);
    }

    /// Its call has ended; what it returned is looked at only where something was read.
    pub fn reference_done(&mut self, n: usize, life: u32, ticket: usize, report: Report) {
        let stopped = self.nodes[n].paused;
        let (true, Some(stop)) = (self.nodes[n].life == life, stopped) else { return };
        if let Report::Load(outcome) = report {
            self.nodes[n].paused = None;
            self.step(n, Event::CibLoaded { ticket: TicketIndex::new(ticket), outcome });
            if self.nodes[n].engine.is_none() {
                return;
            }
            self.nodes[n].paused = Some(stop);
        }
        self.resume(n, stop);
    }

    /// Whether it stands still in a call.
    pub fn reference_calls(&self, n: usize) -> bool {
        let life = self.nodes[n].life;
        let call = By::Daemon(life, JobId(u64::MAX));
        self.faithful(n) && self.sites[n].children.iter().any(|c| c.by == call && !c.killed)
    }

    /// The members of `core` heal: calls that hang end. What is waited for then is promised only
    /// if no site among them runs the reference: a single vote of such a site, given to a
    /// candidate that can never win, is repeated for ever, and its calls block it.
    pub fn reference_heal(&mut self, core: u16) {
        for n in (0..self.nodes.len()).filter(|n| (core >> n) & 1 == 1) {
            if !self.faithful(n) {
                continue;
            }
            self.checks.blame.unlive_excused |= self.nodes[n].site;
            let soon = self.now + self.plan.tickets[0].guard().as_micros();
            let calls = self.sites[n].children.iter_mut();
            let late = calls.filter(|child| child.end_at.is_some_and(|end| end > soon));
            let late: Vec<u32> =
                late.map(|child| (child.end_at = Some(soon), child.id).1).collect();
            for child in late {
                let stage = Stage::End;
                self.future.plan(soon, Happening::Child { site: n, child, stage });
            }
        }
    }

    /// Its handler runs, beside the process.
    pub fn reference_probe(&mut self, n: usize, ticket: TicketIndex) {
        let life = self.nodes[n].life;
        let timeout = self.plan.tickets[ticket.get()].timeout.as_micros();
        let after = self.choices.jitter(n, ticket.get(), MILLI, timeout / 4 + MILLI);
        let ppm = if self.faulty(n) { self.plan.handler_ppm } else { 0 };
        let failed = self.choices.fault(Kind::Handler, n, ticket.get(), ppm).is_some();
        let outcome = if failed {
            ProbeOutcome::Failed("model: exit code 1".into())
        } else {
            ProbeOutcome::Success
        };
        let event = Box::new(Event::ProbeDone { ticket, run: ProbeRun(0), outcome });
        self.future.plan(self.now + after, Happening::Post { node: n, life, event });
    }
}

fn entry(state: &CibState) -> Entry {
    let expires = match state.expires {
        CibExpiry::At(at) => at,
        CibExpiry::Lease | CibExpiry::Never => WallTime::from_secs(0),
    };
    Entry { granted: state.granted, owner: state.owner, term: state.term, expires }
}
