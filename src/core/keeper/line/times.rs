// SPDX-License-Identifier: GPL-2.0-or-later
//! What is asked of a ticket's line: its next deadline, whether it is still needed, and when killed
//! changes can no longer take effect.

use super::{Line, Look};
use crate::engine::HoldWindow;
use crate::keeper::before::Before;
use crate::keeper::check::needs_lease;
use crate::time::MonoTime;

impl Line {
    /// The next instant at which the result of [`Line::advance`] or [`Line::wants`] changes.
    pub(in super::super) fn next_deadline(
        &self,
        now: MonoTime,
        quiet_at: MonoTime,
    ) -> Option<MonoTime> {
        let later = |at: MonoTime| (at > now).then_some(at);
        let window = self.window.filter(|_| self.armed && !self.rung);
        let wish = self.wish.as_ref().filter(|(_, state)| needs_lease(state));
        let start = wish.and(self.window).map(|window| window.start_before);
        let wished = self.wish.is_some() || !self.attrs.is_empty();
        let waits = wished.then(|| self.owed.free_at().max(quiet_at));
        let look = match self.look {
            Look::Wanted(until) | Look::Running(_, until) => Some(until),
            Look::None | Look::Known(_) => None,
        };
        let unsaid = (!self.said_quiet && self.index.is_some()).then(|| self.believed_at(quiet_at));
        let ring = window.map(|window| window.hold_until);
        let first_look = window.map(|window| window.kill_at);
        let (next, late, room) = (self.owed.next_at(), self.owed.late_at(), self.owed.room_at());
        let check = self.check_until();
        [self.change_end(), next, late, room, start, waits, look, unsaid, ring, first_look, check]
            .into_iter()
            .flatten()
            .filter_map(later)
            .min()
    }

    /// What a new boothd is told about the ticket.
    pub(in super::super) fn before(&self) -> Before {
        Before { window: self.window, grant: self.grant }
    }

    /// The window at whose end the store is revoked.
    pub(in super::super) fn watched(&self) -> Option<HoldWindow> {
        self.window.filter(|_| self.armed)
    }

    pub(in super::super) fn is_needed(&self) -> bool {
        self.armed || self.owed.is_owed()
    }

    pub(in super::super) fn is_unsettled(&self, now: MonoTime) -> bool {
        self.change.is_some() || self.owed.is_running() || now < self.settles_at()
    }

    /// When killed changes of this line can no longer take effect.
    pub(in super::super) fn settles_at(&self) -> MonoTime {
        self.quiet_at.max(self.owed.free_at())
    }

    pub(in super::super) fn is_in_vain(&self) -> bool {
        self.owed.is_in_vain()
    }

    pub(super) fn is_quiet(&self, now: MonoTime, quiet_at: MonoTime) -> bool {
        self.change.is_none() && now >= self.believed_at(quiet_at)
    }

    /// From when on the store may be read and believed, if no change runs. This waits for a revoke,
    /// but not for long: a late revoke does no harm.
    fn believed_at(&self, quiet_at: MonoTime) -> MonoTime {
        let revokes = self.owed.is_owed() || self.owed.is_running();
        let patience = if revokes { self.patient_until } else { MonoTime::ZERO };
        self.quiet_at.max(quiet_at).max(patience)
    }
}
