// SPDX-License-Identifier: GPL-2.0-or-later
//! One client's connection: a request in, checked; answers out until the last.
//!
//! Everything that is wrong with a request is found here, in the connection's own thread; only
//! well-formed requests reach the engine. Who accepts connections and how many, `tcp` decides.

use super::bonds::{ClientBonds, Pass};
use super::channels::{Answer, FromClient, Mailbox, CLIENT_PATIENCE, REPLY_QUEUE};
use super::limiter::{self, Limiter};
use super::places::Wait;
use super::socket::{linger, read_frame, still_there, watch_over, Failure};
use super::{poll, text};
use crate::auth::{AuthError, Bond, Opener, ReplayGuard, Sealer};
use crate::engine::{ClientId, Reply};
use crate::model::{Holder, MemberId, Roster, Term};
use crate::time::{Now, Span};
use crate::wire::{
    decode_request, encode_reply, ClientReply, ClientRequest, Life, ResultCode, TicketAnswer,
    TimeUnit, WaitCause, REQUEST_MAX, REQUEST_TAIL,
};
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A single write may take as long.
const IO_LIMIT: Duration = Duration::from_secs(2);
/// A whole answer must be taken within this, however slow the line is.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// An answer of at most this many bytes never waits for its reader: the kernel's buffer of a
/// connection on which nothing was sent yet takes it at once.
const FITS_AT_ONCE: usize = 4096;
/// A client that waits and has closed its sending side is given its answer if that comes within
/// this: a tool may send its request like this. It is also what one that has left looks like.
const HALF_CLOSED: Duration = Duration::from_millis(250);
/// How long a revoke is waited for whose client has no place to wait: longer than the CIB takes
/// when it is well.
const BRIEF: Duration = Duration::from_millis(500);
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
    /// The clocks.
    pub clock: fn() -> Now,
}

/// What all connections share.
pub struct Desk {
    setup: DeskSetup,
    /// Remembers requests that change something.
    guard: Mutex<ReplayGuard>,
    refused: Mutex<Limiter>,
    next_client: AtomicU64,
}

impl Desk {
    /// A desk whose requests pass this guard.
    pub fn new(setup: DeskSetup, guard: ReplayGuard) -> Desk {
        let refused = Mutex::new(Limiter::new(LOG_EVERY));
        Desk { setup, guard: Mutex::new(guard), refused, next_client: AtomicU64::new(1) }
    }

    /// Logs why a request was refused, unless that was done lately.
    fn note_refusal(&self, stream: &TcpStream, failure: &Failure) {
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

/// The waking ends of the thread of a client that waits.
struct Bell {
    sleeper: UnixStream,
    waker: Arc<UnixStream>,
}

impl Bell {
    /// Fails if there are too many open descriptors.
    fn new() -> io::Result<Bell> {
        let (sleeper, waker) = poll::waker_pair()?;
        Ok(Bell { sleeper, waker: Arc::new(waker) })
    }
}

/// Whether a request may wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// As long as it takes.
    Stay,
    /// There is no place for it.
    NoPlace,
}

/// A connection as `tcp` sees it, which knows all the others.
pub trait Seat {
    /// The request is complete, and may have to wait for this. Until then the connection may be
    /// closed to make room for others.
    fn admit(&self, wait: Option<Wait>) -> Admission;

    /// A long answer is about to be written: from now on it is the client that is waited for.
    fn begins_to_write(&self);

    /// The last answer is written; the connection may be closed whenever its place is needed.
    fn has_its_answer(&self);
}

/// A request as it was read, and how much of a client's tail came with it.
struct Received {
    request: ClientRequest,
    excess: usize,
}

/// Serves one client from its request to its last answer. The request must be complete within
/// `limit`.
pub fn serve(desk: &Desk, stream: &TcpStream, limit: Duration, seat: &impl Seat) {
    let mut talk = Talk { desk, stream, seat, bond: None };
    let outcome = talk.receive(limit).and_then(|received| talk.attend(received));
    match &outcome {
        Ok(()) | Err(Failure::Left) => {}
        Err(failure @ (Failure::Malformed(_) | Failure::NotAuthentic(_))) => {
            desk.note_refusal(stream, failure);
        }
        Err(
            failure @ (Failure::Io(_) | Failure::Busy | Failure::NoPlace | Failure::AskedAgain),
        ) => {
            log::debug!("a client's connection ends: {failure}");
        }
    }
}

/// What everything that is done for one client needs.
struct Talk<'a, S> {
    desk: &'a Desk,
    stream: &'a TcpStream,
    seat: &'a S,
    /// What the answers are bound to; known when the request has been opened.
    bond: Option<Bond>,
}

/// How the answers of a request are waited for.
enum Patience {
    /// The engine has them at once.
    Prompt,
    /// As long as it takes, watching whether the client leaves.
    Watching(Bell),
    /// For [`BRIEF`].
    Brief,
}

impl<S: Seat> Talk<'_, S> {
    /// Reads one request and checks it: whether it is authentic, then to whom it is bound, then
    /// whether it has come before. Only what passes all of these may ask for a place to wait.
    fn receive(&mut self, limit: Duration) -> Result<Received, Failure> {
        let (desk, stream) = (self.desk, self.stream);
        stream.set_read_timeout(Some(limit))?;
        let mut buffer = [0u8; REQUEST_MAX + REQUEST_TAIL];
        let (filled, len) = read_frame(stream, limit, &mut buffer)?;
        let wall = (desk.setup.clock)().wall;
        let opened = match desk.setup.opener.open_request(&buffer[..len], wall) {
            Ok(opened) => opened,
            Err(AuthError::Malformed { error, .. }) => return Err(Failure::Malformed(error)),
            Err(error) => return self.distrust(error),
        };
        let (sender, request) = decode_request(&opened.packet).map_err(Failure::Malformed)?;
        self.bond = opened.answer;
        if changes_something(&request) {
            match desk.setup.bonds.judge(&opened) {
                Pass::Granted => {}
                Pass::AskAgain(life) => return self.ask_again(life),
                Pass::Refused => {
                    let from = MemberId::from_raw(sender);
                    return self.distrust(AuthError::OtherLife { from });
                }
            }
            let mut guard = desk.guard.lock().unwrap_or_else(PoisonError::into_inner);
            let admitted = guard.admit(opened.proof, wall);
            drop(guard);
            if let Err(error) = admitted {
                return self.distrust(error);
            }
        }
        Ok(Received { request, excess: filled - len })
    }

    /// Tells a client that it is not trusted.
    fn distrust(&self, error: AuthError) -> Result<Received, Failure> {
        self.write(Reply::Result(ResultCode::AuthFailed))?;
        self.seat.has_its_answer();
        linger(self.stream);
        Err(Failure::NotAuthentic(error))
    }

    /// Tells a client our life. Its request is not remembered: it comes to nothing.
    fn ask_again(&self, life: Life) -> Result<Received, Failure> {
        self.write_reply(&ClientReply::Hello(life))?;
        self.seat.has_its_answer();
        linger(self.stream);
        Err(Failure::AskedAgain)
    }

    /// Hands the request to the engine and its answers to the client.
    fn attend(&self, received: Received) -> Result<(), Failure> {
        let desk = self.desk;
        let Received { request, mut excess } = received;
        let Some(patience) = self.patience(&request)? else {
            self.write(no_place(&request))?;
            self.close(excess);
            return Err(Failure::NoPlace);
        };
        let client = ClientId(desk.next_client.fetch_add(1, Ordering::Relaxed));
        let (answers, answers_end) = bounded(REPLY_QUEUE);
        let waker = match &patience {
            Patience::Watching(bell) => Some(Arc::clone(&bell.waker)),
            Patience::Prompt | Patience::Brief => None,
        };
        let under_way = under_way(&request);
        let message = FromClient::Request { client, request, mailbox: Mailbox { answers, waker } };
        desk.setup.queue.send_timeout(message, CLIENT_PATIENCE).map_err(|_| Failure::Busy)?;
        let outcome = match patience {
            Patience::Prompt => self.forward(&answers_end),
            Patience::Watching(bell) => self.forward_watching(&bell, &answers_end, &mut excess),
            Patience::Brief => self.forward_briefly(&answers_end, under_way),
        };
        if matches!(outcome, Ok(()) | Err(Failure::NoPlace)) {
            self.close(excess);
        }
        if outcome.is_err() {
            // The engine always comes to its queue; if it is gone, so is the daemon.
            let _ = desk.setup.queue.send(FromClient::Gone { client });
        }
        outcome
    }

    /// How the answers to this request are waited for; `None`: there is no place to wait for
    /// them, and nobody must have asked for what cannot be answered. A revoke is done all the
    /// same: it is what must never be kept waiting.
    fn patience(&self, request: &ClientRequest) -> Result<Option<Patience>, Failure> {
        let wait = Wait::of(request);
        let admission = self.seat.admit(wait);
        let Some(wait) = wait else {
            return Ok(Some(Patience::Prompt));
        };
        let stream = self.stream;
        stream.set_write_timeout(Some(IO_LIMIT))?;
        stream.set_nodelay(true)?;
        let bell = match admission {
            Admission::Stay => Bell::new().ok(),
            Admission::NoPlace => None,
        };
        if let Some(bell) = bell {
            watch_over(stream)?;
            return Ok(Some(Patience::Watching(bell)));
        }
        Ok(match wait {
            Wait::Grant | Wait::Change => None,
            Wait::Revoke => Some(Patience::Brief),
        })
    }

    /// Writes answers as they come, until the last. The engine has them at once.
    fn forward(&self, answers: &Receiver<Answer>) -> Result<(), Failure> {
        loop {
            // Ends with the answer, or when the engine's loop lets go of the client.
            let answer = answers.recv().map_err(|_| Failure::Busy)?;
            self.write(answer.reply)?;
            if answer.last {
                return Ok(());
            }
        }
    }

    /// Writes answers as they come, until the last, and watches whether the client leaves: what
    /// it waits for may take for ever.
    fn forward_watching(
        &self,
        bell: &Bell,
        answers: &Receiver<Answer>,
        excess: &mut usize,
    ) -> Result<(), Failure> {
        let (stream, sleeper) = (self.stream.as_fd(), bell.sleeper.as_fd());
        let mut leaves: Option<Instant> = None;
        loop {
            let heard = match leaves {
                None => poll::wait([stream, sleeper], None)?[0],
                Some(at) => {
                    let rest = at.saturating_duration_since(Instant::now());
                    !poll::wait([sleeper], Some(rest))?[0]
                }
            };
            poll::drain(&bell.sleeper);
            loop {
                match answers.try_recv() {
                    Ok(answer) => {
                        self.write(answer.reply)?;
                        if answer.last {
                            return Ok(());
                        }
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(Failure::Busy),
                }
            }
            if heard && leaves.is_some() {
                return Err(Failure::Left);
            }
            if heard && !still_there(self.stream, excess)? {
                leaves = Some(Instant::now() + HALF_CLOSED);
            }
        }
    }

    /// Writes answers as they come, for [`BRIEF`]; then says that the request is under way.
    fn forward_briefly(
        &self,
        answers: &Receiver<Answer>,
        under_way: TicketAnswer,
    ) -> Result<(), Failure> {
        let until = Instant::now() + BRIEF;
        loop {
            match answers.recv_deadline(until) {
                Ok(answer) => {
                    self.write(answer.reply)?;
                    if answer.last {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.write(Reply::Ticket(under_way))?;
                    return Err(Failure::NoPlace);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Busy),
            }
        }
    }

    /// Formats and writes one answer of the engine.
    fn write(&self, reply: Reply) -> io::Result<()> {
        let setup = &self.desk.setup;
        let reply = match reply {
            Reply::Tickets(rows) => ClientReply::List(text::tickets(&rows, &setup.roster)),
            Reply::Peers(rows) => ClientReply::List(text::peers(&rows, &setup.roster)),
            Reply::Ticket(answer) => ClientReply::Ticket(answer),
            Reply::Result(result) => ClientReply::Result(result),
            Reply::Attr(value) => ClientReply::Attr(text::attribute(&value)),
            Reply::Attrs(rows) => ClientReply::Attrs(text::attributes(&rows)),
        };
        self.write_reply(&reply)
    }

    /// Seals and writes one answer.
    fn write_reply(&self, reply: &ClientReply) -> io::Result<()> {
        let (setup, mut stream) = (&self.desk.setup, self.stream);
        let packet = encode_reply(setup.roster.my_id(), reply, setup.unit);
        let bytes = setup.sealer.seal_reply_to(packet, (setup.clock)().wall, self.bond);
        if bytes.len() > FITS_AT_ONCE {
            self.seat.begins_to_write();
            stream.set_write_timeout(Some(IO_LIMIT))?;
        }
        let until = Instant::now() + ANSWER_LIMIT;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends a connection whose last answer is written. Reference: without a key its clients send
    /// [`REQUEST_TAIL`] bytes after some requests; closing before they are read would reset the
    /// connection, and the answer might be lost.
    fn close(&self, excess: usize) {
        if !self.desk.setup.has_key && excess < REQUEST_TAIL {
            self.seat.has_its_answer();
            linger(self.stream);
        }
    }
}

/// The answer to a request that has no place to wait.
fn no_place(request: &ClientRequest) -> Reply {
    match Wait::of(request) {
        Some(Wait::Grant | Wait::Revoke) => {
            Reply::Ticket(TicketAnswer { result: ResultCode::Busy, ..under_way(request) })
        }
        Some(Wait::Change) | None => Reply::Result(ResultCode::Busy),
    }
}

/// The last answer to a request that goes on, and is no longer waited for.
fn under_way(request: &ClientRequest) -> TicketAnswer {
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
fn changes_something(request: &ClientRequest) -> bool {
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
