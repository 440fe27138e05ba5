// SPDX-License-Identifier: GPL-2.0-or-later
//! Sites whose store may say *granted* (L3, L7).

use crate::model::{MemberSet, Term};
use crate::time::MonoTime;
use alloc::vec;
use alloc::vec::Vec;

/// Who has objected, and when.
#[derive(Clone, Debug)]
pub struct Objections {
    /// Per member, when it last objected; `None`: never, or it has taken that back.
    pub heard: Vec<Option<MonoTime>>,
    /// Per member, the term that it stated then.
    pub terms: Vec<Term>,
    /// Whose objection stands in the log.
    pub said: MemberSet,
    /// When they were asked last.
    pub asked: MonoTime,
    /// Whose objection says no term: its store could not be read, and that is all it knows.
    pub unread: MemberSet,
    /// Who has voted for this lead, followed it or been idle since it was won: as long as the lease
    /// lives, nothing can have been granted there since.
    pub cleared: MemberSet,
}

impl Objections {
    /// Nobody of so many members objects.
    pub fn none(members: usize) -> Objections {
        Objections {
            heard: vec![None; members],
            terms: vec![Term::ZERO; members],
            said: MemberSet::EMPTY,
            asked: MonoTime::ZERO,
            unread: MemberSet::EMPTY,
            cleared: MemberSet::EMPTY,
        }
    }
}
