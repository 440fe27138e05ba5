// SPDX-License-Identifier: GPL-2.0-or-later
//! Elections (`RULES.md` L1 to L3, L11 to L13): how a site asks for votes, how they are given and
//! counted, and what follows a failed attempt. When a site stands is in [`super::standing`].

use super::cx::Cx;
use super::effect::{EventKind, NoteLevel};
use super::standing::UNHEARD_BEFORE_DOUBLING;
use super::state::{bound_ended, Attempt, CommitWait, Known, Lead, Leased, Stand, Told, Vote};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};
use crate::wire::{Command, LastKnown, PeerBody, Reason, ResultCode, NONCE_MAX};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Ticket<Leased> {
    /// Begins an attempt with a fresh term and asks everyone for a vote.
    pub fn stand_for_election(&mut self, cx: &mut Cx<'_>, reason: Reason, force: bool) {
        self.kind.stand = None;
        let Some(term) = self.fresh_term() else {
            self.note(
                cx,
                NoteLevel::Error,
                "the terms are used up: nobody can be elected any more",
            );
            self.answer_grant(cx, ResultCode::SyncFail);
            if self.phase.is_follower() && self.known.leader.member().is_some() {
                let at = cx.now.mono.plus(self.spec.expire);
                self.kind.stand = Some(Stand { at, reason });
            }
            return;
        };
        self.keep_revoke();
        self.kind.promise = None;
        self.term = Some(term);
        self.heard_of(term);
        self.kind.vote = Some(Vote { term, to: self.me });
        self.phase.become_candidate(Attempt {
            term,
            reason,
            force,
            until: cx.now.mono.plus(self.spec.timeout),
            votes: core::iter::once(self.me).collect(),
            vouched: MemberSet::EMPTY,
            refused: MemberSet::EMPTY,
            bound: MemberSet::EMPTY,
            objected: None,
            heard: MemberSet::EMPTY,
            others_until: MonoTime::ZERO,
            stated_until: MonoTime::ZERO,
            told: self.kind.heard.last(),
        });
        let text = format!("standing for election in term {term}: {}", reason.words());
        cx.figures.elections += 1;
        self.note(cx, NoteLevel::Info, &text);
        self.tell(cx, EventKind::Standing, None, &text);
        for peer in cx.roster.peers().iter() {
            self.ask_for_vote(cx, peer, None);
        }
        self.count_votes(cx);
    }

    /// Sends REQ_VOTE of the current attempt to one member: `again` in answer to its STATUS, whose
    /// nonce it returns.
    pub fn ask_for_vote(&mut self, cx: &mut Cx<'_>, to: MemberIndex, again: Option<u32>) {
        let Some(attempt) = self.phase.attempt() else { return };
        let body = PeerBody::ReqVote {
            reason: attempt.reason,
            established: self.established(cx.now.mono),
            force: attempt.force,
            // Who keeps the rules sends no larger one, and it would not fit.
            nonce: again.filter(|nonce| *nonce <= NONCE_MAX).unwrap_or_default(),
        };
        let valid = self.bound().map_or(Span::ZERO, |until| until.since(cx.now.mono));
        let message = self.message(self.myself(cx), attempt.term, valid, body);
        cx.send(to, message, again.is_some());
    }

    /// REQ_VOTE of another member (L2, L3). The candidate is the sender, whatever the packet says.
    /// `forced`: it stands with `-F`, and returns this nonce.
    pub fn handle_req_vote(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        term: Term,
        reason: Reason,
        established: bool,
        forced: Option<u32>,
    ) {
        let now = cx.now.mono;
        if !cx.is_site(from) {
            return;
        }
        if self.phase.is_leader() && self.lease_lives(now) {
            self.challenged(cx, from, term);
        }
        if self.only_objects() {
            self.object(cx, from, Command::ReqVote);
            return;
        }
        if !self.ready() {
            return;
        }
        let forced = forced.is_some_and(|nonce| self.stands_now(cx, from, term, nonce));
        if !(self.grace_allows(from, term, established) || forced) {
            return;
        }
        let owed = self.promised_to(now).filter(|to| *to != from);
        if let Some(owed) = owed {
            self.reject(cx, from, Command::ReqVote, ResultCode::TermStillValid, owed);
            return;
        }
        if !(established || forced) && self.refuse_for_another(cx, from) {
            return;
        }
        let voted = self.kind.vote.filter(|vote| vote.term == term && vote.to != from);
        if let Some(vote) = voted {
            self.say_vote(cx, from, vote.to, term, self.last_known());
            return;
        }
        let newest = self
            .term
            .max(self.kind.vote.map(|vote| vote.term))
            .max(self.kind.ended[from.get()].and_then(Term::next));
        if Some(term) < newest {
            let named = self.kind.vote.map(|vote| vote.to);
            if let Some(named) = named.or_else(|| self.known_leader(cx)) {
                self.reject(cx, from, Command::ReqVote, ResultCode::TermOutdated, named);
            }
            let own = self
                .kind
                .vote
                .filter(|vote| vote.to == self.me && self.kind.marking.contains(from));
            if let Some(own) = own {
                // It does not vote in this term any more, but others may.
                self.say_vote(cx, from, own.to, own.term, self.last_known());
            }
            return;
        }
        // Reference: after `Outd` a candidate goes on with reason 0. One that keeps the rules
        // hears it with the vote.
        let unasked = matches!(reason, Reason::TicketLost | Reason::None);
        if unasked && !self.kind.marking.contains(from) && self.knows_it_was_revoked(term) {
            self.reject_outdated(cx, from);
            return;
        }
        self.give_vote(cx, from, term, forced);
    }

    /// Votes for `to`: candidacy is abandoned before.
    fn give_vote(&mut self, cx: &mut Cx<'_>, to: MemberIndex, term: Term, force: bool) {
        if self.phase.is_candidate() {
            self.phase.become_follower();
            self.note(cx, NoteLevel::Debug, "candidacy abandoned in favour of another");
            if self.knows_of_a_loss() && self.grant.is_none() {
                self.kind.stand = Some(Stand { at: cx.now.mono, reason: Reason::TicketLost });
            }
            if let Some(job) = &mut self.grant {
                // The handler is asked for each attempt.
                job.probed = false;
            }
        }
        if force {
            self.waive_grace(to, term);
        }
        self.keep_revoke();
        self.term = Some(term);
        self.heard_of(term);
        self.kind.floor = self.kind.floor.max(Some(term));
        self.kind.vote = Some(Vote { term, to });
        if self.kind.stand.is_some() || self.grant.is_some() {
            let pause = self.spec.timeout.plus(cx.prng.span_below(self.spec.timeout));
            self.stand_no_earlier(cx.now.mono.plus(pause));
        }
        self.say_vote(cx, to, to, term, self.last_known());
    }

    /// The member that this one last knew as leader.
    pub fn known_leader(&self, cx: &Cx<'_>) -> Option<MemberIndex> {
        self.known.leader.member().and_then(|id| cx.roster.index_of(id))
    }

    /// Whether the ticket is known to be revoked, and nothing newer can be known to a candidate
    /// for this term.
    fn knows_it_was_revoked(&self, term: Term) -> bool {
        self.known.leader == Holder::Nobody
            && self.known.term.and_then(Term::next).is_some_and(|next| next >= term)
    }

    /// VOTE_FOR somebody: an answer to this member's request.
    pub fn handle_vote(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        told: Told,
        vouched: bool,
        unbound_for: Option<Span>,
        last: Option<LastKnown>,
    ) {
        let Told { leader, term, .. } = told;
        self.heard_of(term);
        let for_me = leader == self.myself(cx);
        if self.hear_last(cx, last) {
            return;
        }
        let own = leader == Holder::Member(cx.roster.member(from).id);
        if own && self.phase.is_leader() {
            self.acquire_after_late_vote(cx, unbound_for);
        }
        if let Some(lead) = self.kind.lead.as_mut().filter(|_| self.phase.is_leader()) {
            if for_me && lead.term() == term {
                lead.commit.note_answer(from);
                self.acquire_after_late_vote(cx, unbound_for);
                self.take_back_objection(cx, from);
                self.advance_commit(cx);
            }
            return;
        }
        let Some(attempt) = self.phase.attempt_mut() else { return };
        let ended = bound_ended(cx.now.mono, unbound_for);
        if own && unbound_for.is_some() {
            attempt.others_until = attempt.others_until.max(ended);
        }
        if attempt.term != term {
            return;
        }
        attempt.heard.insert(from);
        if for_me {
            attempt.votes.insert(from);
            attempt.refused.remove(from);
            attempt.others_until = attempt.others_until.max(ended);
            if unbound_for.is_some() {
                attempt.stated_until = attempt.stated_until.max(ended);
            }
            if vouched {
                attempt.vouched.insert(from);
            }
            self.take_back_objection(cx, from);
        } else {
            attempt.refused.insert(from);
        }
        self.count_votes(cx);
    }

    /// Wins with a majority of votes, fails as soon as none is possible any more (L12).
    fn count_votes(&mut self, cx: &mut Cx<'_>) {
        let Some(attempt) = self.phase.attempt() else { return };
        if attempt.votes.len() >= cx.roster.majority() {
            self.win(cx);
        } else if cx.roster.len() - attempt.refused.len() < cx.roster.majority() {
            self.attempt_failed(cx);
        }
    }

    /// A majority voted for this member.
    fn win(&mut self, cx: &mut Cx<'_>) {
        let Some(attempt) = self.phase.attempt() else { return };
        self.kind.unheard = 0;
        if attempt.told.is_some_and(|last| last.term >= attempt.term) {
            // Its term is used up: who forgot may vote in it once more, the others never follow.
            self.attempt_failed(cx);
            return;
        }
        let attempt = attempt.clone();
        if !self.heeds_voters(cx, &attempt) {
            return;
        }
        self.phase.become_leader();
        self.announce = None;
        for link in &mut self.links {
            link.begin_term();
        }
        let pending = self.kind.lead.is_some().then(|| self.lease_lives(cx.now.mono));
        self.plan_acquire(cx, &attempt, pending);
        let before = self.kind.lead.take();
        if before.is_none() {
            self.note_what_is_won();
        }
        let mut voters = attempt.votes;
        voters.remove(self.me);
        let commit = match &before {
            Some(before) => before.commit.carried_over(voters),
            None => {
                let admin = attempt.reason == Reason::Admin;
                let all_vouched = self.kind.grace.is_none() && voters.is_subset_of(attempt.vouched);
                let wait = match (admin, all_vouched) {
                    (false, _) => Span::ZERO,
                    (true, true) => self.spec.acquire_after,
                    (true, false) => self.spec.expire.plus(self.spec.acquire_after),
                };
                let until = cx.now.mono.plus(wait);
                let until = self.kind.commit_not_before.map_or(until, |earlier| earlier.max(until));
                let needed = !attempt.force && until > cx.now.mono;
                CommitWait::new(until, needed, voters)
            }
        };
        let nonce = cx.fresh_nonce();
        self.remember_win(attempt.term);
        let (term, now, expire) = (attempt.term, cx.now.mono, self.spec.expire);
        self.kind.lead = Some(Lead::won(term, now, before.as_ref(), expire, commit, nonce));
        if let Some(quit) = &mut self.quit {
            quit.term = Some(attempt.term);
        }
        let text = format!("won the election with the votes of {}", cx.names(attempt.votes));
        cx.figures.wins += 1;
        self.note(cx, NoteLevel::Info, &text);
        self.tell(cx, EventKind::Elected, None, &text);
        self.start_renewal(cx);
        if let (Some(lead), true) =
            (&mut self.kind.lead, before.is_some_and(|b| b.renewal.challenged()))
        {
            // A re-election is a part of the renewal that it was for (L11).
            lead.renewal.challenge();
        }
        self.ask_missing(cx);
    }

    /// REJECTED: an answer to a vote request or a heartbeat, or to a REVOKE in an earlier term than
    /// the one in which this member led last.
    pub fn handle_rejected(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        of: Command,
        result: ResultCode,
        granted: bool,
        told: Told,
    ) {
        let Told { leader, term, valid } = told;
        self.heard_of(term);
        if of == Command::RevokeTicket {
            self.revoked_earlier(cx, leader, term);
            return;
        }
        if self.is_objection(cx, from, granted, result, leader) {
            self.note_objection(cx, from, term);
        } else if result == ResultCode::TermStillValid && !valid.is_zero() {
            self.heard_elsewhere(cx, leader, term);
        }
        let revoked = result == ResultCode::YouOutdated && leader == Holder::Nobody;
        if revoked && self.refused_as_revoked(cx, from, term) {
            return;
        }
        if self.phase.is_leader() {
            // Who has promised this term to another, or knows that it was revoked, never follows
            // in it.
            let over = |lead: &Lead| {
                term > lead.term() || term == lead.term() && lead.renewal.unacked().contains(from)
            };
            let over = self.kind.lead.as_ref().is_some_and(over);
            if over && result == ResultCode::TermOutdated {
                self.stand_again(cx);
            }
            return;
        }
        let myself = self.myself(cx);
        let objects_itself = leader == Holder::Member(cx.roster.member(from).id);
        let objector = leader.member().and_then(|id| cx.roster.index_of(id));
        let bound_until = cx.now.mono.plus(valid.min(self.spec.expire));
        // A win without a lease is no holding; a reference member always states 0 of its own.
        let leads = !valid.is_zero() || !self.kind.marking.contains(from);
        let Some(attempt) = self.phase.attempt_mut() else { return };
        attempt.heard.insert(from);
        if granted && objects_itself && valid.is_zero() {
            // It has no lease, and may vote as soon as its store says revoked.
            return;
        }
        attempt.refused.insert(from);
        if granted && !objects_itself {
            // It has heard the objection of another, and refuses until that is taken back.
            attempt.objected = objector;
        } else if result == ResultCode::TermStillValid {
            attempt.bound.insert(from);
            self.links[from.get()].bound_until = bound_until;
            let other = leader.member().is_some() && leader != myself;
            if leads && other && !self.owes_itself() && self.may_still_lead(cx, leader, term) {
                self.known = Known { leader, term: Some(term), until: bound_until };
            }
        }
        self.count_votes(cx);
    }

    /// Whether what is known here leaves it possible that a site leads in a term, as a member says
    /// that may not have heard of its end.
    fn may_still_lead(&self, cx: &Cx<'_>, leader: Holder, term: Term) -> bool {
        let ended = leader
            .member()
            .and_then(|id| cx.roster.index_of(id))
            .is_some_and(|index| self.kind.ended[index.get()] >= Some(term));
        let free = self.known.leader == Holder::Nobody;
        !ended && (Some(term) > self.known.term || (Some(term) == self.known.term && !free))
    }

    /// The attempt did not win: back off, or follow up (L13).
    pub fn attempt_failed(&mut self, cx: &mut Cx<'_>) {
        let Some(attempt) = self.phase.end_attempt() else { return };
        let enough = attempt.heard.len() + 1 >= cx.roster.majority();
        self.kind.unheard = if enough { 0 } else { self.kind.unheard.saturating_add(1) };
        self.kind.answered_last = attempt.heard;
        self.ask_for_terms(cx, attempt.heard);
        let calm = if attempt.objected.is_some() { self.spec.timeout.times(3) } else { Span::ZERO };
        let mut at = cx.now.mono.plus(self.pause_after_attempt(cx)).plus(calm);
        if !attempt.bound.is_empty() {
            at = at.max(self.majority_free_at(cx));
        }
        let silent = cx.roster.peers().without(attempt.heard);
        let why = if silent.is_empty() { "" } else { ", no answer from " };
        let who = cx.names(silent);
        let pause = at.since(cx.now.mono).as_secs();
        let objector = attempt.objected.map_or_else(String::new, |site| {
            format!(
                ", {} objects elsewhere: the ticket may still be granted in the store there; \
                 nothing is granted here until it is not, unless an administrator overrides \
                 (booth grant -F)",
                cx.name(site)
            )
        });
        let text = format!("election not won{objector}{why}{who}; next attempt in {pause} s");
        // Somebody waits for it, and must learn what is missing.
        let awaited = self.grant.is_some() && (!enough || attempt.objected.is_some());
        self.note(cx, if awaited { NoteLevel::Warning } else { NoteLevel::Debug }, &text);
        if self.grant.is_some() && !self.owes_itself() {
            self.grant_attempt_failed(cx, at, !attempt.bound.is_empty());
        } else {
            self.kind.stand = Some(Stand { at, reason: attempt.reason });
        }
    }

    /// The pause after a failed attempt: random, and doubling while no majority answers.
    fn pause_after_attempt(&mut self, cx: &mut Cx<'_>) -> Span {
        let timeout = self.spec.timeout;
        let random = cx.prng.span_below(timeout);
        let doublings = self.kind.unheard.saturating_sub(UNHEARD_BEFORE_DOUBLING);
        let keeps = self.holding() || (self.leaving() && self.established(cx.now.mono));
        if self.kind.unheard < UNHEARD_BEFORE_DOUBLING || keeps {
            // Others must find the time to stand, above all with -F.
            let calm = if self.leaving() && !keeps { timeout.times(3) } else { Span::ZERO };
            return random.plus(calm);
        }
        timeout.times(1 << doublings.min(20)).min(self.spec.expire).plus(random)
    }

    /// When, by the validities that members stated, a majority could be free to vote.
    fn majority_free_at(&self, cx: &Cx<'_>) -> MonoTime {
        let mut times: Vec<MonoTime> =
            cx.roster.peers().iter().map(|peer| self.links[peer.get()].bound_until).collect();
        times.sort_unstable();
        let needed = cx.roster.majority().saturating_sub(1);
        needed.checked_sub(1).and_then(|last| times.get(last).copied()).unwrap_or(cx.now.mono)
    }

    /// A leader with a live lease hears a vote request with a higher term from a member that has
    /// not acknowledged this renewal (L11).
    fn challenged(&mut self, cx: &mut Cx<'_>, by: MemberIndex, term: Term) {
        let Some(lead) = &self.kind.lead else { return };
        if term > lead.term() && lead.renewal.unacked().contains(by) {
            self.heard_of(term);
            self.stand_again(cx);
        }
    }

    /// A leader learned of a higher term: it stands with a higher one and goes on holding, at most
    /// once per renewal (L11). In its grace, only as long as it has a bound (L9).
    fn stand_again(&mut self, cx: &mut Cx<'_>) {
        let allowed = self.kind.grace.is_none() || self.established(cx.now.mono);
        let Some(lead) = self.kind.lead.as_mut().filter(|_| allowed) else { return };
        if lead.renewal.challenge() {
            return;
        }
        self.note(cx, NoteLevel::Info, "a higher term is known: standing for re-election");
        self.stand_for_election(cx, Reason::Reacquire, false);
    }
}
