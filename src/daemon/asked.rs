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

/// How the outcome of a request begins that has changed nothing.
const REFUSED: &str = "refused, ";

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
            // Whatever comes of it is told, too.
            let entry = change.entry(now, EventKind::Asked, text).provoked();
            change.tell(history, entry);
        }
        Asked { mailbox, change }
    }

    /// The address of the client; `None` also if it wants no change.
    pub(super) fn from(&self) -> Option<IpAddr> {
        self.change.as_ref()?.from
    }

    /// It gets this answer, its last one.
    pub(super) fn answered(&self, now: Now, reply: &Reply, history: &History) {
        let Some(change) = &self.change else { return };
        let secs = now.mono.since(change.since).as_duration().as_secs_f64();
        let outcome = outcome(reply);
        let text = format!("{} for {}: {outcome} after {secs:.1} s", change.what, change.who());
        let entry = change.entry(now, EventKind::Answered, text);
        // Who is refused may ask again at once, and again.
        let often = !change.moves || outcome.starts_with(REFUSED);
        change.tell(history, if often { entry.provoked() } else { entry });
    }

    /// Its client has left before the last answer.
    pub(super) fn left(&self, now: Now, history: &History) {
        let Some(change) = self.change.as_ref().filter(|change| change.moves) else { return };
        let text = format!("{}: {} has left before the outcome", change.what, change.who());
        change.tell(history, change.entry(now, EventKind::Answered, text));
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

    fn entry(&self, now: Now, kind: EventKind, text: String) -> Entry {
        let (ticket, client) = (self.ticket.clone(), self.from);
        Entry { ticket, client, ..Entry::new(now, kind, text) }
    }

    fn tell(&self, history: &History, entry: Entry) {
        let name = self.ticket.as_ref();
        let prefix = name.map_or_else(String::new, |name| format!("{name}: "));
        let line = format!("{prefix}{}", entry.text);
        history.tell(Level::Info, entry, &line);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::history::{EVENTS_KEPT, PROVOKED_KEPT};
    use crate::model::{Member, MemberId, MemberRole, Roster};
    use crate::sys::clock;
    use crossbeam_channel::bounded;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    /// A script that asks again and again for what is refused.
    #[test]
    fn refused_requests_drive_nothing_else_out_of_the_history() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let member = Member { id: MemberId::of_address(address), role: MemberRole::Site, address };
        let history = History::new(Roster::new(vec![member], 0).expect("a roster"));
        let now = clock::now();
        let granted = Entry::new(now, EventKind::Granted, "granted here".to_owned());
        history.tell(Level::Info, granted, "granted here");
        let ask = |result| {
            let (ticket, options) = (TicketName::new("t").ok(), ClientOptions::default());
            let (answers, _) = bounded(1);
            let waker = Arc::new(UnixStream::pair().expect("a pair").0);
            let mailbox = Mailbox { answers, waker };
            let request = ClientRequest::Grant { ticket, options };
            let asked = Asked::new(now, &request, Some(address), mailbox, &history);
            asked.answered(now, &Reply::Result(result), &history);
        };
        for _ in 0..EVENTS_KEPT {
            ask(ResultCode::Overgrant);
        }
        ask(ResultCode::Success);
        let kinds: Vec<_> = history.all().entries.iter().map(|entry| entry.kind).collect();
        assert_eq!((kinds.len(), kinds[0]), (PROVOKED_KEPT + 2, EventKind::Granted));
        let last = history.last_of_each(5);
        let of_t = &last[&TicketName::new("t").expect("a name")];
        assert_eq!(of_t.len(), 1, "what was done is remembered with the ticket");
    }
}
