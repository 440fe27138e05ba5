// SPDX-License-Identifier: GPL-2.0-or-later
//! The last that others have said of a ticket (L10).

use crate::model::{Holder, Term};
use crate::time::Span;
use crate::wire::{LastKnown, PeerMessage, Stamp};

/// What a message says of the ticket: who leads, in which term, and for how long that counts.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub leader: Holder,
    pub term: Term,
    pub valid: Span,
}

impl Told {
    pub fn by(message: &PeerMessage) -> Told {
        Told { leader: message.leader, term: message.term, valid: message.valid_for }
    }
}

/// The last that others have said of the ticket, whether or not it could be believed at once: the
/// store was unread, or still said *granted*; a promise was in the way; an attempt had to end
/// first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// The highest term in which another site was said to lead: by itself with a lease, or by a
    /// member that knows it as the last leader or is promised to it.
    led: Option<Term>,
    /// The highest term in which the ticket was said to be revoked.
    revoked: Option<Term>,
}

impl Heard {
    /// Another site led in this term.
    pub fn note_led(&mut self, term: Term) {
        self.led = self.led.max(Some(term));
    }

    /// The ticket was revoked in this term.
    pub fn note_revoked(&mut self, term: Term) {
        self.revoked = self.revoked.max(Some(term));
    }

    /// The highest term in which another site led.
    pub fn led(&self) -> Option<Term> {
        self.led
    }

    /// The term in which the ticket was revoked last, if nobody led in a later one.
    pub fn revoked(&self) -> Option<Term> {
        self.revoked.filter(|revoked| Some(*revoked) >= self.led)
    }

    /// The same, which counts now and need not be remembered any more.
    pub fn take_revoked(&mut self) -> Option<Term> {
        let revoked = self.revoked();
        self.revoked = None;
        revoked
    }

    /// The later of the two.
    pub fn last(&self) -> Option<LastKnown> {
        let led = self.led.map(|term| LastKnown { term, free: false });
        self.revoked().map(|term| LastKnown { term, free: true }).max(led)
    }

    /// Somebody is known to have led in this term: earlier revokes are over.
    pub fn forget_revokes_before(&mut self, term: Term) {
        self.revoked = self.revoked.filter(|revoked| *revoked >= term);
    }

    /// Somebody leads in this term, and its revoke is still to come: unless it keeps the rules, as
    /// a round says. Then it leads no more in a term that it has revoked, and its packet is an old
    /// one.
    pub fn follow(&mut self, term: Term, stamp: Stamp) {
        let ours = stamp.round.is_some();
        self.revoked = self.revoked.filter(|revoked| *revoked > term || ours && *revoked == term);
    }

    /// Every other site is idle: what was said of a leader is over, but for the last that they
    /// name.
    pub fn forget_led(&mut self, named: Option<Term>) {
        self.led = named;
    }
}
