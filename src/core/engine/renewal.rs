// SPDX-License-Identifier: GPL-2.0-or-later
//! What a leader does: renewals, acknowledgements and updates (`RULES.md` L5, L7, L8, L12).

use super::cx::Cx;
use super::effect::{Effect, NoteLevel, StoreWish};
use super::state::{
    lease_end, lease_length, renewal_pause, resend_pause, window, Lead, Leased, ProbeFor, QuitKind,
    Told,
};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, MemberSet};
use crate::time::{MonoTime, Span};
use crate::wire::{Command, PeerBody, Round, Stamp};
use alloc::format;
use alloc::string::String;

/// A renewal may begin early by one such part of the pause before it (L5).
const EARLY_PART: u64 = 16;

/// It begins no earlier than this, however long the pause is.
const EARLY_MAX: Span = Span::from_secs(10);

/// So many tickets at most begin a renewal early in one step.
pub(super) const TOGETHER_MAX: usize = 128;

impl Ticket<Leased> {
    /// Begins a renewal: HEARTBEAT to everyone.
    pub fn start_renewal(&mut self, cx: &mut Cx<'_>) {
        let peers = cx.roster.peers();
        let now = cx.now.mono;
        let Some(lead) = &mut self.kind.lead else { return };
        let retry_at = now.plus(resend_pause(&self.spec, lead.length()));
        lead.renewal.begin(now, peers, retry_at, now.plus(self.spec.renewal));
        self.say_leaving(cx);
        for peer in peers.iter() {
            self.send_lead(cx, peer, Command::Heartbeat, false);
        }
        self.extend_lease(cx);
    }

    /// When the next renewal begins, if that is all that this ticket waits for.
    pub fn renews_at(&self) -> Option<MonoTime> {
        let lead = self.kind.lead.as_ref().filter(|_| self.phase.is_leader())?;
        self.nearest().filter(|at| *at == lead.renewal.next_at())
    }

    /// When the next renewal is due, if it may begin now, because that of another ticket begins: it
    /// is early by one [`EARLY_PART`] of its pause and by [`EARLY_MAX`] at most. A renewal before
    /// which a handler is asked waits for its time.
    pub fn renews_by(&self, now: MonoTime) -> Option<MonoTime> {
        let renewal = &self.kind.lead.as_ref()?.renewal;
        let pause = renewal.next_at().since(renewal.started());
        let early = pause.divided(EARLY_PART).min(EARLY_MAX);
        let near = renewal.next_at().since(now) <= early && !self.asks_before_renewal();
        self.renews_at().filter(|_| near)
    }

    /// Whether a renewal waits for the handler: who holds asks it before each.
    pub fn asks_before_renewal(&self) -> bool {
        self.spec.has_handler && self.holding()
    }

    /// The time of the next renewal has come: the handler is asked first.
    pub fn renewal_due(&mut self, cx: &mut Cx<'_>) {
        if self.asks_before_renewal() {
            if let Some(window) = self.hold_window() {
                if let Some(lead) = &mut self.kind.lead {
                    lead.renewal.stop_retries();
                }
                self.start_probe(cx, ProbeFor::Renewal, window.hold_until);
                return;
            }
        }
        self.start_renewal(cx);
    }

    /// Nobody of `unacked` has answered within `timeout`: again, or a new renewal at once when the
    /// retries are used up without a majority.
    pub fn renewal_retry(&mut self, cx: &mut Cx<'_>) {
        let retries = self.spec.retries;
        let Some(lead) = &mut self.kind.lead else { return };
        let next = cx.now.mono.plus(resend_pause(&self.spec, lead.length()));
        let unacked = lead.renewal.unacked();
        let Some(tries) = lead.renewal.retry(retries, next) else {
            if !unacked.is_empty() && !lead.renewal.extended() {
                self.start_renewal(cx);
            }
            return;
        };
        let text = format!(
            "renewal not acknowledged by {}; retrying ({tries} of {retries})",
            cx.names(unacked)
        );
        self.note(cx, NoteLevel::Debug, &text);
        for peer in unacked.iter() {
            self.send_lead(cx, peer, Command::Heartbeat, true);
        }
    }

    /// Whether a holder's lease was not extended by a majority within `timeout` after that was due,
    /// however many renewals have begun since.
    pub fn waits_for_majority(&self, now: MonoTime) -> bool {
        let Some(lead) = self.kind.lead.as_ref().filter(|_| self.holding()) else { return false };
        let Some(until) = lead.lease_until() else { return false };
        let due = until.minus(lead.length()).plus(renewal_pause(&self.spec, lead.length()));
        !lead.renewal.extended() && now >= due.plus(self.spec.timeout)
    }

    /// Who has not acknowledged the renewal under way, and for how long nothing, in words.
    pub fn unacknowledged(&self, cx: &Cx<'_>) -> String {
        let Some(lead) = &self.kind.lead else { return String::new() };
        let silent = lead.renewal.unacked().iter().map(|member| {
            let acked = self.links[member.get()].acked_at().unwrap_or(lead.won_at());
            (member, cx.now.mono.since(acked))
        });
        format!("not acknowledged by {}", cx.silence(silent))
    }

    /// Sends HEARTBEAT or UPDATE to one member; each send has its own time and round (L5). The
    /// leader of a heartbeat is its sender (P7).
    pub fn send_lead(&mut self, cx: &mut Cx<'_>, to: MemberIndex, kind: Command, resend: bool) {
        let established = self.established(cx.now.mono);
        let Some(lead) = &self.kind.lead else { return };
        let (term, number) = (lead.term(), lead.renewal.number());
        let round = self.links[to.get()].note_sent(kind, cx.now.mono, number, self.spec.expire);
        let stamp = Stamp { round: Some(round), established };
        let body = match kind {
            Command::Update => PeerBody::Update { stamp },
            _ => PeerBody::Heartbeat { stamp },
        };
        let message = self.message(self.myself(cx), term, self.spec.expire, body);
        cx.send(to, message, resend);
    }

    /// ACK: it counts for the send whose round it returns, for `expire` after it, or for what it
    /// states if that is less (L5).
    pub fn handle_ack(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        of: Command,
        round: Option<Round>,
        told: Told,
    ) {
        let Told { leader, term, valid: stated } = told;
        self.heard_of(term);
        if matches!(of, Command::RevokeTicket | Command::VoteFor) {
            self.announce_acked(from, term, round);
            return;
        }
        let mine = leader == self.myself(cx);
        let leading = self.phase.is_leader();
        let Some(lead) = &mut self.kind.lead else { return };
        if !mine || !leading || term != lead.term() {
            return;
        }
        let number = lead.renewal.number();
        // A reference member states nothing that could be counted on.
        let word = round.map_or(self.spec.expire, |_| stated.min(self.spec.expire));
        let acked = self.links[from.get()].note_ack(of, round, number, word);
        // Without a round, it may answer a repetition.
        if let Some(sent) = acked.filter(|_| round.is_some()) {
            cx.books[from.get()].round_trip = Some(cx.now.mono.since(sent.at));
        }
        let counted = acked.map(|sent| sent.renewal);
        if counted.is_some() {
            lead.commit.note_answer(from);
        }
        if counted == Some(number) {
            lead.renewal.note_ack(from);
        }
        if of == Command::Update && counted.is_some() {
            lead.note_updated(from);
        }
        if round.is_some() {
            self.note_expire(cx, from, stated);
        }
        if counted.is_some() {
            self.take_back_objection(cx, from);
        }
        self.extend_lease(cx);
    }

    /// Computes the lease anew; it only ever grows (L5).
    fn extend_lease(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let (expire, majority) = (self.spec.expire, cx.roster.majority());
        let Some(lead) = &mut self.kind.lead else { return };
        let acked = self.links.iter().filter_map(|link| link.acked_at());
        let own = acked.fold(lead.renewal.started(), MonoTime::max).plus(expire);
        let started = lead.renewal.started();
        let length = lease_length(&self.links, expire, majority, started);
        let length = length.unwrap_or_else(|| lead.length());
        lead.renewal.plan_next(started.plus(renewal_pause(&self.spec, length)));
        let Some(until) = lease_end(&self.links, own, majority) else { return };
        let window = window(&self.spec, until, length);
        let usable = now < window.hold_until;
        let Some(first) = usable.then(|| lead.extend(until, length)).flatten() else {
            self.update_reference_members(cx);
            self.advance_commit(cx);
            return;
        };
        if self.holding() {
            self.tell_window(cx);
        }
        cx.figures.renewals.note(now.since(started));
        if first && !self.holding() {
            self.note(cx, NoteLevel::Debug, "acknowledged by a majority");
        }
        if let Some(lead) = self.kind.lead.as_ref().filter(|_| self.quit.is_none()) {
            self.known.leader = Holder::Member(cx.roster.my_id());
            self.known.term = Some(lead.term());
            self.known.until = until;
        }
        if self.kind.revoke_wanted {
            self.quit(cx, QuitKind::Revoke, None);
            return;
        }
        self.update_reference_members(cx);
        self.advance_commit(cx);
    }

    /// Members that return no rounds adopt a renewal only with an UPDATE: once per renewal, when
    /// they have acknowledged it and it has its majority.
    fn update_reference_members(&mut self, cx: &mut Cx<'_>) {
        let needed_first = self.reference_needed(cx);
        let leaving = self.leaving();
        let Some(lead) = &mut self.kind.lead else { return };
        if !lead.renewal.extended() || !(lead.announced() || needed_first || leaving) {
            return;
        }
        let plain = |peer: &MemberIndex| {
            let link = &self.links[peer.get()];
            link.echoes == Some(false) && link.acked_at().is_some()
        };
        let due = lead.renewal.take_update(cx.roster.peers().iter().filter(plain).collect());
        self.send_update(cx, due);
    }

    /// Whether the majority behind the lease needs members that return no rounds (L5).
    fn reference_needed(&self, cx: &Cx<'_>) -> bool {
        self.acknowledged_by_round(cx).len() + 1 < cx.roster.majority()
    }

    /// Members that return rounds and have acknowledged something in this term.
    pub fn acknowledged_by_round(&self, cx: &Cx<'_>) -> MemberSet {
        let sure = |peer: &MemberIndex| {
            let link = &self.links[peer.get()];
            link.echoes == Some(true) && link.acked_at().is_some()
        };
        cx.roster.peers().iter().filter(sure).collect()
    }

    /// Sends UPDATE to these members, with resends until they acknowledge.
    pub fn send_update(&mut self, cx: &mut Cx<'_>, to: MemberSet) {
        if to.is_empty() {
            return;
        }
        let retry_at = cx.now.mono.plus(self.spec.timeout);
        if let Some(lead) = &mut self.kind.lead {
            lead.start_update(to, retry_at);
        }
        for peer in to.iter() {
            self.send_lead(cx, peer, Command::Update, false);
        }
    }

    /// UPDATE again to those who have not acknowledged it.
    pub fn update_retry(&mut self, cx: &mut Cx<'_>) {
        let retry_at = cx.now.mono.plus(self.spec.timeout);
        let retries = self.spec.retries;
        let Some(lead) = &mut self.kind.lead else { return };
        for peer in lead.retry_update(retries, retry_at).iter() {
            self.send_lead(cx, peer, Command::Update, true);
        }
    }

    /// STATUS to the sites that an administrative grant waits for (L8).
    pub fn ask_missing(&mut self, cx: &mut Cx<'_>) {
        let Some(lead) = &self.kind.lead else { return };
        if lead.commit.until().is_some() && !self.cib.maybe_granted() {
            for peer in lead.commit.missing(cx.other_sites()).iter() {
                self.ask(cx, peer);
            }
        }
    }

    /// Tells the shell, and through it the keeper, the window of the lease (L6).
    pub fn tell_window(&mut self, cx: &mut Cx<'_>) {
        let term = self.kind.lead.as_ref().map_or(self.wire_term(), Lead::term);
        let window = self.hold_window();
        self.cib.note_window();
        cx.effects.push(Effect::Store(StoreWish::Hold { ticket: self.index, window, term }));
    }
}
