// SPDX-License-Identifier: GPL-2.0-or-later
//! The run of a handler.

use crate::engine::event::ProbeRun;
use crate::time::{MonoTime, Span};

/// What a run of the handler is for, of a ticket with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFor {
    /// Before this site stands.
    Stand,
    /// Before a renewal.
    Renewal,
}

/// A handler that runs.
#[derive(Clone, Copy, Debug)]
pub struct Probe<P> {
    pub run: ProbeRun,
    pub purpose: P,
    pub since: MonoTime,
    pub deadline: MonoTime,
}

/// How long after its deadline a handler's outcome is waited for: the executor ends it with
/// SIGTERM, two seconds later with SIGKILL.
pub const PROBE_EXTRA: Span = Span::from_secs(5);
