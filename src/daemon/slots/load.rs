// SPDX-License-Identifier: GPL-2.0-or-later
//! The reading place of one ticket: one read at a time. Pure.

use super::pool::Place;
use super::{Action, Ending, JobEnd, JobId, Stage, GRACE, REAP};
use crate::engine::{CibLoad, Event};
use crate::model::TicketIndex;
use crate::time::{MonoTime, Span};

#[derive(Debug)]
struct Running {
    id: JobId,
    /// When its time limit ends.
    limit_at: MonoTime,
    stage: Stage,
    /// Whether its outcome has been reported, or is not wanted.
    reported: bool,
}

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
        let Some(running) = self.running.as_mut().filter(|running| running.end() <= now) else {
            return;
        };
        match running.stage {
            Stage::Live => {
                let text = "the store did not answer in time".to_owned();
                actions.push(loaded(ticket, CibLoad::Failed(text)));
                running.ask(now, actions);
            }
            Stage::Asked(_) => {
                running.stage = Stage::Killed(now.plus(REAP));
                actions.push(Action::End { id: running.id, how: Ending::Kill });
            }
            Stage::Killed(_) => self.running = None,
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
        let limit_at = now.plus(limit);
        self.running = Some(Running { id, limit_at, stage: Stage::Live, reported: false });
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

impl Running {
    fn end(&self) -> MonoTime {
        match self.stage {
            Stage::Live => self.limit_at,
            Stage::Asked(at) | Stage::Killed(at) => at,
        }
    }

    /// Asks it to end, if that has not been done.
    fn ask(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.reported = true;
        if self.stage == Stage::Live {
            self.stage = Stage::Asked(now.plus(GRACE));
            actions.push(Action::End { id: self.id, how: Ending::Ask });
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
