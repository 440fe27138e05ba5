// SPDX-License-Identifier: GPL-2.0-or-later
//! One ticket of the model: its memory, its start, its timers, what it writes.

use super::Cx;
use booth_core::engine::{
    CibExpiry, CibState, CibTicket, ClientId, Effect, JobWish, StoreWish, WriteSerial,
};
use booth_core::model::{Holder, MemberIndex, MemberSet, Term, TicketIndex, TicketSpec};
use booth_core::time::{MonoTime, Span, WallTime};
use booth_core::wire::{ClientOptions, Command, PeerBody, PeerMessage, Reason, ResultCode, Stamp};

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for answers to its STATUS.
    Starting,
    /// It follows, or nobody leads.
    Follower,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
}

/// A client that waits for the end of a grant.
#[derive(Clone, Copy, Debug)]
pub struct WaitingClient {
    /// Who.
    pub client: ClientId,
    /// What it asked for.
    pub options: ClientOptions,
}

/// A message that is repeated until all have acknowledged it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Which one.
    pub command: Command,
    /// Who has acknowledged it.
    pub acked: MemberSet,
    /// How often it was repeated.
    pub tries: u32,
    /// When it is repeated.
    pub again_at: MonoTime,
}

/// One ticket.
#[derive(Debug)]
pub struct Ticket {
    pub index: TicketIndex,
    pub spec: TicketSpec,
    pub state: State,
    /// Whom it takes for the leader.
    pub leader: Holder,
    pub term: Term,
    /// The end of the leader's validity as it reckons.
    pub until: Option<MonoTime>,
    /// Somebody has led in this term, as far as it has seen: the next election is in a higher one.
    pub term_used: bool,
    /// Nothing has happened since its start or since the ticket was revoked.
    pub idle: bool,
    /// It knows that an administrator has revoked the ticket.
    pub revoked: bool,
    /// Who got its vote in this term.
    pub voted: Option<MemberIndex>,
    /// What it heard of the others' votes.
    pub votes: Vec<Option<MemberIndex>>,
    pub reason: Reason,
    /// When the election is decided, or the answers to STATUS are not waited for any more.
    pub decide_at: Option<MonoTime>,
    /// When it stands for election, and why.
    pub stand_at: Option<(MonoTime, Reason)>,
    pub request: Option<Request>,
    pub renew_at: Option<MonoTime>,
    /// Until when the store is not written although it leads.
    pub commit_at: Option<MonoTime>,
    pub forced: bool,
    /// How often it asks again at most; `None`: for ever.
    pub attempts: Option<u32>,
    /// The handler runs for a grant, not for a renewal.
    pub granting: bool,
    pub clients: Vec<WaitingClient>,
    /// What the store said at the start: granted here, and whose.
    pub found: CibTicket,
    /// Who has answered its STATUS.
    pub answered: MemberSet,
    /// To whom it has sent its own MY_INDEX unasked.
    pub corrected: MemberSet,
    serial: u64,
}

impl Ticket {
    pub fn new(index: TicketIndex, spec: TicketSpec, members: usize) -> Ticket {
        Ticket {
            index,
            spec,
            state: State::Starting,
            leader: Holder::Unknown,
            term: Term::ZERO,
            until: None,
            term_used: false,
            idle: true,
            revoked: false,
            voted: None,
            votes: vec![None; members],
            reason: Reason::None,
            decide_at: None,
            stand_at: None,
            request: None,
            renew_at: None,
            commit_at: None,
            forced: false,
            attempts: None,
            granting: false,
            clients: Vec::new(),
            found: CibTicket::default(),
            answered: MemberSet::EMPTY,
            corrected: MemberSet::EMPTY,
            serial: 0,
        }
    }

    /// The process starts: the store is read before anything else happens.
    pub fn start(&mut self, cx: &mut Cx<'_>) {
        if cx.roster.am_site() {
            let limit = self.spec.patience();
            cx.effects.push(Effect::Job(JobWish::LoadCib { ticket: self.index, limit }));
        } else {
            self.loaded(cx, &CibTicket::default());
        }
    }

    /// What the store said; then everybody is asked.
    pub fn loaded(&mut self, cx: &mut Cx<'_>, found: &CibTicket) {
        self.found = found.clone();
        self.leader = found.owner.unwrap_or(Holder::Unknown);
        self.term = found.term.unwrap_or(Term::ZERO);
        // Not capped: whatever the store and the wall clock say.
        self.until = found.expires.map(|at| cx.now.mono.plus(at.since(cx.now.wall)));
        if found.granted && self.leader == Holder::Unknown {
            self.leader = self.me(cx);
        }
        self.decide_at = Some(cx.now.mono.plus(self.spec.timeout));
        let (leader, valid) = (self.leader, self.left(cx));
        self.tell_all(cx, leader, valid, PeerBody::Status { nonce: 0 });
    }

    /// The answers are in, or waited for long enough.
    fn started(&mut self, cx: &mut Cx<'_>) {
        let waited = !cx.roster.peers().is_subset_of(self.answered);
        self.state = State::Follower;
        self.decide_at = None;
        let (me, found) = (self.me(cx), self.found.clone());
        let owner = found.owner.unwrap_or(Holder::Unknown);
        if found.granted && owner == Holder::Unknown && self.leader == me {
            // It takes the ticket for its own, but neither stands nor asks anybody.
            return;
        }
        if self.leader == me {
            // Before it has noticed that the time has passed, if it has.
            self.stand_at = Some((cx.now.mono, Reason::Reacquire));
        } else {
            // Once the owner's validity has passed, the next look finds the ticket lost.
            if waited || matches!(self.leader, Holder::Member(_)) {
                self.write(cx, false);
            }
        }
    }

    pub fn me(&self, cx: &Cx<'_>) -> Holder {
        Holder::Member(cx.roster.my_id())
    }

    /// What is left of the leader's validity.
    pub fn left(&self, cx: &Cx<'_>) -> Span {
        self.until.map_or(Span::ZERO, |until| until.since(cx.now.mono))
    }

    /// Whether somebody leads, as it reckons.
    pub fn led(&self, cx: &Cx<'_>) -> bool {
        matches!(self.leader, Holder::Member(_)) && !self.left(cx).is_zero()
    }

    /// Sends to one member.
    pub fn tell(
        &self,
        cx: &mut Cx<'_>,
        to: MemberIndex,
        leader: Holder,
        valid_for: Span,
        body: PeerBody,
    ) {
        let (ticket, term) = (self.spec.name.clone(), self.term);
        // Nobody, where it knows of no one.
        let leader = if leader == Holder::Unknown { Holder::Nobody } else { leader };
        let message = PeerMessage { ticket, leader, term, valid_for, body };
        cx.effects.push(Effect::Send { to, message, resend: false });
    }

    /// Sends to all others.
    pub fn tell_all(&self, cx: &mut Cx<'_>, leader: Holder, valid: Span, body: PeerBody) {
        for to in cx.roster.peers().iter() {
            self.tell(cx, to, leader, valid, body);
        }
    }

    /// Writes the ticket to the store; a site's process stands still meanwhile, and does not look
    /// at the outcome.
    pub fn write(&mut self, cx: &mut Cx<'_>, granted: bool) {
        if !cx.roster.am_site() {
            return;
        }
        self.serial += 1;
        let expires = cx.now.wall_at(self.until.unwrap_or(cx.now.mono).max(cx.now.mono));
        let state = CibState {
            granted,
            owner: self.leader,
            term: self.term,
            expires: CibExpiry::At(WallTime::from_secs(expires.as_secs())),
            limit: self.spec.patience(),
        };
        let (ticket, serial) = (self.index, WriteSerial(self.serial));
        cx.effects.push(Effect::Store(StoreWish::WriteCib { ticket, serial, state }));
    }

    /// When something is due.
    pub fn due(&self) -> Option<MonoTime> {
        let led = matches!(self.leader, Holder::Member(_)) && self.state != State::Candidate;
        let idle_owner = self.state == State::Starting;
        [
            self.decide_at,
            self.stand_at.map(|(at, _)| at),
            self.request.map(|request| request.again_at),
            self.renew_at,
            self.commit_at,
            self.until.filter(|_| led && !idle_owner && self.stand_at.is_none()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// It looks at its timers: only here does a lease end.
    pub fn timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let past = |at: Option<MonoTime>| at.is_some_and(|at| at <= now);
        match self.state {
            State::Starting => {
                if past(self.decide_at) {
                    self.started(cx);
                }
                return;
            }
            State::Candidate => {
                if past(self.decide_at) {
                    self.decide(cx, true);
                }
                return;
            }
            State::Leader | State::Follower => {}
        }
        if past(self.stand_at.map(|(at, _)| at)) {
            if let Some((_, reason)) = self.stand_at.take() {
                self.stand(cx, reason);
            }
            return;
        }
        if matches!(self.leader, Holder::Member(_)) && past(self.until) {
            self.lost(cx);
            return;
        }
        if past(self.request.map(|request| request.again_at)) {
            self.repeat(cx);
        }
        if past(self.commit_at) {
            self.commit_at = None;
            self.write(cx, true);
            self.answer(cx, ResultCode::Success, true);
        }
        if past(self.renew_at) {
            self.renew_at = None;
            self.renewal(cx);
        }
    }

    /// The leader's validity has ended: a site disowns it and stands after a while.
    fn lost(&mut self, cx: &mut Cx<'_>) {
        let led = self.state == State::Leader;
        let reason = if led { self.reason } else { Reason::TicketLost };
        self.leader = Holder::Unknown;
        self.state = State::Follower;
        self.term_used = true;
        (self.request, self.renew_at, self.commit_at) = (None, None, None);
        if cx.roster.am_site() {
            self.write(cx, false);
            let pause = cx.prng.span_below(Span::from_secs(1));
            let at = cx.now.mono.plus(self.spec.acquire_after).plus(pause);
            self.stand_at = Some((at, reason));
        }
        if led {
            self.answer(cx, ResultCode::SyncFail, true);
        }
        self.until = None;
    }

    /// It takes a member for the leader.
    pub fn follow(&mut self, cx: &mut Cx<'_>, leader: MemberIndex, term: Term, valid: Span) {
        self.state = State::Follower;
        self.leader = Holder::Member(cx.roster.member(leader).id);
        self.term = term;
        self.until = Some(cx.now.mono.plus(valid));
        (self.term_used, self.revoked, self.idle) = (true, false, false);
        (self.stand_at, self.decide_at) = (None, None);
        (self.request, self.renew_at, self.commit_at) = (None, None, None);
    }

    /// The ticket is free.
    pub fn free(&mut self, leader: Holder) {
        self.state = State::Follower;
        self.leader = leader;
        self.until = None;
        (self.term_used, self.idle) = (true, false);
        (self.stand_at, self.decide_at) = (None, None);
        (self.request, self.renew_at, self.commit_at) = (None, None, None);
    }
}

/// An empty stamp: the reference has none.
pub fn unstamped() -> Stamp {
    Stamp::default()
}
