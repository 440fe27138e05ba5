// SPDX-License-Identifier: GPL-2.0-or-later
//! When a lease is written to the store (`RULES.md` L6, L7, L8): grants only inside its window, the
//! first one when nothing is left to wait for.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::Leased;
use super::ticket::Ticket;
use crate::time::{MonoTime, Span};
use crate::wire::ResultCode;
use alloc::format;

impl Ticket<Leased> {
    /// Whether a grant may be started now (L6, L7).
    pub fn grant_in_window(&self, now: MonoTime) -> bool {
        self.hold_window().is_some_and(|window| now < window.start_before)
    }

    /// Brings the store in line with the lease: the first grant when nothing is left to wait for,
    /// then one write per renewal.
    pub fn advance_commit(&mut self, cx: &mut Cx<'_>) {
        if !self.phase.is_leader() || self.quit.is_some() || self.end_revoked_win(cx) {
            return;
        }
        let Some(lead) = &self.kind.lead else { return };
        let term = lead.term();
        if !lead.leased() || !lead.renewal.extended() {
            return;
        }
        if self.cib.maybe_granted() {
            if !lead.renewal.written() && self.grant_in_window(cx.now.mono) {
                self.mark_written();
                self.write_grant(cx, term);
            }
            return;
        }
        self.tell_waiters(cx);
        let updating = self.updates_pending(cx);
        self.say_objections(cx);
        let objected = self.objected_until(cx.now.mono).is_some();
        if self.commit_pending(cx).is_some() || updating || objected {
            return;
        }
        if self.grant_in_window(cx.now.mono) {
            self.mark_written();
            self.cib.will_grant(cx.now.mono);
            self.tell_window(cx);
            self.write_grant(cx, term);
            self.tell_waiters(cx);
        }
    }

    /// This renewal is on its way to the store.
    fn mark_written(&mut self) {
        if let Some(lead) = &mut self.kind.lead {
            lead.renewal.note_written();
        }
    }

    /// Until when the commit waits: that of an administrative grant for sites that have not
    /// answered (L8), that of a ticket that moves by itself for `acquire-after`.
    pub fn commit_pending(&self, cx: &Cx<'_>) -> Option<MonoTime> {
        let lead = self.kind.lead.as_ref()?;
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        if forced || self.cib.maybe_granted() {
            return None;
        }
        let missing = lead.commit.missing(cx.other_sites());
        let waits = |until: &MonoTime| !missing.is_empty() && cx.now.mono < *until;
        let answers = lead.commit.until().filter(waits);
        answers.max(self.acquire_pending(cx.now.mono)).max(self.hear_pending(cx))
    }

    /// Whether reference members are needed for the majority and have not acknowledged the UPDATE
    /// of the first grant yet (L5). Members that return rounds need none: theirs say enough.
    fn updates_pending(&self, cx: &Cx<'_>) -> bool {
        let Some(lead) = &self.kind.lead else { return false };
        let sure = self.acknowledged_by_round(cx).union(lead.updated());
        sure.len() + 1 < cx.roster.majority()
    }

    /// A grant stands in the store: clients are answered, members told.
    pub fn lease_written(&mut self, cx: &mut Cx<'_>) {
        self.kind.commit_not_before = None;
        self.kind.acquire.clear();
        self.kind.won_free = false;
        self.cib.first_grant_done();
        let Some(lead) = &mut self.kind.lead else { return };
        let untold = cx.roster.peers().without(lead.updated());
        if !lead.announce() {
            let left = lead.lease_until().map_or(Span::ZERO, |until| until.since(cx.now.mono));
            let text = format!("granted here; the lease lasts {} s", left.as_secs());
            self.note(cx, NoteLevel::Info, &text);
            self.send_update(cx, untold);
        }
        self.answer_grant(cx, ResultCode::Success);
    }
}
