// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the slots: rules one by one, and random schedules.

mod loads;
mod probes;
mod random;
mod rooms;

use super::{Action, Ending, Job, JobEnd, JobId, Limits, Slots};
use crate::engine::{CibLoad, Event, JobWish, ProbeRun};
use crate::model::TicketIndex;
use crate::time::{MonoTime, Span, WallTime};

/// The ticket with this number.
fn t(index: usize) -> TicketIndex {
    TicketIndex::new(index)
}

/// Seconds after an arbitrary start.
fn at(secs: u64) -> MonoTime {
    MonoTime::from_micros(1_000_000_000).plus(Span::from_secs(secs))
}

fn load(ticket: usize) -> JobWish {
    JobWish::LoadCib { ticket: t(ticket), limit: Span::from_secs(30) }
}

fn probe(ticket: usize, run: u64, deadline: u64) -> JobWish {
    let expires = WallTime::EPOCH;
    JobWish::StartProbe { ticket: t(ticket), run: ProbeRun(run), expires, deadline: at(deadline) }
}

/// Slots with a clock, and short words for what comes out.
struct Rig {
    slots: Slots,
    now: MonoTime,
}

impl Rig {
    fn new(tickets: usize) -> Rig {
        Rig { slots: Slots::new(tickets, Limits::processes()), now: at(0) }
    }

    fn offer(&mut self, wish: JobWish) -> Vec<String> {
        let mut actions = Vec::new();
        self.slots.offer(self.now, wish, &mut actions);
        words(&actions)
    }

    fn spoil(&mut self, ticket: usize) -> Vec<String> {
        let mut actions = Vec::new();
        self.slots.spoil(self.now, t(ticket), &mut actions);
        words(&actions)
    }

    fn finish(&mut self, id: u64, end: JobEnd) -> Vec<String> {
        let mut actions = Vec::new();
        self.slots.finished(self.now, JobId(id), end, &mut actions);
        words(&actions)
    }

    fn tick_at(&mut self, now: MonoTime) -> Vec<String> {
        self.now = now;
        let mut actions = Vec::new();
        self.slots.tick(self.now, &mut actions);
        words(&actions)
    }

    fn tick(&mut self, secs: u64) -> Vec<String> {
        self.tick_at(at(secs))
    }
}

fn words(actions: &[Action]) -> Vec<String> {
    actions.iter().map(word).collect()
}

fn word(action: &Action) -> String {
    match action {
        Action::Start { id, job } => match job {
            Job::Load { ticket } => format!("start {} load {}", id.0, ticket.get()),
            Job::Probe { ticket, .. } => format!("start {} probe {}", id.0, ticket.get()),
        },
        Action::End { id, how: Ending::Ask } => format!("ask {}", id.0),
        Action::End { id, how: Ending::Kill } => format!("kill {}", id.0),
        Action::Report(event) => report(event),
    }
}

fn report(event: &Event) -> String {
    match event {
        Event::CibLoaded { outcome, .. } => format!("loaded {outcome:?}"),
        Event::ProbeDone { run, outcome, .. } => format!("probed {} {outcome:?}", run.0),
        other => panic!("the slots report only outcomes, not {other:?}"),
    }
}
