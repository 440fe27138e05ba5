// SPDX-License-Identifier: GPL-2.0-or-later
//! The running grant or attribute change of a ticket.

use crate::engine::{AttrChange, CibState, WriteSerial};
use crate::keeper::jobs::JobId;
use crate::time::{MonoTime, Span};

/// How long a killed job may take to end. If the kernel cannot end it (it waits for a dead disk),
/// it is abandoned then, so that the revoke after it can begin.
pub(super) const REAP: Span = Span::from_secs(1);

/// A running grant or attribute change.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) job: JobId,
    pub(super) work: RunningWork,
    pub(super) limit_at: MonoTime,
    /// Whether other tickets share its job. If one of them has to be killed, so is this change.
    pub(super) shared: bool,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum RunningWork {
    Grant(Option<WriteSerial>, CibState),
    Attr(Option<WriteSerial>, AttrChange, Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Live,
    /// It was killed, and is abandoned at this instant.
    Killed(MonoTime),
}
