// SPDX-License-Identifier: GPL-2.0-or-later
//! A site that held a ticket, has restarted, and whose store has lost the ticket (`RULES.md` L9):
//! the others are still promised to it, so it need not wait for the end of its grace.
//!
//! Grace ends when more than half of the *other* members have answered this start's STATUS that
//! they have a live promise to this very member, all in one term `t`, and these promises still
//! last. Why that is safe: grace keeps a member that has forgotten a promise to somebody, `y`,
//! from helping another while `y` may still count on it. `y` counts on it only in the term `u` in
//! which it was given, which `y` won before this start. Any majority of all members has one, `m`,
//! of those that answered, because the others, this member included, are none.
//!
//! - `u > t`: `m` voted for `y` in `u`. Before its promise in `t` it cannot have (it would have
//!   refused the lower term, L4(2)), under it it refuses (L3), and after its answer is after this
//!   start.
//! - `u < t`: what `m` promised `y` had ended when it accepted this member in `t` (L4(1)), so no
//!   lease of `y` lives any more; and from then on it refuses `u` (L4(2)), so none comes.
//! - `u = t`: a term has one winner that may still lead, because a voter that restarts votes again
//!   only when nobody competes any more (L2, L9), and this member won `t`.
//!
//! A member that restarts after its answer forgets it, but then answers only whom a live lease
//! stands behind, until its own grace is over and with it what this member may have forgotten.
//! Promises in several terms would not do: one from before `u` does not keep `m` from accepting
//! `y` when a late announcement has ended it.

use super::cx::Cx;
use super::state::{Leased, Told};
use super::ticket::Ticket;
use crate::model::{MemberIndex, Term};
use crate::time::{MonoTime, Span};

impl Ticket<Leased> {
    /// An answer to this start's STATUS: whom its sender names, in which term, for how long.
    pub fn note_backing(&mut self, cx: &mut Cx<'_>, from: MemberIndex, nonce: u32, told: Told) {
        let Told { leader, term, valid } = told;
        let (mine, owes) = (leader == self.myself(cx), self.owes_itself());
        let reading = self.phase.is_loading();
        let Some(grace) = self.kind.grace.as_mut().filter(|grace| nonce == grace.nonce()) else {
            return;
        };
        grace.note_word(from, term, if mine { valid } else { Span::ZERO });
        if self.site && !owes && !reading && grace.is_backed(cx.now.mono) {
            self.end_grace(cx);
        }
    }

    /// What is left of this member's promise to `to`, and its term; for the answer to a question
    /// of `to` itself.
    pub fn word_to(&self, to: MemberIndex, now: MonoTime) -> Option<(Term, Span)> {
        let live = self.live_promise(now).filter(|promise| promise.to() == to)?;
        Some((live.term(), live.until().since(now)))
    }
}
