// SPDX-License-Identifier: GPL-2.0-or-later
//! The run of a handler.

use crate::engine::event::ProbeRun;
use crate::time::{MonoTime, Span};

/// What a run of the handler is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFor {
    /// Before this site stands.
    Stand,
    /// Before a renewal.
    Renewal,
    /// Before a manual ticket is taken.
    Manual,
}

/// A handler that runs.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub run: ProbeRun,
    pub purpose: ProbeFor,
    pub since: MonoTime,
    pub deadline: MonoTime,
}

/// How long after its deadline a handler's outcome is waited for: the executor ends it with
/// SIGTERM, two seconds later with SIGKILL.
pub const PROBE_EXTRA: Span = Span::from_secs(5);
