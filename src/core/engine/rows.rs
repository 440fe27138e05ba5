// SPDX-License-Identifier: GPL-2.0-or-later
//! Which rule a client's request goes to; what `booth list`, `booth peers` and SIGUSR1 show, taken
//! from the tickets' state; and the invariants that every step leaves intact.

use super::any::{either, AnyTicket};
use super::cx::Cx;
use super::effect::{AttrChange, Effect, Note, NoteLevel};
use super::event::ClientId;
use super::report::{Held, Remark, Reply};
use super::ticket::{Kind, Ticket};
use super::Engine;
use crate::model::{Holder, TicketIndex};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientRequest, ResultCode};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// A handler that runs longer than this is shown by `booth list`.
const SLOW_HANDLER: Span = Span::from_secs(1);

impl Engine {
    /// Answers `booth list`.
    pub(super) fn list(&mut self, now: Now, effects: &mut Vec<Effect>, client: ClientId) {
        let mut rows = Vec::with_capacity(self.tickets.len());
        for index in 0..self.tickets.len() {
            self.with(now, effects, TicketIndex::new(index), |ticket, cx| {
                rows.push(either!(ticket, t => Kind::row(t, cx)));
            });
        }
        effects.push(Effect::Reply { client, reply: Reply::Tickets(rows), last: true });
    }

    /// Answers `booth peers`.
    pub(super) fn peers(&self, now: Now, effects: &mut Vec<Effect>, client: ClientId) {
        let rows = self.roster.peers().iter().map(|peer| self.books[peer.get()].row(now, peer));
        let rows = rows.collect();
        effects.push(Effect::Reply { client, reply: Reply::Peers(rows), last: true });
    }

    /// Logs the state of every ticket.
    pub(super) fn dump(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for index in 0..self.tickets.len() {
            self.with(now, effects, TicketIndex::new(index), either!(|t, cx| t.dump(cx)));
        }
        let text = match self.held() {
            Held { here: Some(held), of } => format!("{held} of {of} tickets are held here"),
            Held { here: None, of } => format!("votes on {of} tickets"),
        };
        effects.push(Effect::Note(Note { level: NoteLevel::Info, text, event: None }));
    }
}

impl<K: Kind> Ticket<K> {
    /// A client's request about this ticket.
    pub fn handle_client(&mut self, cx: &mut Cx<'_>, client: ClientId, request: ClientRequest) {
        match request {
            ClientRequest::Grant { options, .. }
                if self.grant_is_crowded() && !options.immediate =>
            {
                self.refuse(cx, client, ResultCode::Busy, Holder::Nobody);
            }
            ClientRequest::Grant { options, .. } => K::client_grant(self, cx, client, options),
            ClientRequest::Revoke { options, .. } => K::client_revoke(self, cx, client, options),
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
            ClientRequest::List | ClientRequest::Peers | ClientRequest::Report { .. } => {}
        }
    }

    /// What its line says of the store and the handler.
    pub fn remark_on_jobs(&self, cx: &Cx<'_>, remarks: &mut Vec<Remark>) {
        let now = cx.now.mono;
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
    }

    /// Logs the state of this ticket.
    fn dump(&self, cx: &mut Cx<'_>) {
        let leader = match K::shown_leader(self, cx.now.mono) {
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
        let nearest = self.first(|deadline| Some((deadline.at, deadline.of)));
        let next = nearest.map_or("nothing to wait for".to_string(), |deadline| {
            let left = deadline.at.since(cx.now.mono).as_secs();
            format!("next: {:?} in {left} s", deadline.of)
        });
        let remark = K::remark(self, cx);
        let text = format!("leader {leader}, here {store}; {next}{remark}");
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
        K::check(self, now);
    }
}
