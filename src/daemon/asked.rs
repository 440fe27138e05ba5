// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients have asked for, and what came of it, in words for the history.
#![forbid(unsafe_code)]

use super::channels::Mailbox;
use super::history::{Entry, History};
use crate::engine::{EventKind, Reply};
use crate::model::{AttrName, TicketName};
use crate::time::{MonoTime, Now};
use crate::wire::{ClientOptions, ClientRequest, ResultCode};
use log::Level;
use std::net::IpAddr;

/// A client that has not had its last answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) mailbox: Mailbox,
    /// What it asked for, if that changes anything.
    change: Option<Change>,
}

/// A request that changes something.
#[derive(Debug)]
struct Change {
    what: String,
    ticket: Option<TicketName>,
    /// Whether it is about who has the ticket; else about an attribute.
    moves: bool,
    from: Option<IpAddr>,
    since: MonoTime,
}

impl Asked {
    /// A request from `from` has come; the history is told if it changes anything.
    pub(super) fn new(
        now: Now,
        request: &ClientRequest,
        from: Option<IpAddr>,
        mailbox: Mailbox,
        history: &History,
    ) -> Asked {
        let change = Change::of(now.mono, request, from);
        if let Some(change) = change.as_ref().filter(|change| change.moves) {
            let text = format!("{} asked by {}", change.what, change.who());
            change.tell(now, history, EventKind::Asked, &text);
        }
        Asked { mailbox, change }
    }

    /// It gets this answer, its last one.
    pub(super) fn answered(&self, now: Now, reply: &Reply, history: &History) {
        let Some(change) = &self.change else { return };
        let secs = now.mono.since(change.since).as_duration().as_secs_f64();
        let outcome = outcome(reply);
        let text = format!("{} for {}: {outcome} after {secs:.1} s", change.what, change.who());
        change.tell(now, history, EventKind::Answered, &text);
    }

    /// Its client has left before the last answer.
    pub(super) fn left(&self, now: Now, history: &History) {
        let Some(change) = self.change.as_ref().filter(|change| change.moves) else { return };
        let text = format!("{}: {} has left before the outcome", change.what, change.who());
        change.tell(now, history, EventKind::Answered, &text);
    }
}

impl Change {
    fn of(since: MonoTime, request: &ClientRequest, from: Option<IpAddr>) -> Option<Change> {
        let name = |name: &Option<AttrName>| {
            name.as_ref().map_or_else(|| "?".to_owned(), |name| name.as_str().to_owned())
        };
        let (what, ticket, moves) = match request {
            ClientRequest::Grant { ticket, options } => (command("grant", *options), ticket, true),
            ClientRequest::Revoke { ticket, options } => {
                (command("revoke", *options), ticket, true)
            }
            ClientRequest::AttrSet { ticket, name: attr, .. } => {
                (format!("setting of attribute {}", name(attr)), ticket, false)
            }
            ClientRequest::AttrDelete { ticket, name: attr } => {
                (format!("deletion of attribute {}", name(attr)), ticket, false)
            }
            ClientRequest::List
            | ClientRequest::Peers
            | ClientRequest::Report { .. }
            | ClientRequest::AttrGet { .. }
            | ClientRequest::AttrList { .. } => return None,
        };
        Some(Change { what, ticket: ticket.clone(), moves, from, since })
    }

    fn who(&self) -> String {
        self.from.map_or_else(|| "a client".to_owned(), |from| from.to_string())
    }

    fn tell(&self, now: Now, history: &History, kind: EventKind, text: &str) {
        let ticket = self.ticket.clone();
        let prefix = ticket.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        let entry =
            Entry { ticket, client: self.from, ..Entry::new(now.wall, kind, text.to_owned()) };
        let entry = if self.moves { entry } else { entry.provoked() };
        history.tell(Level::Info, entry, &format!("{prefix}{text}"));
    }
}

/// A command with its options.
fn command(word: &'static str, options: ClientOptions) -> String {
    std::iter::once(word).chain(options.flags()).collect::<Vec<_>>().join(" ")
}

/// The last answer in words.
fn outcome(reply: &Reply) -> &'static str {
    match reply.result() {
        ResultCode::Success | ResultCode::SyncSuccess | ResultCode::ProbableSuccess => "done",
        ResultCode::Async | ResultCode::More => "under way",
        ResultCode::CibPending => "pending",
        ResultCode::SyncFail => "failed",
        ResultCode::InvalidArg => "refused, there is no such ticket",
        ResultCode::NoSuchAttr => "refused, there is no such attribute",
        ResultCode::HandlerFailed => "failed, the before-acquire handler does not agree",
        ResultCode::AttrPrereq => "refused, an attribute prerequisite does not hold",
        ResultCode::TicketIdle => "refused, the ticket is not granted",
        ResultCode::Overgrant => "refused, the ticket is granted already",
        ResultCode::Busy => "refused, this member is busy or has just started",
        ResultCode::AuthFailed => "refused, it is not authenticated",
        ResultCode::Redirect => "another member has to be asked",
        ResultCode::TermOutdated | ResultCode::TermStillValid | ResultCode::YouOutdated => "failed",
    }
}
