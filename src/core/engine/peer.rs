// SPDX-License-Identifier: GPL-2.0-or-later
//! What other members say: heartbeats and updates make promises (L4), announcements end them
//! (L10), questions are answered (L9, P6, P7). Votes are in [`super::election`], acknowledgements
//! in [`super::renewal`].

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Known, Lead, Leased, Promise, Told};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, Term};
use crate::time::Span;
use crate::wire::{Command, PeerBody, PeerMessage, Reason, ResultCode, Stamp};
use alloc::format;

/// A term that is higher by more than this than any heard of is not believed (L1): one packet must
/// not use the terms up. With an election every second, a cluster needs more than thirty years.
const TERM_LEAP: u32 = 1 << 30;

/// Terms up to this one are always believed: a member that has just started knows none.
const TERM_BELIEVED: u32 = 1 << 31;

impl Ticket<Leased> {
    /// One message of another member. Returns false if it makes no sense, for the counters.
    pub fn handle_message(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool {
        let told = Told::by(message);
        let Told { leader, term, .. } = told;
        let seen = self.kind.seen.unwrap_or_default().get();
        if term.get() > seen.saturating_add(TERM_LEAP).max(TERM_BELIEVED) {
            return false;
        }
        self.note_ours(from, &message.body);
        self.not_alone(cx, from);
        if matches!(
            message.body,
            PeerBody::Heartbeat { .. }
                | PeerBody::Update { .. }
                | PeerBody::MyIndex { .. }
                | PeerBody::Rejected { .. }
        ) {
            self.note_rumour(leader, term);
        }
        self.note_led(&message.body, told);
        match message.body {
            PeerBody::Status { nonce } => {
                self.heard_of(term);
                self.handle_status(cx, from, nonce);
                self.tell_term(cx, from, nonce, term);
            }
            PeerBody::MyIndex { nonce } => {
                self.handle_my_index(cx, from, nonce, told);
            }
            PeerBody::ReqVote { reason, established, force, nonce } => {
                let forced = force.then_some(nonce);
                self.handle_req_vote(cx, from, term, reason, established, forced);
            }
            PeerBody::Vote { vouched, unbound_for, last } => {
                self.handle_vote(cx, from, told, vouched, unbound_for, last);
            }
            PeerBody::StepDown { stamp, .. } => {
                self.handle_end(cx, from, term, stamp, Command::VoteFor)
            }
            PeerBody::Revoke { stamp, .. } => {
                self.handle_end(cx, from, term, stamp, Command::RevokeTicket)
            }
            PeerBody::Heartbeat { .. } | PeerBody::Update { .. } => {
                let sane = leader == Holder::Member(cx.roster.member(from).id);
                if !sane || !cx.is_site(from) {
                    return false;
                }
                if let Some(grace) = &mut self.kind.grace {
                    grace.note_lead(from, term, cx.now.mono);
                }
                self.handle_lead(cx, from, message);
            }
            PeerBody::Ack { of, round } => {
                self.handle_ack(cx, from, of, round, told);
            }
            PeerBody::Rejected { of, result, granted } => {
                self.handle_rejected(cx, from, of, result, granted, told);
            }
        }
        if !matches!(message.body, PeerBody::Rejected { .. }) {
            self.objector_speaks(cx, from);
        }
        self.heard_from(cx, from);
        true
    }

    /// HEARTBEAT or UPDATE of `from` (L4).
    pub fn handle_lead(&mut self, cx: &mut Cx<'_>, from: MemberIndex, message: &PeerMessage) {
        let (of, stamp) = match message.body {
            PeerBody::Update { stamp } => (Command::Update, stamp),
            PeerBody::Heartbeat { stamp } => (Command::Heartbeat, stamp),
            _ => return,
        };
        let (term, now) = (message.term, cx.now.mono);
        // A reference leader marks nothing, but its UPDATE follows a majority of acknowledgements.
        let plain_update = of == Command::Update && stamp.round.is_none();
        let established = stamp.established || plain_update;
        if self.only_objects() {
            if established {
                self.heard_elsewhere(cx, message.leader, term);
            }
            self.object(cx, from, of);
            return;
        }
        if !self.ready() {
            return;
        }
        if !self.grace_allows(from, term, established) {
            self.forget_kept(from, message);
            return;
        }
        if !self.is_verified(cx, from, message) {
            return;
        }
        // A win that ends now was no holding.
        let last = self.last_known();
        if established {
            self.end_hopeless_win(cx, term, stamp);
        }
        let owed = self.promised_to(now).filter(|to| *to != from);
        if let Some(owed) = owed {
            let outdated = Some(term) < self.term;
            let why = if outdated { ResultCode::TermOutdated } else { ResultCode::TermStillValid };
            self.reject(cx, from, of, why, owed);
            return;
        }
        // What has led or was revoked in a higher term is over, also for who did not follow it.
        // A leader that keeps the rules leads no more in a term that it has revoked.
        let freed = self.known.leader == Holder::Nobody && stamp.round.is_some();
        let freed = freed && self.free_is_known && Some(term) == self.known.term;
        let over = freed || Some(term) < self.kind.floor.max(self.known.term);
        if over || self.kind.ended[from.get()] >= Some(term) {
            let named = self.kind.vote.map(|vote| vote.to).or_else(|| self.known_leader(cx));
            // Its own name tells a leader that keeps the rules that the term is over.
            if let Some(named) = named.or(stamp.round.map(|_| from)) {
                self.reject(cx, from, of, ResultCode::TermOutdated, named);
            }
            return;
        }
        let live = self.live_promise(now).filter(|p| p.to() == from && p.term() == term);
        if live.is_some_and(|promise| !promise.round_fits(stamp.round)) {
            self.note(
                cx,
                NoteLevel::Debug,
                "a heartbeat from an earlier life of the leader is dropped",
            );
            return;
        }
        self.vote_before_following(cx, from, stamp, term, last);
        self.follow(cx, from, message, of, stamp, established);
    }

    /// Another member has a lease in a term: a win of an earlier one, without a lease, ends.
    fn end_hopeless_win(&mut self, cx: &mut Cx<'_>, term: Term, stamp: Stamp) {
        // Nobody whose vote made this win was promised to anyone: a lease of an earlier term, as an
        // old packet tells of, has ended.
        let hopeless = |lead: &Lead| !lead.leased() && lead.term() <= term;
        if self.kind.lead.as_ref().is_some_and(hopeless) && !self.cib.maybe_granted() {
            self.note(cx, NoteLevel::Info, "another member has a lease: giving up");
            self.kind.won_free = false;
            self.kind.heard.follow(term, stamp);
            self.step_down(cx);
        }
    }

    /// Accepts the leader: promises not to help anyone else, and acknowledges.
    fn follow(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
        of: Command,
        stamp: Stamp,
        established: bool,
    ) {
        let (term, now) = (message.term, cx.now.mono);
        let expire = self.spec.expire;
        let known_before = self.known.leader;
        self.phase.become_follower();
        self.kind.stand = None;
        if established {
            self.announce = None;
        } else {
            self.keep_revoke();
        }
        self.kind.unheard = 0;
        self.kind.commit_not_before = None;
        self.kind.acquire.clear();
        self.stop_probe(cx);
        self.term = Some(term);
        self.kind.heard.follow(term, stamp);
        self.heard_of(term);
        self.kind.floor = self.kind.floor.max(Some(term));
        let stated = self.stated_expire(message.valid_for);
        self.outlast(expire.max(stated));
        let mut length = expire.max(stated);
        match stamp.round {
            Some(_) => self.note_expire(cx, from, message.valid_for),
            // A reference leader counts its lease from the acknowledgements of a majority.
            None => length = length.plus(self.spec.patience()),
        }
        let promise = Promise::after(self.kind.promise, from, term, stamp.round, now, length);
        self.kind.promise = Some(promise);
        let valid = if stated.is_zero() { expire } else { stated };
        self.known = Known { leader: message.leader, term: Some(term), until: now.plus(valid) };
        if known_before != message.leader {
            let text = format!("{} is the leader", cx.name(from));
            self.note(cx, NoteLevel::Info, &text);
        }
        // What the leader may count on: a promise beyond it would not outlive a restart (L5).
        let body = PeerBody::Ack { of, round: stamp.round };
        let ack = self.message(message.leader, term, expire, body);
        cx.send(from, ack, false);
        if of == Command::Update || established {
            self.follow_in_store(cx);
        }
        self.grant_overtaken(cx);
    }

    /// REVOKE or step-down of `from` (L10): drops the promise that it was given, only if sender,
    /// term and round are the promised ones.
    fn handle_end(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        term: Term,
        stamp: Stamp,
        of: Command,
    ) {
        let revoke = of == Command::RevokeTicket;
        if revoke && self.give_up_win(cx, term) {
            return;
        }
        self.objector_ends(cx, from, term);
        if !self.ready() || self.owes_itself() {
            if revoke && (self.phase.is_loading() || self.leaving()) {
                self.kind.heard.note_revoked(term);
            }
            return;
        }
        if revoke && self.tell_led_term(cx, from, term) {
            return;
        }
        let live = self.live_promise(cx.now.mono);
        let ends = match live {
            None => {
                let from_known = self.known_leader(cx) == Some(from);
                Some(term) >= self.last_term() && (from_known || of == Command::RevokeTicket)
            }
            Some(promise) => {
                promise.to() == from && promise.term() == term && promise.round_ends(stamp.round)
            }
        };
        let body = PeerBody::Ack { of, round: stamp.round };
        let ack = self.message(Holder::Nobody, term, Span::ZERO, body);
        cx.send(from, ack, false);
        let beside =
            live.is_some_and(|p| term > p.term() || (term == p.term() && p.to() == from && !ends));
        if of == Command::RevokeTicket && beside {
            // A leader that has restarted numbers its sends from elsewhere, and one of a later term
            // ends no promise of this one: if nothing else is heard, it counts when the promise
            // has ended.
            self.kind.heard.note_revoked(term);
        }
        if !ends || (live.is_none() && self.kind.ended[from.get()] >= Some(term)) {
            return;
        }
        self.kind.promise = None;
        self.kind.ended[from.get()] = self.kind.ended[from.get()].max(Some(term));
        self.heard_of(term);
        if of == Command::RevokeTicket && Some(term) < self.kind.heard.led() {
            // It was held since, as others have said: it is lost, not free (L10).
            self.known.until = self.known.until.min(cx.now.mono);
        } else if of == Command::RevokeTicket {
            let text = format!("{} has revoked the ticket", cx.name(from));
            self.note(cx, NoteLevel::Info, &text);
            self.adopt_nobody(cx, term);
        } else {
            self.stepped_down(cx, from, term);
        }
    }

    /// The ticket is known to be free, by an administrator's wish: nobody stands for it.
    pub fn adopt_nobody(&mut self, cx: &mut Cx<'_>, term: Term) {
        self.kind.stand = None;
        self.free_is_known = true;
        // A win of its own that had no lease may be of a later term.
        let term = self.known.term.max(Some(term));
        self.known = Known { leader: Holder::Nobody, term, until: cx.now.mono };
        let follows = self.phase.is_follower() || self.phase.is_candidate();
        if follows && self.grant.is_none() {
            // Whoever stands for a ticket that was lost does so no more.
            self.phase.become_follower();
            self.stop_probe(cx);
        }
        self.follow_in_store(cx);
    }

    /// The leader gave the ticket up in favour of somebody else: this site stands in its turn.
    fn stepped_down(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term) {
        let text = format!("{} has stepped down", cx.name(from));
        self.note(cx, NoteLevel::Info, &text);
        let leader = Holder::Member(cx.roster.member(from).id);
        self.known = Known { leader, term: Some(term), until: cx.now.mono };
        self.believe_revoke(cx);
        if self.phase.is_follower() && self.known.leader == leader {
            // Nobody waits for the end of its lease, but its resources need their time.
            let from = cx.now.mono.plus(self.spec.acquire_after);
            self.plan_stand(cx, from, Reason::StepDown);
        }
    }

    /// STATUS: answered unless this member competes or has won without a lease (L9). A restarted
    /// holder, and a leader that stands again, say that they lead.
    fn handle_status(&mut self, cx: &mut Cx<'_>, from: MemberIndex, nonce: u32) {
        let now = cx.now.mono;
        if self.phase.is_candidate() {
            self.vote_again(cx, from, nonce);
        }
        let competes = self.phase.is_candidate();
        let unsure = self.owes_itself() && !self.lease_lives(now);
        let leads = self.lease_lives(now);
        if !(self.ready() || (self.leaving() && leads)) {
            return;
        }
        let still = self.answers_as_leader(now).filter(|_| competes || unsure);
        if (competes || unsure) && still.is_none() {
            return;
        }
        let me = self.myself(cx);
        let (leader, term, valid) = if let Some(left) = still {
            (me, self.led_term(from), left)
        } else if leads {
            (me, self.led_term(from), self.spec.expire)
        } else {
            // Who does not lead does not say so, whatever its store says of its own old lease.
            let mine = unsure || self.known.leader == me;
            let left = if mine { Span::ZERO } else { self.known.until.since(now) };
            self.stated_to(cx, from, nonce, left)
        };
        let message = self.message(leader, term, valid, PeerBody::MyIndex { nonce });
        cx.send(from, message, false);
        let announced = self.kind.lead.as_ref().is_some_and(Lead::announced);
        if leads && announced && self.phase.is_leader() {
            // Whoever asks has just started: it need not wait for the next renewal.
            self.send_lead(cx, from, Command::Update, false);
        }
    }

    /// What this member tells of the leader. The leader itself, if it asks, has just started: it
    /// hears what is left of this member's promise to it, zero if there is none (L9).
    fn stated_to(
        &self,
        cx: &Cx<'_>,
        to: MemberIndex,
        nonce: u32,
        left: Span,
    ) -> (Holder, Term, Span) {
        let (leader, term, left) = self.stated(left);
        if nonce == 0 || leader != Holder::Member(cx.roster.member(to).id) {
            return (leader, term, left);
        }
        let (term, left) = self.word_to(to, cx.now.mono).unwrap_or((term, Span::ZERO));
        (leader, term, left)
    }

    /// A member that has just started may have missed the vote request, or ask whether it is an
    /// old one.
    fn vote_again(&mut self, cx: &mut Cx<'_>, from: MemberIndex, nonce: u32) {
        let Some(attempt) = self.phase.attempt() else { return };
        if !attempt.votes.contains(from) {
            self.ask_for_vote(cx, from, Some(nonce));
        }
    }

    /// MY_INDEX: an answer to this member's STATUS.
    fn handle_my_index(&mut self, cx: &mut Cx<'_>, from: MemberIndex, nonce: u32, told: Told) {
        let Told { leader, term, valid } = told;
        self.heard_of(term);
        let sender = Holder::Member(cx.roster.member(from).id);
        // A leader that keeps the rules states its full validity; what a reference member says of
        // itself is rounded down, so it counts as leading whatever the validity.
        let leads = leader == sender && (nonce == 0 || !valid.is_zero());
        if let Some(lead) = &mut self.kind.lead {
            if !leads && nonce != 0 && nonce == lead.nonce() {
                lead.commit.note_answer(from);
                self.take_back_objection(cx, from);
                self.advance_commit(cx);
            }
        }
        // The answer may end the grace, and what waits for that must know it. A reference member
        // says *nobody* in its term also when it does not know the leader. What it knows to be
        // revoked it answers a vote request with. Nobody in term 0 is also what a member says that
        // knows nothing.
        match leader {
            Holder::Nobody if nonce != 0 && term > Term::ZERO => self.hear_free(cx, term),
            Holder::Nobody => {}
            Holder::Member(_) if self.revoked_earlier(cx, leader, term) => {}
            Holder::Member(_) | Holder::Unknown => self.adopt(cx, leader, term, valid),
        }
        self.note_answer(cx, from, nonce, told, leads);
        self.note_backing(cx, from, nonce, told);
        self.verify(cx, from, nonce, leads.then_some(term));
    }

    /// Takes over what another member knows, if it is newer: knowledge only, no promise.
    fn adopt(&mut self, cx: &mut Cx<'_>, leader: Holder, term: Term, valid: Span) {
        let free = self.phase.is_follower() && !self.owes_itself();
        if !free || self.promised_to(cx.now.mono).is_some() || !self.ready() {
            return;
        }
        let same = Some(term) == self.known.term;
        // What has ended for that member, too, is no news.
        let lives = self.known.leader == leader && !valid.is_zero();
        let named = lives || self.known.leader == Holder::Unknown;
        let news = Some(term) > self.known.term || (same && named);
        if leader.member().is_some() && news {
            let until = cx.now.mono.plus(valid.min(self.spec.expire));
            let until = if same { until.max(self.known.until) } else { until };
            self.tell_of_revoke(cx, leader);
            self.known = Known { leader, term: Some(term), until };
            self.kind.stand = None;
        }
    }

    /// The term in which a member that names itself leads, not the one in which it stands again:
    /// whoever hears of its end must not take it for an old one.
    pub fn led_term(&self, to: MemberIndex) -> Term {
        let led = self.kind.lead.as_ref().map(Lead::term);
        // That of a restarted holder stands in its store, or is one that it has won since.
        let stored = self.known.term.max(self.last_won()).filter(|_| self.cib.maybe_granted());
        led.or(stored).or(self.term.max(self.kind.ended[to.get()])).unwrap_or_default()
    }

    /// Sends REJECTED, naming a site (L3).
    pub fn reject(
        &mut self,
        cx: &mut Cx<'_>,
        to: MemberIndex,
        of: Command,
        result: ResultCode,
        named: MemberIndex,
    ) {
        let now = cx.now.mono;
        let until = if named == self.me {
            self.bound()
        } else {
            self.kind.promise.filter(|promise| promise.to() == named).map(|promise| promise.until())
        };
        let valid = until.map_or(Span::ZERO, |until| until.since(now)).min(self.spec.expire);
        let leader = Holder::Member(cx.roster.member(named).id);
        // A lease that lasts is one of its term, whatever this member has voted in since.
        let promised = self.kind.promise.filter(|promise| promise.to() == named);
        let term = match (result, promised) {
            (ResultCode::TermStillValid, _) if named == self.me => self.led_term(to),
            (ResultCode::TermStillValid, Some(promise)) => promise.term(),
            _ => self.term.max(self.kind.ended[to.get()]).max(self.known.term).unwrap_or_default(),
        };
        let granted = named == self.me && self.may_say_granted();
        let message = self.message(leader, term, valid, PeerBody::Rejected { of, result, granted });
        cx.send(to, message, false);
    }

    /// Tells a candidate for a lost ticket that it was revoked meanwhile (P6).
    pub fn reject_outdated(&mut self, cx: &mut Cx<'_>, to: MemberIndex) {
        let term = self.known.term.unwrap_or_default();
        let result = ResultCode::YouOutdated;
        let body = PeerBody::Rejected { of: Command::ReqVote, result, granted: false };
        let message = self.message(Holder::Nobody, term, Span::ZERO, body);
        cx.send(to, message, false);
    }
}
