// SPDX-License-Identifier: GPL-2.0-or-later
//! Objections (`RULES.md` L3, L7): a site whose own store may say *granted* says so to whoever
//! stands or leads, and nobody else is granted as long as it does. `-F` overrides.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Lead, Leased};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};
use crate::wire::{Command, PeerBody, ResultCode};
use alloc::format;

/// How often at most somebody who objects is asked again because something was heard from it, as
/// a part of `timeout`.
const ASK_AGAIN_PARTS: u64 = 8;

impl Ticket<Leased> {
    /// Whether this site's store may say *granted*, whatever the site has decided: it has not been
    /// read yet, holds a grant, or a revoke that has not succeeded.
    pub fn may_say_granted(&self) -> bool {
        let unread = self.phase.is_loading();
        self.site && (unread || self.cib.maybe_granted())
    }

    /// Whether it has no other answer to requests than its objection: it may not speak yet, or may
    /// not answer in its grace.
    pub fn only_objects(&self) -> bool {
        let in_grace = self.kind.grace.is_some() && self.holding();
        self.may_say_granted() && (!self.ready() || in_grace)
    }

    /// Tells whoever stands or leads that the store here may say *granted*. The validity is what
    /// is left of this site's own lease, zero if it has none: then nothing keeps the other members
    /// from voting, and the other one may go on asking.
    pub fn object(&self, cx: &mut Cx<'_>, to: MemberIndex, of: Command) {
        let left = self.bound().map_or(Span::ZERO, |until| until.since(cx.now.mono));
        let term = self.led_term(to);
        let result = ResultCode::TermStillValid;
        let body = PeerBody::Rejected { of, result, granted: true };
        let valid = left.min(self.spec.expire);
        let message = self.message(Holder::Member(self.my_id), term, valid, body);
        cx.send(to, message, false);
    }

    /// Whether a rejection is an objection: it says so, or a reference site names itself, with
    /// whatever validity. Reference: its validity is in whole seconds, 0 in the last one.
    pub fn is_objection(
        &self,
        cx: &Cx<'_>,
        from: MemberIndex,
        marked: bool,
        result: ResultCode,
        leader: Holder,
    ) -> bool {
        let itself = leader == Holder::Member(cx.roster.member(from).id);
        let plain = self.links[from.get()].echoes != Some(true);
        let held = plain && itself && result == ResultCode::TermStillValid;
        cx.is_site(from) && (marked && itself || held)
    }

    /// A site has objected.
    pub fn note_objection(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term) {
        let new = !self.objectors(cx.now.mono).contains(from);
        let known = !new && !self.kind.objections.unread.contains(from);
        self.kind.objections.heard[from.get()] = Some(cx.now.mono);
        self.kind.acquire.answered.insert(from);
        if new {
            self.kind.objections.said.remove(from);
        }
        if term == Term::ZERO {
            // What it had before it started again, it may still have.
            if !known {
                self.kind.objections.unread.insert(from);
            }
        } else {
            self.kind.objections.unread.remove(from);
            self.kind.objections.terms[from.get()] = term;
            // What it may still hold is later than what a late REVOKE of another tells of (L10).
            let led = self.kind.lead.as_ref().map(Lead::term);
            self.won_over_later(term, led.unwrap_or_default());
        }
        self.say_objections(cx);
        self.tell_waiters(cx);
    }

    /// A site that gives up hears that another one has a lease: that one's store may say *granted*.
    pub fn heard_elsewhere(&mut self, cx: &Cx<'_>, holder: Holder, term: Term) {
        let index = holder.member().and_then(|id| cx.roster.index_of(id));
        let Some(index) = index.filter(|index| *index != self.me && self.leaving()) else { return };
        self.kind.objections.heard[index.get()] = Some(cx.now.mono);
        self.kind.objections.terms[index.get()] = term;
        self.kind.objections.unread.remove(index);
    }

    /// Refuses a vote because a site other than the candidate has objected here lately: the
    /// candidate may not hear it. Whose store could only not be read yet is left to the candidate.
    pub fn refuse_for_another(&self, cx: &mut Cx<'_>, to: MemberIndex) -> bool {
        let fresh = self.objectors(cx.now.mono).without(self.kind.objections.unread);
        let Some(objector) = fresh.iter().find(|member| *member != to) else { return false };
        let leader = Holder::Member(cx.roster.member(objector).id);
        let (of, result) = (Command::ReqVote, ResultCode::TermStillValid);
        let body = PeerBody::Rejected { of, result, granted: true };
        let term = self.kind.objections.terms[objector.get()];
        let message = self.message(leader, term, Span::ZERO, body);
        cx.send(to, message, false);
        true
    }

    /// A site announces that its store says *revoked*, in the term of its objection or a later one.
    pub fn objector_ends(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term) {
        let stated = self.kind.objections.terms[from.get()];
        if self.kind.objections.heard[from.get()].is_some() && Term::ZERO < stated && stated <= term
        {
            self.take_back_objection(cx, from);
        }
    }

    /// Logs each objection once, as soon as it matters.
    pub fn say_objections(&mut self, cx: &mut Cx<'_>) {
        let unsaid = self.objectors(cx.now.mono).without(self.kind.objections.said);
        let (holds, competes) = (self.holding(), self.competes());
        if unsaid.is_empty() || !(holds || competes) {
            return;
        }
        self.kind.objections.said = self.kind.objections.said.union(unsaid);
        let sites = cx.names(unsaid);
        let (level, text) = if holds {
            let text = format!("objected to by {sites}: their stores may say granted, too");
            (NoteLevel::Info, text)
        } else {
            let text = format!(
                "objected to by {sites}: the ticket may still be granted in the store there; \
                 nothing is granted here until it is not, unless an administrator overrides \
                 (booth grant -F)"
            );
            (NoteLevel::Warning, text)
        };
        self.note(cx, level, &text);
    }

    /// A site votes for this one, follows it, or says that it is idle.
    pub fn take_back_objection(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        let fresh = self.objectors(cx.now.mono).contains(from);
        self.kind.objections.heard[from.get()] = None;
        self.kind.acquire.answered.insert(from);
        self.kind.objections.unread.remove(from);
        if fresh && self.competes() {
            let text = format!("{} does not object any more", cx.name(from));
            self.note(cx, NoteLevel::Info, &text);
            if !self.kind.objections.cleared.contains(from) {
                self.acquire_after_objection(cx, cx.now.mono);
            }
            self.advance_commit(cx);
            self.tell_waiters(cx);
        }
        if self.lease_lives(cx.now.mono) {
            self.kind.objections.cleared.insert(from);
        }
    }

    /// Who has objected within the last `E` and not taken it back.
    pub fn objectors(&self, now: MonoTime) -> MemberSet {
        let fresh = |member: &MemberIndex| {
            let heard = self.kind.objections.heard.get(member.get()).copied().flatten();
            heard.is_some_and(|at| now < at.plus(self.spec.expire))
        };
        (0..self.kind.objections.heard.len()).filter_map(MemberIndex::new).filter(fresh).collect()
    }

    /// Until when the commit waits for those who object, if it does.
    pub fn objected_until(&self, now: MonoTime) -> Option<MonoTime> {
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        if forced || self.cib.maybe_granted() {
            return None;
        }
        let heard = &self.kind.objections.heard;
        let until = |member: MemberIndex| {
            heard.get(member.get()).copied().flatten().map(|at| at.plus(self.spec.expire))
        };
        self.objectors(now).iter().filter_map(until).max()
    }

    /// When those who object are asked again: a leader that has not granted yet asks every
    /// `timeout`, beside its renewals.
    pub fn objection_due(&self) -> Option<MonoTime> {
        let lead = self.kind.lead.as_ref().filter(|_| self.awaits_first_grant())?;
        let last = self.kind.objections.heard.iter().flatten().max()?;
        let asked = self.kind.objections.asked.max(lead.renewal.started()).max(*last);
        Some(asked.plus(self.spec.timeout))
    }

    /// Asks those who object again, by a heartbeat; whoever has been silent for `E` counts no more.
    pub fn ask_objectors(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let fresh = self.objectors(now);
        let mut silent = None;
        for (index, heard) in self.kind.objections.heard.iter_mut().enumerate() {
            let member = MemberIndex::new(index);
            if member.is_some_and(|member| fresh.contains(member)) {
                continue;
            }
            let counts =
                member.is_some_and(|member| !self.kind.objections.cleared.contains(member));
            silent = silent.max(heard.take().filter(|_| counts));
        }
        if let Some(heard) = silent {
            // It counted for so long, and may have gone on until then.
            self.acquire_after_objection(cx, heard.plus(self.spec.expire));
        }
        self.kind.objections.asked = now;
        // The renewal repeats its heartbeat by itself for a while.
        let renewal = self.kind.lead.as_ref().map(|lead| &lead.renewal);
        let repeated = renewal.filter(|renewal| renewal.retry_at().is_some());
        let repeated = repeated.map_or(MemberSet::EMPTY, |renewal| renewal.unacked());
        for member in fresh.without(repeated).iter() {
            self.send_lead(cx, member, Command::Heartbeat, true);
        }
        if fresh.is_empty() {
            self.advance_commit(cx);
            self.tell_waiters(cx);
        }
    }

    /// Somebody who objects says something else: perhaps it objects no more.
    pub fn objector_speaks(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        let now = cx.now.mono;
        let pause = self.spec.timeout.divided(ASK_AGAIN_PARTS);
        let waits = self.awaits_first_grant() && self.objectors(now).contains(from);
        if waits && now >= self.kind.objections.asked.plus(pause) {
            self.ask_objectors(cx);
        }
    }

    /// Whether this site leads and has not granted yet.
    fn awaits_first_grant(&self) -> bool {
        self.phase.is_leader() && self.quit.is_none() && !self.cib.maybe_granted()
    }

    /// Whether an objection matters here: this site wants the ticket.
    pub fn competes(&self) -> bool {
        let stands = self.phase.is_candidate();
        !self.cib.maybe_granted() && (self.awaits_first_grant() || stands || self.grant.is_some())
    }
}
