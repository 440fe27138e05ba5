// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member in its grace knows (L9).

use super::backing::Backing;
use crate::model::{MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};
use alloc::vec;
use alloc::vec::Vec;

/// What a starting member still has to find out.
#[derive(Clone, Debug)]
pub struct Grace {
    /// The longest word that this member may have given before it started: `expire`, or what a
    /// leader states that it follows.
    word: Span,
    /// Members that keep the rules of `RULES.md`, as something in this life has shown.
    ours: MemberSet,
    nonce: u32,
    ask_at: Option<MonoTime>,
    /// Sites whose last answer was that they neither hold, lead nor compete.
    idle: MemberSet,
    /// Sites that have answered, whatever they said: they are asked again only every `timeout`.
    answered: MemberSet,
    asked: Vec<Asked>,
    /// The highest term of a request with `-F` whose sender was asked whether it stands.
    forced: Option<Term>,
    /// A member and term to which `-F` opened the door before the end of the grace.
    waived: Option<(MemberIndex, Term)>,
    backing: Backing,
    named: Option<Term>,
}

/// When a member was asked.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    last: Option<MonoTime>,
    /// First since it was heard from.
    first: Option<MonoTime>,
    /// The highest term in which it was heard to lead, if none of its answers is as new.
    leads: Option<Term>,
}

impl Grace {
    /// A member of so many has just started. `nonce`, never 0, is what this start's STATUS carries
    /// and its answers return.
    pub fn new(me: MemberIndex, members: usize, expire: Span, nonce: u32) -> Grace {
        Grace {
            word: expire,
            ours: core::iter::once(me).collect(),
            nonce,
            ask_at: None,
            idle: MemberSet::EMPTY,
            answered: MemberSet::EMPTY,
            asked: vec![Asked::default(); members],
            forced: None,
            waived: None,
            backing: Backing::new(members),
            named: None,
        }
    }

    /// The longest word that this member may have given before it started.
    pub fn word(&self) -> Span {
        self.word
    }

    /// A leader that is followed counts on words of this length.
    pub fn outlast(&mut self, length: Span) {
        self.word = self.word.max(length);
    }

    /// A member keeps the rules.
    pub fn note_ours(&mut self, member: MemberIndex) {
        self.ours.insert(member);
    }

    /// Whether all members keep the rules, as something in this life has shown.
    pub fn all_ours(&self) -> bool {
        (0..self.asked.len()).filter_map(MemberIndex::new).all(|member| self.ours.contains(member))
    }

    /// What this start's STATUS carries and its answers return.
    pub fn nonce(&self) -> u32 {
        self.nonce
    }

    /// When STATUS is sent again to those who have not answered.
    pub fn ask_at(&self) -> Option<MonoTime> {
        self.ask_at
    }

    /// STATUS is sent again then.
    pub fn ask_again_at(&mut self, at: MonoTime) {
        self.ask_at = Some(at);
    }

    /// A member is asked now.
    pub fn note_asked(&mut self, to: MemberIndex, now: MonoTime) {
        self.asked[to.get()].last = Some(now);
        self.backing.note_asked(to, now);
    }

    /// When a member was last asked.
    pub fn asked_at(&self, member: MemberIndex) -> Option<MonoTime> {
        self.asked[member.get()].last
    }

    /// Sites that have not said that they are idle, and others that have not answered.
    pub fn unanswered(&self, sites: MemberSet, others: MemberSet) -> MemberSet {
        sites.without(self.idle).union(others.without(self.answered))
    }

    /// A site was heard from. Tells whether it is to be asked: it has not answered, and was not
    /// asked within `pause` since it was first heard.
    pub fn is_to_be_asked(&mut self, from: MemberIndex, now: MonoTime, pause: Span) -> bool {
        let Asked { last, first, .. } = self.asked[from.get()];
        let recently = last.is_some_and(|at| now < at.plus(pause));
        if self.answered.contains(from) || (first.is_some() && recently) {
            return false;
        }
        self.asked[from.get()].first.get_or_insert(now);
        true
    }

    /// A candidate with `-F` has not shown that it stands now. Tells whether it is to be asked: not
    /// within `pause`, unless the term is higher than that of any before.
    pub fn doubts(&mut self, from: MemberIndex, term: Term, now: MonoTime, pause: Span) -> bool {
        let recently = self.asked_at(from).is_some_and(|at| now < at.plus(pause));
        if recently && Some(term) <= self.forced {
            return false;
        }
        self.forced = self.forced.max(Some(term));
        self.asked[from.get()].first.get_or_insert(now);
        true
    }

    /// `-F` opens the door to one candidate and its term.
    pub fn waive(&mut self, to: MemberIndex, term: Term) {
        self.waived = Some((to, term));
    }

    /// Whether `-F` has opened the door to this candidate and its term.
    pub fn is_waived(&self, to: MemberIndex, term: Term) -> bool {
        self.waived == Some((to, term))
    }

    /// Whether an answer is one to this start's question; a reference member returns no nonce, but
    /// answers within `timeout`.
    pub fn is_answered_by(
        &self,
        from: MemberIndex,
        nonce: u32,
        now: MonoTime,
        timeout: Span,
    ) -> bool {
        match nonce {
            0 => self.asked[from.get()].first.is_some_and(|at| now.since(at) <= timeout),
            nonce => nonce == self.nonce,
        }
    }

    /// A site answers, in `term`, whether it is idle, and in which term another member led last.
    pub fn note_answer(&mut self, from: MemberIndex, term: Term, idle: bool, last: Option<Term>) {
        self.answered.insert(from);
        self.named = self.named.max(last);
        let asked = &mut self.asked[from.get()];
        asked.leads = asked.leads.filter(|leads| *leads > term);
        if idle {
            self.idle.insert(from);
        } else {
            self.idle.remove(from);
        }
    }

    /// Whether all of these sites are idle.
    pub fn all_idle(&self, sites: MemberSet) -> bool {
        sites.is_subset_of(self.idle)
    }

    /// The highest term in which an answer of a site names another member as the last leader.
    pub fn named(&self) -> Option<Term> {
        self.named
    }

    /// The highest term in which a site was heard to lead whose own answers are older than that.
    pub fn overtaken(&self) -> Option<Term> {
        self.asked.iter().filter_map(|asked| asked.leads).max()
    }

    /// A member states its promise to this one.
    pub fn note_word(&mut self, from: MemberIndex, term: Term, valid: Span) {
        self.backing.note_word(from, term, valid);
    }

    /// Whether more than half of the others are promised to this member, in one term.
    pub fn is_backed(&self, now: MonoTime) -> bool {
        self.backing.suffices(now)
    }

    /// A site is heard to lead: whatever it has answered before, it is not idle.
    pub fn note_lead(&mut self, member: MemberIndex, term: Term, now: MonoTime) {
        let asked = &mut self.asked[member.get()];
        asked.leads = asked.leads.max(Some(term));
        if self.idle.contains(member) {
            self.idle.remove(member);
            self.ask_soon(member, now);
        }
    }

    /// What a member has answered is not enough: it is asked again when it is heard.
    pub fn ask_soon(&mut self, member: MemberIndex, now: MonoTime) {
        self.answered.remove(member);
        self.asked[member.get()].first.get_or_insert(now);
    }
}
