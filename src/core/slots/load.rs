// SPDX-License-Identifier: GPL-2.0-or-later
//! The reading place of one ticket: one read at a time. Pure.

use super::job::{Action, JobEnd, JobId};
use super::pool::Place;
use super::running::{Due, Running};
use crate::engine::{CibLoad, Event};
use crate::model::TicketIndex;
use crate::time::{MonoTime, Span};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;

/// The reading place of one ticket.
#[derive(Debug, Default)]
pub(super) struct LoadPlace {
    running: Option<Running>,
    /// How long a read that is wanted may take.
    wanted: Option<Span>,
    /// Where it waits for room.
    pub(super) place: Option<Place>,
}

impl LoadPlace {
    /// A read is wanted; one that waits already serves.
    pub(super) fn offer(&mut self, limit: Span) {
        self.wanted = Some(limit);
    }

    /// The store is about to be changed: a read that runs could tell what was before.
    pub(super) fn spoil(&mut self, now: MonoTime, ticket: TicketIndex, actions: &mut Vec<Action>) {
        if let Some(running) = &mut self.running {
            if !running.reported {
                let text = "the ticket was changed meanwhile".to_owned();
                actions.push(loaded(ticket, CibLoad::Failed(text)));
            }
            running.ask(now, actions);
        }
    }

    /// Nothing is wanted any more.
    pub(super) fn stop(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.wanted = None;
        if let Some(running) = &mut self.running {
            running.ask(now, actions);
        }
    }

    /// Applies deadlines that have passed.
    pub(super) fn due(&mut self, now: MonoTime, ticket: TicketIndex, actions: &mut Vec<Action>) {
        let Some(running) = &mut self.running else { return };
        match running.due(now, actions) {
            Due::TimedOut => {
                let text = "the store did not answer in time".to_owned();
                actions.push(loaded(ticket, CibLoad::Failed(text)));
                running.ask(now, actions);
            }
            Due::GivenUp => self.running = None,
            Due::Nothing => {}
        }
    }

    /// The next instant at which [`LoadPlace::due`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        self.running.as_ref().map(Running::end)
    }

    /// Whether a read could start.
    pub(super) fn wants(&self) -> bool {
        self.running.is_none() && self.wanted.is_some()
    }

    /// Starts what is wanted. Only called when [`LoadPlace::wants`] says that there is something.
    pub(super) fn start(&mut self, now: MonoTime, id: JobId) {
        assert!(self.running.is_none(), "a ticket is read once at a time");
        let limit = self.wanted.take().expect("a place that wants room has something to do");
        self.running = Some(Running::new(id, now.plus(limit)));
    }

    /// The job has ended; if it was given up before, nothing changes.
    pub(super) fn finished(
        &mut self,
        ticket: TicketIndex,
        id: JobId,
        end: JobEnd,
        actions: &mut Vec<Action>,
    ) {
        if self.running.as_ref().is_none_or(|running| running.id != id) {
            return;
        }
        if self.running.take().is_some_and(|running| !running.reported) {
            actions.push(loaded(ticket, outcome(end)));
        }
    }
}

fn loaded(ticket: TicketIndex, outcome: CibLoad) -> Action {
    Action::Report(Event::CibLoaded { ticket, outcome })
}

fn outcome(end: JobEnd) -> CibLoad {
    match end {
        JobEnd::Loaded(load) => load,
        JobEnd::Failed(text) => CibLoad::Failed(text),
        JobEnd::Killed => CibLoad::Failed("it was ended before it had an answer".to_owned()),
        JobEnd::Done => CibLoad::Failed("it gave no answer".to_owned()),
    }
}
