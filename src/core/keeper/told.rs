// SPDX-License-Identifier: GPL-2.0-or-later
//! What a boothd has told its keeper, and must tell the next keeper.

use super::before::Before;
use super::message::{Answer, Word};
use super::verdict::Grant;
use crate::engine::{AttrChange, CibExpiry, CibOutcome, CibState, HoldWindow};
use crate::model::{AttrName, TicketIndex};
use crate::time::Now;
use alloc::vec::Vec;

/// What a keeper was told of a ticket, and what a replacement must be told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The newest grant that was read, or that a keeper may have begun.
    grant: Option<Grant>,
    hold: Option<Word>,
    /// Whether `hold` is from the previous boothd, reported by a keeper that was found.
    inherited: bool,
    /// Wishes without an answer, in their order.
    open: Vec<Word>,
    /// `Some`: the store may be read and believed.
    before: Option<Before>,
}

impl Told {
    /// Notes what boothd tells the keeper about this ticket.
    pub fn say(&mut self, word: &Word, now: Now) {
        match word {
            Word::Hold { .. } => (self.hold, self.inherited) = (Some(word.clone()), false),
            Word::Read { grant, .. } => self.note(*grant),
            Word::Write { state, .. } => {
                self.note_grant(state, now);
                self.open.push(word.clone());
            }
            Word::Attr { .. } => self.open.push(word.clone()),
        }
    }

    /// Notes what the previous boothd had told the keeper that was found. What this boothd has said
    /// takes precedence.
    pub fn inherit(&mut self, word: Word) {
        match word {
            Word::Hold { .. } if self.hold.is_none() => {
                (self.hold, self.inherited) = (Some(word), true);
            }
            Word::Read { grant, .. } if self.grant.is_none() => self.grant = Some(grant),
            _ => {}
        }
    }

    /// Notes an answer of a keeper. Returns whether somebody waits for it.
    pub fn hear(&mut self, answer: &Answer, now: Now) -> bool {
        let at = match answer {
            Answer::Quiet { before, .. } => {
                // A keeper that knew more may have ended.
                let window = before.window.or(self.window());
                let grant = before.grant.or(self.grant);
                self.before.get_or_insert(Before { window, grant });
                return true;
            }
            Answer::Written { serial, .. } => self.open.iter().position(
                |word| matches!(word, Word::Write { serial: open, .. } if open == serial),
            ),
            Answer::AttrWritten { serial, .. } => self
                .open
                .iter()
                .position(|word| matches!(word, Word::Attr { serial: open, .. } if open == serial)),
        };
        let Some(word) = at.map(|at| self.open.remove(at)) else { return false };
        if let (Word::Write { state, .. }, Answer::Written { outcome, .. }) = (word, answer) {
            // The wall clock may have been set since the wish.
            self.note_grant(&state, now);
            if !state.granted && *outcome == CibOutcome::Written {
                self.is_free();
            }
        }
        true
    }

    /// The store says *revoked*, so the previous boothd's window is over. Forgets that window: a
    /// keeper that starts much later must not take its end for the end of a later one.
    pub fn is_free(&mut self) {
        if core::mem::take(&mut self.inherited) {
            self.hold = None;
        }
    }

    /// The newest window; `None` if there is none, or the store says *revoked*.
    pub fn window(&self) -> Option<HoldWindow> {
        match &self.hold {
            Some(Word::Hold { window, .. }) => *window,
            _ => None,
        }
    }

    /// What is known from before this boothd; `None`: the ticket cannot be read yet.
    pub fn before(&self) -> Option<Before> {
        // An open wish may change the ticket at any moment.
        self.before.filter(|_| self.open.is_empty())
    }

    /// The wishes without an answer.
    pub fn open(&self) -> &[Word] {
        &self.open
    }

    /// What another keeper must be told of the ticket, in this order; `ticket` is its index.
    pub fn words(&self, ticket: TicketIndex) -> impl Iterator<Item = Word> + '_ {
        let read = self.grant.map(|grant| Word::Read { ticket, grant });
        read.into_iter().chain(self.hold.iter().chain(&self.open).cloned())
    }

    /// While there is no keeper, drops the wishes that a newer wish of the same ticket replaces, as
    /// a keeper would, so that they do not pile up. Returns the answers to them.
    ///
    /// A revoke replaces every earlier write. A grant replaces only earlier grants: it may come too
    /// late, and until then a revoke is owed. A change of an attribute replaces earlier changes of
    /// that attribute.
    pub fn drop_superseded(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut kept: Vec<Word> = Vec::with_capacity(self.open.len());
        for word in self.open.drain(..).rev() {
            match superseded(&word).filter(|_| kept.iter().any(|new| stands_in(new, &word))) {
                Some(answer) => answers.push(answer),
                None => kept.push(word),
            }
        }
        kept.reverse();
        answers.reverse();
        self.open = kept;
        answers
    }

    /// The [`Word::Hold`] with the newest window, if there was one.
    pub const fn hold(&self) -> Option<&Word> {
        self.hold.as_ref()
    }

    fn note(&mut self, mut grant: Grant) {
        if let Some(old) = self.grant.filter(|old| old.term == grant.term) {
            grant.expires = grant.expires.max(old.expires);
        }
        self.grant = Some(grant);
    }

    /// Notes a grant that a keeper may write now, so that another keeper does not take it for a
    /// newer one from another node. It is not known when exactly the keeper reads the clock, so a
    /// second is added.
    fn note_grant(&mut self, state: &CibState, now: Now) {
        let lease = self.window().map(|window| window.lease_until);
        if let (true, Some(lease)) = (state.granted && state.expires == CibExpiry::Lease, lease) {
            let expires = now.wall_at(lease).as_secs().saturating_add(1);
            self.note(Grant { term: state.term, expires });
        }
    }
}

/// The answer to a wish that a newer one has replaced.
fn superseded(word: &Word) -> Option<Answer> {
    let outcome = CibOutcome::Superseded;
    match *word {
        Word::Write { ticket, serial, .. } => Some(Answer::Written { ticket, serial, outcome }),
        Word::Attr { ticket, serial, .. } => Some(Answer::AttrWritten { ticket, serial, outcome }),
        Word::Hold { .. } | Word::Read { .. } => None,
    }
}

/// Whether a newer wish replaces an older one of the same ticket.
fn stands_in(new: &Word, old: &Word) -> bool {
    match (new, old) {
        (Word::Write { state: new, .. }, Word::Write { state: old, .. }) => {
            !new.granted || old.granted
        }
        (Word::Attr { change: new, .. }, Word::Attr { change: old, .. }) => {
            attribute(new) == attribute(old)
        }
        _ => false,
    }
}

fn attribute(change: &AttrChange) -> &AttrName {
    match change {
        AttrChange::Set(name, _) | AttrChange::Delete(name) => name,
    }
}
