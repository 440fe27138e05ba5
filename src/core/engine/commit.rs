// SPDX-License-Identifier: GPL-2.0-or-later
//! What the store shall say, and what follows when it does (`RULES.md` L6, L7, L8, L10): grants
//! only inside the lease's window, revokes until they succeed, announcements after them.

use super::cx::Cx;
use super::effect::{CibExpiry, CibState, Effect, NoteLevel, StoreWish};
use super::event::{CibOutcome, WriteSerial};
use super::state::{Loading, QuitKind, Said};
use super::ticket::Ticket;
use crate::model::{Holder, Term};
use crate::time::{MonoTime, Span};
use crate::wire::ResultCode;
use alloc::format;
use alloc::string::String;

/// The longest pause between two attempts to revoke: nobody else is granted meanwhile.
const REVOKE_PAUSE_MAX: Span = Span::from_secs(1);

impl Ticket {
    /// Makes the store say `state`: at once if nothing or only a grant that a revoke pre-empts is
    /// under way, else after it.
    fn write(&mut self, cx: &mut Cx<'_>, state: CibState) {
        if self.cib.want(state) {
            self.emit_write(cx);
        }
    }

    /// Hands the wanted state to the shell.
    fn emit_write(&mut self, cx: &mut Cx<'_>) {
        let serial = cx.write_serial();
        let Some(state) = self.cib.hand_over(serial, cx.now.mono) else { return };
        cx.effects.push(Effect::Store(StoreWish::WriteCib { ticket: self.index, serial, state }));
    }

    /// What the store shall say of a ticket that is not granted here.
    fn free_state(&self, cx: &Cx<'_>, owner: Holder, term: Term) -> CibState {
        let expires = match owner {
            Holder::Member(_) if !self.is_manual() => {
                CibExpiry::At(cx.now.wall_at(self.known.until))
            }
            _ => CibExpiry::Never,
        };
        CibState { granted: false, owner, term, expires, limit: self.spec.call_limit() }
    }

    /// Writes *revoked* with this owner.
    pub fn write_revoke(&mut self, cx: &mut Cx<'_>, owner: Holder) {
        let owner = self.lost_owner(cx).unwrap_or(owner);
        let state = self.free_state(cx, owner, self.known.term.unwrap_or(self.wire_term()));
        self.write(cx, state);
    }

    /// A revoke that has to be written again names this site: the ticket is lost.
    pub fn name_owner(&mut self, cx: &Cx<'_>) {
        if self.cib.maybe_granted() {
            self.cib.name_owner(self.myself(cx));
        }
    }

    /// Keeps the store of a follower in step: only if more than the expiry changed.
    pub fn follow_in_store(&mut self, cx: &mut Cx<'_>) {
        if !self.site || self.cib.maybe_granted() {
            return;
        }
        let (owner, term) = (self.known.leader, self.known.term.unwrap_or_default());
        if self.cib.target() != Some(Said { granted: false, owner, term }) {
            let state = self.free_state(cx, owner, term);
            self.write(cx, state);
        }
    }

    /// Writes *granted*; the window has been told before.
    pub fn write_grant(&mut self, cx: &mut Cx<'_>, term: Term) {
        let expires = if self.is_manual() { CibExpiry::Never } else { CibExpiry::Lease };
        let owner = self.myself(cx);
        let limit = self.spec.call_limit();
        self.cib.will_grant(cx.now.mono);
        self.write(cx, CibState { granted: true, owner, term, expires, limit });
    }

    /// Whether a grant may be started now (L6, L7).
    fn grant_in_window(&self, now: MonoTime) -> bool {
        self.hold_window().is_some_and(|window| now < window.start_before)
    }

    /// Brings the store in line with the lease: the first grant when nothing is left to wait for,
    /// then one write per renewal.
    pub fn advance_commit(&mut self, cx: &mut Cx<'_>) {
        if !self.phase.is_leader() || self.quit.is_some() || self.end_revoked_win(cx) {
            return;
        }
        let Some(lead) = &self.lead else { return };
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
        if let Some(lead) = &mut self.lead {
            lead.renewal.note_written();
        }
    }

    /// Until when the commit waits: that of an administrative grant for sites that have not
    /// answered (L8), that of a ticket that moves by itself for `acquire-after`.
    pub fn commit_pending(&self, cx: &Cx<'_>) -> Option<MonoTime> {
        let lead = self.lead.as_ref()?;
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        if forced || self.cib.maybe_granted() {
            return None;
        }
        let missing = lead.commit.missing(self.other_sites(cx));
        let waits = |until: &MonoTime| !missing.is_empty() && cx.now.mono < *until;
        let answers = lead.commit.until().filter(waits);
        answers.max(self.acquire_pending(cx.now.mono)).max(self.hear_pending(cx))
    }

    /// Whether reference members are needed for the majority and have not acknowledged the UPDATE
    /// of the first grant yet (L5). Members that return rounds need none: theirs say enough.
    fn updates_pending(&self, cx: &Cx<'_>) -> bool {
        let Some(lead) = &self.lead else { return false };
        let sure = self.acknowledged_by_round(cx).union(lead.updated());
        sure.len() + 1 < cx.roster.majority()
    }

    /// The outcome of a write.
    pub fn handle_written(&mut self, cx: &mut Cx<'_>, serial: WriteSerial, outcome: CibOutcome) {
        let Some(state) = self.cib.end_flight(serial) else { return };
        match outcome {
            CibOutcome::Written => self.written(cx, state),
            CibOutcome::TooLate => self.write_failed(cx, state, None),
            CibOutcome::Superseded => {}
            CibOutcome::Killed => self.write_killed(cx, state),
            CibOutcome::Failed(why) => self.write_failed(cx, state, Some(why)),
        }
        if self.cib.is_wanted_again() {
            self.emit_write(cx);
        }
    }

    /// The store says `state` now.
    fn written(&mut self, cx: &mut Cx<'_>, state: CibState) {
        if self.cib.note_written(&state) {
            self.note(cx, NoteLevel::Info, "the store can be written again");
        }
        if state.granted {
            self.grant_written(cx);
            return;
        }
        if self.cib.grant_follows() {
            return;
        }
        let revoked = self.cib.note_revoked();
        if let (Some(quit), Some(until)) = (&mut self.quit, self.inherited.take()) {
            quit.lapsed |= cx.now.mono >= until;
        }
        if self.cib.end_window() {
            let term = self.wire_term();
            cx.effects.push(Effect::Store(StoreWish::Hold {
                ticket: self.index,
                window: None,
                term,
            }));
        }
        if self.phase.loading() == Some(Loading::Revoking) {
            self.loaded_and_revoked(cx);
            return;
        }
        if revoked {
            self.quit_done(cx);
        }
    }

    /// A grant stands in the store: clients are answered, members told.
    fn grant_written(&mut self, cx: &mut Cx<'_>) {
        if self.quit.is_some() {
            return;
        }
        if self.is_manual() {
            self.answer_grant(cx, ResultCode::Success);
            return;
        }
        self.commit_not_before = None;
        self.acquire.clear();
        self.won_free = false;
        self.cib.first_grant_done();
        let Some(lead) = &mut self.lead else { return };
        let untold = cx.roster.peers().without(lead.updated());
        if !lead.announce() {
            let left = lead.lease_until().map_or(Span::ZERO, |until| until.since(cx.now.mono));
            let text = format!("granted here; the lease lasts {} s", left.as_secs());
            self.note(cx, NoteLevel::Info, &text);
            self.send_update(cx, untold);
        }
        self.answer_grant(cx, ResultCode::Success);
    }

    /// A write was killed at its deadline. What a first grant left is not known: it is revoked
    /// and the ticket given up; a renewal is tried again while there is time (L6).
    fn write_killed(&mut self, cx: &mut Cx<'_>, state: CibState) {
        if !state.granted {
            self.write_failed(cx, state, Some("it did not end in time".into()));
            return;
        }
        if self.quit.is_some() {
            return;
        }
        if self.cib.granted() && (self.is_manual() || self.grant_in_window(cx.now.mono)) {
            self.write_failed(cx, state, Some("the renewal did not end in time".into()));
            return;
        }
        self.note(cx, NoteLevel::Error, "the grant did not end in time: giving the ticket up");
        self.give_up_ungranted(cx);
    }

    /// A write failed, or came too late (`why` is none): the wish is kept and tried again.
    fn write_failed(&mut self, cx: &mut Cx<'_>, state: CibState, why: Option<String>) {
        let failed = why.is_some();
        let pause = match why {
            None => Span::from_millis(100),
            Some(why) => {
                let dirty = !state.granted && self.cib.maybe_granted();
                let before = self.cib.note_failure(cx.now.mono);
                let pause = cx.store_pause(before);
                let pause = if dirty { pause.min(REVOKE_PAUSE_MAX) } else { pause };
                // What is tried every few seconds is logged ever more rarely.
                let said = before.saturating_add(1).is_power_of_two();
                let what = if state.granted { "grant" } else { "revoke" };
                let text = format!(
                    "writing the {what} to the store failed: {why}; next attempt in {pause}"
                );
                let level = if said { NoteLevel::Error } else { NoteLevel::Debug };
                self.note(cx, level, &text);
                pause
            }
        };
        self.cib.set_retry(Some(cx.now.mono.plus(pause)));
        if state.granted {
            let patient = self.cib.grant_tried_for(cx.now.mono) < self.spec.call_limit();
            // Who is told that it failed must not see it succeed later.
            let patient = patient && !(failed && self.somebody_is_impatient());
            if !self.cib.granted() && !patient && self.quit.is_none() {
                self.note(
                    cx,
                    NoteLevel::Error,
                    "the grant cannot be written: giving the ticket up",
                );
                self.give_up_ungranted(cx);
            } else if self.is_manual() && self.cib.granted() {
                self.tell_load_failure(cx);
            } else {
                self.tell_waiters(cx);
            }
        } else {
            self.say_leaving(cx);
            if !self.revoke_wanted {
                self.tell_revoke_failure(cx);
            }
            if self.quit.is_some() {
                self.answer_grant(cx, ResultCode::SyncFail);
            } else if self.phase.is_loading() {
                self.tell_load_failure(cx);
            }
        }
    }

    /// Gives up a ticket whose grant could not be written.
    fn give_up_ungranted(&mut self, cx: &mut Cx<'_>) {
        if self.is_manual() {
            self.quit(cx, QuitKind::Revoke, None);
        } else {
            self.step_down(cx);
        }
    }

    /// Writes again after a failure.
    pub fn write_again(&mut self, cx: &mut Cx<'_>) {
        self.cib.set_retry(None);
        let pointless =
            self.cib.wants_grant() && !self.is_manual() && !self.grant_in_window(cx.now.mono);
        if !self.cib.is_busy() && !pointless {
            // The store says already whose a lost ticket was: a crash right after it loses nothing.
            if let Some(owner) = self.lost_owner(cx) {
                self.cib.name_owner(owner);
            }
            self.emit_write(cx);
        }
    }
}
