// SPDX-License-Identifier: GPL-2.0-or-later
//! Who holds a manual ticket (`RULES.md` L14): what sites claim, revoke and answer, and which of it
//! is from an earlier life of theirs.
//!
//! Such a ticket has no elections and no lease, so terms do not show that a packet comes late. A
//! round shows it within one life of its sender. Where it does not, the sender is asked, and only
//! the answer to that very question is believed: it was made after the packet had come.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Age, Doubt, Known, Manual, Question, REPEAT};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, MemberSet, Term};
use crate::time::Span;
use crate::wire::{Command, PeerBody, PeerMessage, Round};
use alloc::format;

impl Ticket<Manual> {
    /// Begins to ask the sites whether they hold this ticket, and the arbitrators whom they know.
    pub fn ask_everyone(&mut self, cx: &mut Cx<'_>) {
        for peer in cx.roster.peers().iter() {
            self.ask(cx, peer);
        }
        if !self.phase.is_leader() {
            self.kind.say_at = Some(cx.now.mono.plus(self.spec.timeout));
        }
        self.note_free(cx);
    }

    /// Asks a member; an earlier question that it has not answered is asked again.
    pub fn ask(&mut self, cx: &mut Cx<'_>, to: MemberIndex) {
        let first = || Question { nonce: cx.fresh_nonce(), about: None };
        let nonce = self.kind.questions.entry(to).or_insert_with(first).nonce;
        let body = PeerBody::Status { nonce };
        let message = self.message(self.known.leader, self.wire_term(), Span::ZERO, body);
        cx.send(to, message, false);
    }

    /// A claim or REVOKE may come from another life of its sender, which is asked what is true now:
    /// an answer to an earlier question could be older than this packet.
    fn doubt(&mut self, cx: &mut Cx<'_>, from: MemberIndex, claims: bool, round: Option<Round>) {
        let about = round.map(|round| Doubt { claims, round });
        let question = Question { nonce: cx.fresh_nonce(), about };
        self.kind.questions.insert(from, question);
        self.kind.spoken.remove(from);
        self.ask(cx, from);
        if !self.phase.is_leader() {
            let soon = cx.now.mono.plus(self.spec.timeout);
            self.kind.tries = 0;
            self.kind.say_at = Some(self.kind.say_at.map_or(soon, |at| at.min(soon)));
        }
    }

    /// STATUS again to the sites that have not said whether they hold this ticket, and to the
    /// arbitrators that have not said whom they know, until all have.
    pub fn ask_silent_sites(&mut self, cx: &mut Cx<'_>) {
        self.kind.asked = MemberSet::EMPTY;
        let silent = cx.roster.peers().without(self.kind.spoken);
        for member in silent.iter() {
            self.ask(cx, member);
        }
        self.kind.tries = self.kind.tries.saturating_add(1);
        let often = self.kind.tries < self.spec.retries;
        let pause = if often { self.spec.timeout } else { REPEAT };
        self.kind.say_at = (!silent.is_empty()).then_some(cx.now.mono.plus(pause));
    }

    /// It is known that nobody holds this ticket when every other site has said so in this life:
    /// what the store says may be old.
    fn note_free(&mut self, cx: &Cx<'_>) {
        let all = cx.other_sites().is_subset_of(self.kind.spoken);
        self.free_is_known |= all && self.kind.claims.is_empty();
    }

    /// A claim. One that may come from an earlier life of its sender counts until that has
    /// answered: better a grant too few than a second holder.
    pub fn handle_claim(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        round: Option<Round>,
        message: &PeerMessage,
    ) {
        match self.kind.age(from, round) {
            Age::Old => {}
            Age::New => {
                self.claimed_by(cx, from, message);
                self.accepted(cx, from, round);
            }
            Age::Unclear => {
                self.claimed_by(cx, from, message);
                self.doubt(cx, from, true, round);
            }
        }
    }

    /// REVOKE. One that may come from an earlier life of its sender counts when that has answered;
    /// it is sent again then, and acknowledged.
    pub fn handle_revoke(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        round: Option<Round>,
        term: Term,
    ) {
        match self.kind.age(from, round) {
            Age::Old => {}
            Age::New => {
                self.revoked_by(cx, from);
                self.accepted(cx, from, round);
            }
            Age::Unclear => {
                self.doubt(cx, from, false, round);
                return;
            }
        }
        let ack = PeerBody::Ack { of: Command::RevokeTicket, round };
        let reply = self.message(Holder::Nobody, term, Span::ZERO, ack);
        cx.send(from, reply, false);
    }

    /// A claim or REVOKE says what is true now: no earlier packet of its sender counts any more.
    fn accepted(&mut self, cx: &Cx<'_>, from: MemberIndex, round: Option<Round>) {
        if let Some(round) = round {
            self.kind.heard.insert(from, round);
        }
        self.kind.said.insert(from);
        self.kind.questions.remove(&from);
        self.note_spoken(cx, from);
    }

    /// A site has said in this life whether it holds the ticket.
    fn note_spoken(&mut self, cx: &Cx<'_>, from: MemberIndex) {
        if cx.is_site(from) {
            self.kind.spoken.insert(from);
            self.note_free(cx);
        }
    }

    /// A site says that it holds the ticket.
    fn claimed_by(&mut self, cx: &mut Cx<'_>, from: MemberIndex, message: &PeerMessage) {
        let new = self.kind.claims.insert(from);
        if new && self.kind.claims.len() > 1 {
            let text = format!("granted to several sites: {}", cx.names(self.kind.claims));
            self.note(cx, NoteLevel::Warning, &text);
        }
        if self.cib.maybe_granted() {
            return;
        }
        let (leader, term) = (message.leader, Some(message.term));
        if self.known.leader != leader {
            let text = format!("{} holds the ticket", cx.name(from));
            self.note(cx, NoteLevel::Info, &text);
        }
        self.term = self.term.max(term);
        self.known = Known { leader, term: self.term, until: cx.now.mono };
        self.follow_in_store(cx);
    }

    /// A member answers; a site, whether it holds the ticket. A reference peer returns no nonce:
    /// its answer counts as long as it has claimed or revoked nothing in this life.
    pub fn handle_answer(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        nonce: u32,
        message: &PeerMessage,
    ) {
        let question = self.kind.questions.get(&from).filter(|asked| asked.nonce == nonce).copied();
        let plain = nonce == 0 && !self.kind.said.contains(from);
        if question.is_none() && !plain {
            return;
        }
        self.kind.questions.remove(&from);
        if !cx.is_site(from) {
            // An arbitrator: it has been heard, and told if it named this site.
            self.kind.spoken.insert(from);
            return;
        }
        let holds = message.leader == Holder::Member(cx.roster.member(from).id);
        let about = question.and_then(|question| question.about);
        if let Some(Doubt { round, .. }) = about.filter(|doubt| doubt.claims == holds) {
            self.kind.heard.insert(from, round);
        }
        if holds {
            self.claimed_by(cx, from, message);
        } else {
            if self.kind.claims.contains(from) && !self.phase.is_leader() {
                // The store here still names it, or it was not believed at once.
                self.revoked_by(cx, from);
            } else {
                self.kind.claims.remove(from);
            }
        }
        self.note_spoken(cx, from);
    }

    /// A site says that it does not hold the ticket any more.
    fn revoked_by(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        self.kind.claims.remove(from);
        if self.phase.is_leader() {
            // The others may think now that nobody has it.
            self.kind.unacked = cx.roster.peers();
            self.kind.tries = 0;
            self.say_claim(cx, false);
            return;
        }
        let sender = Holder::Member(cx.roster.member(from).id);
        if self.known.leader == sender {
            self.known.leader = self.other_claim(cx);
            self.free_is_known |= self.known.leader == Holder::Nobody;
            self.note(cx, NoteLevel::Info, "revoked by its holder");
            self.follow_in_store(cx);
        }
    }
}
