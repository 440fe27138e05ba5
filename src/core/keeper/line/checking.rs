// SPDX-License-Identifier: GPL-2.0-or-later
//! How far the check of one ticket has come; what it does is in [`super::check`].

use crate::keeper::jobs::JobId;
use crate::time::{MonoTime, Span};

/// The shortest time between two checks of a keeper's only ticket: each renewal is checked, except
/// with very short leases.
pub(super) const PAUSE: Span = Span::from_secs(4);

/// The check of one ticket.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) stage: Stage,
    /// The next check must not begin before this instant.
    pub(super) next: MonoTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Idle,
    /// A job must look, if there is room for it before this instant.
    Wanted(MonoTime),
    /// A job is looking; the renewal waits for it until this instant.
    Running(JobId, MonoTime),
}

impl Check {
    /// The ticket was just granted, so no check is needed for a while.
    pub(super) fn rest(&mut self, now: MonoTime) {
        self.next = now.plus(PAUSE);
    }
}
