// SPDX-License-Identifier: GPL-2.0-or-later
//! What voters tell with their votes (`RULES.md` L3, L10): the last that they know of the ticket.
//!
//! A revoke is announced to everyone, but not everyone hears it, and a candidate may have missed
//! the last holder. A vote and what its voter knows are one packet, so whoever wins has heard the
//! last that its majority knows, and decides by that: what was revoked is not acquired by itself,
//! and an earlier revoke ends nothing that was held later.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Attempt, Known, Lead, Leased, Vote};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, MemberSet, Term};
use crate::time::Span;
use crate::wire::{LastKnown, PeerBody, Reason, Stamp};

/// So many own wins are remembered: packets of earlier ones are not under way any more.
const WINS_KEPT: usize = 64;

impl Ticket<Leased> {
    /// The last that this member knows of the ticket. *Nobody* in term 0 is what a member says
    /// that knows nothing.
    pub fn last_known(&self) -> Option<LastKnown> {
        let mine = self.known.leader == Holder::Member(self.my_id);
        let unleased = self.kind.unleased.filter(|win| Some(win.term) == self.known.term);
        if let Some(win) = unleased.filter(|_| mine) {
            return win.before.max(LastKnown::held(self.kind.heard.led()));
        }
        let term = self.known.term.filter(|term| *term > Term::ZERO)?;
        Some(LastKnown { term, free: self.known.leader == Holder::Nobody })
    }

    /// The term of that.
    pub fn last_term(&self) -> Option<Term> {
        self.last_known().map(|last| last.term)
    }

    /// Sends VOTE_FOR `voted` in a term to a candidate, with the last that is known here.
    pub fn say_vote(
        &mut self,
        cx: &mut Cx<'_>,
        to: MemberIndex,
        voted: MemberIndex,
        term: Term,
        last: Option<LastKnown>,
    ) {
        // That it has stood itself binds it to nobody.
        let free = to == voted || voted == self.me;
        let unbound_for = Some(if free { self.unbound_for(cx, to) } else { Span::ZERO });
        let vouched = self.kind.grace.is_none();
        // One that does not fit is not told.
        let last = last.filter(|last| last.term.get() <= LastKnown::TERM_MAX);
        let body = PeerBody::Vote { vouched, unbound_for, last };
        let leader = Holder::Member(cx.roster.member(voted).id);
        let message = self.message(leader, term, Span::ZERO, body);
        cx.send(to, message, false);
    }

    /// Who follows a leader that it has not voted for has not told it the last that it knows (L3),
    /// and is about to forget it: it votes for it now, before it acknowledges, unless it has voted
    /// in that term or a later one.
    pub fn vote_before_following(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        stamp: Stamp,
        term: Term,
        last: Option<LastKnown>,
    ) {
        let own = self.kind.vote.filter(|vote| vote.term > term && vote.to == self.me);
        let voted =
            self.kind.vote.is_some_and(|vote| vote.term >= term) || self.kind.grace.is_some();
        let leader = Holder::Member(cx.roster.member(from).id);
        let news = last.is_some() && self.known.leader != leader;
        let grace = last.filter(|_| self.kind.grace.is_some()).map(|last| last.term);
        let said = own.map(|own| own.term).or(grace);
        if let (Some(said), true, Some(_)) = (said, news, stamp.round) {
            // It has stood in a higher term, to no avail, or may not vote yet: it says so.
            self.say_vote(cx, from, self.me, said, last);
        }
        if voted || !news || stamp.round.is_none() {
            return;
        }
        self.kind.vote = Some(Vote { term, to: from });
        self.say_vote(cx, from, from, term, last);
    }

    /// A site is said to lead what this member knows to be revoked, and is about to forget: the
    /// site hears of it, and decides.
    pub fn tell_of_revoke(&mut self, cx: &mut Cx<'_>, leader: Holder) {
        let site = leader.member().and_then(|id| cx.roster.index_of(id));
        let Some(site) = site.filter(|site| *site != self.me && self.kind.marking.contains(*site))
        else {
            return;
        };
        if let Some(last) = self.last_known().filter(|last| last.free) {
            self.say_vote(cx, site, self.me, last.term, Some(last));
        }
    }

    /// A majority votes for this member. Tells whether that makes it the leader: a site that stands
    /// by itself does not lead what was revoked last.
    pub fn heeds_voters(&mut self, cx: &mut Cx<'_>, attempt: &Attempt) -> bool {
        if self.owes_itself() {
            match attempt.told {
                Some(LastKnown { term, free: true }) if self.leaving() => {
                    self.kind.heard.note_revoked(term);
                }
                Some(LastKnown { term, free: true }) => return !self.give_up_win(cx, term),
                Some(LastKnown { term, .. }) => {
                    self.kind.heard.forget_revokes_before(term);
                    self.won_over_later(term, attempt.term);
                }
                None => {}
            }
            return true;
        }
        let last = attempt.told.max(self.last_known());
        if let Some(LastKnown { term, free: true }) = last.filter(|_| !self.is_ordered(attempt)) {
            self.note(cx, NoteLevel::Info, "the ticket was revoked meanwhile: not leading it");
            self.phase.become_follower();
            self.adopt_nobody(cx, term);
            return false;
        }
        if last > self.last_known() {
            self.learn_last(cx, last);
        }
        true
    }

    /// Whether an administrator's grant is behind an attempt.
    fn is_ordered(&self, attempt: &Attempt) -> bool {
        attempt.reason == Reason::Admin && self.grant.is_some()
    }

    /// Takes over what voters know and this member did not.
    fn learn_last(&mut self, cx: &mut Cx<'_>, last: Option<LastKnown>) {
        let Some(last) = last else { return };
        if last.free {
            self.adopt_nobody(cx, last.term);
        } else {
            // Who led is not said; until when, the votes say themselves (L8).
            let (leader, term) = (Holder::Unknown, Some(last.term));
            self.known = Known { leader, term, until: self.known.until };
        }
    }

    /// The first win since this site led or held last: notes what it has won (a free ticket, or one
    /// that another held until then), as far as a majority knows.
    pub fn note_what_is_won(&mut self) {
        self.kind.objections.cleared = MemberSet::EMPTY;
        // In term 0 a member knows nothing, but a reference site may have held.
        self.kind.won_over = self.last_term();
        self.kind.won_free =
            self.quit.is_none() && !self.cib.maybe_granted() && !self.knows_of_a_loss();
    }

    /// This site has won a term: whoever followed it there names no other holder.
    pub fn remember_win(&mut self, term: Term) {
        if self.kind.wins.len() >= WINS_KEPT {
            self.kind.wins.remove(0);
        }
        self.kind.wins.push(term);
    }

    /// The term that this site won last in this life.
    pub fn last_won(&self) -> Option<Term> {
        self.kind.wins.last().copied()
    }

    /// A member says that the ticket was revoked in a term (L10): that counts at once, or when a
    /// promise to a leader of an earlier term has ended.
    pub fn hear_free(&mut self, cx: &mut Cx<'_>, term: Term) {
        if Some(term) < self.kind.heard.led() {
            return;
        }
        if self.phase.is_loading() || self.leaving() {
            self.kind.heard.note_revoked(term);
            return;
        }
        if self.give_up_win(cx, term) || !self.ready() || self.owes_itself() {
            return;
        }
        if self.phase.is_leader() || Some(term) < self.last_term() {
            return;
        }
        match self.live_promise(cx.now.mono) {
            None => self.adopt_nobody(cx, term),
            Some(promise) if term >= promise.term() => self.kind.heard.note_revoked(term),
            Some(_) => {}
        }
    }

    /// A member refuses because the ticket was revoked: a reference member, or one that does not
    /// know that this one keeps the rules. Tells whether that is all that the refusal means.
    pub fn refused_as_revoked(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term) -> bool {
        if self.give_up_win(cx, term) {
            return true;
        }
        let last = Some(term) >= self.last_term().max(self.kind.heard.led());
        let learns = last && !self.owes_itself();
        let ours = self.kind.marking.contains(from);
        if self.phase.is_leader() {
            return false;
        }
        let Some(attempt) = self.phase.attempt_mut() else {
            // Its attempt is over, but it stands again.
            self.hear_free(cx, term);
            return true;
        };
        attempt.heard.insert(from);
        let admin = attempt.reason == Reason::Admin;
        if learns && !admin {
            self.note(cx, NoteLevel::Info, "the ticket was revoked meanwhile: not standing");
            self.phase.become_follower();
        }
        if learns && (ours || !admin) {
            self.adopt_nobody(cx, term);
        }
        // Of one that keeps the rules it has the vote all the same, or stands no more.
        (ours && (admin || !last)) || (learns && !admin)
    }

    /// A vote of any attempt says the last that its voter knows. Tells whether it ended a win.
    pub fn hear_last(&mut self, cx: &mut Cx<'_>, last: Option<LastKnown>) -> bool {
        let Some(last) = last else { return false };
        self.heard_of(last.term);
        if !last.free && Some(last.term) > self.known.term {
            self.kind.rumour = self.kind.rumour.max(Some(last.term));
        }
        if !last.free && self.kind.wins.contains(&last.term) {
            // What this site has held itself it knows.
            return false;
        }
        if !last.free {
            self.kind.heard.note_led(last.term);
        }
        if let Some(attempt) = self.phase.attempt_mut() {
            attempt.told = attempt.told.max(Some(last));
            if last.free {
                // If this attempt fails, the next one knows it.
                self.kind.heard.note_revoked(last.term);
            }
        } else if last.free {
            if self.phase.is_leader() {
                return self.give_up_win(cx, last.term);
            }
            self.hear_free(cx, last.term);
        } else if self.phase.is_leader() {
            let led = self.kind.lead.as_ref().map(Lead::term);
            self.won_over_later(last.term, led.unwrap_or_default());
        }
        false
    }

    /// The ticket was held later than this member and its majority knew: it won a lost one.
    pub fn won_over_later(&mut self, term: Term, led: Term) {
        if Some(term) > self.kind.won_over && term < led && !self.kind.wins.contains(&term) {
            self.kind.won_over = Some(term);
            self.kind.won_free = false;
        }
    }
}
