// SPDX-License-Identifier: GPL-2.0-or-later
//! The announcement that a ticket was given up (L10).

use super::quit::QuitKind;
use crate::model::{MemberIndex, MemberSet, Term};
use crate::time::MonoTime;

/// The announcement that the ticket was given up (L10).
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    kind: AnnounceKind,
    term: Term,
    /// This member's own term when it began.
    began: Option<Term>,
    /// Who has not acknowledged it.
    unacked: MemberSet,
    /// How often it was sent again.
    tries: u32,
    retry_at: MonoTime,
    /// It is repeated until then at least.
    until: MonoTime,
}

/// What is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceKind {
    /// REVOKE: an administrator took the ticket back.
    Revoke,
    /// VOTE_FOR nobody: somebody else shall take it.
    StepDown,
}

impl AnnounceKind {
    /// What a way of giving up is announced with.
    pub fn of(kind: QuitKind) -> AnnounceKind {
        match kind {
            QuitKind::Revoke => AnnounceKind::Revoke,
            QuitKind::StepDown => AnnounceKind::StepDown,
        }
    }
}

impl Announce {
    /// The end of a holding in `term` is told to these members, until `until` at least. `own`:
    /// this member's own term.
    pub fn new(
        kind: AnnounceKind,
        term: Term,
        own: Option<Term>,
        to: MemberSet,
        retry_at: MonoTime,
        until: MonoTime,
    ) -> Announce {
        Announce { kind, term, began: own, unacked: to, tries: 0, retry_at, until }
    }

    pub fn kind(&self) -> AnnounceKind {
        self.kind
    }

    /// The term whose end it tells.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Who has not acknowledged it.
    pub fn unacked(&self) -> MemberSet {
        self.unacked
    }

    pub fn retry_at(&self) -> MonoTime {
        self.retry_at
    }

    /// Whether this member, whose term is `own` now, has stood or followed since it began.
    pub fn is_older_than(&self, own: Option<Term>) -> bool {
        own > self.began
    }

    /// Whether it has been told for as long and as often as it has to be to those who may be gone.
    pub fn is_enough(&self, retries: u32, now: MonoTime) -> bool {
        self.tries >= retries && now >= self.until
    }

    /// It is sent again now, and once more at `next`.
    pub fn note_resent(&mut self, next: MonoTime) {
        self.tries = self.tries.saturating_add(1);
        self.retry_at = next;
    }

    /// A member knows of the end of `term`.
    pub fn note_ack(&mut self, from: MemberIndex, term: Term) {
        if self.term == term {
            self.unacked.remove(from);
        }
    }

    /// This member has to be told as well.
    pub fn tell(&mut self, to: MemberIndex) {
        self.unacked.insert(to);
    }
}
