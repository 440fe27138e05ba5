// SPDX-License-Identifier: GPL-2.0-or-later
//! What it does with each message, by what it is doing: the tables c and d of
//! `test/reference-behaviour.md`.

use super::ticket::{State, Ticket};
use super::Cx;
use booth_core::model::{Holder, MemberIndex, Term};
use booth_core::time::Span;
use booth_core::wire::{Command, PeerBody, PeerMessage, Reason, ResultCode};
use std::cmp::Ordering;

impl Ticket {
    /// A message of another member.
    pub fn hears(&mut self, cx: &mut Cx<'_>, from: MemberIndex, m: &PeerMessage) {
        match m.body {
            PeerBody::Status { .. } => self.status(cx, from),
            PeerBody::MyIndex { .. } => self.my_index(cx, from, m),
            PeerBody::ReqVote { reason, .. } => self.req_vote(cx, from, m.term, reason),
            PeerBody::Vote { .. } => self.vote(cx, from, m),
            PeerBody::Heartbeat { .. } => self.led_by(cx, from, m, Command::Heartbeat),
            PeerBody::Update { .. } => self.led_by(cx, from, m, Command::Update),
            PeerBody::Ack { of, .. } => self.acked(cx, from, of, m.leader, m.term),
            PeerBody::Rejected { result, .. } => self.rejected(cx, m, result),
            PeerBody::StepDown { .. } => self.stepped_down(cx, from),
            PeerBody::Revoke { .. } => self.revoked(cx, from),
        }
    }

    fn status(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        if self.state != State::Candidate {
            self.tell(cx, from, self.leader, self.left(cx), PeerBody::MyIndex { nonce: 0 });
        }
    }

    fn my_index(&mut self, cx: &mut Cx<'_>, from: MemberIndex, m: &PeerMessage) {
        let newer = m.term > self.term;
        let said = m.leader.member().and_then(|id| cx.roster.index_of(id));
        match self.state {
            State::Candidate => {}
            State::Leader => {
                if newer && m.leader != self.me(cx) {
                    self.term = m.term;
                }
            }
            State::Follower => match said {
                Some(leader) if newer => self.follow(cx, leader, m.term, m.valid_for),
                Some(_) | None if m.term == self.term => self.correct(cx, from),
                Some(_) | None => {}
            },
            State::Starting => {
                self.answered.insert(from);
                match said {
                    Some(leader) if leader == cx.roster.me() => {
                        self.term_used |= m.term == self.term;
                    }
                    Some(leader) if m.term >= self.term && !m.valid_for.is_zero() => {
                        let disowned = self.found.granted;
                        self.term = m.term;
                        if disowned {
                            self.leader = Holder::Unknown;
                            self.write(cx, false);
                        }
                        let decide_at = self.decide_at;
                        self.follow(cx, leader, m.term, m.valid_for);
                        (self.state, self.decide_at) = (State::Starting, decide_at);
                    }
                    Some(_) | None if m.term < self.term => self.correct(cx, from),
                    None if newer => self.term = m.term,
                    Some(_) | None => {}
                }
                if cx.roster.peers().is_subset_of(self.answered) {
                    let soon = cx.now.mono;
                    self.decide_at = self.decide_at.map(|at| at.min(soon));
                }
            }
        }
    }

    /// Tells a member what it knows itself, once.
    fn correct(&mut self, cx: &mut Cx<'_>, to: MemberIndex) {
        if self.corrected.insert(to) {
            self.tell(cx, to, self.leader, self.left(cx), PeerBody::MyIndex { nonce: 0 });
        }
    }

    fn refuse(
        &self,
        cx: &mut Cx<'_>,
        to: MemberIndex,
        of: Command,
        result: ResultCode,
        named: Holder,
    ) {
        let valid = if named == self.leader { self.left(cx) } else { Span::ZERO };
        self.tell(cx, to, named, valid, PeerBody::Rejected { of, result, granted: false });
    }

    fn give_vote(&mut self, cx: &mut Cx<'_>, to: MemberIndex, term: Term) {
        if term > self.term {
            self.term = term;
            self.term_used = false;
        }
        self.voted = Some(to);
        let leader = Holder::Member(cx.roster.member(to).id);
        self.tell(
            cx,
            to,
            leader,
            self.left(cx),
            PeerBody::Vote { vouched: false, unbound_for: None, last: None },
        );
    }

    fn req_vote(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term, reason: Reason) {
        let of = Command::ReqVote;
        let me = self.me(cx);
        let spared = reason == Reason::StepDown;
        if self.state == State::Candidate {
            self.candidate_asked(cx, from, term);
        } else if self.led(cx) && self.leader == me && self.state == State::Leader {
            if !spared || term < self.term {
                self.refuse(cx, from, of, ResultCode::TermStillValid, me);
                return;
            }
            // Its lease is valid, and the store goes on saying so.
            let gives_up = term > self.term;
            self.give_vote(cx, from, term);
            if gives_up {
                // It goes on naming itself, and does not look again before its time is over.
                self.state = State::Follower;
                (self.request, self.renew_at, self.commit_at) = (None, None, None);
            }
        } else if self.led(cx) && self.leader != Holder::Member(cx.roster.member(from).id) {
            if spared {
                self.give_vote(cx, from, term);
            } else {
                self.refuse(cx, from, of, ResultCode::TermStillValid, self.leader);
            }
        } else if self.led(cx) {
            if reason == Reason::TicketLost {
                self.refuse(cx, from, of, ResultCode::TermStillValid, self.leader);
            } else if term < self.term {
                self.refuse(cx, from, of, ResultCode::TermOutdated, self.leader);
            } else {
                self.give_vote(cx, from, term);
            }
        } else {
            self.free_asked(cx, from, term, reason);
        }
    }

    fn candidate_asked(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term) {
        let me = self.me(cx);
        match term.cmp(&self.term) {
            Ordering::Less => {
                self.refuse(cx, from, Command::ReqVote, ResultCode::TermOutdated, me);
            }
            Ordering::Equal => {
                self.tell(
                    cx,
                    from,
                    me,
                    Span::ZERO,
                    PeerBody::Vote { vouched: false, unbound_for: None, last: None },
                );
            }
            Ordering::Greater => {
                let (reason, owned) = (self.reason, self.until);
                self.free(Holder::Unknown);
                // What it held before its start stays in the store.
                self.until = owned;
                self.give_vote(cx, from, term);
                self.stand_at = Some((cx.now.mono.plus(self.spec.timeout), reason));
            }
        }
    }

    /// Nobody leads, or the leader's time has passed and it has not looked at its timer yet.
    fn free_asked(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term, reason: Reason) {
        let of = Command::ReqVote;
        let other = self.voted.filter(|to| *to != from && term == self.term);
        if reason == Reason::TicketLost && self.revoked {
            self.refuse(cx, from, of, ResultCode::YouOutdated, Holder::Nobody);
        } else if term < self.term && self.idle {
            // Passed over.
        } else if term < self.term {
            let voted = self.voted.map(|to| Holder::Member(cx.roster.member(to).id));
            self.refuse(cx, from, of, ResultCode::TermOutdated, voted.unwrap_or(Holder::Nobody));
        } else if let Some(other) = other {
            let leader = Holder::Member(cx.roster.member(other).id);
            self.tell(
                cx,
                from,
                leader,
                Span::ZERO,
                PeerBody::Vote { vouched: false, unbound_for: None, last: None },
            );
        } else {
            let stands = self.stand_at.map(|(_, reason)| reason);
            if self.state == State::Leader {
                // Its lease has ended unnoticed; the store goes on saying *granted*.
                self.free(Holder::Unknown);
            }
            self.give_vote(cx, from, term);
            if let Some(reason) = stands {
                self.stand_at = Some((cx.now.mono.plus(self.spec.timeout), reason));
            }
        }
    }

    fn vote(&mut self, cx: &mut Cx<'_>, from: MemberIndex, m: &PeerMessage) {
        let Some(whom) = m.leader.member().and_then(|id| cx.roster.index_of(id)) else { return };
        if self.state != State::Candidate {
            return;
        }
        if whom != cx.roster.me() {
            if m.term > self.term {
                self.follow(cx, whom, m.term, Span::ZERO);
                return;
            }
            if m.term < self.term {
                return;
            }
        }
        self.votes[from.get()] = Some(whom);
        self.decide(cx, false);
    }

    /// HEARTBEAT or UPDATE.
    fn led_by(&mut self, cx: &mut Cx<'_>, from: MemberIndex, m: &PeerMessage, of: Command) {
        let me = self.me(cx);
        let other = self.leader != m.leader && self.led(cx);
        match self.state {
            State::Leader if self.led(cx) => {
                if m.term > self.term {
                    self.refuse(cx, from, of, ResultCode::TermStillValid, me);
                }
                return;
            }
            State::Candidate if m.term < self.term => return,
            State::Follower | State::Starting if other && of == Command::Update => {
                self.refuse(cx, from, of, ResultCode::TermStillValid, self.leader);
                return;
            }
            State::Follower | State::Starting if other && m.term < self.term => {
                self.refuse(cx, from, of, ResultCode::TermOutdated, self.leader);
                return;
            }
            State::Leader | State::Candidate | State::Follower | State::Starting => {}
        }
        self.follow(cx, from, m.term, m.valid_for);
        if of == Command::Update {
            self.write(cx, false);
        }
        self.tell(cx, from, m.leader, self.left(cx), PeerBody::Ack { of, round: None });
    }

    fn rejected(&mut self, cx: &mut Cx<'_>, m: &PeerMessage, result: ResultCode) {
        if self.state != State::Candidate || m.leader == self.me(cx) {
            return;
        }
        match m.leader.member().and_then(|id| cx.roster.index_of(id)) {
            Some(leader) => {
                self.follow(cx, leader, m.term, m.valid_for);
                if !m.valid_for.is_zero() {
                    self.write(cx, false);
                }
            }
            None if result == ResultCode::YouOutdated => {
                self.term = m.term;
                self.reason = Reason::None;
                self.attempts = Some(self.spec.retries);
            }
            None => {
                self.free(Holder::Nobody);
                self.term = m.term;
            }
        }
    }

    /// The leader gives the ticket up. Nobody acknowledges that.
    fn stepped_down(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        if self.state != State::Follower || self.leader != Holder::Member(cx.roster.member(from).id)
        {
            return;
        }
        self.free(Holder::Unknown);
        self.write(cx, false);
        if cx.roster.am_site() {
            let pause = Span::from_millis(100 + cx.prng.below(900));
            self.stand_at = Some((cx.now.mono.plus(pause), Reason::StepDown));
        }
    }

    /// An administrator has taken the ticket from the leader. The term is not looked at.
    fn revoked(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        if self.leader != Holder::Member(cx.roster.member(from).id) {
            return;
        }
        self.free(Holder::Nobody);
        (self.revoked, self.idle) = (true, true);
        self.write(cx, false);
        let body = PeerBody::Ack { of: Command::RevokeTicket, round: None };
        self.tell(cx, from, Holder::Nobody, Span::ZERO, body);
    }
}
