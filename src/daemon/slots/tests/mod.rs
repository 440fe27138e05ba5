// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the slots: rules one by one, and random schedules.

mod lines;
mod probes;
mod random;
mod rooms;

use super::{Action, Ending, Job, JobEnd, JobId, Limits, Slots};
use crate::engine::{
    AttrChange, CibExpiry, CibState, Effect, Event, HoldWindow, ProbeRun, WriteSerial,
};
use crate::model::{AttrName, AttrValue, Holder, Term, TicketIndex};
use crate::time::{MonoTime, Span, WallTime};

/// The ticket with this number.
fn t(index: usize) -> TicketIndex {
    TicketIndex::new(index)
}

/// Seconds after an arbitrary start.
fn at(secs: u64) -> MonoTime {
    MonoTime::from_micros(1_000_000_000).plus(Span::from_secs(secs))
}

/// A window with `g` = 5 s that ends at `hold_until` seconds.
fn window(hold_until: u64) -> HoldWindow {
    HoldWindow {
        hold_until: at(hold_until),
        lease_until: at(hold_until + 6),
        start_before: at(hold_until - 10),
        kill_at: at(hold_until - 5),
    }
}

fn state(granted: bool, expires: CibExpiry) -> CibState {
    let owner = if granted { Holder::Unknown } else { Holder::Nobody };
    CibState { granted, owner, term: Term::new(1), expires, limit: Span::from_secs(30) }
}

fn grant(ticket: usize, serial: u64) -> Effect {
    write(ticket, serial, state(true, CibExpiry::Lease))
}

fn revoke(ticket: usize, serial: u64) -> Effect {
    write(ticket, serial, state(false, CibExpiry::Never))
}

fn write(ticket: usize, serial: u64, state: CibState) -> Effect {
    Effect::WriteCib { ticket: t(ticket), serial: WriteSerial(serial), state }
}

fn hold(ticket: usize, hold_until: u64) -> Effect {
    Effect::Hold { ticket: t(ticket), window: Some(window(hold_until)), term: Term::new(1) }
}

fn load(ticket: usize) -> Effect {
    Effect::LoadCib { ticket: t(ticket), limit: Span::from_secs(30) }
}

fn attr(ticket: usize, serial: u64, name: &str) -> Effect {
    let value = AttrValue::new("v").expect("a good value");
    let change = AttrChange::Set(AttrName::new(name).expect("a good name"), value);
    let (serial, limit) = (WriteSerial(serial), Span::from_secs(30));
    Effect::WriteAttr { ticket: t(ticket), serial, change, limit }
}

fn probe(ticket: usize, run: u64, deadline: u64) -> Effect {
    let expires = WallTime::EPOCH;
    Effect::StartProbe { ticket: t(ticket), run: ProbeRun(run), expires, deadline: at(deadline) }
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

    fn offer(&mut self, wish: Effect) -> Vec<String> {
        let mut actions = Vec::new();
        self.slots.offer(self.now, wish, &mut actions);
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
        Action::Guard { ticket, window: Some(_), .. } => format!("guard {}", ticket.get()),
        Action::Guard { ticket, window: None, .. } => format!("unguard {}", ticket.get()),
        Action::Start { id, job } => match job {
            Job::Load { ticket } => format!("start {} load {}", id.0, ticket.get()),
            Job::Write { ticket, state } => {
                let what = if state.granted { "grant" } else { "revoke" };
                format!("start {} {what} {}", id.0, ticket.get())
            }
            Job::Attr { ticket, .. } => format!("start {} attr {}", id.0, ticket.get()),
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
        Event::CibWritten { serial, outcome, .. } => format!("written {} {outcome:?}", serial.0),
        Event::AttrWritten { serial, outcome, .. } => format!("attr {} {outcome:?}", serial.0),
        Event::ProbeDone { run, outcome, .. } => format!("probed {} {outcome:?}", run.0),
        other => panic!("the slots report only outcomes, not {other:?}"),
    }
}
