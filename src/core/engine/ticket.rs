// SPDX-License-Identifier: GPL-2.0-or-later
//! All state of one ticket at one member, and the questions that the rules ask of it.
//!
//! A ticket holds plain values and reads no clock; what is live and what has passed is decided
//! against the `now` of the step. The rules stand in the sibling modules, one subject each.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::event::HoldWindow;
use super::state::{
    window, Acquire, Announce, Attrs, Bound, Cib, Differs, Grace, GrantJob, Heard, Known, Lead,
    Link, Manual, Objections, Phase, Probe, Promise, Quit, Revokers, Stand, Verified, Vote,
};
use crate::model::{
    Holder, MemberId, MemberIndex, MemberRole, MemberSet, Term, TicketIndex, TicketMode, TicketSpec,
};
use crate::prng::Prng;
use crate::time::{MonoTime, Now, Span};
use crate::wire::{PeerBody, PeerMessage, ResultCode, Round};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// All state of one ticket.
#[derive(Debug)]
pub(super) struct Ticket {
    pub index: TicketIndex,
    pub spec: TicketSpec,
    pub me: MemberIndex,
    pub my_id: MemberId,
    pub site: bool,
    pub phase: Phase,
    /// The member's own term (L2, L3).
    pub term: Option<Term>,
    /// The highest term used, voted in, accepted, heard of in a reply or read (L1).
    pub seen: Option<Term>,
    /// The highest term in which it voted for or accepted another (L4(2)).
    pub floor: Option<Term>,
    /// The vote in the highest term voted in.
    pub vote: Option<Vote>,
    /// Its word to another member.
    pub promise: Option<Promise>,
    /// Per member: the highest term whose end it announced (L4(3)).
    pub ended: Vec<Option<Term>>,
    /// The last that others have said of the ticket.
    pub heard: Heard,
    /// Per member: rounds, acknowledgements, refusals.
    pub links: Vec<Link>,
    /// Members whose last message that could carry a mark of `RULES.md` had one.
    pub marking: MemberSet,
    pub known: Known,
    /// Whose `expire` is another one.
    pub differs: Differs,
    /// Whether that a ticket without a holder is free was learned in this life: every other site
    /// has answered that it is idle, or the ticket was revoked meanwhile. The store alone, read by
    /// a member that has heard nobody, may be old.
    pub free_is_known: bool,
    /// The highest term in which another member was said to lead, whether or not that was believed.
    pub rumour: Option<Term>,
    /// The lead of the last term won, as long as it lasts.
    pub lead: Option<Lead>,
    /// What a restarted holder may still count on (L9): the end of its old lease at most.
    pub inherited: Option<MonoTime>,
    pub grace: Option<Grace>,
    /// Who is known to lead while grace lasts.
    pub verified: Verified,
    /// Both clocks at the start of the process.
    pub started: Now,
    /// When this site stands, if nothing comes between.
    pub stand: Option<Stand>,
    /// Attempts in a row that no majority has answered.
    pub unheard: u32,
    /// Who answered the last attempt that failed.
    pub last_heard: MemberSet,
    pub cib: Cib,
    /// The ticket is being given up: first the store, then the announcement (L10).
    pub quit: Option<Quit>,
    /// The end of a commit delay whose leader lost its lease: it belongs to the ticket (L8).
    pub commit_not_before: Option<MonoTime>,
    /// Until when its word bound it to whom.
    pub bound_to: Bound,
    /// What a ticket that moves by itself waits for before it is granted.
    pub acquire: Acquire,
    /// The ticket was free when this site won it, and it has not been granted since.
    pub won_free: bool,
    /// In which term this site knew a holder, or a revoke, when it won.
    pub won_over: Option<Term>,
    /// The terms that this site won last in this life, the newest at the end.
    pub wins: Vec<Term>,
    pub announce: Option<Announce>,
    /// Sites whose store may say *granted*.
    pub objections: Objections,
    pub probe: Option<Probe>,
    pub grant: Option<GrantJob>,
    pub revokers: Revokers,
    /// An administrator has revoked a win that has no lease yet.
    pub revoke_wanted: bool,
    pub attrs: Attrs,
    pub manual: Manual,
}

impl Ticket {
    /// A ticket of which nothing is known yet.
    pub fn new(
        index: TicketIndex,
        spec: TicketSpec,
        roster: &crate::model::Roster,
        prng: &mut Prng,
    ) -> Ticket {
        let site = roster.am_site();
        let link = |_| Link::new(Round::from_random(prng.any()));
        let links = (0..roster.len()).map(link).collect();
        Ticket {
            index,
            spec,
            me: roster.me(),
            my_id: roster.my_id(),
            site,
            phase: Phase::at_start(site),
            term: None,
            seen: None,
            floor: None,
            vote: None,
            promise: None,
            ended: vec![None; roster.len()],
            heard: Heard::default(),
            links,
            marking: MemberSet::EMPTY,
            known: Known::default(),
            differs: Differs::default(),
            free_is_known: false,
            rumour: None,
            lead: None,
            inherited: None,
            grace: None,
            verified: Verified::new(roster.len()),
            started: Now::default(),
            stand: None,
            unheard: 0,
            last_heard: MemberSet::EMPTY,
            cib: Cib::default(),
            quit: None,
            commit_not_before: None,
            bound_to: Bound::new(roster.len()),
            acquire: Acquire::default(),
            won_free: false,
            won_over: None,
            wins: Vec::new(),
            announce: None,
            objections: Objections::none(roster.len()),
            probe: None,
            grant: None,
            revokers: Revokers::default(),
            revoke_wanted: false,
            attrs: Attrs::default(),
            manual: Manual::default(),
        }
    }

    pub fn is_manual(&self) -> bool {
        self.spec.mode == TicketMode::Manual
    }

    /// Whether the store has been read and nothing in it waits to be revoked before this member
    /// may speak (L6, L9).
    pub fn ready(&self) -> bool {
        let dirty = self.cib.maybe_granted() && !self.holding();
        !self.phase.is_loading() && !dirty
    }

    /// Whether this site holds the ticket, or is granting it: the store may say so and it is not
    /// being given up.
    pub fn holding(&self) -> bool {
        self.cib.maybe_granted() && self.quit.is_none() && !self.phase.is_loading()
    }

    /// The end of this member's own lease, or of what a restarted holder inherited.
    pub fn bound(&self) -> Option<MonoTime> {
        self.lead.as_ref().and_then(Lead::lease_until).max(self.inherited)
    }

    /// The window in which the store may say *granted* (L6).
    pub fn hold_window(&self) -> Option<HoldWindow> {
        self.bound().map(|until| {
            let lease = self.lead.as_ref().filter(|lead| lead.lease_until() == Some(until));
            window(&self.spec, until, lease.map_or(self.spec.expire, Lead::length))
        })
    }

    /// Whether this member has a lease that lasts.
    pub fn lease_lives(&self, now: MonoTime) -> bool {
        self.lead.as_ref().and_then(Lead::lease_until).is_some_and(|until| now < until)
    }

    /// Whether its messages are established: a live lease, or a restarted holder (L9).
    pub fn established(&self, now: MonoTime) -> bool {
        let keeps = self.holding() || self.leaving();
        (self.quit.is_none() || self.leaving())
            && (self.lease_lives(now) || (keeps && self.inherited.is_some_and(|until| now < until)))
    }

    /// Whether it owes its help to itself (L3): a lease, a grant in its store until the revoke has
    /// completed, or a win that has no lease yet.
    pub fn owes_itself(&self) -> bool {
        self.lead.is_some() || self.cib.maybe_granted()
    }

    /// To whom this member's word is given now, if to anyone.
    pub fn promised_to(&self, now: MonoTime) -> Option<MemberIndex> {
        if self.owes_itself() {
            return Some(self.me);
        }
        self.live_promise(now).map(|promise| promise.to())
    }

    /// Its promise to another member, while that lasts.
    pub fn live_promise(&self, now: MonoTime) -> Option<Promise> {
        self.promise.filter(|promise| promise.lives(now))
    }

    /// The lowest term that is higher than every term it has to do with (L1).
    pub fn fresh_term(&self) -> Option<Term> {
        match self.seen {
            Some(seen) => seen.next(),
            None => Some(Term::ZERO.next().unwrap_or_default()),
        }
    }

    /// Notes a term that was heard of in a reply.
    pub fn heard_of(&mut self, term: Term) {
        self.seen = self.seen.max(Some(term));
    }

    /// A member is said to lead: what was known to be free may be so no more.
    pub fn note_rumour(&mut self, leader: Holder, term: Term) {
        if leader.member().is_some_and(|id| id != self.my_id) {
            self.rumour = self.rumour.max(Some(term));
        }
    }

    /// Another site leads with a lease, or is known as the last leader by a member that says so, or
    /// has one's promise.
    pub fn note_led(&mut self, body: &PeerBody, leader: Holder, (term, valid): (Term, Span)) {
        let leads = match body {
            PeerBody::Heartbeat { stamp } => stamp.established,
            PeerBody::Update { .. } | PeerBody::MyIndex { .. } => true,
            PeerBody::Rejected { result: ResultCode::TermStillValid, .. } => !valid.is_zero(),
            PeerBody::Status { .. }
            | PeerBody::ReqVote { .. }
            | PeerBody::Vote { .. }
            | PeerBody::StepDown { .. }
            | PeerBody::Revoke { .. }
            | PeerBody::Ack { .. }
            | PeerBody::Rejected { .. } => false,
        };
        if leads && leader.member().is_some_and(|id| id != self.my_id) {
            self.heard.note_led(term);
        }
    }

    /// The term that its messages carry.
    pub fn wire_term(&self) -> Term {
        self.term.unwrap_or_default()
    }

    /// A message about this ticket.
    pub fn message(&self, leader: Holder, term: Term, valid: Span, body: PeerBody) -> PeerMessage {
        // Members never say "unknown" (P4).
        let leader = if leader == Holder::Unknown { Holder::Nobody } else { leader };
        PeerMessage { ticket: self.spec.name.clone(), leader, term, valid_for: valid, body }
    }

    /// This member as a holder.
    pub fn myself(&self, cx: &Cx<'_>) -> Holder {
        Holder::Member(cx.roster.my_id())
    }

    /// The number of this member in the order in which sites stand: higher weights first, then
    /// configuration order (L13).
    pub fn place(&self, cx: &Cx<'_>) -> u64 {
        let weight = |m: MemberIndex| self.spec.weights.get(m.get()).copied().unwrap_or(0);
        let mine = weight(self.me);
        let ahead = cx
            .roster
            .sites()
            .iter()
            .filter(|m| *m != self.me)
            .filter(|m| weight(*m) > mine || (weight(*m) == mine && *m < self.me))
            .count();
        u64::try_from(ahead).unwrap_or(0)
    }

    /// One step of the order in which sites stand: `min(1 s, τ)/4` (L13).
    pub fn place_step(&self) -> Span {
        self.spec.timeout.min(Span::from_secs(1)).divided(4)
    }

    /// Writes a line about this ticket; the only place that adds the prefix
    /// `NAME (PHASE/TERM/SECONDS LEFT): `.
    pub fn note(&self, cx: &mut Cx<'_>, level: NoteLevel, text: &str) {
        let line = format!("{}: {text}", self.prefix(cx.now));
        cx.note(level, line);
    }

    /// The beginning of this ticket's log lines.
    fn prefix(&self, now: Now) -> String {
        let until = self.bound().or(self.promise.map(|promise| promise.until()));
        let left = until.map_or(0, |until| until.since(now.mono).as_secs());
        format!("{} ({}/{}/{left})", self.spec.name, self.phase.word(), self.wire_term())
    }

    /// Whether the member may hold tickets.
    pub fn is_site(cx: &Cx<'_>, member: MemberIndex) -> bool {
        cx.roster.member(member).role == MemberRole::Site
    }
}
