// SPDX-License-Identifier: GPL-2.0-or-later
//! One client's connection: a request in, checked; answers out until the last.
//!
//! Everything that is wrong with a request is found here, in the connection's own thread; only
//! well-formed requests reach the engine. Who accepts connections and how many, `tcp` decides.

use super::bonds::{ClientBonds, Pass};
use super::channels::{Answer, FromClient, Mailbox, CLIENT_PATIENCE, REPLY_QUEUE};
use super::limiter::{self, Limiter};
use super::{poll, text};
use crate::auth::{AuthError, Bond, Opener, ReplayGuard, Sealer};
use crate::engine::{ClientId, Reply};
use crate::model::{MemberId, Roster};
use crate::time::Now;
use crate::wire::{
    decode_request, encode_reply, request_len, ClientReply, ClientRequest, Life, ResultCode,
    TimeUnit, WireError, HEADER_LEN, REQUEST_MAX, REQUEST_TAIL,
};
use crossbeam_channel::{bounded, Receiver, Sender, TryRecvError};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
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
/// How long we wait for what a client sends after its request before we close.
const LINGER: Duration = Duration::from_millis(250);
/// How many bytes after its request we take from a client that goes on sending.
const EXCESS_MAX: usize = 4096;
/// A client that waits for a grant and vanished without a word is noticed after about this.
const KEEPALIVE: Duration = Duration::from_secs(60);
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

/// Why a connection is closed without its last answer.
#[derive(Debug)]
enum Failure {
    /// The client left, or nothing came in time.
    Left,
    /// Reading or writing failed.
    Io(io::Error),
    /// The request is malformed.
    Malformed(WireError),
    /// The request is not authentic; the client has been told.
    NotAuthentic(AuthError),
    /// The client has been told to ask again, bound to our life.
    AskedAgain,
    /// The engine's queue stayed full, or the daemon stops.
    Busy,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Left => write!(f, "it was closed early"),
            Failure::Io(error) => error.fmt(f),
            Failure::Malformed(error) => error.fmt(f),
            Failure::NotAuthentic(error) => error.fmt(f),
            Failure::AskedAgain => write!(f, "it was told to ask again"),
            Failure::Busy => write!(f, "the daemon is too busy, or stops"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
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

/// The waking ends of a connection's thread, made once and used for one client after another.
pub struct Bell {
    sleeper: UnixStream,
    waker: Arc<UnixStream>,
}

impl Bell {
    /// A new bell.
    ///
    /// # Errors
    /// There are too many open descriptors.
    pub fn new() -> io::Result<Bell> {
        let (sleeper, waker) = poll::waker_pair()?;
        Ok(Bell { sleeper, waker: Arc::new(waker) })
    }
}

/// A request as it was read, and how much of a client's tail came with it.
struct Received {
    request: ClientRequest,
    /// What the answers are bound to.
    bond: Option<Bond>,
    excess: usize,
}

/// Serves one client from its request to its last answer. The request must be complete within
/// `limit`. `admit` is asked when the request is
/// complete, and told whether it may take for ever; until then the connection may be closed to
/// make room for others.
pub fn serve(
    desk: &Desk,
    stream: &TcpStream,
    bell: &Bell,
    limit: Duration,
    admit: impl FnOnce(bool) -> bool,
) {
    let outcome = receive(desk, stream, limit).and_then(|received| {
        let patient = is_patient(&received.request);
        if admit(patient) {
            attend(desk, stream, bell, received)
        } else {
            Err(Failure::Busy)
        }
    });
    match &outcome {
        Ok(()) | Err(Failure::Left) => {}
        Err(failure @ (Failure::Malformed(_) | Failure::NotAuthentic(_))) => {
            desk.note_refusal(stream, failure);
        }
        Err(failure @ (Failure::Io(_) | Failure::Busy | Failure::AskedAgain)) => {
            log::debug!("a client's connection ends: {failure}");
        }
    }
}

/// Whether the answer to this request can take for ever.
fn is_patient(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::Grant { .. } | ClientRequest::Revoke { .. } => true,
        ClientRequest::List
        | ClientRequest::Peers
        | ClientRequest::AttrSet { .. }
        | ClientRequest::AttrGet { .. }
        | ClientRequest::AttrDelete { .. }
        | ClientRequest::AttrList { .. } => false,
    }
}

/// Reads one request and checks it.
fn receive(desk: &Desk, stream: &TcpStream, limit: Duration) -> Result<Received, Failure> {
    stream.set_read_timeout(Some(limit))?;
    let mut buffer = [0u8; REQUEST_MAX + REQUEST_TAIL];
    let (filled, len) = read_frame(stream, limit, &mut buffer)?;
    let wall = (desk.setup.clock)().wall;
    let opened = match desk.setup.opener.open_request(&buffer[..len], wall) {
        Ok(opened) => opened,
        Err(AuthError::Malformed { error, .. }) => return Err(Failure::Malformed(error)),
        Err(error) => return refuse(desk, stream, None, error),
    };
    let (sender, request) = decode_request(&opened.packet).map_err(Failure::Malformed)?;
    let bond = opened.answer;
    if changes_something(&request) {
        match desk.setup.bonds.judge(&opened) {
            Pass::Granted => {}
            Pass::AskAgain(life) => return ask_again(desk, stream, bond, life),
            Pass::Refused => {
                let from = MemberId::from_raw(sender);
                return refuse(desk, stream, bond, AuthError::OtherLife { from });
            }
        }
        let mut guard = desk.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = guard.admit(opened.proof, wall);
        drop(guard);
        if let Err(error) = admitted {
            return refuse(desk, stream, bond, error);
        }
    }
    Ok(Received { request, bond, excess: filled - len })
}

/// Tells a client that it is not trusted.
fn refuse(
    desk: &Desk,
    stream: &TcpStream,
    bond: Option<Bond>,
    error: AuthError,
) -> Result<Received, Failure> {
    write_reply(desk, stream, bond, &ClientReply::Result(ResultCode::AuthFailed))?;
    linger(stream);
    Err(Failure::NotAuthentic(error))
}

/// Tells a client our life. Its request is not remembered: it comes to nothing.
fn ask_again(
    desk: &Desk,
    stream: &TcpStream,
    bond: Option<Bond>,
    life: Life,
) -> Result<Received, Failure> {
    write_reply(desk, stream, bond, &ClientReply::Hello(life))?;
    linger(stream);
    Err(Failure::AskedAgain)
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

/// Reads until the request is complete; says how many bytes came and how many belong to it.
fn read_frame(
    mut stream: &TcpStream,
    limit: Duration,
    buffer: &mut [u8],
) -> Result<(usize, usize), Failure> {
    let until = Instant::now() + limit;
    let mut filled = 0;
    loop {
        if let Some(header) = buffer[..filled].first_chunk::<HEADER_LEN>() {
            let len = request_len(header).map_err(Failure::Malformed)?;
            if filled >= len {
                return Ok((filled, len));
            }
        }
        if Instant::now() >= until {
            return Err(Failure::Left);
        }
        // A request is at most REQUEST_MAX long, so there is always room for the rest of it.
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(Failure::Left),
            Ok(count) => filled += count,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Err(Failure::Left),
                _ => return Err(Failure::Io(error)),
            },
        }
    }
}

/// Hands the request to the engine and its answers to the client.
fn attend(desk: &Desk, stream: &TcpStream, bell: &Bell, received: Received) -> Result<(), Failure> {
    let patient = is_patient(&received.request);
    if patient {
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
        socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
        stream.set_write_timeout(Some(IO_LIMIT))?;
        stream.set_nodelay(true)?;
    }
    let client = ClientId(desk.next_client.fetch_add(1, Ordering::Relaxed));
    let (answers, answers_end) = bounded(REPLY_QUEUE);
    let waker = patient.then(|| Arc::clone(&bell.waker));
    let mailbox = Mailbox { answers, waker };
    let message = FromClient::Request { client, request: received.request, mailbox };
    desk.setup.queue.send_timeout(message, CLIENT_PATIENCE).map_err(|_| Failure::Busy)?;
    let (bond, mut excess) = (received.bond, received.excess);
    let outcome = if patient {
        forward_watching(desk, stream, bond, bell, &answers_end, &mut excess)
    } else {
        forward(desk, stream, bond, &answers_end)
    };
    match outcome {
        Ok(()) => {
            close(desk, stream, excess);
            Ok(())
        }
        Err(failure) => {
            // The engine always comes to its queue; if it is gone, so is the daemon.
            let _ = desk.setup.queue.send(FromClient::Gone { client });
            Err(failure)
        }
    }
}

/// Writes answers as they come, until the last. The engine has them at once, or as soon as the
/// store has written an attribute; a client that leaves meanwhile is noticed when it is answered.
fn forward(
    desk: &Desk,
    stream: &TcpStream,
    bond: Option<Bond>,
    answers: &Receiver<Answer>,
) -> Result<(), Failure> {
    loop {
        // Ends with the answer, or when the engine's loop lets go of the client.
        let answer = answers.recv().map_err(|_| Failure::Busy)?;
        write_answer(desk, stream, bond, answer.reply)?;
        if answer.last {
            return Ok(());
        }
    }
}

/// Writes answers as they come, until the last, and watches whether the client leaves: what it
/// waits for may take for ever.
fn forward_watching(
    desk: &Desk,
    stream: &TcpStream,
    bond: Option<Bond>,
    bell: &Bell,
    answers: &Receiver<Answer>,
    excess: &mut usize,
) -> Result<(), Failure> {
    loop {
        let [heard, _] = poll::wait([stream.as_fd(), bell.sleeper.as_fd()], None)?;
        poll::drain(&bell.sleeper);
        loop {
            match answers.try_recv() {
                Ok(answer) => {
                    write_answer(desk, stream, bond, answer.reply)?;
                    if answer.last {
                        return Ok(());
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(Failure::Busy),
            }
        }
        if heard && !still_there(stream, excess)? {
            return Err(Failure::Left);
        }
    }
}

/// Takes what a client sends after its request; false if it has closed its sending side.
fn still_there(mut stream: &TcpStream, excess: &mut usize) -> Result<bool, Failure> {
    let mut buffer = [0u8; 256];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => {
            *excess += count;
            if *excess > EXCESS_MAX {
                return Err(Failure::Left);
            }
            Ok(true)
        }
        Err(error) => match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Ok(true)
            }
            _ => Err(Failure::Io(error)),
        },
    }
}

/// Formats and writes one answer of the engine.
fn write_answer(
    desk: &Desk,
    stream: &TcpStream,
    bond: Option<Bond>,
    reply: Reply,
) -> io::Result<()> {
    let reply = match reply {
        Reply::Tickets(rows) => ClientReply::List(text::tickets(&rows, &desk.setup.roster)),
        Reply::Peers(rows) => ClientReply::List(text::peers(&rows, &desk.setup.roster)),
        Reply::Ticket(answer) => ClientReply::Ticket(answer),
        Reply::Result(result) => ClientReply::Result(result),
        Reply::Attr(value) => ClientReply::Attr(text::attribute(&value)),
        Reply::Attrs(rows) => ClientReply::Attrs(text::attributes(&rows)),
    };
    write_reply(desk, stream, bond, &reply)
}

/// Seals and writes one answer.
fn write_reply(
    desk: &Desk,
    mut stream: &TcpStream,
    bond: Option<Bond>,
    reply: &ClientReply,
) -> io::Result<()> {
    let packet = encode_reply(desk.setup.roster.my_id(), reply, desk.setup.unit);
    let bytes = desk.setup.sealer.seal_reply_to(packet, (desk.setup.clock)().wall, bond);
    if bytes.len() > FITS_AT_ONCE {
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
fn close(desk: &Desk, stream: &TcpStream, excess: usize) {
    if !desk.setup.has_key && excess < REQUEST_TAIL {
        linger(stream);
    }
}

/// Says that nothing more comes, and takes what the client still sends until it closes too.
fn linger(mut stream: &TcpStream) {
    // Errors mean that the client has gone, which is what is waited for.
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let until = Instant::now() + LINGER;
    let mut buffer = [0u8; 256];
    let mut taken = 0;
    while taken <= EXCESS_MAX {
        let rest = until.saturating_duration_since(Instant::now());
        match poll::wait([stream.as_fd()], Some(rest)) {
            Ok([true]) => {}
            Ok([false]) | Err(_) => return,
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => taken += count,
        }
    }
}
