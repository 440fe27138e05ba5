// SPDX-License-Identifier: GPL-2.0-or-later
//! Checks before a renewal is written whether the store still says *granted*.
//!
//! An administrator may have revoked the ticket there by hand, or cleaned it up, and its resources
//! have stopped. The renewal grants it again; without the check, nobody would know what happened.

use super::checking::{Stage, PAUSE};
use super::{Line, Want};
use crate::engine::{CibLoad, NoteLevel};
use crate::keeper::check::needs_lease;
use crate::keeper::cx::Cx;
use crate::keeper::jobs::{JobEnd, JobId};
use crate::keeper::message::Output;
use crate::time::{MonoTime, Span};
use alloc::format;

/// How long a renewal waits for the answer.
const WAIT: Span = Span::from_secs(2);

/// This many more tickets add another [`PAUSE`] between two checks of a ticket, so checks cost
/// little compared with writes.
const MORE: u64 = 2;

impl Line {
    /// Begins a check if a renewal is wished and a check is due.
    pub(super) fn check_first(&mut self, cx: &Cx<'_>) {
        let now = cx.now.mono;
        let lease = self.wish.as_ref().is_some_and(|(_, state)| needs_lease(state));
        let time = self.window.is_some_and(|window| now.plus(WAIT) < window.start_before);
        if !(cx.checks && self.granted && lease && time) || now < self.check.next {
            return;
        }
        if self.check.stage == Stage::Idle {
            self.check.stage = Stage::Wanted(now.plus(WAIT));
            self.check.next = now.plus(PAUSE.times(1 + cx.lines / MORE));
        }
    }

    /// Ends a check that takes too long or is no longer needed.
    pub(super) fn advance_check(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        match self.check.stage {
            Stage::Wanted(until) if now >= until || self.wish.is_none() => {
                self.check.stage = Stage::Idle;
            }
            Stage::Running(job, until) if now >= until => {
                self.check.stage = Stage::Idle;
                cx.unwanted.push(job);
            }
            Stage::Idle | Stage::Wanted(_) | Stage::Running(..) => {}
        }
    }

    /// The job that a renewal needs next; `None`: it waits.
    pub(super) fn renewal_wants(&self) -> Option<Want> {
        match self.check.stage {
            Stage::Idle => Some(Want::Grant),
            Stage::Wanted(_) => Some(Want::Look),
            Stage::Running(..) => None,
        }
    }

    /// Whether [`Want::Look`] was for this check; then the job makes it.
    pub(super) fn start_check(&mut self, job: JobId) -> bool {
        let Stage::Wanted(until) = self.check.stage else { return false };
        self.check.stage = Stage::Running(job, until);
        true
    }

    /// Processes the end of a job. Returns whether it was that of the check.
    pub(super) fn check_over(&mut self, job: JobId, end: &JobEnd, cx: &mut Cx<'_>) -> bool {
        if !matches!(self.check.stage, Stage::Running(asks, _) if asks == job) {
            return false;
        }
        self.check.stage = Stage::Idle;
        let gone = match end {
            JobEnd::Looked(CibLoad::Loaded(stored)) => !stored.granted,
            JobEnd::Looked(CibLoad::Absent) => true,
            _ => false,
        };
        if gone && self.granted {
            let name = &self.name;
            let text = format!(
                "{name} is held here, but the store does not say granted any more: somebody has \
                 revoked it there or cleaned it up; it is granted again"
            );
            cx.out.push(Output::Note(NoteLevel::Warning, self.place, text));
            self.granted = false;
        }
        true
    }

    /// Until when the renewal waits for the check.
    pub(super) fn check_until(&self) -> Option<MonoTime> {
        match self.check.stage {
            Stage::Idle => None,
            Stage::Wanted(until) | Stage::Running(_, until) => Some(until),
        }
    }
}
