// SPDX-License-Identifier: GPL-2.0-or-later
//! A ticket with a lease: what its rules ask of its state, and what this kind does where the rules
//! that both kinds share leave it to the kind.

use super::cx::Cx;
use super::deadline::DeadlineKind;
use super::effect::{CibExpiry, Effect, StoreWish};
use super::event::{ClientId, HoldWindow};
use super::report::{Remark, TicketRow, TicketView};
use super::state::{
    window, Announce, Grace, Lead, Leased, Loading, ProbeFor, Promise, Quit, QuitKind, Told, Wait,
};
use super::ticket::{Act, Kind, Loaded, Ticket};
use crate::model::{Holder, MemberIndex, Roster, Term};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientOptions, PeerBody, PeerMessage, ResultCode};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Ticket<Leased> {
    /// Whether this member may speak: the store has been read, and nothing in it has to be revoked
    /// first (L6, L9).
    pub fn ready(&self) -> bool {
        let dirty = self.cib.maybe_granted() && !self.holding();
        !self.phase.is_loading() && !dirty
    }

    /// The end of this member's own lease, or of what a restarted holder inherited.
    pub fn bound(&self) -> Option<MonoTime> {
        self.kind.lead.as_ref().and_then(Lead::lease_until).max(self.kind.inherited)
    }

    /// The window in which the store may say *granted* (L6).
    pub fn hold_window(&self) -> Option<HoldWindow> {
        self.bound().map(|until| {
            let lease = self.kind.lead.as_ref().filter(|lead| lead.lease_until() == Some(until));
            window(&self.spec, until, lease.map_or(self.spec.expire, Lead::length))
        })
    }

    /// Whether this member has a lease that lasts.
    pub fn lease_lives(&self, now: MonoTime) -> bool {
        self.kind.lead.as_ref().and_then(Lead::lease_until).is_some_and(|until| now < until)
    }

    /// Whether its messages are established: a live lease, or a restarted holder (L9).
    pub fn established(&self, now: MonoTime) -> bool {
        let keeps = self.holding() || self.leaving();
        (self.quit.is_none() || self.leaving())
            && (self.lease_lives(now)
                || (keeps && self.kind.inherited.is_some_and(|until| now < until)))
    }

    /// Whether it owes its help to itself (L3): a lease, a grant in its store until the revoke has
    /// completed, or a win that has no lease yet.
    pub fn owes_itself(&self) -> bool {
        self.kind.lead.is_some() || self.cib.maybe_granted()
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
        self.kind.promise.filter(|promise| promise.lives(now))
    }

    /// The remarks in its line of `booth list`.
    fn remarks(&self, cx: &Cx<'_>) -> Vec<Remark> {
        let now = cx.now.mono;
        let mut remarks = Vec::new();
        if self.phase.is_loading() {
            remarks.push(Remark::StartingUp(None));
        } else if let Some(until) = self.grace_until() {
            if !self.owes_itself() && self.promised_to(now).is_none() {
                remarks.push(Remark::StartingUp(Some(cx.now.wall_at(until))));
            }
        }
        if self.competes() {
            remarks.extend(self.objectors(now).iter().map(Remark::Objection));
        }
        self.remark_on_jobs(cx, &mut remarks);
        let differing = self.kind.differs.members();
        if !differing.is_empty() {
            remarks.push(Remark::ExpireDiffers(differing));
        }
        remarks
    }

    /// The lowest term that is higher than every term it has to do with (L1).
    pub fn fresh_term(&self) -> Option<Term> {
        match self.kind.seen {
            Some(seen) => seen.next(),
            None => Some(Term::ZERO.next().unwrap_or_default()),
        }
    }

    /// Notes a term that was used, accepted or heard of: a fresh one is higher (L1).
    pub fn heard_of(&mut self, term: Term) {
        self.kind.seen = self.kind.seen.max(Some(term));
    }

    /// A member is said to lead: what was known to be free may not be free any more.
    pub fn note_rumour(&mut self, leader: Holder, term: Term) {
        if leader.member().is_some_and(|id| id != self.my_id) {
            self.kind.rumour = self.kind.rumour.max(Some(term));
        }
    }

    /// Another site leads with a lease, or is known as the last leader by a member that says so, or
    /// has one's promise.
    pub fn note_led(&mut self, body: &PeerBody, told: Told) {
        let Told { leader, term, valid } = told;
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
            self.kind.heard.note_led(term);
        }
    }
}

impl Kind for Leased {
    type Purpose = ProbeFor;
    type Quit = Quit;
    const GRANT_EXPIRY: CibExpiry = CibExpiry::Lease;

    fn new(roster: &Roster) -> Leased {
        Leased::at_start(roster)
    }

    fn started(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.kind.grace = Some(Grace::new(t.me, cx.roster.len(), t.spec.expire, cx.fresh_nonce()));
    }

    fn begins_without_store(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.ask_everyone(cx);
    }

    fn loaded(t: &mut Ticket<Leased>, cx: &mut Cx<'_>, loaded: Loaded) {
        t.begin_read(cx, loaded);
    }

    fn fold(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.fold_rights(cx);
    }

    fn deadlines(
        t: &Ticket<Leased>,
        at: &mut impl FnMut(DeadlineKind, Option<MonoTime>, Act<Leased>),
    ) {
        t.leased_deadlines(at);
    }

    fn go_on(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) -> bool {
        if t.grant.is_none() && !t.leaving() {
            return false;
        }
        t.advance_grant(cx);
        t.plan_leaving(cx);
        true
    }

    fn end_step(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.answer_late_revoke(cx);
        t.replan(cx);
        t.observe_bound(cx);
    }

    fn check(t: &Ticket<Leased>, now: MonoTime) {
        if t.holding() {
            let window = t.hold_window();
            assert!(window.is_some(), "a held ticket has a bound");
            let inside = window.is_some_and(|window| now < window.hold_until);
            assert!(inside, "a ticket is held only inside its lease");
        }
        if t.kind.lead.is_some() {
            assert!(t.kind.promise.is_none(), "a leader is not promised to another");
        }
        if t.phase.is_leader() {
            assert!(t.kind.lead.is_some(), "a leader has won a term");
        }
        assert!(t.term <= t.kind.seen, "no term is higher than those seen");
        assert!(!t.lacks_a_plan(now), "a site that knows of a lost ticket plans to stand");
    }

    fn handle_peer(
        t: &mut Ticket<Leased>,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool {
        t.handle_message(cx, from, message)
    }

    fn client_grant(t: &mut Ticket<Leased>, cx: &mut Cx<'_>, of: ClientId, options: ClientOptions) {
        t.grant_to(cx, of, options);
    }

    fn client_revoke(
        t: &mut Ticket<Leased>,
        cx: &mut Cx<'_>,
        of: ClientId,
        options: ClientOptions,
    ) {
        t.revoke_for(cx, of, options);
    }

    fn waits_for(t: &Ticket<Leased>, cx: &Cx<'_>) -> Wait {
        t.grant_waits_for(cx)
    }

    fn revoke_has_failed(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.forget_failed_revoke(cx);
    }

    fn held_elsewhere(t: &Ticket<Leased>, cx: &Cx<'_>, lost: bool) -> Option<Holder> {
        t.other_holder(cx, lost)
    }

    fn shown_leader(t: &Ticket<Leased>, now: MonoTime) -> Holder {
        t.shown_leader(now)
    }

    fn shown_until(t: &Ticket<Leased>) -> MonoTime {
        t.bound().unwrap_or(t.known.until)
    }

    fn row(t: &Ticket<Leased>, cx: &Cx<'_>) -> TicketRow {
        let now = cx.now.mono;
        let pending = t.commit_pending(cx).max(t.objected_until(now));
        let leads = t.phase.is_leader() && t.lease_lives(now);
        TicketRow {
            name: t.spec.name.clone(),
            manual: false,
            leader: t.shown_leader(now),
            expires: Some(cx.now.wall_at(Leased::shown_until(t))),
            commit_pending: pending.filter(|_| leads).map(|at| cx.now.wall_at(at)),
            remarks: t.remarks(cx),
            also_granted: Vec::new(),
        }
    }

    fn remark(t: &Ticket<Leased>, cx: &Cx<'_>) -> String {
        let differing = t.kind.differs.members();
        if differing.is_empty() {
            String::new()
        } else {
            format!("; expire differs at {}", cx.names(differing))
        }
    }

    fn view(t: &Ticket<Leased>, cx: &Cx<'_>, view: &mut TicketView) {
        t.fill_view(cx, view);
    }

    fn quits_by_revoke(t: &Ticket<Leased>) -> bool {
        t.quit.is_some_and(|quit| quit.kind == QuitKind::Revoke)
    }

    fn lacks_majority(t: &Ticket<Leased>, now: MonoTime) -> bool {
        t.waits_for_majority(now)
    }

    fn who_is_silent(t: &Ticket<Leased>, cx: &Cx<'_>) -> String {
        t.unacknowledged(cx)
    }

    fn word_until(t: &Ticket<Leased>) -> Option<MonoTime> {
        t.bound().or(t.kind.promise.map(|promise| promise.until()))
    }

    fn free_expiry(t: &Ticket<Leased>, now: Now, owner: Holder) -> CibExpiry {
        match owner {
            Holder::Member(_) => CibExpiry::At(now.wall_at(t.known.until)),
            Holder::Nobody | Holder::Unknown => CibExpiry::Never,
        }
    }

    fn lost_owner(t: &Ticket<Leased>, cx: &Cx<'_>) -> Option<Holder> {
        t.lost_owner(cx)
    }

    fn may_write_grant(t: &Ticket<Leased>, now: MonoTime) -> bool {
        t.grant_in_window(now)
    }

    fn grant_written(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.lease_written(cx);
    }

    fn grant_unwritten(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.tell_waiters(cx);
    }

    fn revoke_written(t: &mut Ticket<Leased>, cx: &mut Cx<'_>, was_granted: bool) {
        if let (Some(quit), Some(until)) = (&mut t.quit, t.kind.inherited.take()) {
            quit.lapsed |= cx.now.mono >= until;
        }
        if t.cib.end_window() {
            let (ticket, term) = (t.index, t.wire_term());
            cx.effects.push(Effect::Store(StoreWish::Hold { ticket, window: None, term }));
        }
        if t.phase.loading() == Some(Loading::Revoking) {
            t.follow_at_last(cx);
        } else if was_granted {
            t.quit_done(cx);
        }
    }

    fn revoke_unwritten(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.say_leaving(cx);
        if !t.kind.revoke_wanted {
            t.tell_revoke_failure(cx);
        }
    }

    fn give_up_ungranted(t: &mut Ticket<Leased>, cx: &mut Cx<'_>) {
        t.step_down(cx);
    }

    fn is_told(t: &Ticket<Leased>, to: MemberIndex, announce: &Announce) -> bool {
        // A reference member may take it for the end of what has begun since.
        t.kind.marking.contains(to) || !announce.is_older_than(t.term)
    }

    fn counted_on_for(t: &Ticket<Leased>) -> Span {
        t.longest_expire()
    }

    fn probed(t: &mut Ticket<Leased>, cx: &mut Cx<'_>, purpose: ProbeFor, agreed: bool) {
        t.handler_answered(cx, purpose, agreed);
    }
}
