// SPDX-License-Identifier: GPL-2.0-or-later
//! What jobs do, and how they end.

use super::Place;
use crate::engine::{AttrChange, CibLoad};
use crate::model::{Holder, Term};
use crate::time::MonoTime;
use alloc::string::String;
use alloc::vec::Vec;

/// One change of a ticket in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// *granted*.
    Grant {
        /// What to write beside it.
        values: Values,
        /// Right before the change the clock is read once more: not at this instant or later.
        /// `None`: a manual ticket.
        start_before: Option<MonoTime>,
    },
    /// *not granted*.
    Revoke(Values),
    /// One attribute.
    Attr(AttrChange),
}

/// What a change writes beside *granted*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// Attribute `owner`.
    pub owner: Holder,
    /// Attribute `term`.
    pub term: Term,
    /// Attribute `expires`, in seconds since the epoch.
    pub expires: u64,
}

impl Values {
    /// Whether a revoke with these values does for one with others: `expires` may come from the
    /// store or from boothd, and says no more than when the lease had ended.
    pub(super) fn is_like(&self, other: &Values) -> bool {
        (self.owner, self.term) == (other.owner, other.term)
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// These changes; more than one only where the store can do that.
    Change(Vec<(Place, Change)>),
    /// It reads these tickets.
    Look(Vec<Place>),
}

/// How a job ended, for one ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// The change was made.
    Done,
    /// A grant: the last look at the clock refused it; nothing was written.
    TooLate,
    /// It failed; the text says how.
    Failed(String),
    /// The call for many revokes failed, all or nothing; the text says how. Each is made alone.
    Apart(String),
    /// It was killed, by us or by somebody else; it may still take effect.
    Killed,
    /// What the store says.
    Looked(CibLoad),
}
