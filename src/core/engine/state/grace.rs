// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member in its grace knows (L9).

use super::backing::Backing;
use crate::model::{MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};
use alloc::vec::Vec;

/// What a starting member still has to find out.
#[derive(Clone, Debug)]
pub struct Grace {
    /// The longest word that this member may have given before it started: `expire`, or what a
    /// leader states that it follows.
    pub word: Span,
    /// Members that keep the rules of `RULES.md`, as something in this life has shown.
    pub ours: MemberSet,
    /// What this start's STATUS carries and its answers return; never 0.
    pub nonce: u32,
    /// When STATUS is sent again to the sites that have not answered.
    pub ask_at: Option<MonoTime>,
    /// Sites whose last answer was that they neither hold, lead nor compete.
    pub idle: MemberSet,
    /// Sites that have answered, whatever they said: they are asked again only every `timeout`.
    pub answered: MemberSet,
    /// Per member: when it was last asked, and when first since it was heard from.
    pub asked: Vec<(Option<MonoTime>, Option<MonoTime>)>,
    /// The highest term of a request with `-F` whose sender was asked whether it stands.
    pub forced: Option<Term>,
    /// A member and term to which `-F` opened the door before the end of the grace.
    pub waived: Option<(MemberIndex, Term)>,
    /// Who is promised to this member.
    pub backing: Backing,
    /// The highest term in which an answer of a site names another member as the last leader.
    pub named: Option<Term>,
}

impl Grace {
    /// Whether `-F` has opened the door to this candidate and its term.
    pub fn is_waived(&self, to: MemberIndex, term: Term) -> bool {
        self.waived == Some((to, term))
    }

    /// When a member was last asked.
    pub fn asked_at(&self, member: MemberIndex) -> Option<MonoTime> {
        self.asked[member.get()].0
    }

    /// A site is heard to lead: whatever it has answered before, it is not idle.
    pub fn leads(&mut self, member: MemberIndex, now: MonoTime) {
        if self.idle.contains(member) {
            self.idle.remove(member);
            self.ask_soon(member, now);
        }
    }

    /// What a member has answered is not enough: it is asked again when it is heard.
    pub fn ask_soon(&mut self, member: MemberIndex, now: MonoTime) {
        self.answered.remove(member);
        self.asked[member.get()].1.get_or_insert(now);
    }
}
