// SPDX-License-Identifier: GPL-2.0-or-later
//! What the end of a job means for its ticket's line.

use super::{after, needs_lease, Line, Look, Running, RunningWork, Stage};
use crate::engine::{CibLoad, CibOutcome, CibTicket};
use crate::keeper::{Cx, JobEnd, JobId, Output};

impl Line {
    /// A job of this line has ended.
    pub(in crate::keeper) fn ended(&mut self, job: JobId, end: JobEnd, cx: &mut Cx<'_>) {
        if self.change.as_ref().is_some_and(|running| running.job == job) {
            if let Some(running) = self.change.take() {
                self.change_over(running, end, cx);
            }
        } else if matches!(self.look, Look::Running(looks, _) if looks == job) {
            self.look = Look::Known(match end {
                JobEnd::Looked(CibLoad::Loaded(stored)) => Some(stored),
                JobEnd::Looked(CibLoad::Absent) => Some(CibTicket::default()),
                // What cannot be read may say *granted*.
                _ => None,
            });
        } else if self.owed.is_attempt(job) {
            self.attempt_over(job, end, cx);
        }
    }

    pub(super) fn change_over(&mut self, running: Running, end: JobEnd, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let killed = matches!(running.stage, Stage::Killed(_));
        if matches!(end, JobEnd::Failed(_) | JobEnd::Killed) {
            self.quiet_at = self.quiet_at.max(after(now, self.guard));
        }
        // Killed with another ticket of its job: it begins anew.
        if end == JobEnd::Killed && !killed && running.shared {
            match running.work {
                RunningWork::Grant(Some(serial), state) if self.wish.is_none() => {
                    self.wish = Some((serial, state));
                    return;
                }
                RunningWork::Attr(Some(serial), change, limit) => {
                    return self.attrs.push_front((serial, change, limit));
                }
                RunningWork::Grant(..) | RunningWork::Attr(..) => {}
            }
        }
        let outcome = match end {
            JobEnd::Done => CibOutcome::Written,
            _ if killed => CibOutcome::Killed,
            JobEnd::Killed => CibOutcome::Killed,
            JobEnd::TooLate => CibOutcome::TooLate,
            JobEnd::Failed(text) | JobEnd::Apart(text) => CibOutcome::Failed(text),
            JobEnd::Looked(_) => CibOutcome::Failed("it answered a change like a read".to_owned()),
        };
        match running.work {
            RunningWork::Grant(serial, state) => {
                if let Some(serial) = serial {
                    self.written(serial, outcome, cx);
                }
                let ended = self.window.is_none_or(|window| now >= window.kill_at);
                if killed && needs_lease(&state) && ended && !self.owed.is_owed() && self.armed {
                    self.decide(None, cx);
                }
            }
            RunningWork::Attr(Some(serial), ..) => self.attr_written(serial, outcome, cx),
            RunningWork::Attr(None, ..) => {}
        }
    }

    fn attempt_over(&mut self, job: JobId, end: JobEnd, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let over = self.owed.over(now, job, &end, (self.guard, self.armed, self.wish.is_some()));
        for job in over.kill {
            cx.out.push(Output::Kill(job));
        }
        if over.done {
            self.armed = false;
            self.look = Look::None;
        }
        if over.done || matches!(end, JobEnd::Apart(_)) {
            self.looks_again = false;
        }
        let outcome = match end {
            JobEnd::Done => CibOutcome::Written,
            JobEnd::Killed => CibOutcome::Killed,
            JobEnd::Failed(text) => CibOutcome::Failed(text),
            JobEnd::Apart(text) => CibOutcome::Failed(text),
            JobEnd::TooLate | JobEnd::Looked(_) => {
                CibOutcome::Failed("it answered a revoke like something else".to_owned())
            }
        };
        if let Some(serial) = over.tell {
            self.written(serial, outcome, cx);
        } else if let Some((level, why)) = over.note {
            let name = &self.name;
            let text = match outcome {
                CibOutcome::Written => format!("revoked {name}: its lease had ended"),
                CibOutcome::Failed(text) => format!("cannot revoke {name}: {text}; {why}"),
                _ => format!("cannot revoke {name}: its process was killed; {why}"),
            };
            cx.out.push(Output::Note(level, self.place, text));
        }
    }
}
