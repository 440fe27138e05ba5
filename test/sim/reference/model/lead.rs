// SPDX-License-Identifier: GPL-2.0-or-later
//! Elections, leading, giving up, and what administrators ask for.

use super::ticket::{unstamped, Request, State, Ticket, WaitingClient};
use super::Cx;
use booth_core::engine::{ClientId, Effect, JobWish, ProbeRun, Reply};
use booth_core::model::{Holder, MemberIndex, MemberSet, Term};
use booth_core::time::Span;
use booth_core::wire::{ClientOptions, Command, PeerBody, Reason, ResultCode, TicketAnswer};

impl Ticket {
    /// It stands for election; the term rises only if somebody has led in it.
    pub fn stand(&mut self, cx: &mut Cx<'_>, reason: Reason) {
        if self.term_used {
            self.term = self.term.next().unwrap_or(self.term);
            self.term_used = false;
        }
        self.state = State::Candidate;
        self.reason = reason;
        self.attempts = None;
        self.idle = false;
        self.stand_at = None;
        self.request = None;
        self.renew_at = None;
        self.voted = Some(cx.roster.me());
        self.votes.fill(None);
        self.votes[cx.roster.me().get()] = Some(cx.roster.me());
        self.ask_for_votes(cx);
    }

    fn ask_for_votes(&mut self, cx: &mut Cx<'_>) {
        let late = cx.prng.span_below(Span::from_secs(1));
        self.decide_at = Some(cx.now.mono.plus(self.spec.timeout).plus(late));
        let (reason, me) = (self.reason, self.me(cx));
        let body = PeerBody::ReqVote { reason, established: false, force: false, nonce: 0 };
        self.tell_all(cx, me, self.left(cx), body);
    }

    /// Counts the votes: at once when all have voted, else at the end of the attempt.
    pub fn decide(&mut self, cx: &mut Cx<'_>, at_end: bool) {
        let me = cx.roster.me();
        let majority = cx.roster.majority();
        let count = |who: MemberIndex| self.votes.iter().filter(|v| **v == Some(who)).count();
        if !at_end && self.votes.iter().any(Option::is_none) {
            return;
        }
        if count(me) >= majority {
            self.win(cx);
            return;
        }
        if cx.roster.peers().iter().any(|other| count(other) >= majority) {
            self.free(Holder::Nobody);
            self.write(cx, false);
            return;
        }
        if !at_end {
            return;
        }
        if self.leader == self.me(cx) && self.until.is_some_and(|until| until <= cx.now.mono) {
            // What it held before its start has ended meanwhile.
            (self.leader, self.until) = (Holder::Unknown, None);
            self.write(cx, false);
            self.term_used = true;
            self.stand(cx, self.reason);
            return;
        }
        if let Some(left) = &mut self.attempts {
            if *left == 0 {
                self.free(Holder::Nobody);
                return;
            }
            *left -= 1;
        }
        // The same term and reason, for ever.
        self.answer(cx, ResultCode::More, false);
        self.ask_for_votes(cx);
    }

    fn win(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Leader;
        self.leader = self.me(cx);
        (self.term_used, self.revoked) = (true, false);
        self.decide_at = None;
        self.until = Some(cx.now.mono.plus(self.spec.expire));
        let me = Some(cx.roster.me());
        let everyone = cx.roster.sites().iter().all(|site| self.votes[site.get()] == me);
        if self.reason == Reason::Admin && !everyone && !self.forced {
            let wait = self.spec.expire.plus(self.spec.acquire_after);
            self.commit_at = Some(cx.now.mono.plus(wait));
            self.answer(cx, ResultCode::CibPending, false);
            self.clients.retain(|waiting| waiting.options.wait_commit);
        }
        self.heartbeat(cx);
    }

    /// The time of a renewal has come.
    pub fn renewal(&mut self, cx: &mut Cx<'_>) {
        if self.state != State::Leader {
            return;
        }
        if self.spec.has_handler {
            self.granting = false;
            self.run_handler(cx);
        } else {
            self.heartbeat(cx);
        }
    }

    fn heartbeat(&mut self, cx: &mut Cx<'_>) {
        let (me, left) = (self.me(cx), self.left(cx));
        self.ask_all(cx, Command::Heartbeat);
        self.tell_all(cx, me, left, PeerBody::Heartbeat { stamp: unstamped() });
    }

    /// A message is to be acknowledged by all.
    fn ask_all(&mut self, cx: &Cx<'_>, command: Command) {
        let again_at = cx.now.mono.plus(self.spec.timeout);
        let acked = MemberSet::EMPTY;
        self.request = Some(Request { command, acked, tries: 0, again_at });
    }

    /// Not everybody has acknowledged in time.
    pub fn repeat(&mut self, cx: &mut Cx<'_>) {
        let Some(request) = &mut self.request else { return };
        if request.tries >= self.spec.retries {
            self.request = None;
            return;
        }
        request.tries += 1;
        request.again_at = cx.now.mono.plus(self.spec.timeout);
        let request = *request;
        let stamp = unstamped();
        let (me, left) = (self.me(cx), self.left(cx));
        let missing = cx.roster.peers().without(request.acked);
        match request.command {
            Command::Heartbeat => {
                if request.tries == 1 && self.commit_at.is_none() {
                    // Although nobody may have acknowledged anything.
                    self.write(cx, true);
                }
                self.tell_all(cx, me, left, PeerBody::Heartbeat { stamp });
            }
            Command::Update => {
                if request.tries == 1 && self.commit_at.is_none() {
                    self.write(cx, true);
                }
                for to in missing.iter() {
                    self.tell(cx, to, me, left, PeerBody::Update { stamp });
                }
            }
            Command::RevokeTicket => {
                let body = PeerBody::Revoke { reason: Reason::None, stamp };
                for to in missing.iter() {
                    self.tell(cx, to, Holder::Nobody, Span::ZERO, body);
                }
            }
            _ => {
                let body = PeerBody::StepDown { reason: Reason::None, stamp };
                self.tell_all(cx, Holder::Nobody, Span::ZERO, body);
            }
        }
    }

    /// ACK: it counts for what is being asked now, whenever it was sent.
    pub fn acked(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        of: Command,
        leader: Holder,
        term: Term,
    ) {
        let mine = leader == self.me(cx) && term == self.term;
        let Some(request) = &mut self.request else { return };
        if request.command != of || (of != Command::RevokeTicket && !mine) {
            return;
        }
        request.acked.insert(from);
        let acked = request.acked.len();
        let everyone = acked == cx.roster.len() - 1;
        if of != Command::Heartbeat {
            if everyone {
                self.request = None;
            }
            return;
        }
        if acked + 1 < cx.roster.majority() || self.state != State::Leader {
            return;
        }
        // The lease counts from here, the followers' from the heartbeat.
        self.until = Some(cx.now.mono.plus(self.spec.expire));
        if self.commit_at.is_none() {
            self.write(cx, true);
            self.answer(cx, ResultCode::Success, true);
        }
        self.renew_at = Some(cx.now.mono.plus(self.spec.renewal));
        self.ask_all(cx, Command::Update);
        let (me, left) = (self.me(cx), self.left(cx));
        self.tell_all(cx, me, left, PeerBody::Update { stamp: unstamped() });
    }

    fn run_handler(&mut self, cx: &mut Cx<'_>) {
        let (ticket, run) = (self.index, ProbeRun(0));
        let (expires, deadline) = (cx.now.wall, cx.now.mono);
        cx.effects.push(Effect::Job(JobWish::StartProbe { ticket, run, expires, deadline }));
    }

    /// The handler has ended.
    pub fn probed(&mut self, cx: &mut Cx<'_>, success: bool) {
        match (self.granting, success) {
            (true, true) => {
                self.granting = false;
                self.stand(cx, Reason::Admin);
            }
            (true, false) => {
                self.granting = false;
                self.answer(cx, ResultCode::HandlerFailed, true);
            }
            (false, true) if self.state == State::Leader => self.heartbeat(cx),
            (false, false) if self.state == State::Leader => {
                self.free(Holder::Unknown);
                self.write(cx, false);
                self.ask_all(cx, Command::VoteFor);
                let body = PeerBody::StepDown { reason: Reason::LocalFail, stamp: unstamped() };
                self.tell_all(cx, Holder::Nobody, Span::ZERO, body);
            }
            (false, _) => {}
        }
    }

    /// An administrator grants the ticket to this site.
    pub fn grant(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        let busy = self.granting || matches!(self.state, State::Candidate | State::Starting);
        let quick = if !cx.roster.am_site() {
            // And then nothing, for ever.
            self.reply(cx, client, ResultCode::More, false);
            return;
        } else if busy {
            Some(ResultCode::SyncFail)
        } else {
            matches!(self.leader, Holder::Member(_)).then_some(ResultCode::Overgrant)
        };
        if let Some(result) = quick {
            self.reply(cx, client, result, true);
            return;
        }
        self.clients.push(WaitingClient { client, options });
        self.reply(cx, client, ResultCode::More, false);
        self.forced = options.immediate;
        if self.spec.has_handler {
            self.granting = true;
            self.run_handler(cx);
        } else {
            self.stand(cx, Reason::Admin);
        }
    }

    /// An administrator revokes the ticket.
    pub fn revoke(&mut self, cx: &mut Cx<'_>, client: ClientId) {
        let me = self.me(cx);
        if self.leader != me {
            let held = matches!(self.leader, Holder::Member(_));
            let result = if held { ResultCode::Redirect } else { ResultCode::TicketIdle };
            self.reply(cx, client, result, true);
            return;
        }
        let pending = self.commit_at.is_some();
        self.free(Holder::Nobody);
        (self.revoked, self.idle) = (true, true);
        if !pending {
            self.write(cx, false);
        }
        self.ask_all(cx, Command::RevokeTicket);
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: unstamped() };
        self.tell_all(cx, Holder::Nobody, Span::ZERO, body);
        self.reply(cx, client, ResultCode::Success, true);
        self.answer(cx, ResultCode::SyncFail, true);
    }

    fn reply(&self, cx: &mut Cx<'_>, client: ClientId, result: ResultCode, last: bool) {
        let answer = TicketAnswer {
            result,
            ticket: Some(self.spec.name.clone()),
            leader: self.leader,
            term: self.term,
            valid_for: self.left(cx),
            cause: None,
        };
        cx.effects.push(Effect::Reply { client, reply: Reply::Ticket(answer), last });
    }

    /// Answers all who wait for a grant.
    pub fn answer(&mut self, cx: &mut Cx<'_>, result: ResultCode, last: bool) {
        for waiting in std::mem::take(&mut self.clients) {
            let stays = result == ResultCode::CibPending && waiting.options.wait_commit;
            let last = last || (result == ResultCode::CibPending && !stays);
            self.reply(cx, waiting.client, result, last);
            if !last {
                self.clients.push(waiting);
            }
        }
    }
}
