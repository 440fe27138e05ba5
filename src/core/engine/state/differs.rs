// SPDX-License-Identifier: GPL-2.0-or-later
//! Members whose `expire` is another one.

use crate::model::{MemberIndex, MemberSet};
use crate::time::Span;
use alloc::vec::Vec;

/// A stated validity of more than so many times this member's `expire` is counted in another unit
/// (seconds or milliseconds) and says nothing.
pub const OTHER_UNIT: u64 = 100;

/// Which members state another `expire` than this one has, and what.
#[derive(Clone, Debug, Default)]
pub struct Differs(pub Vec<(MemberIndex, Span)>);

impl Differs {
    /// The members whose `expire` differs.
    pub fn members(&self) -> MemberSet {
        self.0.iter().map(|(member, _)| *member).collect()
    }

    /// Notes what a member states; returns what it stated before, if that differed.
    pub fn note(&mut self, member: MemberIndex, stated: Option<Span>) -> Option<Span> {
        let at = self.0.iter().position(|(other, _)| *other == member);
        let before = at.map(|at| self.0.swap_remove(at).1);
        self.0.extend(stated.map(|stated| (member, stated)));
        before
    }
}
