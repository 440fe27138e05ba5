// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member knows of the last holder, a win that held nothing, and a vote (L2, L3, L9).

use crate::model::{Holder, MemberIndex, Term};
use crate::time::MonoTime;
use crate::wire::LastKnown;

/// The last holder, as far as this member knows; what STATUS is answered with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Who.
    pub leader: Holder,
    /// In which term.
    pub term: Option<Term>,
    /// Until when its lease lasts, as far as known.
    pub until: MonoTime,
}

/// A win that this site gave up without ever having had a lease: it held nothing in that term.
#[derive(Clone, Copy, Debug)]
pub struct Unleased {
    pub term: Term,
    /// The last that was known of the ticket besides, until it was given up.
    pub before: Option<LastKnown>,
}

/// A vote given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    pub term: Term,
    pub to: MemberIndex,
}
