// SPDX-License-Identifier: GPL-2.0-or-later
//! The running grant or attribute change of a ticket: its time limit, and what its end means.

use super::running::{Running, RunningWork, Stage, REAP};
use super::Line;
use crate::engine::CibOutcome;
use crate::keeper::check::{needs_lease, over_after};
use crate::keeper::cx::Cx;
use crate::keeper::jobs::JobEnd;
use crate::keeper::message::Output;
use crate::time::MonoTime;
use alloc::borrow::ToOwned;

impl Line {
    pub(super) fn advance_change(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.change_end().is_none_or(|end| now < end) {
            return;
        }
        let Some(running) = &mut self.change else { return };
        if running.stage == Stage::Live {
            running.stage = Stage::Killed(now.plus(REAP));
            cx.out.push(Output::Kill(running.job));
        } else if let Some(running) = self.change.take() {
            self.change_over(running, JobEnd::Killed, cx);
        }
    }

    pub(super) fn change_over(&mut self, running: Running, end: JobEnd, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let killed = matches!(running.stage, Stage::Killed(_));
        if matches!(end, JobEnd::Failed(_) | JobEnd::Killed) {
            self.quiet_at = self.quiet_at.max(over_after(now, self.guard));
        }
        if let RunningWork::Grant(serial, state) = &running.work {
            let granted = end == JobEnd::Done && needs_lease(state) && serial.is_some();
            if granted && !self.granted {
                self.check.rest(now);
            }
            self.granted = granted;
        }
        // It was killed because of another ticket of its job: it begins again.
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

    pub(super) fn kill_change(&mut self, cx: &mut Cx<'_>) {
        if let Some(running) = self.change.as_mut().filter(|r| r.stage == Stage::Live) {
            running.stage = Stage::Killed(cx.now.mono.plus(REAP));
            cx.out.push(Output::Kill(running.job));
        }
    }

    /// When the running change reaches its next stage.
    pub(super) fn change_end(&self) -> Option<MonoTime> {
        let running = self.change.as_ref()?;
        Some(match (running.stage, &running.work) {
            (Stage::Killed(give_up_at), _) => give_up_at,
            (Stage::Live, RunningWork::Grant(_, state)) if needs_lease(state) => {
                // Without a window nothing may be granted at all.
                let kill_at = self.window.map_or(MonoTime::ZERO, |window| window.kill_at);
                running.limit_at.min(kill_at)
            }
            (Stage::Live, RunningWork::Attr(..)) => {
                // The revoke at the end of the window does not wait.
                let window = self.window.filter(|_| self.armed && !self.rung);
                window.map_or(running.limit_at, |window| running.limit_at.min(window.hold_until))
            }
            (Stage::Live, RunningWork::Grant(..)) => running.limit_at,
        })
    }
}
