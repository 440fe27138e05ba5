// SPDX-License-Identifier: GPL-2.0-or-later
//! What all connections share, and what follows from a request alone.

use super::bonds::ClientBonds;
use super::channels::FromClient;
use super::limiter::{self, Limiter};
use super::listing::{Listing, Steps};
use super::places::Wait;
use super::socket::Failure;
use super::text;
use crate::auth::{Bond, Opener, ReplayGuard, Sealer};
use crate::engine::{ClientId, Reply};
use crate::model::{Holder, Roster, Term};
use crate::time::{Now, Span};
use crate::wire::{
    encode_reply, ClientReply, ClientRequest, ResultCode, TicketAnswer, TimeUnit, WaitCause,
    REQUEST_TAIL,
};
use crossbeam_channel::Sender;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A reason for refusing requests is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What connections need.
pub struct DeskSetup {
    /// The members; answers carry the id of this one.
    pub roster: Roster,
    /// Checks requests.
    pub opener: Opener,
    /// Looks to whom requests are bound.
    pub bonds: ClientBonds,
    /// Whether there is a key.
    pub has_key: bool,
    /// Seals answers.
    pub sealer: Sealer,
    /// The unit of times on the wire.
    pub unit: TimeUnit,
    /// The engine's queue.
    pub queue: Sender<FromClient>,
    /// Counts what the engine does.
    pub steps: Steps,
    /// The clocks.
    pub clock: fn() -> Now,
}

/// What all connections share.
pub struct Desk {
    pub(super) setup: DeskSetup,
    /// Remembers requests that change something.
    pub(super) listing: Listing,
    pub(super) guard: Mutex<ReplayGuard>,
    refused: Mutex<Limiter>,
    next_client: AtomicU64,
}

impl Desk {
    /// A desk whose requests pass this guard.
    pub fn new(setup: DeskSetup, guard: ReplayGuard) -> Desk {
        let refused = Mutex::new(Limiter::new(LOG_EVERY));
        let (listing, guard) = (Listing::new(setup.steps.clone()), Mutex::new(guard));
        Desk { setup, listing, guard, refused, next_client: AtomicU64::new(1) }
    }

    /// The number of the next client.
    pub(super) fn next_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }

    /// Formats an answer of the engine.
    pub(super) fn format(&self, reply: Reply) -> ClientReply {
        let roster = &self.setup.roster;
        match reply {
            Reply::Tickets(rows) => ClientReply::List(text::tickets(&rows, roster)),
            Reply::Peers(rows) => ClientReply::List(text::peers(&rows, roster)),
            Reply::Ticket(answer) => ClientReply::Ticket(answer),
            Reply::Result(result) => ClientReply::Result(result),
            Reply::Attr(value) => ClientReply::Attr(text::attribute(&value)),
            Reply::Attrs(rows) => ClientReply::Attrs(text::attributes(&rows)),
        }
    }

    /// Seals an answer.
    pub(super) fn seal(&self, reply: &ClientReply, bond: Option<Bond>) -> Vec<u8> {
        let setup = &self.setup;
        let packet = encode_reply(setup.roster.my_id(), reply, setup.unit);
        setup.sealer.seal_reply_to(packet, (setup.clock)().wall, bond)
    }

    /// Whether something may follow a request behind which so many bytes have come (P13).
    ///
    /// Reference: without a key its clients send [`REQUEST_TAIL`] bytes after some requests. To
    /// close before they are read would reset the connection, and the answer might be lost.
    pub(super) fn may_follow(&self, excess: usize) -> bool {
        !self.setup.has_key && excess < REQUEST_TAIL
    }

    /// Logs why a request was refused, unless that was done lately.
    pub(super) fn note_refusal(&self, stream: &TcpStream, failure: &Failure) {
        let mut limiter = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held_back) = limiter.pass(Instant::now()) else {
            return;
        };
        let who = match stream.peer_addr() {
            Ok(address) => address.to_string(),
            Err(_) => "a client".to_owned(),
        };
        let more = limiter::more(held_back);
        log::warn!("refused a request of {who}: {failure}{more}");
    }
}

/// The answer to a request that has no place to wait.
pub(super) fn no_place(request: &ClientRequest) -> Reply {
    match Wait::of(request) {
        Some(Wait::Grant | Wait::Revoke) => {
            Reply::Ticket(TicketAnswer { result: ResultCode::Busy, ..under_way(request) })
        }
        Some(Wait::Change) | None => Reply::Result(ResultCode::Busy),
    }
}

/// The last answer to a request that goes on, and is no longer waited for.
pub(super) fn under_way(request: &ClientRequest) -> TicketAnswer {
    let ticket = match request {
        ClientRequest::Grant { ticket, .. } | ClientRequest::Revoke { ticket, .. } => ticket,
        ClientRequest::List
        | ClientRequest::Peers
        | ClientRequest::AttrSet { .. }
        | ClientRequest::AttrGet { .. }
        | ClientRequest::AttrDelete { .. }
        | ClientRequest::AttrList { .. } => &None,
    };
    TicketAnswer {
        result: ResultCode::CibPending,
        ticket: ticket.clone(),
        leader: Holder::Unknown,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        cause: Some((WaitCause::CibWrite, Span::ZERO)),
    }
}

/// Whether replaying the request could do harm. Reading can be repeated: who can record an
/// answer has seen it already, and a guard that remembered every `booth list` would be full of
/// them when a grant comes.
pub(super) fn changes_something(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::List
        | ClientRequest::Peers
        | ClientRequest::AttrGet { .. }
        | ClientRequest::AttrList { .. } => false,
        ClientRequest::Grant { .. }
        | ClientRequest::Revoke { .. }
        | ClientRequest::AttrSet { .. }
        | ClientRequest::AttrDelete { .. } => true,
    }
}
