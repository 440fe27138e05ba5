// SPDX-License-Identifier: GPL-2.0-or-later
//! Which leader a member in grace may follow (`RULES.md` L9).
//!
//! An established heartbeat says that its sender had a lease when it was *sent*. A member that has
//! just started cannot tell a fresh one from one that is older than its own process: it remembers
//! no term, no promise and no round. If it accepted an old one, it would be bound to a leader that
//! is long gone, and refuse the real one for `expire`; where no other member is spare, that costs
//! the ticket.
//!
//! So it takes the word of a leader only after this leader has answered the STATUS of *this* start
//! (the nonce says so) that it leads, in a term that is not above the heartbeat's. The answer was
//! made after the start, by a member with a live lease, or by a restarted holder within its bound;
//! so nobody else has a lease then, and backing it is what grace allows. That the heartbeat itself
//! may be older does not matter: the promise begins when it is accepted, and the acknowledgement
//! counts for the send whose round it returns. A heartbeat that comes too early is kept, the newest
//! of each sender, its sender is asked at once, and it is accepted when the answer comes.
//!
//! This cannot lock a cluster up whose members all start at once: a restarted holder answers STATUS
//! although it competes ([`Ticket::answers_as_leader`]).

use super::cx::Cx;
use super::state::{is_newer, Leased};
use super::ticket::Ticket;
use crate::model::{MemberIndex, Term};
use crate::time::{MonoTime, Span};
use crate::wire::PeerMessage;

impl Ticket<Leased> {
    /// Whether an established heartbeat or update may be accepted now. In grace it may be if its
    /// sender is known to lead; else it is kept, and its sender asked.
    pub fn is_verified(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool {
        let Some(grace) = &mut self.kind.grace else { return true };
        if grace.is_waived(from, message.term) {
            return true;
        }
        let leader = &mut self.kind.verified.0[from.get()];
        if leader.leads.is_some_and(|term| term <= message.term) {
            return true;
        }
        // Asked at once only if that can bring it further: an answer that is known already, or a
        // stream of old packets, must not lead to a stream of questions.
        let first = leader.kept.is_none() && leader.leads.is_none();
        if leader.kept.as_ref().is_none_or(|kept| is_newer(message, kept)) {
            leader.kept = Some(message.clone());
        }
        grace.ask_soon(from, cx.now.mono);
        if first {
            self.ask(cx, from);
        }
        false
    }

    /// An answer to STATUS: a member leads in `term`, or (`None`) does not.
    pub fn verify(&mut self, cx: &mut Cx<'_>, from: MemberIndex, nonce: u32, leads: Option<Term>) {
        let timeout = self.spec.timeout;
        let Some(grace) = &self.kind.grace else { return };
        // A reference member returns no nonce: what comes soon after a question is its answer.
        let asked = grace.asked_at(from).is_some_and(|at| cx.now.mono.since(at) <= timeout);
        if nonce != grace.nonce() && !(nonce == 0 && asked) {
            return;
        }
        let leader = &mut self.kind.verified.0[from.get()];
        leader.leads = leads;
        let Some(term) = leads else { return };
        if let Some(kept) = leader.kept.take().filter(|kept| term <= kept.term) {
            self.handle_lead(cx, from, &kept);
        }
    }

    /// A heartbeat that is not established: an earlier one that waits for its sender's answer is
    /// not the newest any more.
    pub fn forget_kept(&mut self, from: MemberIndex, message: &PeerMessage) {
        let kept = &mut self.kind.verified.0[from.get()].kept;
        if kept.as_ref().is_some_and(|kept| is_newer(message, kept)) {
            *kept = None;
        }
    }

    /// What a member that competes, or has won without a lease yet, still answers STATUS with if
    /// its messages are established: the rest of its lease, or of its bound. It is silent if that
    /// would be nothing in the unit of the wire, which would say that it does not lead.
    pub fn answers_as_leader(&self, now: MonoTime) -> Option<Span> {
        let left = self.bound().filter(|_| self.established(now))?.since(now);
        (left >= self.wire_unit()).then_some(left)
    }

    /// The least time that a packet certainly can state: configurations without any part of a
    /// second count in seconds.
    fn wire_unit(&self) -> Span {
        let (second, milli) = (Span::from_secs(1), Span::from_millis(1));
        let configured = [self.spec.expire, self.spec.timeout, self.spec.acquire_after];
        let whole = |span: Span| Span::from_secs(span.as_secs()) == span;
        if configured.into_iter().all(whole) {
            second
        } else {
            milli
        }
    }
}
