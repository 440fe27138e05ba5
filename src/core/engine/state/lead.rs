// SPDX-License-Identifier: GPL-2.0-or-later
//! The lead of one term (L5, L8).

use crate::model::{MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};

/// The lead of one term.
#[derive(Clone, Debug)]
pub struct Lead {
    pub term: Term,
    pub won_at: MonoTime,
    /// The end of the lease; `None`: won, but not acknowledged by a majority yet. A re-elected
    /// leader keeps its old one until acknowledgements exceed it (L5).
    pub lease_until: Option<MonoTime>,
    /// For how long a renewal makes it last: `expire`, or less where members disagree (L5).
    pub length: Span,
    pub renewal: Renewal,
    /// An UPDATE that is being sent.
    pub update: Option<Delivery>,
    /// Who acknowledged the first UPDATE, where reference members are needed (L5).
    pub updated: MemberSet,
    pub commit: CommitWait,
    /// What this lead's STATUS carries (L8).
    pub nonce: u32,
    /// Whether the others were told of the grant.
    pub announced: bool,
}

/// One renewal of the lease.
#[derive(Clone, Debug)]
pub struct Renewal {
    pub number: u64,
    pub started: MonoTime,
    /// Who has not acknowledged it.
    pub unacked: MemberSet,
    /// How often it was sent again.
    pub tries: u32,
    pub retry_at: Option<MonoTime>,
    /// Whether it has extended the lease.
    pub extended: bool,
    /// Whether the extension is on its way to the store.
    pub written: bool,
    /// To whom an UPDATE of this renewal was sent.
    pub update_sent: MemberSet,
    /// Whether a higher term has already made this leader stand again (L11).
    pub challenged: bool,
    pub next_at: MonoTime,
}

/// A message on its way to everyone who has not acknowledged it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub unacked: MemberSet,
    pub tries: u32,
    pub retry_at: MonoTime,
}

/// What an administrative grant waits for before it is committed (L8).
#[derive(Clone, Copy, Debug)]
pub struct CommitWait {
    /// When it ends whatever the other sites say.
    pub until: MonoTime,
    /// Whether anything is to be waited for.
    pub needed: bool,
    /// Members that neither hold, lead nor compete.
    pub answered: MemberSet,
}

impl Lead {
    /// Whether a majority has ever acknowledged it.
    pub fn leased(&self) -> bool {
        self.lease_until.is_some()
    }

    /// The lead of a term just won.
    pub fn new(
        term: Term,
        now: MonoTime,
        lease: (Option<MonoTime>, Span),
        commit: CommitWait,
        nonce: u32,
    ) -> Lead {
        let (lease_until, length) = lease;
        let renewal = Renewal {
            number: 0,
            started: now,
            unacked: MemberSet::EMPTY,
            tries: 0,
            retry_at: None,
            extended: false,
            written: false,
            update_sent: MemberSet::EMPTY,
            challenged: false,
            next_at: now,
        };
        let (update, updated, announced) = (None, MemberSet::EMPTY, false);
        Lead {
            term,
            won_at: now,
            lease_until,
            length,
            renewal,
            update,
            updated,
            commit,
            nonce,
            announced,
        }
    }
}

impl CommitWait {
    /// A wait until `until`, if it is `needed`; `voters` have already answered.
    pub fn new(until: MonoTime, needed: bool, voters: MemberSet) -> CommitWait {
        CommitWait { until, needed, answered: voters }
    }

    /// The wait of a pending leader that was elected again: it belongs to the ticket, but the
    /// answers belong to the term (L8).
    pub fn carried_over(self, voters: MemberSet) -> CommitWait {
        CommitWait { answered: voters, ..self }
    }

    /// A member neither holds, leads nor competes.
    pub fn note_answer(&mut self, from: MemberIndex) {
        self.answered.insert(from);
    }

    /// Which of `sites` have not answered.
    pub fn missing(&self, sites: MemberSet) -> MemberSet {
        sites.without(self.answered)
    }
}
