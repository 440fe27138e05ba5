// SPDX-License-Identifier: GPL-2.0-or-later
//! A job that runs, and how it is brought to its end: asked at its time, killed a while later,
//! given up in the end. Pure.

use super::job::{Action, Ending, JobId, GRACE, REAP};
use crate::time::MonoTime;
use alloc::vec::Vec;

/// A job that runs for a place.
#[derive(Debug)]
pub(super) struct Running {
    /// Its number.
    pub(super) id: JobId,
    /// Until when it may.
    until: MonoTime,
    stage: Stage,
    /// Whether its outcome has been reported, or is not wanted.
    pub(super) reported: bool,
}

/// How far a running job has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It runs.
    Live,
    /// It was asked to end and is killed at this instant.
    Asked(MonoTime),
    /// It was killed and is given up at this instant.
    Killed(MonoTime),
}

/// What has come when a job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, or what need not be told.
    Nothing,
    /// Its time is over: that is to be told, and then it is to be asked to end.
    TimedOut,
    /// It cannot be ended.
    GivenUp,
}

impl Running {
    /// A job that may run until this instant.
    pub(super) fn new(id: JobId, until: MonoTime) -> Running {
        Running { id, until, stage: Stage::Live, reported: false }
    }

    /// When its next stage comes.
    pub(super) fn end(&self) -> MonoTime {
        match self.stage {
            Stage::Live => self.until,
            Stage::Asked(at) | Stage::Killed(at) => at,
        }
    }

    /// Asks it to end, if that has not been done; its outcome is not wanted any more.
    pub(super) fn ask(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.reported = true;
        if self.stage == Stage::Live {
            self.stage = Stage::Asked(now.plus(GRACE));
            actions.push(Action::End { id: self.id, how: Ending::Ask });
        }
    }

    /// Applies what is due.
    pub(super) fn due(&mut self, now: MonoTime, actions: &mut Vec<Action>) -> Due {
        if now < self.end() {
            return Due::Nothing;
        }
        match self.stage {
            Stage::Live => Due::TimedOut,
            Stage::Asked(_) => {
                self.stage = Stage::Killed(now.plus(REAP));
                actions.push(Action::End { id: self.id, how: Ending::Kill });
                Due::Nothing
            }
            Stage::Killed(_) => Due::GivenUp,
        }
    }
}
