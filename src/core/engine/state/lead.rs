// SPDX-License-Identifier: GPL-2.0-or-later
//! The lead of one term (L5, L8).

use crate::model::{MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};

/// The lead of one term.
#[derive(Clone, Debug)]
pub struct Lead {
    term: Term,
    won_at: MonoTime,
    lease_until: Option<MonoTime>,
    length: Span,
    pub renewal: Renewal,
    /// An UPDATE that is being sent.
    update: Option<Update>,
    updated: MemberSet,
    pub commit: CommitWait,
    nonce: u32,
    announced: bool,
}

/// One renewal of the lease.
#[derive(Clone, Debug)]
pub struct Renewal {
    number: u64,
    started: MonoTime,
    unacked: MemberSet,
    tries: u32,
    retry_at: Option<MonoTime>,
    extended: bool,
    written: bool,
    /// To whom an UPDATE of this renewal was sent.
    update_sent: MemberSet,
    challenged: bool,
    next_at: MonoTime,
}

/// An UPDATE on its way to those who have not acknowledged it.
#[derive(Clone, Copy, Debug)]
struct Update {
    unacked: MemberSet,
    tries: u32,
    retry_at: MonoTime,
}

/// What an administrative grant waits for before it is committed (L8).
#[derive(Clone, Copy, Debug)]
pub struct CommitWait {
    until: MonoTime,
    needed: bool,
    /// Members that neither hold, lead nor compete.
    answered: MemberSet,
}

impl Lead {
    /// The lead of a term just won. A leader that is elected again keeps the lease of the lead
    /// `before`, until acknowledgements exceed it (L5). `nonce`: what its STATUS carries (L8).
    pub fn won(
        term: Term,
        now: MonoTime,
        before: Option<&Lead>,
        expire: Span,
        commit: CommitWait,
        nonce: u32,
    ) -> Lead {
        Lead {
            term,
            won_at: now,
            lease_until: before.and_then(|before| before.lease_until),
            length: before.map_or(expire, |before| before.length),
            renewal: Renewal {
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
            },
            update: None,
            updated: MemberSet::EMPTY,
            commit,
            nonce,
            announced: false,
        }
    }

    /// The term that was won.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The end of the lease; `None`: won, but not acknowledged by a majority yet.
    pub fn lease_until(&self) -> Option<MonoTime> {
        self.lease_until
    }

    /// For how long a renewal makes it last: `expire`, or less where members disagree (L5).
    pub fn length(&self) -> Span {
        self.length
    }

    /// Whether a majority has ever acknowledged it.
    pub fn leased(&self) -> bool {
        self.lease_until.is_some()
    }

    /// When it was won.
    pub fn won_at(&self) -> MonoTime {
        self.won_at
    }

    /// When a win that nobody acknowledges is given up (L12).
    pub fn gives_up_at(&self, patience: Span) -> MonoTime {
        self.won_at.plus(patience)
    }

    /// A renewal makes the lease last until then; it only ever grows. `None`: it lasts as long
    /// already. Else whether this is the first.
    pub fn extend(&mut self, until: MonoTime, length: Span) -> Option<bool> {
        if Some(until) <= self.lease_until {
            return None;
        }
        self.length = length;
        self.renewal.extended = true;
        Some(self.lease_until.replace(until).is_none())
    }

    /// What this lead's STATUS carries (L8).
    pub fn nonce(&self) -> u32 {
        self.nonce
    }

    /// Whether the others were told of the grant.
    pub fn announced(&self) -> bool {
        self.announced
    }

    /// The others are told of the grant. Tells whether they were before.
    pub fn announce(&mut self) -> bool {
        core::mem::replace(&mut self.announced, true)
    }

    /// Who acknowledged an UPDATE, where reference members are needed (L5).
    pub fn updated(&self) -> MemberSet {
        self.updated
    }

    /// An UPDATE is sent to these members, and again at `retry_at` to who does not acknowledge it.
    pub fn start_update(&mut self, to: MemberSet, retry_at: MonoTime) {
        let waiting = self.update.map_or(MemberSet::EMPTY, |update| update.unacked);
        self.update = Some(Update { unacked: waiting.union(to), tries: 0, retry_at });
    }

    /// When the UPDATE is sent again.
    pub fn update_retry_at(&self) -> Option<MonoTime> {
        self.update.map(|update| update.retry_at)
    }

    /// To whom it is sent again now; nobody when it has been repeated `retries` times.
    pub fn retry_update(&mut self, retries: u32, next: MonoTime) -> MemberSet {
        let Some(mut update) = self.update.take() else { return MemberSet::EMPTY };
        if update.tries >= retries {
            return MemberSet::EMPTY;
        }
        update.tries += 1;
        update.retry_at = next;
        self.update = Some(update);
        update.unacked
    }

    /// A member acknowledges an UPDATE.
    pub fn note_updated(&mut self, from: MemberIndex) {
        self.updated.insert(from);
        if let Some(update) = &mut self.update {
            update.unacked.remove(from);
            self.update = Some(*update).filter(|update| !update.unacked.is_empty());
        }
    }
}

impl Renewal {
    /// The next one begins; it is sent again at `retry_at`.
    pub fn begin(&mut self, now: MonoTime, to: MemberSet, retry_at: MonoTime, next_at: MonoTime) {
        *self = Renewal {
            number: self.number + 1,
            started: now,
            unacked: to,
            tries: 0,
            retry_at: Some(retry_at),
            extended: false,
            written: false,
            update_sent: MemberSet::EMPTY,
            challenged: false,
            next_at,
        };
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn started(&self) -> MonoTime {
        self.started
    }

    /// Who has not acknowledged it.
    pub fn unacked(&self) -> MemberSet {
        self.unacked
    }

    /// When it is sent again.
    pub fn retry_at(&self) -> Option<MonoTime> {
        self.retry_at
    }

    /// When the next one begins.
    pub fn next_at(&self) -> MonoTime {
        self.next_at
    }

    /// The next one begins then.
    pub fn plan_next(&mut self, at: MonoTime) {
        self.next_at = at;
    }

    /// The next one, if it is due, begins then.
    pub fn postpone(&mut self, now: MonoTime, at: MonoTime) {
        if self.next_at <= now {
            self.next_at = at;
        }
    }

    /// It is not sent again.
    pub fn stop_retries(&mut self) {
        self.retry_at = None;
    }

    /// How often it was sent again, if it is to be now: not when all have acknowledged it, or it
    /// was repeated `retries` times. Once more at `next`.
    pub fn retry(&mut self, retries: u32, next: MonoTime) -> Option<u32> {
        if self.unacked.is_empty() || self.tries >= retries {
            self.retry_at = None;
            return None;
        }
        self.tries += 1;
        self.retry_at = Some(next);
        Some(self.tries)
    }

    /// A member acknowledges it.
    pub fn note_ack(&mut self, from: MemberIndex) {
        self.unacked.remove(from);
        if self.unacked.is_empty() {
            self.retry_at = None;
        }
    }

    /// Whether it has extended the lease.
    pub fn extended(&self) -> bool {
        self.extended
    }

    /// Whether the extension is on its way to the store.
    pub fn written(&self) -> bool {
        self.written
    }

    /// The extension is on its way to the store.
    pub fn note_written(&mut self) {
        self.written = true;
    }

    /// Of those who have acknowledged it, who gets an UPDATE now: nobody twice.
    pub fn take_update(&mut self, acked: MemberSet) -> MemberSet {
        let due = acked.without(self.unacked).without(self.update_sent);
        self.update_sent = self.update_sent.union(due);
        due
    }

    /// Whether a higher term has already made this leader stand again (L11).
    pub fn challenged(&self) -> bool {
        self.challenged
    }

    /// A higher term makes this leader stand again. Tells whether one has before.
    pub fn challenge(&mut self) -> bool {
        core::mem::replace(&mut self.challenged, true)
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

    /// When it ends whatever the other sites say; `None`: nothing is waited for.
    pub fn until(&self) -> Option<MonoTime> {
        self.needed.then_some(self.until)
    }

    /// Its time is over, if it is.
    pub fn end_at(&mut self, now: MonoTime) {
        self.needed &= now < self.until;
    }
}
