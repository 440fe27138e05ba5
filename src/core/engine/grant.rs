// SPDX-License-Identifier: GPL-2.0-or-later
//! An administrator's grant of an automatic ticket, from attempt to attempt: the handler before
//! each, the pauses between them, and the end of its time (`RULES.md` L13, *Answers*).

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Leased, ProbeFor, Waiter};
use super::ticket::Ticket;
use crate::model::RuleMode;
use crate::time::MonoTime;
use crate::wire::{Reason, ResultCode};

impl Ticket<Leased> {
    /// Takes an administrator's grant as far as it can go now.
    pub fn advance_grant(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Some(job) = self.grant.clone() else { return };
        let under_way = self.owes_itself() || self.probe.is_some();
        if !self.phase.is_follower() || under_way || !self.ready() {
            self.tell_waiters(cx);
            return;
        }
        if self.promised_to(now).is_some() {
            self.answer_grant(cx, ResultCode::Overgrant);
            return;
        }
        if (self.kind.grace.is_some() && !job.force) || job.next_at.is_some_and(|at| now < at) {
            self.tell_waiters(cx);
            return;
        }
        if job.deadline.is_some_and(|deadline| now >= deadline) {
            self.end_of_grant(cx);
            // Without what only those wanted that have failed.
            self.advance_grant(cx);
            return;
        }
        if !self.attrs.fulfil(&self.spec.rules, RuleMode::Manual) {
            self.answer_grant(cx, ResultCode::AttrPrereq);
            return;
        }
        let asks = self.spec.has_handler && !job.probed;
        let deadline = now.plus(self.spec.patience());
        if let Some(job) = &mut self.grant {
            job.next_at = None;
            // The handler of the first attempt has a time of its own.
            job.deadline = job.deadline.or((!asks).then_some(deadline));
        }
        if asks {
            self.start_probe(cx, ProbeFor::Stand, now.plus(self.spec.expire));
            return;
        }
        self.stand_for_election(cx, Reason::Admin, job.force);
        self.tell_waiters(cx);
    }

    /// The time of a grant is over: it has failed for those who do not wait longer.
    fn end_of_grant(&mut self, cx: &mut Cx<'_>) {
        if !self.grant.iter().any(|job| job.waiters.iter().any(Waiter::patient)) {
            self.note(cx, NoteLevel::Error, "the grant found no majority");
            self.answer_grant(cx, ResultCode::SyncFail);
            return;
        }
        self.fail_impatient(cx);
        if let Some(job) = &mut self.grant {
            job.deadline = None;
        }
    }

    /// When an administrator's grant that pauses after an attempt goes on, or its time is over.
    pub fn grant_due(&self) -> Option<MonoTime> {
        let job = self.grant.as_ref()?;
        let at = job.next_at?;
        Some(job.deadline.filter(|_| self.somebody_is_impatient()).map_or(at, |end| at.min(end)))
    }

    /// The pause after an attempt for an administrator's grant is over, or the grant's time.
    pub fn grant_retry(&mut self, cx: &mut Cx<'_>) {
        let pauses = self.grant.as_ref().and_then(|job| job.next_at);
        if pauses.is_some_and(|at| cx.now.mono < at) {
            self.end_of_grant(cx);
            return;
        }
        if let Some(job) = &mut self.grant {
            job.next_at = None;
        }
        self.advance_grant(cx);
    }

    /// An attempt for an administrator's grant did not win.
    pub fn grant_attempt_failed(&mut self, cx: &mut Cx<'_>, next_at: MonoTime, bound: bool) {
        if bound {
            self.note(
                cx,
                NoteLevel::Warning,
                "not granted: members say that another site holds it",
            );
            self.answer_grant(cx, ResultCode::Overgrant);
            return;
        }
        if let Some(job) = &mut self.grant {
            job.probed = false;
            job.next_at = Some(next_at);
        }
        self.tell_waiters(cx);
    }
}
