// SPDX-License-Identifier: GPL-2.0-or-later
//! What jobs do, and how they end.

use crate::engine::{AttrChange, CibLoad};
use crate::model::{Holder, Term};
use crate::time::MonoTime;
use alloc::string::String;
use alloc::vec::Vec;

/// A job of the store's tool. A keeper never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// The number of a ticket's line. It stays the same while the keeper lives, even if boothd's
/// configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub usize);

/// One change of a ticket in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes *granted*.
    Grant {
        /// The attributes to write with it.
        values: Values,
        /// The change must not start at this instant or later; the clock is read again directly
        /// before it. `None`: a manual ticket.
        start_before: Option<MonoTime>,
    },
    /// Writes *not granted*, with these attributes.
    Revoke(Values),
    /// Sets or deletes one attribute.
    Attr(AttrChange),
}

/// The attributes that a change writes together with *granted*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// Attribute `owner`.
    pub owner: Holder,
    /// Attribute `term`, in which the owner was elected.
    pub term: Term,
    /// Attribute `expires`, in seconds since the epoch; 0 if there is no lease.
    pub expires: u64,
}

impl Values {
    /// Whether a revoke with these values can replace one with others. `expires` does not matter:
    /// it may come from the store or from boothd, and only says when the lease had ended.
    pub(super) fn is_like(&self, other: &Values) -> bool {
        (self.owner, self.term) == (other.owner, other.term)
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Makes these changes; more than one only if the store supports it.
    Change(Vec<(Place, Change)>),
    /// Reads these tickets.
    Look(Vec<Place>),
}

/// How a job ended, for one ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// The change was made.
    Done,
    /// A grant that the last check of the clock refused; nothing was written.
    TooLate,
    /// It failed; the text says why.
    Failed(String),
    /// The call for many revokes failed and wrote nothing; the text says why. Each revoke is then
    /// made alone.
    Apart(String),
    /// It was killed, by us or by somebody else; it may still take effect.
    Killed,
    /// The answer to [`Work::Look`].
    Looked(CibLoad),
}
