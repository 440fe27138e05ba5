// SPDX-License-Identifier: GPL-2.0-or-later
//! What the history was told last of a ticket.

use crate::model::Holder;
use crate::time::MonoTime;

/// What the history was told last of a ticket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outward {
    /// Whether anything was told yet: what a store says at the start is no change.
    pub begun: bool,
    /// Who has it, as clients see it, and since when.
    pub holder: Holder,
    pub since: MonoTime,
    /// Whether this site holds it: its store says *granted*, and it does not give it up.
    pub held: bool,
    /// Whether the store fails.
    pub failing: bool,
    /// Whether a renewal lacks its majority.
    pub alone: bool,
}
