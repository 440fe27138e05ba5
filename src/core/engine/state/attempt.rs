// SPDX-License-Identifier: GPL-2.0-or-later
//! An attempt to be elected (L1, L12).

use crate::model::{MemberIndex, MemberSet, Term};
use crate::time::MonoTime;
use crate::wire::{LastKnown, Reason};

/// One attempt to win a term.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub term: Term,
    pub reason: Reason,
    /// `-F` of an administrative grant.
    pub force: bool,
    /// When it has failed (L12).
    pub until: MonoTime,
    /// Who voted for this member, itself included.
    pub votes: MemberSet,
    /// Whose vote carried the mark that the voter keeps the rules and is out of grace.
    pub vouched: MemberSet,
    /// Who refused, or voted for another.
    pub refused: MemberSet,
    /// Who refused because of somebody else's valid lease.
    pub bound: MemberSet,
    /// The site because of whose objection somebody refused.
    pub objected: Option<MemberIndex>,
    /// Who answered, whatever it was.
    pub heard: MemberSet,
    /// Until when those who voted for this member, or named themselves, were bound to anyone else:
    /// as their votes state, or until the vote came if it states nothing.
    pub others_until: MonoTime,
    /// The same, only of those whose votes state it.
    pub stated_until: MonoTime,
    /// The last that others have said of the ticket, before the attempt or with their votes.
    pub told: Option<LastKnown>,
}

impl Attempt {
    /// Who has voted or refused.
    pub fn answered(&self) -> MemberSet {
        self.votes.union(self.refused)
    }
}
