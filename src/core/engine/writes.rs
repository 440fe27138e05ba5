// SPDX-License-Identifier: GPL-2.0-or-later
//! What the store shall say, and what follows when it does (`RULES.md` L6, L10): writes that fail
//! are made again, revokes until they succeed. When a grant may be written is in [`super::commit`].

use super::cx::Cx;
use super::effect::{CibState, Effect, NoteLevel, StoreWish};
use super::event::{CibOutcome, WriteSerial};
use super::state::Said;
use super::ticket::{Kind, Ticket};
use crate::model::{Holder, Term};
use crate::time::Span;
use crate::wire::ResultCode;
use alloc::format;
use alloc::string::String;

/// The longest pause between two attempts to revoke: nobody else is granted meanwhile.
const REVOKE_PAUSE_MAX: Span = Span::from_secs(1);

impl<K: Kind> Ticket<K> {
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
        let expires = K::free_expiry(self, cx.now, owner);
        CibState { granted: false, owner, term, expires, limit: self.spec.call_limit() }
    }

    /// Writes *revoked* with this owner.
    pub fn write_revoke(&mut self, cx: &mut Cx<'_>, owner: Holder) {
        let owner = K::lost_owner(self, cx).unwrap_or(owner);
        let state = self.free_state(cx, owner, self.known.term.unwrap_or(self.wire_term()));
        self.write(cx, state);
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
        let expires = K::GRANT_EXPIRY;
        let owner = self.myself(cx);
        let limit = self.spec.call_limit();
        self.cib.will_grant(cx.now.mono);
        self.write(cx, CibState { granted: true, owner, term, expires, limit });
    }

    /// The outcome of a write.
    pub fn handle_written(&mut self, cx: &mut Cx<'_>, serial: WriteSerial, outcome: CibOutcome) {
        let Some((state, since)) = self.cib.end_flight(serial) else { return };
        match outcome {
            CibOutcome::Written => cx.figures.store_changes.note(cx.now.mono.since(since)),
            CibOutcome::Killed | CibOutcome::Failed(_) => cx.figures.store_failures += 1,
            CibOutcome::TooLate | CibOutcome::Superseded => {}
        }
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
            if self.quit.is_none() {
                K::grant_written(self, cx);
            }
            return;
        }
        if self.cib.grant_follows() {
            return;
        }
        let was_granted = self.cib.note_revoked();
        K::revoke_written(self, cx, was_granted);
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
        if self.cib.granted() && K::may_write_grant(self, cx.now.mono) {
            self.write_failed(cx, state, Some("the renewal did not end in time".into()));
            return;
        }
        self.note(cx, NoteLevel::Error, "the grant did not end in time: giving the ticket up");
        K::give_up_ungranted(self, cx);
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
                K::give_up_ungranted(self, cx);
            } else {
                K::grant_unwritten(self, cx);
            }
        } else {
            K::revoke_unwritten(self, cx);
            if self.quit.is_some() {
                self.answer_grant(cx, ResultCode::SyncFail);
            } else if self.phase.is_loading() {
                self.tell_store_failure(cx);
            }
        }
    }

    /// Writes again after a failure.
    pub fn write_again(&mut self, cx: &mut Cx<'_>) {
        self.cib.set_retry(None);
        let pointless = self.cib.wants_grant() && !K::may_write_grant(self, cx.now.mono);
        if !self.cib.is_busy() && !pointless {
            // The store says already whose a lost ticket was: a crash right after it loses nothing.
            if let Some(owner) = K::lost_owner(self, cx) {
                self.cib.name_owner(owner);
            }
            self.emit_write(cx);
        }
    }
}
