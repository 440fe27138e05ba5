// SPDX-License-Identifier: GPL-2.0-or-later
//! What a keeper was told of a ticket, and what another has to be told that takes its place.

use crate::daemon::clock;
use crate::engine::{AttrChange, CibExpiry, CibOutcome, CibState, HoldWindow};
use crate::keeper::{Answer, Before, Grant, Word};
use crate::model::AttrName;

/// What a keeper was told of a ticket, and has to be told again if another takes its place.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The newest grant that was read, or that a keeper may have begun.
    pub grant: Option<Grant>,
    pub hold: Option<Word>,
    pub window: Option<HoldWindow>,
    /// Wishes without an answer, in their order.
    pub open: Vec<Word>,
    /// `Some`: the store may be read and believed.
    pub before: Option<Before>,
}

impl Told {
    /// Takes note of a grant.
    pub fn note(&mut self, mut grant: Grant) {
        if let Some(old) = self.grant.filter(|old| old.term == grant.term) {
            grant.expires = grant.expires.max(old.expires);
        }
        self.grant = Some(grant);
    }

    /// A keeper may write this now, and another must not take it for something newer from
    /// another node. When exactly it reads the clock is not known: a second more.
    pub fn note_grant(&mut self, state: &CibState) {
        let lease = self.window.map(|window| window.lease_until);
        if let (true, Some(lease)) = (state.granted && state.expires == CibExpiry::Lease, lease) {
            let expires = clock::now().wall_at(lease).as_secs().saturating_add(1);
            self.note(Grant { term: state.term, expires });
        }
    }

    /// While no keeper is there, takes back the wishes that a newer one of the same ticket stands
    /// in for, as a keeper would, so that they do not pile up. Returns the answers to them.
    ///
    /// A revoke stands in for every write before it, a grant for grants before it only: it may
    /// come too late, and a revoke is owed until then. A change of an attribute stands in for
    /// earlier ones of that attribute.
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
}

/// The answer to a wish whose place a newer one has taken.
fn superseded(word: &Word) -> Option<Answer> {
    let outcome = CibOutcome::Superseded;
    match *word {
        Word::Write { ticket, serial, .. } => Some(Answer::Written { ticket, serial, outcome }),
        Word::Attr { ticket, serial, .. } => Some(Answer::AttrWritten { ticket, serial, outcome }),
        Word::Hold { .. } | Word::Read { .. } => None,
    }
}

/// Whether a newer wish takes the place of an older one of the same ticket.
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
