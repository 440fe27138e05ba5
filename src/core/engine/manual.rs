// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets (L14, P22): administrators grant and revoke; no election,
//! no lease, no expiry, no failover. What sites claim is in [`super::claims`].

use super::cx::Cx;
use super::effect::NoteLevel;
use super::event::ClientId;
use super::state::{AnnounceKind, GrantJob, Link, ProbeFor, QuitKind, Waiter, REPEAT};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, RuleMode};
use crate::time::Span;
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, ResultCode, Round, Stamp};

impl Ticket {
    /// The store has been read: what it says goes on.
    pub fn begin_manual(&mut self, cx: &mut Cx<'_>, granted: bool, owner: Holder) {
        self.known.until = cx.now.mono;
        self.phase.become_follower();
        if let Some(index) = owner.member().and_then(|id| cx.roster.index_of(id)) {
            self.manual.claims.insert(index);
        }
        self.manual.claims.remove(self.me);
        if granted {
            self.claim(cx);
        } else if owner == self.myself(cx) {
            // Lost or given up, in this life of the site or when the ticket was not manual yet.
            self.known.leader = self.other_claim(cx);
        }
        self.ask_manual(cx);
    }

    /// This site holds the ticket and tells everyone.
    fn claim(&mut self, cx: &mut Cx<'_>) {
        self.phase.become_leader();
        // A revoke before this grant is not said any more.
        self.announce = None;
        self.known.leader = self.myself(cx);
        self.known.until = cx.now.mono;
        self.manual.claims.insert(self.me);
        self.manual.tries = 0;
        self.manual.unacked = cx.roster.peers();
        self.say_claim(cx, false);
    }

    /// Sends the claim to everyone who has not acknowledged it.
    pub fn say_claim(&mut self, cx: &mut Cx<'_>, resend: bool) {
        if !resend {
            self.links.iter_mut().for_each(Link::mark);
        }
        for peer in self.manual.unacked.iter() {
            self.claim_to(cx, peer, resend);
        }
        self.manual.resting = false;
        self.manual.say_at = Some(cx.now.mono.plus(self.spec.timeout));
    }

    /// Sends the claim to one member.
    fn claim_to(&mut self, cx: &mut Cx<'_>, to: MemberIndex, resend: bool) {
        let round = Some(self.links[to.get()].fresh_round());
        let body = PeerBody::Heartbeat { stamp: Stamp { round, established: false } };
        let message = self.message(self.myself(cx), self.wire_term(), Span::ZERO, body);
        cx.send(to, message, resend);
    }

    /// The claim again: to those who did not hear it, then to everyone once a minute.
    pub fn manual_due(&mut self, cx: &mut Cx<'_>) {
        if !self.phase.is_leader() {
            self.ask_silent_sites(cx);
            return;
        }
        let heard = self.manual.unacked.is_empty() || self.manual.tries >= self.spec.retries;
        if heard && !self.manual.resting {
            self.manual.resting = true;
            self.manual.say_at = Some(cx.now.mono.plus(REPEAT));
            return;
        }
        if heard {
            for site in self.other_sites(cx).without(self.manual.spoken).iter() {
                self.ask_manual_of(cx, site);
            }
            self.manual.unacked = cx.roster.peers();
            self.manual.tries = 0;
            self.say_claim(cx, false);
            return;
        }
        self.manual.tries += 1;
        self.say_claim(cx, true);
    }

    /// A member has heard the claim.
    pub fn manual_acked(&mut self, from: MemberIndex, round: Option<Round>) {
        if self.links[from.get()].is_about_now(round) {
            self.manual.unacked.remove(from);
        }
    }

    /// One message about a manual ticket.
    pub fn handle_manual_peer(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool {
        let loading = self.phase.is_loading();
        match message.body {
            PeerBody::Heartbeat { stamp } | PeerBody::Update { stamp } => {
                let sender = Holder::Member(cx.roster.member(from).id);
                if message.leader != sender || !Ticket::is_site(cx, from) {
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
                self.handle_manual_revoke(cx, from, stamp.round, message.term);
            }
            PeerBody::Status { nonce } if !loading => {
                let body = PeerBody::MyIndex { nonce };
                let here = self.cib.maybe_granted();
                let leader = if here { self.myself(cx) } else { self.known.leader };
                let reply = self.message(leader, self.wire_term(), Span::ZERO, body);
                cx.send(from, reply, false);
                // Who asks has started, and can answer now.
                let silent = self.other_sites(cx).without(self.manual.spoken);
                if silent.contains(from) && self.manual.asked.insert(from) {
                    self.ask_manual_of(cx, from);
                }
            }
            PeerBody::MyIndex { nonce } if !loading => {
                if message.leader == self.myself(cx) && !self.cib.maybe_granted() {
                    // It has not heard of the revoke; this site may have been restarted since.
                    self.tell_manual_revoke(cx, from);
                }
                self.manual_index_of(cx, from, nonce, message);
            }
            PeerBody::Ack { of, round } => {
                let told = (message.leader, message.term, message.valid_for);
                self.handle_ack(cx, from, of, round, told);
            }
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
        let mut claims = self.manual.claims;
        claims.remove(self.me);
        let first = claims.iter().next();
        first.map_or(Holder::Nobody, |index| Holder::Member(cx.roster.member(index).id))
    }

    /// A grant of this manual ticket to this site.
    pub fn manual_grant(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
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
                self.start_probe(cx, ProbeFor::Manual, cx.now.mono.plus(self.spec.expire));
            } else {
                self.manual_take(cx);
            }
        }
    }

    /// Takes the ticket: in the store and in everybody's mind, without waiting for anyone.
    fn manual_take(&mut self, cx: &mut Cx<'_>) {
        self.cib.will_grant(cx.now.mono);
        self.claim(cx);
        self.write_grant(cx, self.wire_term());
    }

    /// A revoke of this manual ticket.
    pub fn manual_revoke(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        if self.phase.is_loading() {
            self.refuse(cx, client, ResultCode::Busy, Holder::Nobody);
        } else if self.cib.maybe_granted() {
            self.note(cx, NoteLevel::Info, "an administrator revokes the ticket");
            self.wait_for_revoke(cx, client, options);
            if self.quit.is_none() {
                self.quit(cx, QuitKind::Revoke, None);
            }
        } else {
            let cancels = self.grant.is_some();
            if cancels {
                // The handler has not agreed yet: nothing was granted here, and nothing will be.
                self.stop_probe(cx);
                self.answer_grant(cx, ResultCode::SyncFail);
            }
            let holder = self.shown_leader(cx.now.mono);
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
    fn tell_manual_revoke(&mut self, cx: &mut Cx<'_>, to: MemberIndex) {
        match &mut self.announce {
            Some(announce) => announce.tell(to),
            None if self.quit.is_none() => {
                self.start_announcement(cx, AnnounceKind::Revoke, self.wire_term());
            }
            None => {}
        }
    }

    /// The store says that a manual ticket is not granted here any more.
    pub fn announce_manual_revoke(&mut self, cx: &mut Cx<'_>) {
        self.manual.claims.remove(self.me);
        // Who has not answered yet is asked again.
        self.manual.say_at = Some(cx.now.mono.plus(self.spec.timeout));
        self.manual.tries = 0;
        self.known.leader = self.other_claim(cx);
        self.follow_in_store(cx);
        self.start_announcement(cx, AnnounceKind::Revoke, self.wire_term());
    }

    /// The handler was asked about a manual self.
    pub fn manual_probe_done(&mut self, cx: &mut Cx<'_>, agreed: bool) {
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        let leader = self.known.leader;
        if agreed && leader.member().is_some() && leader != self.myself(cx) && !forced {
            self.note(cx, NoteLevel::Error, "not taken: another site has claimed it meanwhile");
            self.answer_grant(cx, ResultCode::Overgrant);
        } else if agreed && !self.attrs.fulfil(&self.spec.rules, RuleMode::Manual) {
            self.answer_grant(cx, ResultCode::AttrPrereq);
        } else if agreed {
            self.manual_take(cx);
        } else {
            self.note(cx, NoteLevel::Error, "not taken: the handler does not agree");
            self.answer_grant(cx, ResultCode::HandlerFailed);
        }
    }
}
