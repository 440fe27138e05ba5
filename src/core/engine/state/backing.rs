// SPDX-License-Identifier: GPL-2.0-or-later
//! What others say of their word to a member that has restarted (L9).

use crate::model::{MemberIndex, Term};
use crate::time::{MonoTime, Span};
use alloc::vec;
use alloc::vec::Vec;

/// What the others say of their word to this member.
#[derive(Clone, Debug)]
pub struct Backing {
    /// Per member: when this start's STATUS was first sent to it.
    asked: Vec<Option<MonoTime>>,
    /// Per member: the term of its promise to this member, and until when that lasts at least.
    word: Vec<Option<(Term, MonoTime)>>,
}

impl Backing {
    /// Nobody of `members` was asked.
    pub fn new(members: usize) -> Backing {
        Backing { asked: vec![None; members], word: vec![None; members] }
    }

    /// A member is asked; the first time counts.
    pub fn note_asked(&mut self, to: MemberIndex, now: MonoTime) {
        if let Some(asked) = self.asked.get_mut(to.get()) {
            *asked = asked.or(Some(now));
        }
    }

    /// A member states how long its promise to this one lasts, zero if it has none. It did so
    /// after it was first asked, by a clock of a slightly other rate.
    pub fn note_word(&mut self, from: MemberIndex, term: Term, valid: Span) {
        let asked = self.asked.get(from.get()).copied().flatten();
        if let (Some(asked), Some(word)) = (asked, self.word.get_mut(from.get())) {
            let lasts = valid.divided(100).times(99);
            *word = (!lasts.is_zero()).then_some((term, asked.plus(lasts)));
        }
    }

    /// Whether more than half of the other members are promised to this one, in one term.
    pub fn suffices(&self, now: MonoTime) -> bool {
        let live: Vec<Term> =
            self.word.iter().flatten().filter(|word| now < word.1).map(|word| word.0).collect();
        let others = self.word.len().saturating_sub(1);
        let alike = |term: &Term| live.iter().filter(|other| *other == term).count();
        live.iter().any(|term| alike(term) > others / 2)
    }
}
