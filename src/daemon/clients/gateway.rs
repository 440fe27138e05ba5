// SPDX-License-Identifier: GPL-2.0-or-later
//! What all connections share: the way to the engine, places, and what follows from a request
//! alone.
//!
//! Everything that is wrong with a request is found here; only well-formed requests reach the
//! engine.

use super::listing::{Listing, Steps};
use super::places::{Bounds, Places, Wait};
use super::reports::{Awaited, Reports};
use super::socket::{Failure, Packet};
use crate::auth::{AuthError, Bond, Opened, Opener, ReplayGuard, Sealer};
use crate::daemon::bonds::{ClientBonds, Pass};
use crate::daemon::channels::{Answer, FromClient, Mailbox, CLIENT_PATIENCE, REPLY_QUEUE};
use crate::daemon::history::Entry;
use crate::daemon::limiter::Limiter;
use crate::daemon::reporting::Reporter;
use crate::daemon::text;
use crate::engine::{ClientId, EventKind, Reply};
use crate::model::{Holder, MemberId, Roster, Term};
use crate::time::{Now, Span, WallTime};
use crate::wire::{
    decode_request, encode_reply, encode_report_header, ClientReply, ClientRequest, ResultCode,
    TicketAnswer, TimeUnit, WaitCause, FRAME_MAX, HEADER_LEN, MAC_LEN, REQUEST_TAIL,
};
use crossbeam_channel::{bounded, Receiver, Sender, TrySendError};
use log::Level;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reason for refusing requests, and one for not serving, is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// The longest report in bytes that is sent (P25): of some ten thousand tickets.
const REPORT_MAX: usize = FRAME_MAX - HEADER_LEN - MAC_LEN;
/// How often the engine's queue is looked at while it is full.
const OFFER_AGAIN: Duration = Duration::from_millis(10);

/// What connections need.
pub(crate) struct GatewaySetup {
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
    /// Makes reports.
    pub reporter: Reporter,
    /// The clocks.
    pub clock: fn() -> Now,
}

/// What all connections share.
pub(super) struct Gateway {
    setup: GatewaySetup,
    pub(super) listing: Listing,
    pub(super) reports: Reports,
    pub(super) places: Places,
    /// Remembers requests that change something.
    guard: ReplayGuard,
    refused: Limiter,
    errors: Limiter,
    last_client: u64,
    /// Wakes the thread that serves clients when the engine has an answer.
    waker: Arc<UnixStream>,
    /// What the engine's queue had no room for, in order, and until when it is offered again.
    unsent: VecDeque<(Instant, FromClient)>,
}

impl Gateway {
    /// A gateway whose requests pass this guard, with so many places.
    pub(super) fn new(
        setup: GatewaySetup,
        guard: ReplayGuard,
        bounds: Bounds,
        waker: Arc<UnixStream>,
    ) -> Gateway {
        Gateway {
            listing: Listing::new(setup.steps.clone()),
            reports: Reports::default(),
            setup,
            places: Places::new(bounds),
            guard,
            refused: Limiter::new(LOG_EVERY),
            errors: Limiter::new(LOG_EVERY),
            last_client: 0,
            waker,
            unsent: VecDeque::new(),
        }
    }

    /// Checks a request: whether it is authentic, then to whom it is bound, then whether it has
    /// come before. Only what passes all of these may ask for a place to wait. Gives what its
    /// answers are bound to, too.
    pub(super) fn judge(
        &mut self,
        request: &[u8],
    ) -> (Option<Bond>, Result<ClientRequest, Failure>) {
        let wall = (self.setup.clock)().wall;
        match self.setup.opener.open_request(request, wall) {
            Ok(opened) => (opened.answer, self.admit(&opened, wall)),
            Err(AuthError::Malformed { error, .. }) => (None, Err(Failure::Malformed(error))),
            Err(error) => (None, Err(Failure::NotAuthentic(error))),
        }
    }

    fn admit(&mut self, opened: &Opened<'_>, wall: WallTime) -> Result<ClientRequest, Failure> {
        let (sender, request) = decode_request(&opened.packet).map_err(Failure::Malformed)?;
        if changes_something(&request) {
            match self.setup.bonds.judge(opened) {
                Pass::Granted => {}
                // It is not remembered: it comes to nothing.
                Pass::AskAgain(life) => return Err(Failure::AskedAgain(life)),
                Pass::Refused => {
                    let from = MemberId::from_raw(sender);
                    return Err(Failure::NotAuthentic(AuthError::OtherLife { from }));
                }
            }
            self.guard.admit(opened.proof, wall).map_err(Failure::NotAuthentic)?;
        }
        Ok(request)
    }

    /// Passes a request to the engine. Gives its client's number, and where the answers come.
    pub(super) fn ask(
        &mut self,
        request: ClientRequest,
        from: Option<IpAddr>,
    ) -> (ClientId, Receiver<Answer>) {
        self.last_client += 1;
        let client = ClientId(self.last_client);
        let (answers, answers_end) = bounded(REPLY_QUEUE);
        let mailbox = Mailbox { answers, waker: Arc::clone(&self.waker) };
        self.offer(FromClient::Request { client, request, from, mailbox });
        (client, answers_end)
    }

    /// What has happened so far, in a number that only grows.
    fn seen(&self) -> u64 {
        self.setup.steps.now() + self.setup.reporter.history().count()
    }

    /// Notes that a client wants a report.
    pub(super) fn want_report(&mut self, history: bool) -> Awaited {
        let seen = self.seen();
        self.reports.want(history, seen)
    }

    /// Writes down the reports that the engine has given, and asks it for those that are due.
    pub(super) fn attend_to_reports(&mut self, now: Instant) {
        for history in [false, true] {
            if let Some(Reply::Report(view)) = self.reports.answer(history) {
                let begun = Instant::now();
                let text = Some(self.setup.reporter.json(&view));
                let text = text.filter(|text| text.len() <= REPORT_MAX);
                self.reports.keep(history, text, begun.elapsed());
            }
            if self.reports.is_due(history, now) {
                let seen = self.seen();
                let (_, answers) = self.ask(ClientRequest::Report { history }, None);
                self.reports.ask(history, answers, seen);
            }
        }
    }

    /// Seals a report, or says why there is none.
    pub(super) fn seal_report(
        &self,
        text: Result<Arc<str>, ResultCode>,
        bond: Option<Bond>,
    ) -> Packet {
        let text = match text {
            Ok(text) => text,
            Err(why) => return self.seal(&ClientReply::Result(why), bond).into(),
        };
        let header = encode_report_header(self.setup.roster.my_id(), text.len());
        let wall = (self.setup.clock)().wall;
        let (head, tail) = self.setup.sealer.seal_report(header, &text, wall, bond);
        Packet { head, text: Some(text), tail }
    }

    /// Tells the engine that a client has left before its last answer.
    pub(super) fn let_go(&mut self, client: ClientId) {
        let unsent = self.unsent.len();
        let asks = |message: &FromClient| match message {
            FromClient::Request { client: asking, .. } => *asking == client,
            FromClient::Gone { .. } => false,
        };
        self.unsent.retain(|(_, message)| !asks(message));
        if self.unsent.len() == unsent {
            self.offer(FromClient::Gone { client });
        }
    }

    fn offer(&mut self, message: FromClient) {
        self.unsent.push_back((Instant::now() + CLIENT_PATIENCE, message));
        self.flush();
    }

    /// Hands to the engine what its queue has room for. A request that has not found any in time
    /// is dropped, and its client finds that there will be no answer.
    pub(super) fn flush(&mut self) {
        while let Some((until, message)) = self.unsent.pop_front() {
            if let Err(TrySendError::Full(message)) = self.setup.queue.try_send(message) {
                self.unsent.push_front((until, message));
                let now = Instant::now();
                self.unsent.retain(|(until, message)| {
                    *until > now || matches!(message, FromClient::Gone { .. })
                });
                return;
            }
        }
    }

    /// When [`Gateway::flush`] is to be called, if it has left something, or
    /// [`Gateway::attend_to_reports`].
    pub(super) fn next_offer(&self) -> Option<Instant> {
        let offer = (!self.unsent.is_empty()).then(|| Instant::now() + OFFER_AGAIN);
        offer.into_iter().chain(self.reports.due_at()).min()
    }

    /// Formats an answer of the engine.
    pub(super) fn format(&self, reply: Reply) -> ClientReply {
        let roster = &self.setup.roster;
        match reply {
            Reply::Tickets(rows) => ClientReply::List(text::tickets(&rows, roster)),
            Reply::Peers(rows) => ClientReply::List(text::peers(&rows, roster)),
            // No client asks the engine itself for one.
            Reply::Report(_) => ClientReply::Result(ResultCode::SyncFail),
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

    /// Says in the log why a connection ends; why a request was refused, unless that was done
    /// lately.
    pub(super) fn note(&mut self, peer: SocketAddr, failure: &Failure) {
        match failure {
            Failure::Left => {}
            Failure::Io(_) | Failure::Busy | Failure::NoPlace | Failure::AskedAgain(_) => {
                log::debug!("a client's connection ends: {failure}");
            }
            Failure::Malformed(_) | Failure::NotAuthentic(_) => {
                self.note_refused(peer, failure);
            }
        }
    }

    /// A request was refused: the history is told of each, the log not too often.
    fn note_refused(&mut self, peer: SocketAddr, failure: &Failure) {
        let text = format!("refused a request of {peer}: {failure}");
        let client = Some(peer.ip().to_canonical());
        let reporter = &self.setup.reporter;
        reporter.health().note_refused();
        let now = (self.setup.clock)();
        let entry = Entry { client, ..Entry::new(now, EventKind::Refused, text.clone()) };
        let passed = self.refused.pass(Instant::now());
        let level = if passed.is_some() { Level::Warn } else { Level::Debug };
        let line = format!("{text}{}", passed.unwrap_or_default());
        reporter.history().tell(level, entry.provoked(), &line);
    }

    /// Logs what would fill the log if it came again and again.
    pub(super) fn complain(&mut self, text: &str) {
        if let Some(more) = self.errors.pass(Instant::now()) {
            log::warn!("{text}{more}");
        }
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
        | ClientRequest::Report { .. }
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
fn changes_something(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::List
        | ClientRequest::Peers
        | ClientRequest::Report { .. }
        | ClientRequest::AttrGet { .. }
        | ClientRequest::AttrList { .. } => false,
        ClientRequest::Grant { .. }
        | ClientRequest::Revoke { .. }
        | ClientRequest::AttrSet { .. }
        | ClientRequest::AttrDelete { .. } => true,
    }
}
