// SPDX-License-Identifier: GPL-2.0-or-later
//! What one member was asked, said and heard of one ticket, for [`super::answers`].

use super::clock::True;
use booth_core::model::{Holder, MemberId, Term};
use booth_core::wire::{LastKnown, PeerBody, PeerMessage, Reason};

/// What a member can know of a ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Knows {
    /// It has heard nothing in this life.
    #[default]
    Nothing,
    /// Another has it.
    Held,
    /// It had it itself, and lost it.
    Lost,
    /// It was given up: by an administrator's order here, or as the others said.
    Free,
    /// No other has it. The others name it itself as the last that had it, which its store, read
    /// at the start, may have lost.
    Own,
}

impl Knows {
    /// Whether no other site has it.
    pub fn of_none(self) -> bool {
        matches!(self, Knows::Free | Knows::Own)
    }
}

/// How many failed candidacies are remembered.
pub const FAILED_KEPT: usize = 16;

/// One member and one ticket.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Its last candidacy.
    pub attempt: Option<(Term, Reason)>,
    /// When it stood last for a ticket that it did not have.
    pub stood_at: Option<True>,
    /// It has wished a grant since it last revoked or started.
    pub committed: bool,
    /// An order whose client has left, or was told that it is pending, may still be carried out.
    pub going: bool,
    /// In which candidacies an administrator's order failed.
    pub failed: Vec<Term>,
    /// Whether it stood last without having heard that the ticket is free, or a member then said
    /// that another site has a lease.
    pub unsure: bool,
    /// The last term in which an order failed after it had stood so.
    pub failed_unsure: Option<Term>,
    /// The last term in which it led.
    pub led: Option<Term>,
    /// The last term in which it stated a lease.
    pub leased: Option<Term>,
    /// What it can know.
    pub knows: Knows,
    /// The members that it has heard say, last, that they do not lead.
    pub idle: u16,
    /// The highest term of which it heard anything.
    pub heard: Term,
    /// The last term of whose end by a revoke it heard.
    pub ended: Option<Term>,
    /// The last term of a holder that its store named when it was read, or in which it acquired it.
    pub stored: Term,
    /// The last term in which a member refused it a vote for a lease of another site.
    pub refused_for: Option<Term>,
    /// Who stepped down in its hearing last, in which term.
    pub stepped: Option<(usize, Term)>,
    /// The same when it last stood for a ticket that it did not have.
    pub stood_after: Option<(usize, Term)>,
    /// When its store last went from granted to revoked.
    pub revoked_at: True,
    /// When a call of the store's tool last said *done* to a grant and did nothing.
    pub misled_at: Option<True>,
}

impl Account {
    /// A member says that it leads, or that it does not.
    pub fn hears_of(&mut self, from: usize, m: &PeerMessage, id: MemberId) {
        let itself = m.leader == Holder::Member(id);
        match m.body {
            PeerBody::MyIndex { nonce } if !itself || (nonce != 0 && m.valid_for.is_zero()) => {
                self.idle |= 1 << from;
            }
            PeerBody::MyIndex { .. } | PeerBody::Heartbeat { .. } | PeerBody::Update { .. } => {
                self.idle &= !(1 << from);
            }
            _ => {}
        }
    }

    /// A voter tells the last that it knows.
    pub fn told(&mut self, last: LastKnown) {
        if last.free && last.term >= self.heard {
            (self.knows, self.ended) = (Knows::Free, Some(last.term));
        } else if !last.free && last.term > self.heard {
            // Also after it has stood, or won.
            (self.knows, self.unsure) = (Knows::Held, true);
        }
        self.heard = self.heard.max(last.term);
    }
}

/// Revokes that were announced in a term of the announcer's own, per ticket: what `RULES.md` says
/// is not kept (L10).
#[derive(Debug)]
pub struct Rests {
    /// The term of the grant that a store said last.
    held: Vec<Term>,
    /// The revoke that a member had heard of, and the later term in which it announced one.
    said: Vec<Option<(Term, Term)>>,
}

impl Rests {
    /// Nothing was announced.
    pub fn new(tickets: usize) -> Rests {
        Rests { held: vec![Term::ZERO; tickets], said: vec![None; tickets] }
    }

    /// A store says *granted* in this term.
    pub fn granted(&mut self, ticket: usize, term: Term) {
        self.held[ticket] = term;
    }

    /// A member announces a revoke; it has heard of one in `heard` before.
    pub fn announced(&mut self, ticket: usize, heard: Option<Term>, term: Term) {
        if let Some(heard) = heard.filter(|heard| *heard < term) {
            self.said[ticket] = Some((heard, term));
        }
    }

    /// Whether the last grant came between the two.
    pub fn between(&self, ticket: usize) -> bool {
        let held = self.held[ticket];
        self.said[ticket].is_some_and(|(heard, term)| heard < held && held < term)
    }
}
