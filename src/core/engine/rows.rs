// SPDX-License-Identifier: GPL-2.0-or-later
//! Which rule a client's request goes to; what `booth list`, `booth peers` and SIGUSR1 show, taken
//! from the tickets' state; and the invariants that every step leaves intact.

use super::cx::Cx;
use super::effect::{AttrChange, Effect, Note, NoteLevel};
use super::event::ClientId;
use super::report::{Held, PeerRow, Remark, Reply, TicketRow};
use super::ticket::Ticket;
use super::Engine;
use crate::model::{Holder, TicketIndex};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientRequest, ResultCode};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A handler that runs longer than this is shown by `booth list`.
const SLOW_HANDLER: Span = Span::from_secs(1);

impl Engine {
    /// Answers list.
    pub(super) fn list(&mut self, now: Now, effects: &mut Vec<Effect>, client: ClientId) {
        let mut rows = Vec::with_capacity(self.tickets.len());
        for index in 0..self.tickets.len() {
            self.with(now, effects, TicketIndex::new(index), |ticket, cx| {
                rows.push(ticket.row(cx));
            });
        }
        effects.push(Effect::Reply { client, reply: Reply::Tickets(rows), last: true });
    }

    /// Answers peers.
    pub(super) fn peers(&self, effects: &mut Vec<Effect>, client: ClientId) {
        let row = |member: crate::model::MemberIndex| {
            let book = &self.books[member.get()];
            PeerRow { member, last_recv: book.last_recv, counters: book.counters }
        };
        let rows = self.roster.peers().iter().map(row).collect();
        effects.push(Effect::Reply { client, reply: Reply::Peers(rows), last: true });
    }

    /// Logs the state of every ticket.
    pub(super) fn dump(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for index in 0..self.tickets.len() {
            self.with(now, effects, TicketIndex::new(index), |ticket, cx| ticket.dump(cx));
        }
        let text = match self.held() {
            Held { here: Some(held), of } => format!("{held} of {of} tickets are held here"),
            Held { here: None, of } => format!("votes on {of} tickets"),
        };
        effects.push(Effect::Note(Note { level: NoteLevel::Info, text }));
    }
}

impl Ticket {
    /// A client's request about this ticket.
    pub fn handle_client(&mut self, cx: &mut Cx<'_>, client: ClientId, request: ClientRequest) {
        match request {
            ClientRequest::Grant { options, .. }
                if self.grant_is_crowded() && !options.immediate =>
            {
                self.refuse(cx, client, ResultCode::Busy, Holder::Nobody);
            }
            ClientRequest::Grant { options, .. } if self.is_manual() => {
                self.manual_grant(cx, client, options);
            }
            ClientRequest::Revoke { options, .. } if self.is_manual() => {
                self.manual_revoke(cx, client, options);
            }
            ClientRequest::Grant { options, .. } => self.client_grant(cx, client, options),
            ClientRequest::Revoke { options, .. } => self.client_revoke(cx, client, options),
            ClientRequest::AttrSet { name: Some(name), value: Some(value), .. } => {
                self.attr_change(cx, client, AttrChange::Set(name, value));
            }
            ClientRequest::AttrSet { .. } => {
                cx.reply(client, Reply::Result(ResultCode::SyncFail), true);
            }
            ClientRequest::AttrDelete { name: Some(name), .. } => {
                self.attr_change(cx, client, AttrChange::Delete(name));
            }
            ClientRequest::AttrDelete { name: None, .. } => {
                cx.reply(client, Reply::Result(ResultCode::NoSuchAttr), true);
            }
            ClientRequest::AttrGet { name, .. } => self.attr_get(cx, client, name),
            ClientRequest::AttrList { .. } => self.attr_list(cx, client),
            ClientRequest::List | ClientRequest::Peers => {}
        }
    }

    /// This ticket's line of `booth list`.
    fn row(&self, cx: &Cx<'_>) -> TicketRow {
        let now = cx.now.mono;
        let leader = self.shown_leader(now);
        let until = self.bound().unwrap_or(self.known.until);
        let manual = self.is_manual();
        let claims = self.manual.claims;
        let pending = self.commit_pending(cx).max(self.objected_until(now));
        let leads = self.phase.is_leader() && self.lease_lives(now);
        let pending = pending.filter(|_| leads);
        TicketRow {
            name: self.spec.name.clone(),
            manual,
            leader,
            expires: (!manual).then(|| cx.now.wall_at(until)),
            commit_pending: pending.map(|at| cx.now.wall_at(at)),
            remarks: self.remarks(cx),
            also_granted: if claims.len() > 1 { claims.iter().collect() } else { Vec::new() },
        }
    }

    /// What ours adds to the line.
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
        if let Some(since) = self.cib.failing_since() {
            remarks.push(Remark::CibFailing(cx.now.wall_at(since)));
        } else if let Some(since) = self.cib.slow_since(now) {
            remarks.push(Remark::CibSlow(cx.now.wall_at(since)));
        }
        if let Some(probe) = self.probe {
            if now.since(probe.since) >= SLOW_HANDLER {
                remarks.push(Remark::HandlerRunning(cx.now.wall_at(probe.since)));
            }
        }
        let differing = self.differs.members();
        if !differing.is_empty() {
            remarks.push(Remark::ExpireDiffers(differing));
        }
        remarks
    }

    /// Logs the state of this ticket.
    fn dump(&self, cx: &mut Cx<'_>) {
        let leader = match self.shown_leader(cx.now.mono) {
            Holder::Unknown => "NONE".to_string(),
            Holder::Nobody => "none".to_string(),
            Holder::Member(id) => match cx.roster.index_of(id) {
                Some(index) => cx.name(index),
                None => id.to_string(),
            },
        };
        let store = match (self.cib.granted(), self.cib.maybe_granted()) {
            (true, _) => "granted",
            (false, true) => "perhaps granted",
            (false, false) => "not granted",
        };
        let nearest = self.deadlines().into_iter().filter_map(|(k, at)| at.map(|at| (at, k))).min();
        let next = nearest.map_or("nothing to wait for".to_string(), |(at, kind)| {
            format!("next: {kind:?} in {} s", at.since(cx.now.mono).as_secs())
        });
        let differing = self.differs.members();
        let differs = if differing.is_empty() {
            String::new()
        } else {
            format!("; expire differs at {}", cx.names(differing))
        };
        let text = format!("leader {leader}, here {store}; {next}{differs}");
        self.note(cx, NoteLevel::Info, &text);
    }

    /// What every step leaves true; `nearest` is the first of its deadlines then.
    pub fn check_invariants(&self, cx: &Cx<'_>, nearest: Option<MonoTime>) {
        let now = cx.now.mono;
        assert!(nearest.is_none_or(|at| now < at), "no deadline is left due");
        if !self.site {
            let passive = self.phase.is_follower();
            assert!(passive, "an arbitrator only follows");
            assert!(!self.cib.maybe_granted(), "an arbitrator grants nothing");
        }
        if self.holding() && !self.is_manual() {
            let window = self.hold_window();
            assert!(window.is_some(), "a held ticket has a bound");
            let inside = window.is_some_and(|window| now < window.hold_until);
            assert!(inside, "a ticket is held only inside its lease");
        }
        if self.lead.is_some() {
            assert!(self.promise.is_none(), "a leader is not promised to another");
        }
        if self.phase.is_leader() && !self.is_manual() {
            assert!(self.lead.is_some(), "a leader has won a term");
        }
        assert!(self.term <= self.seen, "no term is higher than those seen");
        assert!(!self.lacks_a_plan(now), "a site that knows of a lost ticket plans to stand");
    }
}
