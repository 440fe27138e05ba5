// SPDX-License-Identifier: GPL-2.0-or-later
//! The Raft term of a ticket.

use core::fmt;

/// A Raft term of one ticket. Reference clusters start in term 0, so "none yet" is
/// `Option::None`, never term 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u32);

impl Term {
    /// The term in which reference clusters start.
    pub const ZERO: Term = Term(0);

    /// A term from its number on the wire.
    pub const fn new(number: u32) -> Term {
        Term(number)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next term; `None` if the numbers are used up: then nobody can be elected any longer.
    pub const fn next(self) -> Option<Term> {
        match self.0.checked_add(1) {
            Some(number) => Some(Term(number)),
            None => None,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
