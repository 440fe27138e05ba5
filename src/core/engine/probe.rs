// SPDX-License-Identifier: GPL-2.0-or-later
//! The before-acquire handler as the engine sees it: it runs before this site stands, before
//! each renewal, and before a manual ticket is taken (P23).

use super::cx::Cx;
use super::effect::{Effect, EventKind, JobWish, NoteLevel};
use super::event::{ProbeOutcome, ProbeRun};
use super::state::{Leased, Probe, ProbeFor};
use super::ticket::{Kind, Ticket};
use crate::time::{MonoTime, WallTime};
use crate::wire::{Reason, ResultCode};
use alloc::format;

impl<K: Kind> Ticket<K> {
    /// Starts the handler.
    pub fn start_probe(&mut self, cx: &mut Cx<'_>, purpose: K::Purpose, deadline: MonoTime) {
        let run = cx.probe_run();
        let held = self.known.until > cx.now.mono && self.known.leader.member().is_some();
        let expires = if held { cx.now.wall_at(self.known.until) } else { WallTime::EPOCH };
        self.probe = Some(Probe { run, purpose, since: cx.now.mono, deadline });
        cx.effects.push(Effect::Job(JobWish::StartProbe {
            ticket: self.index,
            run,
            expires,
            deadline,
        }));
        self.tell_waiters(cx);
    }

    /// Ends a handler whose answer is not wanted any more.
    pub fn stop_probe(&mut self, cx: &mut Cx<'_>) {
        if let Some(probe) = self.probe.take() {
            cx.effects.push(Effect::Job(JobWish::StopProbe { ticket: self.index, run: probe.run }));
        }
    }

    /// The handler has not answered long after its deadline: it counts as failed.
    pub fn probe_overdue(&mut self, cx: &mut Cx<'_>) {
        if let Some(probe) = self.probe {
            cx.effects.push(Effect::Job(JobWish::StopProbe { ticket: self.index, run: probe.run }));
            self.handle_probed(cx, probe.run, ProbeOutcome::TimedOut);
        }
    }

    /// The handler's answer.
    pub fn handle_probed(&mut self, cx: &mut Cx<'_>, run: ProbeRun, outcome: ProbeOutcome) {
        let Some(probe) = self.probe.filter(|probe| probe.run == run) else { return };
        self.probe = None;
        let agreed = match outcome {
            ProbeOutcome::Success => true,
            ProbeOutcome::Failed(why) => {
                let text = format!("the before-acquire handler failed: {why}");
                self.note(cx, NoteLevel::Warning, &text);
                false
            }
            ProbeOutcome::TimedOut => {
                self.note(cx, NoteLevel::Warning, "the before-acquire handler did not end in time");
                false
            }
        };
        if !agreed {
            cx.figures.handler_failures += 1;
            self.tell(cx, EventKind::HandlerFailed, None, "the before-acquire handler failed");
        }
        K::probed(self, cx, probe.purpose, agreed);
    }
}

impl Ticket<Leased> {
    /// The handler has answered.
    pub fn handler_answered(&mut self, cx: &mut Cx<'_>, purpose: ProbeFor, agreed: bool) {
        match (purpose, agreed) {
            (ProbeFor::Renewal, true) => {
                if self.phase.is_leader() {
                    self.start_renewal(cx);
                }
            }
            (ProbeFor::Renewal, false) => {
                if self.holding() {
                    self.note(cx, NoteLevel::Warning, "giving the ticket up for another site");
                    self.step_down(cx);
                }
            }
            (ProbeFor::Stand, agreed) => self.stand_probed(cx, agreed),
        }
    }

    /// The handler was asked before standing.
    fn stand_probed(&mut self, cx: &mut Cx<'_>, agreed: bool) {
        if self.grant.is_some() {
            self.grant_probed(cx, agreed);
            return;
        }
        // Another plan than the one that the handler was asked for: it is asked again then.
        let Some(stand) = self.kind.stand.filter(|stand| stand.at <= cx.now.mono) else { return };
        if !agreed {
            self.plan_stand(cx, cx.now.mono.plus(self.spec.renewal), stand.reason);
            return;
        }
        if self.lacks_prerequisites(cx, stand.reason) {
            return;
        }
        let reason = if stand.reason == Reason::None { Reason::TicketLost } else { stand.reason };
        if self.may_stand(cx.now.mono) {
            self.stand_for_election(cx, reason, false);
        }
    }

    /// The handler was asked for an administrator's grant.
    fn grant_probed(&mut self, cx: &mut Cx<'_>, agreed: bool) {
        if !agreed {
            self.answer_grant(cx, ResultCode::HandlerFailed);
            return;
        }
        if let Some(job) = &mut self.grant {
            job.probed = true;
        }
        self.advance_grant(cx);
    }
}
