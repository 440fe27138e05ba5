// SPDX-License-Identifier: GPL-2.0-or-later
//! One client's connection: a request in, checked; answers out until the last (P10, P13).
//!
//! Everything that is wrong with a request is found here, in the connection's own thread; only
//! well-formed requests reach the engine. Who accepts connections and how many, `tcp` decides.

use super::bonds::Pass;
use super::channels::{Answer, FromClient, Mailbox, CLIENT_PATIENCE, REPLY_QUEUE};
use super::desk::{changes_something, no_place, under_way, Desk};
use super::places::Wait;
use super::socket::{linger, still_there, watch_over, Failure, Frame};
use crate::auth::{AuthError, Bond};
use crate::engine::Reply;
use crate::model::MemberId;
use crate::sys::poll;
use crate::wire::{decode_request, ClientReply, ClientRequest, Life, ResultCode, TicketAnswer};
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, TryRecvError};
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, PoisonError};
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

/// The waking ends of the thread of a client that waits.
struct WakerPair {
    sleeper: UnixStream,
    waker: Arc<UnixStream>,
}

impl WakerPair {
    /// Fails if there are too many open descriptors.
    fn new() -> io::Result<WakerPair> {
        let (sleeper, waker) = poll::waker_pair()?;
        Ok(WakerPair { sleeper, waker: Arc::new(waker) })
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

/// Serves one client from its request, of which `frame` has come, to its last answer. The request
/// must be complete within `limit`.
pub(super) fn serve(
    desk: &Desk,
    stream: &TcpStream,
    frame: Box<Frame>,
    limit: Duration,
    seat: &impl Seat,
) {
    let mut talk = Talk { desk, stream, seat, bond: None, lists_at: None };
    let outcome = talk.receive(frame, limit).and_then(|received| talk.attend(received));
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
    /// What the engine had done when it was asked for the list.
    lists_at: Option<u64>,
}

/// How the answers of a request are waited for.
enum Patience {
    /// The engine has them at once.
    Prompt,
    /// As long as it takes, watching whether the client leaves.
    Watching(WakerPair),
    /// For [`BRIEF`].
    Brief,
}

impl<S: Seat> Talk<'_, S> {
    /// Reads one request and checks it: whether it is authentic, then to whom it is bound, then
    /// whether it has come before. Only what passes all of these may ask for a place to wait.
    fn receive(&mut self, mut frame: Box<Frame>, limit: Duration) -> Result<Received, Failure> {
        let (desk, stream) = (self.desk, self.stream);
        stream.set_read_timeout(Some(limit))?;
        let len = frame.read(stream, limit)?;
        let wall = (desk.setup.clock)().wall;
        let opened = match desk.setup.opener.open_request(frame.request(len), wall) {
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
        Ok(Received { request, excess: frame.excess(len) })
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
    fn attend(&mut self, received: Received) -> Result<(), Failure> {
        let desk = self.desk;
        let Received { request, mut excess } = received;
        let Some(patience) = self.patience(&request)? else {
            self.write(no_place(&request))?;
            self.close(excess);
            return Err(Failure::NoPlace);
        };
        let client = desk.next_client();
        let (answers, answers_end) = bounded(REPLY_QUEUE);
        let waker = match &patience {
            Patience::Watching(pair) => Some(Arc::clone(&pair.waker)),
            Patience::Prompt | Patience::Brief => None,
        };
        self.lists_at = (request == ClientRequest::List).then(|| desk.listing.steps());
        let under_way = under_way(&request);
        let message = FromClient::Request { client, request, mailbox: Mailbox { answers, waker } };
        desk.setup.queue.send_timeout(message, CLIENT_PATIENCE).map_err(|_| Failure::Busy)?;
        let outcome = match patience {
            Patience::Prompt => self.forward(&answers_end),
            Patience::Watching(pair) => self.forward_watching(&pair, &answers_end, &mut excess),
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
        let pair = match admission {
            Admission::Stay => WakerPair::new().ok(),
            Admission::NoPlace => None,
        };
        if let Some(pair) = pair {
            watch_over(stream)?;
            return Ok(Some(Patience::Watching(pair)));
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
        pair: &WakerPair,
        answers: &Receiver<Answer>,
        excess: &mut usize,
    ) -> Result<(), Failure> {
        let (stream, sleeper) = (self.stream.as_fd(), pair.sleeper.as_fd());
        let mut leaves: Option<Instant> = None;
        loop {
            let heard = match leaves {
                None => poll::wait([stream, sleeper], None)?[0],
                Some(at) => {
                    let rest = at.saturating_duration_since(Instant::now());
                    !poll::wait([sleeper], Some(rest))?[0]
                }
            };
            poll::drain(&pair.sleeper);
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
        let reply = self.desk.format(reply);
        if let (ClientReply::List(text), Some(steps)) = (&reply, self.lists_at) {
            self.desk.listing.keep(steps, text);
        }
        self.write_reply(&reply)
    }

    /// Seals and writes one answer.
    fn write_reply(&self, reply: &ClientReply) -> io::Result<()> {
        let bytes = self.desk.seal(reply, self.bond);
        let mut stream = self.stream;
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

    /// Ends a connection whose last answer is written.
    fn close(&self, excess: usize) {
        if self.desk.may_follow(excess) {
            self.seat.has_its_answer();
            linger(self.stream);
        }
    }
}
