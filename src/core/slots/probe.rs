// SPDX-License-Identifier: GPL-2.0-or-later
//! The probe place of one ticket: runs of the before-acquire handler, one at a time. Pure.

use super::job::{probed, Action, Job, JobEnd, JobId};
use super::pool::Place;
use super::running::{Due, Running};
use crate::engine::{ProbeOutcome, ProbeRun};
use crate::model::TicketIndex;
use crate::time::{MonoTime, WallTime};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;

/// A run that has not started.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) run: ProbeRun,
    pub(super) expires: WallTime,
    pub(super) deadline: MonoTime,
}

/// The probe place of one ticket.
#[derive(Debug, Default)]
pub(super) struct ProbePlace {
    running: Option<(ProbeRun, Running)>,
    wanted: Option<Wanted>,
    /// Where it waits for room.
    pub(super) place: Option<Place>,
}

impl ProbePlace {
    /// A run is wanted; an older one that runs or waits is of no use any more.
    pub(super) fn offer(
        &mut self,
        now: MonoTime,
        ticket: TicketIndex,
        wanted: Wanted,
        actions: &mut Vec<Action>,
    ) {
        let newer = || ProbeOutcome::Failed("a newer run took its place".to_owned());
        if let Some(old) = self.wanted.replace(wanted) {
            actions.push(probed(ticket, old.run, newer()));
        }
        if let Some((run, running)) = &mut self.running {
            if !running.reported {
                actions.push(probed(ticket, *run, newer()));
            }
            running.ask(now, actions);
        }
    }

    /// A run is not wanted any more; nothing is reported.
    pub(super) fn stop(&mut self, now: MonoTime, run: ProbeRun, actions: &mut Vec<Action>) {
        if self.wanted.as_ref().is_some_and(|wanted| wanted.run == run) {
            self.wanted = None;
        }
        if let Some((_, running)) = self.running.as_mut().filter(|(runs, _)| *runs == run) {
            running.ask(now, actions);
        }
    }

    /// Nothing is wanted any more.
    pub(super) fn stop_all(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.wanted = None;
        if let Some((_, running)) = &mut self.running {
            running.ask(now, actions);
        }
    }

    /// Applies deadlines that have passed.
    pub(super) fn due(&mut self, now: MonoTime, ticket: TicketIndex, actions: &mut Vec<Action>) {
        if self.wanted.as_ref().is_some_and(|wanted| wanted.deadline <= now) {
            if let Some(wanted) = self.wanted.take() {
                actions.push(probed(ticket, wanted.run, ProbeOutcome::TimedOut));
            }
        }
        let Some((run, running)) = &mut self.running else { return };
        match running.due(now, actions) {
            Due::TimedOut => {
                actions.push(probed(ticket, *run, ProbeOutcome::TimedOut));
                running.ask(now, actions);
            }
            Due::GivenUp => self.running = None,
            Due::Nothing => {}
        }
    }

    /// The next instant at which [`ProbePlace::due`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        let wanted = self.wanted.as_ref().map(|wanted| wanted.deadline);
        match (wanted, self.running.as_ref().map(|(_, running)| running.end())) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether a run could start.
    pub(super) fn wants(&self) -> bool {
        self.running.is_none() && self.wanted.is_some()
    }

    /// Starts what is wanted. Only called when [`ProbePlace::wants`] says that there is something.
    pub(super) fn start(&mut self, ticket: TicketIndex, id: JobId) -> Job {
        assert!(self.running.is_none(), "a ticket runs one probe at a time");
        let wanted = self.wanted.take().expect("a place that wants room has something to do");
        let Wanted { run, expires, deadline } = wanted;
        self.running = Some((run, Running::new(id, deadline)));
        Job::Probe { ticket, expires }
    }

    /// The job has ended; if it was given up before, nothing changes.
    pub(super) fn finished(
        &mut self,
        ticket: TicketIndex,
        id: JobId,
        end: JobEnd,
        actions: &mut Vec<Action>,
    ) {
        if self.running.as_ref().is_none_or(|(_, running)| running.id != id) {
            return;
        }
        let Some((run, _)) = self.running.take().filter(|(_, running)| !running.reported) else {
            return;
        };
        let outcome = match end {
            JobEnd::Done => ProbeOutcome::Success,
            JobEnd::Failed(text) => ProbeOutcome::Failed(text),
            JobEnd::Killed => ProbeOutcome::Failed("it was killed".to_owned()),
            JobEnd::Loaded(_) => ProbeOutcome::Failed("it gave no answer".to_owned()),
        };
        actions.push(probed(ticket, run, outcome));
    }
}
