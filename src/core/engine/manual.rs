// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets (L14, P22): administrators grant and revoke; there is no election, no lease, no
//! expiry and no failover. What sites claim is in [`super::claims`].

use super::cx::Cx;
use super::deadline::DeadlineKind;
use super::effect::{CibExpiry, NoteLevel};
use super::event::ClientId;
use super::report::{Remark, TicketRow};
use super::state::{Announce, AnnounceKind, GrantJob, Link, Manual, Wait, Waiter, REPEAT};
use super::ticket::{Act, Kind, Loaded, Ticket};
use crate::model::{Holder, MemberIndex, Roster, RuleMode};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{
    ClientOptions, Command, PeerBody, PeerMessage, ResultCode, Round, Stamp, WaitCause,
};
use alloc::vec::Vec;

impl Ticket<Manual> {
    /// The store has been read: what it says goes on.
    fn begin_read(&mut self, cx: &mut Cx<'_>, granted: bool, owner: Holder) {
        self.known.until = cx.now.mono;
        self.phase.become_follower();
        if let Some(index) = owner.member().and_then(|id| cx.roster.index_of(id)) {
            self.kind.claims.insert(index);
        }
        self.kind.claims.remove(self.me);
        if granted {
            self.claim(cx);
        } else if owner == self.myself(cx) {
            // Lost or given up, in this life of the site or when the ticket was not manual yet.
            self.known.leader = self.other_claim(cx);
        }
        self.ask_everyone(cx);
    }

    /// This site holds the ticket and tells everyone.
    fn claim(&mut self, cx: &mut Cx<'_>) {
        self.phase.become_leader();
        // A revoke before this grant is not said any more.
        self.announce = None;
        self.known.leader = self.myself(cx);
        self.known.until = cx.now.mono;
        self.kind.claims.insert(self.me);
        self.kind.tries = 0;
        self.kind.unacked = cx.roster.peers();
        self.say_claim(cx, false);
    }

    /// Sends the claim to everyone who has not acknowledged it.
    pub fn say_claim(&mut self, cx: &mut Cx<'_>, resend: bool) {
        if !resend {
            self.links.iter_mut().for_each(Link::mark);
        }
        for peer in self.kind.unacked.iter() {
            self.claim_to(cx, peer, resend);
        }
        self.kind.resting = false;
        self.kind.say_at = Some(cx.now.mono.plus(self.spec.timeout));
    }

    /// Sends the claim to one member.
    fn claim_to(&mut self, cx: &mut Cx<'_>, to: MemberIndex, resend: bool) {
        let round = Some(self.links[to.get()].fresh_round());
        let body = PeerBody::Heartbeat { stamp: Stamp { round, established: false } };
        let message = self.message(self.myself(cx), self.wire_term(), Span::ZERO, body);
        cx.send(to, message, resend);
    }

    /// The claim again: to those who did not hear it, then to everyone once a minute. A member that
    /// does not claim the ticket asks those that have not answered.
    fn claim_due(&mut self, cx: &mut Cx<'_>) {
        if !self.phase.is_leader() {
            self.ask_silent_sites(cx);
            return;
        }
        let heard = self.kind.unacked.is_empty() || self.kind.tries >= self.spec.retries;
        if heard && !self.kind.resting {
            self.kind.resting = true;
            self.kind.say_at = Some(cx.now.mono.plus(REPEAT));
            return;
        }
        if heard {
            for site in cx.other_sites().without(self.kind.spoken).iter() {
                self.ask(cx, site);
            }
            self.kind.unacked = cx.roster.peers();
            self.kind.tries = 0;
            self.say_claim(cx, false);
            return;
        }
        self.kind.tries += 1;
        self.say_claim(cx, true);
    }

    /// A member has heard the claim.
    fn claim_acked(&mut self, from: MemberIndex, round: Option<Round>) {
        if self.links[from.get()].is_about_now(round) {
            self.kind.unacked.remove(from);
        }
    }

    /// One message about a manual ticket.
    fn handle_message(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool {
        let loading = self.phase.is_loading();
        match message.body {
            PeerBody::Heartbeat { stamp } | PeerBody::Update { stamp } => {
                let sender = Holder::Member(cx.roster.member(from).id);
                if message.leader != sender || !cx.is_site(from) {
                    return false;
                }
                if !loading {
                    let update = matches!(message.body, PeerBody::Update { .. });
                    let of = if update { Command::Update } else { Command::Heartbeat };
                    self.handle_claim(cx, from, stamp.round, message);
                    let ack = PeerBody::Ack { of, round: stamp.round };
                    let reply = self.message(sender, message.term, Span::ZERO, ack);
                    cx.send(from, reply, false);
                }
            }
            PeerBody::Revoke { stamp, .. } if !loading => {
                self.handle_revoke(cx, from, stamp.round, message.term);
            }
            PeerBody::Status { nonce } if !loading => {
                let body = PeerBody::MyIndex { nonce };
                let here = self.cib.maybe_granted();
                let leader = if here { self.myself(cx) } else { self.known.leader };
                let reply = self.message(leader, self.wire_term(), Span::ZERO, body);
                cx.send(from, reply, false);
                // Who asks has started, and can answer now.
                let silent = cx.other_sites().without(self.kind.spoken);
                if silent.contains(from) && self.kind.asked.insert(from) {
                    self.ask(cx, from);
                }
            }
            PeerBody::MyIndex { nonce } if !loading => {
                if message.leader == self.myself(cx) && !self.cib.maybe_granted() {
                    // It has not heard of the revoke; this site may have been restarted since.
                    self.tell_revoke(cx, from);
                }
                self.handle_answer(cx, from, nonce, message);
            }
            PeerBody::Ack { of: Command::RevokeTicket | Command::VoteFor, round } => {
                self.announce_acked(from, message.term, round);
            }
            PeerBody::Ack { round, .. } => self.claim_acked(from, round),
            PeerBody::Revoke { .. }
            | PeerBody::Status { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::ReqVote { .. }
            | PeerBody::Vote { .. }
            | PeerBody::StepDown { .. }
            | PeerBody::Rejected { .. } => {}
        }
        true
    }

    /// A site that still claims the ticket, or nobody.
    pub fn other_claim(&self, cx: &Cx<'_>) -> Holder {
        let mut claims = self.kind.claims;
        claims.remove(self.me);
        let first = claims.iter().next();
        first.map_or(Holder::Nobody, |index| Holder::Member(cx.roster.member(index).id))
    }

    /// A grant of this manual ticket to this site.
    fn grant_to(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        let leader = self.known.leader;
        if !self.site {
            self.refuse(cx, client, ResultCode::SyncFail, leader);
        } else if self.phase.is_loading() || self.quit.is_some() {
            self.refuse(cx, client, ResultCode::Busy, Holder::Nobody);
        } else if self.cib.granted() {
            // It is written again: nothing else would find out that the store has lost it.
            self.grant.get_or_insert_with(GrantJob::default).join(Waiter::new(client, options));
            cx.clients.insert(client, self.index);
            self.tell_waiters(cx);
            self.write_grant(cx, self.wire_term());
        } else if leader.member().is_some() && leader != self.myself(cx) && !options.immediate {
            self.refuse(cx, client, ResultCode::Overgrant, leader);
        } else if !self.attrs.fulfil(&self.spec.rules, RuleMode::Manual) {
            self.refuse(cx, client, ResultCode::AttrPrereq, Holder::Nobody);
        } else {
            self.grant.get_or_insert_with(GrantJob::default).join(Waiter::new(client, options));
            cx.clients.insert(client, self.index);
            self.tell_waiters(cx);
            if self.probe.is_some() || self.cib.maybe_granted() {
                return;
            }
            self.note(cx, NoteLevel::Info, "an administrator grants the ticket to this site");
            if self.spec.has_handler {
                self.start_probe(cx, (), cx.now.mono.plus(self.spec.expire));
            } else {
                self.take(cx);
            }
        }
    }

    /// Takes the ticket: claims it and writes the grant, without waiting for anyone.
    fn take(&mut self, cx: &mut Cx<'_>) {
        self.cib.will_grant(cx.now.mono);
        self.claim(cx);
        self.write_grant(cx, self.wire_term());
    }

    /// A revoke of this manual ticket.
    fn revoke_for(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        if self.phase.is_loading() {
            self.refuse(cx, client, ResultCode::Busy, Holder::Nobody);
        } else if self.cib.maybe_granted() {
            self.note(cx, NoteLevel::Info, "an administrator revokes the ticket");
            self.wait_for_revoke(cx, client, options);
            if self.quit.is_none() {
                self.give_up(cx);
            }
        } else {
            let cancels = self.grant.is_some();
            if cancels {
                // The handler has not agreed yet: nothing was granted here, and nothing will be.
                self.stop_probe(cx);
                self.answer_grant(cx, ResultCode::SyncFail);
            }
            let holder = Manual::shown_leader(self, cx.now.mono);
            let code = match holder {
                Holder::Member(_) => ResultCode::Redirect,
                Holder::Nobody if cancels => ResultCode::Success,
                Holder::Nobody => ResultCode::TicketIdle,
                // A site that has not been heard may hold it.
                Holder::Unknown => ResultCode::SyncFail,
            };
            self.refuse(cx, client, code, holder);
        }
    }

    /// A member takes this site for the holder, which it is not any more.
    fn tell_revoke(&mut self, cx: &mut Cx<'_>, to: MemberIndex) {
        match &mut self.announce {
            Some(announce) => announce.tell(to),
            None if self.quit.is_none() => {
                self.start_announcement(cx, AnnounceKind::Revoke, self.wire_term());
            }
            None => {}
        }
    }

    /// Gives the ticket up: first the store, then everyone is told (L10).
    fn give_up(&mut self, cx: &mut Cx<'_>) {
        self.stop_probe(cx);
        // Only if it was granted here: else another site may have it.
        self.free_is_known |= self.cib.granted();
        self.known.leader = Holder::Nobody;
        self.known.until = cx.now.mono;
        self.quit = Some(());
        self.phase.become_follower();
        self.write_revoke(cx, Holder::Nobody);
    }

    /// The store says that the ticket is not granted here any more.
    fn given_up(&mut self, cx: &mut Cx<'_>) {
        if self.quit.take().is_none() {
            return;
        }
        self.phase.become_follower();
        self.note(cx, NoteLevel::Info, "not granted here any more");
        self.kind.claims.remove(self.me);
        // Who has not answered yet is asked again.
        self.kind.say_at = Some(cx.now.mono.plus(self.spec.timeout));
        self.kind.tries = 0;
        self.known.leader = self.other_claim(cx);
        self.follow_in_store(cx);
        self.start_announcement(cx, AnnounceKind::Revoke, self.wire_term());
        self.answer_revoke(cx, false);
        self.answer_grant(cx, ResultCode::SyncFail);
    }

    /// The handler has answered.
    fn handler_answered(&mut self, cx: &mut Cx<'_>, agreed: bool) {
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        let leader = self.known.leader;
        if agreed && leader.member().is_some() && leader != self.myself(cx) && !forced {
            self.note(cx, NoteLevel::Error, "not taken: another site has claimed it meanwhile");
            self.answer_grant(cx, ResultCode::Overgrant);
        } else if agreed && !self.attrs.fulfil(&self.spec.rules, RuleMode::Manual) {
            self.answer_grant(cx, ResultCode::AttrPrereq);
        } else if agreed {
            self.take(cx);
        } else {
            self.note(cx, NoteLevel::Error, "not taken: the handler does not agree");
            self.answer_grant(cx, ResultCode::HandlerFailed);
        }
    }
}

impl Kind for Manual {
    type Purpose = ();
    type Quit = ();
    const GRANT_EXPIRY: CibExpiry = CibExpiry::Never;

    fn new(_: &Roster) -> Manual {
        Manual::default()
    }

    fn begins_without_store(t: &mut Ticket<Manual>, cx: &mut Cx<'_>) {
        t.ask_everyone(cx);
    }

    fn loaded(t: &mut Ticket<Manual>, cx: &mut Cx<'_>, loaded: Loaded) {
        t.begin_read(cx, loaded.granted, loaded.owner);
    }

    fn deadlines(
        t: &Ticket<Manual>,
        at: &mut impl FnMut(DeadlineKind, Option<MonoTime>, Act<Manual>),
    ) {
        at(DeadlineKind::Claim, t.kind.say_at, Ticket::claim_due);
    }

    fn check(t: &Ticket<Manual>, _: MonoTime) {
        let granted = t.cib.maybe_granted();
        assert!(granted || !t.phase.is_leader(), "a manual ticket is claimed where it is granted");
    }

    fn handle_peer(
        t: &mut Ticket<Manual>,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool {
        t.handle_message(cx, from, message)
    }

    fn client_grant(t: &mut Ticket<Manual>, cx: &mut Cx<'_>, of: ClientId, options: ClientOptions) {
        t.grant_to(cx, of, options);
    }

    fn client_revoke(
        t: &mut Ticket<Manual>,
        cx: &mut Cx<'_>,
        of: ClientId,
        options: ClientOptions,
    ) {
        t.revoke_for(cx, of, options);
    }

    fn waits_for(t: &Ticket<Manual>, cx: &Cx<'_>) -> Wait {
        let left = t.probe.map_or(Span::ZERO, |probe| probe.deadline.since(cx.now.mono));
        let cause = if t.phase.is_loading() {
            WaitCause::Loading
        } else if t.probe.is_some() {
            WaitCause::Handler
        } else if t.cib.failing_since().is_some() {
            WaitCause::CibFailing
        } else if t.cib.maybe_granted() {
            WaitCause::CibWrite
        } else {
            WaitCause::Election
        };
        Wait { cause, left, objector: None, leased: false }
    }

    fn shown_leader(t: &Ticket<Manual>, _: MonoTime) -> Holder {
        if t.quit.is_some() && t.cib.maybe_granted() {
            return Holder::Member(t.my_id);
        }
        match t.known.leader {
            Holder::Member(_) => t.known.leader,
            Holder::Nobody | Holder::Unknown if t.free_is_known && t.kind.claims.is_empty() => {
                Holder::Nobody
            }
            Holder::Nobody | Holder::Unknown => Holder::Unknown,
        }
    }

    fn shown_until(t: &Ticket<Manual>) -> MonoTime {
        t.known.until
    }

    fn row(t: &Ticket<Manual>, cx: &Cx<'_>) -> TicketRow {
        let claims = t.kind.claims;
        let mut remarks = Vec::new();
        if t.phase.is_loading() {
            remarks.push(Remark::StartingUp(None));
        }
        t.remark_on_jobs(cx, &mut remarks);
        TicketRow {
            name: t.spec.name.clone(),
            manual: true,
            leader: Manual::shown_leader(t, cx.now.mono),
            expires: None,
            commit_pending: None,
            remarks,
            also_granted: if claims.len() > 1 { claims.iter().collect() } else { Vec::new() },
        }
    }

    fn quits_by_revoke(_: &Ticket<Manual>) -> bool {
        // Nothing else takes it away.
        true
    }

    fn free_expiry(_: &Ticket<Manual>, _: Now, _: Holder) -> CibExpiry {
        CibExpiry::Never
    }

    fn may_write_grant(_: &Ticket<Manual>, _: MonoTime) -> bool {
        true
    }

    fn grant_written(t: &mut Ticket<Manual>, cx: &mut Cx<'_>) {
        t.answer_grant(cx, ResultCode::Success);
    }

    fn grant_unwritten(t: &mut Ticket<Manual>, cx: &mut Cx<'_>) {
        if t.cib.granted() {
            t.tell_store_failure(cx);
        } else {
            t.tell_waiters(cx);
        }
    }

    fn revoke_written(t: &mut Ticket<Manual>, cx: &mut Cx<'_>, was_granted: bool) {
        if was_granted {
            t.given_up(cx);
        }
    }

    fn revoke_unwritten(t: &mut Ticket<Manual>, cx: &mut Cx<'_>) {
        t.tell_revoke_failure(cx);
    }

    fn give_up_ungranted(t: &mut Ticket<Manual>, cx: &mut Cx<'_>) {
        t.give_up(cx);
    }

    fn is_told(_: &Ticket<Manual>, _: MemberIndex, _: &Announce) -> bool {
        true
    }

    fn counted_on_for(t: &Ticket<Manual>) -> Span {
        t.spec.expire
    }

    fn announces_again(now: MonoTime) -> Option<MonoTime> {
        // No lease ends: whoever has missed it is told for good.
        Some(now.plus(REPEAT))
    }

    fn probed(t: &mut Ticket<Manual>, cx: &mut Cx<'_>, _: (), agreed: bool) {
        t.handler_answered(cx, agreed);
    }
}
