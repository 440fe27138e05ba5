// SPDX-License-Identifier: GPL-2.0-or-later
//! The line of one ticket: what touches its entry in the store, one thing at a time. Pure.

use super::pool::{Place, PoolKind, Rank};
use super::{attr_written, written, Action, Ending, Job, JobEnd, JobId, Stage, GRACE, REAP};
use crate::engine::{
    AttrChange, CibExpiry, CibLoad, CibOutcome, CibState, Event, HoldWindow, WriteSerial,
};
use crate::model::{AttrName, TicketIndex};
use crate::time::{MonoTime, Span};
use std::collections::VecDeque;

/// How many changes of attributes may wait for one ticket: each needs a call of `crm_ticket`,
/// so more than this means that somebody asks faster than the store can answer.
const ATTRS_MAX: usize = 32;

/// Something that waits in the line.
#[derive(Debug)]
enum Wish {
    Load(Span),
    Write(WriteSerial, CibState),
    Attr(WriteSerial, AttrChange, Span),
}

/// What runs.
#[derive(Debug)]
struct Running {
    id: JobId,
    work: Work,
    /// When its own time limit ends.
    limit_at: MonoTime,
    stage: Stage,
    /// Whether its outcome has been reported already.
    reported: bool,
}

#[derive(Debug)]
enum Work {
    Load,
    Write(WriteSerial, CibState),
    Attr(WriteSerial),
}

/// The line of one ticket.
#[derive(Debug, Default)]
pub(super) struct Line {
    running: Option<Running>,
    waiting: VecDeque<Wish>,
    /// The newest window.
    pub(super) window: Option<HoldWindow>,
    /// Where it waits for room.
    pub(super) place: Option<Place>,
}

impl Line {
    /// A read is wanted; one that waits already serves.
    pub(super) fn offer_load(&mut self, limit: Span) {
        for wish in &mut self.waiting {
            if let Wish::Load(waiting) = wish {
                *waiting = limit;
                return;
            }
        }
        self.waiting.push_back(Wish::Load(limit));
    }

    /// A write is wanted: it takes the place of one that waits, and comes before everything
    /// else that waits. A revoke ends whatever runs, unless that is a revoke too.
    pub(super) fn offer_write(
        &mut self,
        now: MonoTime,
        ticket: TicketIndex,
        (serial, state): (WriteSerial, CibState),
        actions: &mut Vec<Action>,
    ) {
        if let Some(Wish::Write(old, _)) = self.waiting.front() {
            actions.push(written(ticket, *old, CibOutcome::Superseded));
            self.waiting.pop_front();
        }
        self.waiting.push_front(Wish::Write(serial, state));
        if state.granted {
            return;
        }
        if let Some(running) = &mut self.running {
            let revoking = matches!(running.work, Work::Write(_, state) if !state.granted);
            if !revoking && !matches!(running.stage, Stage::Killed(_)) {
                running.kill(now, actions);
            }
        }
    }

    /// A change of an attribute is wanted: it takes the place of one of the same name.
    pub(super) fn offer_attr(
        &mut self,
        ticket: TicketIndex,
        serial: WriteSerial,
        (change, limit): (AttrChange, Span),
        actions: &mut Vec<Action>,
    ) {
        let mut waiting = 0;
        for wish in &mut self.waiting {
            let Wish::Attr(old_serial, old, _) = wish else { continue };
            waiting += 1;
            if name_of(old) == name_of(&change) {
                actions.push(attr_written(ticket, *old_serial, CibOutcome::Superseded));
                *wish = Wish::Attr(serial, change, limit);
                return;
            }
        }
        if waiting >= ATTRS_MAX {
            let text = format!("{ATTRS_MAX} changes of attributes are waiting already");
            actions.push(attr_written(ticket, serial, CibOutcome::Failed(text)));
            return;
        }
        self.waiting.push_back(Wish::Attr(serial, change, limit));
    }

    /// Applies deadlines that have passed.
    pub(super) fn due(&mut self, now: MonoTime, ticket: TicketIndex, actions: &mut Vec<Action>) {
        if let Some(Wish::Write(serial, state)) = self.waiting.front() {
            if needs_lease(state) && self.window.is_none_or(|window| now >= window.start_before) {
                actions.push(written(ticket, *serial, CibOutcome::TooLate));
                self.waiting.pop_front();
            }
        }
        let Some(end) = self.running_end().filter(|end| *end <= now) else {
            return;
        };
        // `running_end` has found what runs.
        let Some(running) = &mut self.running else { return };
        match (running.stage, &running.work) {
            (Stage::Live, Work::Load) => {
                let text = "it took longer than its time limit".to_owned();
                actions.push(loaded(ticket, CibLoad::Failed(text)));
                running.reported = true;
                running.stage = Stage::Asked(now.plus(GRACE));
                actions.push(Action::End { id: running.id, how: Ending::Ask });
            }
            (Stage::Live, Work::Write(..) | Work::Attr(_)) | (Stage::Asked(_), _) => {
                running.kill(now, actions);
            }
            (Stage::Killed(_), _) => {
                debug_assert!(end <= now, "a job is given up only after its time");
                if let Some(running) = self.running.take() {
                    running.report(ticket, JobEnd::Killed, actions);
                }
            }
        }
    }

    /// The next instant at which [`Line::due`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        let waiting = match self.waiting.front() {
            Some(Wish::Write(_, state)) if needs_lease(state) => {
                Some(self.window.map_or(MonoTime::ZERO, |window| window.start_before))
            }
            Some(Wish::Write(..) | Wish::Load(_) | Wish::Attr(..)) | None => None,
        };
        match (waiting, self.running_end()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Which room the line needs for what comes next; `None` while something runs or nothing
    /// waits.
    pub(super) fn wants(&self) -> Option<(PoolKind, Rank)> {
        if self.running.is_some() {
            return None;
        }
        self.waiting.front().map(|wish| match wish {
            Wish::Write(_, state) if !state.granted => (PoolKind::Revokes, Rank::Write),
            Wish::Write(..) => (PoolKind::Changes, Rank::Write),
            Wish::Attr(..) => (PoolKind::Changes, Rank::Attr),
            Wish::Load(_) => (PoolKind::Changes, Rank::Load),
        })
    }

    /// Starts what comes next. Only called when [`Line::wants`] says that there is something.
    pub(super) fn start(&mut self, now: MonoTime, ticket: TicketIndex, id: JobId) -> Job {
        assert!(self.running.is_none(), "a line runs one thing at a time");
        let wish = self.waiting.pop_front().expect("a line that wants room has something to do");
        let (job, work, limit) = match wish {
            Wish::Load(limit) => (Job::Load { ticket }, Work::Load, limit),
            Wish::Write(serial, state) => {
                (Job::Write { ticket, state }, Work::Write(serial, state), state.limit)
            }
            Wish::Attr(serial, change, limit) => {
                (Job::Attr { ticket, change }, Work::Attr(serial), limit)
            }
        };
        let limit_at = now.plus(limit);
        self.running = Some(Running { id, work, limit_at, stage: Stage::Live, reported: false });
        job
    }

    /// The job has ended; if it was given up before, nothing changes.
    pub(super) fn finished(
        &mut self,
        ticket: TicketIndex,
        id: JobId,
        end: JobEnd,
        actions: &mut Vec<Action>,
    ) {
        if self.running.as_ref().is_some_and(|running| running.id == id) {
            if let Some(running) = self.running.take() {
                running.report(ticket, end, actions);
            }
        }
    }

    /// Nothing more is started; a read is asked to end.
    pub(super) fn stop(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.waiting.clear();
        if let Some(running) = &mut self.running {
            if matches!((&running.work, running.stage), (Work::Load, Stage::Live)) {
                running.reported = true;
                running.stage = Stage::Asked(now.plus(GRACE));
                actions.push(Action::End { id: running.id, how: Ending::Ask });
            }
        }
    }

    /// When what runs reaches its next stage.
    fn running_end(&self) -> Option<MonoTime> {
        self.running.as_ref().map(|running| match (running.stage, &running.work) {
            (Stage::Live, Work::Write(_, state)) if needs_lease(state) => {
                // Without a window nothing may be granted at all.
                let kill_at = self.window.map_or(MonoTime::ZERO, |window| window.kill_at);
                running.limit_at.min(kill_at)
            }
            (Stage::Live, Work::Load | Work::Write(..) | Work::Attr(_)) => running.limit_at,
            (Stage::Asked(kill_at), _) => kill_at,
            (Stage::Killed(give_up_at), _) => give_up_at,
        })
    }
}

impl Running {
    fn kill(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.stage = Stage::Killed(now.plus(REAP));
        actions.push(Action::End { id: self.id, how: Ending::Kill });
    }

    fn report(self, ticket: TicketIndex, end: JobEnd, actions: &mut Vec<Action>) {
        if self.reported {
            return;
        }
        match self.work {
            Work::Load => actions.push(loaded(ticket, load_outcome(end))),
            Work::Write(serial, _) => {
                actions.push(written(ticket, serial, write_outcome(self.stage, end)));
            }
            Work::Attr(serial) => {
                actions.push(attr_written(ticket, serial, write_outcome(self.stage, end)));
            }
        }
    }
}

/// Whether this is a grant that lives on a lease.
fn needs_lease(state: &CibState) -> bool {
    state.granted && state.expires == CibExpiry::Lease
}

fn name_of(change: &AttrChange) -> &AttrName {
    match change {
        AttrChange::Set(name, _) | AttrChange::Delete(name) => name,
    }
}

fn loaded(ticket: TicketIndex, outcome: CibLoad) -> Action {
    Action::Report(Event::CibLoaded { ticket, outcome })
}

fn load_outcome(end: JobEnd) -> CibLoad {
    match end {
        JobEnd::Loaded(load) => load,
        JobEnd::Failed(text) => CibLoad::Failed(text),
        JobEnd::Killed => CibLoad::Failed("it was ended before it had an answer".to_owned()),
        JobEnd::Done | JobEnd::TooLate => CibLoad::Failed("it gave no answer".to_owned()),
    }
}

/// A change that was killed but had already succeeded has succeeded.
fn write_outcome(stage: Stage, end: JobEnd) -> CibOutcome {
    match (stage, end) {
        (_, JobEnd::Done) => CibOutcome::Written,
        (Stage::Asked(_) | Stage::Killed(_), _) | (Stage::Live, JobEnd::Killed) => {
            CibOutcome::Killed
        }
        (Stage::Live, JobEnd::TooLate) => CibOutcome::TooLate,
        (Stage::Live, JobEnd::Failed(text)) => CibOutcome::Failed(text),
        (Stage::Live, JobEnd::Loaded(_)) => {
            CibOutcome::Failed("it answered a write as if it were a read".to_owned())
        }
    }
}
