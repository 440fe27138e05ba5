// SPDX-License-Identifier: GPL-2.0-or-later
//! The acceptor's thread and the pool of connection threads.
//!
//! At most [`CONNECTIONS_MAX`] connections live at once, each with a thread; a thread that is
//! done takes the next connection, and ends after [`IDLE_LIMIT`] without one. When all are taken,
//! the oldest client that has not yet said what it wants has to go: silent connections keep
//! nobody out.

use super::connection::{serve, Bell, Desk};
use super::limiter::{self, Limiter};
use super::poll;
use crossbeam_channel::{bounded, Receiver, Sender, TrySendError};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most connections at once: far more than a cluster has administrators and agents.
pub const CONNECTIONS_MAX: usize = 64;
/// The stack of each of the daemon's threads, in bytes. The process is locked into memory, so
/// that stacks are not to be larger than they need to be.
pub const STACK: usize = 256 * 1024;
/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 512;
/// How long a connection's thread waits for another connection before it ends.
const IDLE_LIMIT: Duration = Duration::from_secs(10);
/// How long a new connection waits for one of the others to end.
const ROOM_LIMIT: Duration = Duration::from_millis(250);
/// How long the acceptor rests after an error that would come again at once.
const REST: Duration = Duration::from_millis(100);
/// Such an error is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Binds the daemon's listening socket.
///
/// # Errors
/// The address is not local, the port is in use, or the kernel refuses.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    // A client that left before it was accepted must not make the acceptor wait for another.
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A connection that a thread works on.
struct Live {
    stream: Arc<TcpStream>,
    /// Whether its request has not been read yet.
    silent: bool,
}

/// What acceptor and connection threads share.
struct Shared {
    desk: Desk,
    /// Connections by the order in which they came.
    live: Mutex<BTreeMap<u64, Live>>,
}

impl Shared {
    fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the oldest connection that has not said what it wants.
    fn close_a_silent_one(&self) {
        let live = self.live();
        if let Some(entry) = live.values().find(|entry| entry.silent) {
            // Its thread wakes up and finds it closed.
            let _ = entry.stream.shutdown(Shutdown::Both);
        }
    }

    fn close_all(&self) {
        for entry in self.live().values() {
            let _ = entry.stream.shutdown(Shutdown::Both);
        }
    }
}

/// An accepted connection on its way to a thread.
struct Job {
    number: u64,
    stream: Arc<TcpStream>,
}

/// The acceptor.
pub struct Acceptor {
    listener: TcpListener,
    shared: Arc<Shared>,
    /// Meets a thread that waits for a connection.
    hand_out: Sender<Job>,
    hand_in: Receiver<Job>,
    /// Each connection thread holds one end; when all are gone, so are the threads.
    present: Sender<()>,
    present_end: Receiver<()>,
    /// Threads that live: each holds a place.
    places: Sender<()>,
    places_end: Receiver<()>,
    next_number: u64,
    errors: Limiter,
}

/// What tells that all connection threads have ended.
pub struct AllGone(Receiver<()>);

impl AllGone {
    /// Waits for the end of all connection threads; false if some are left after the time.
    pub fn wait(&self, limit: Duration) -> bool {
        // Nothing is ever sent: either the time is over or the last sender has gone.
        self.0.recv_timeout(limit) == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    }
}

impl Acceptor {
    /// An acceptor that serves the connections of `listener` at `desk`.
    pub fn new(listener: TcpListener, desk: Desk) -> Acceptor {
        let (hand_out, hand_in) = bounded(0);
        let (present, present_end) = bounded(0);
        let (places, places_end) = bounded(CONNECTIONS_MAX);
        Acceptor {
            listener,
            shared: Arc::new(Shared { desk, live: Mutex::new(BTreeMap::new()) }),
            hand_out,
            hand_in,
            present,
            present_end,
            places,
            places_end,
            next_number: 0,
            errors: Limiter::new(LOG_EVERY),
        }
    }

    /// What tells, after [`Acceptor::run`] has returned, that its threads have ended.
    pub fn all_gone(&self) -> AllGone {
        AllGone(self.present_end.clone())
    }

    /// Runs until `stop` becomes readable; then all connections are closed.
    pub fn run(mut self, stop: &UnixStream) {
        loop {
            match poll::wait([self.listener.as_fd(), stop.as_fd()], None) {
                Ok([_, true]) => break,
                Ok([true, false]) => self.accept(stop),
                Ok([false, false]) => {}
                Err(error) => self.rest(&error, stop),
            }
        }
        self.shared.close_all();
    }

    /// Accepts one connection and finds a thread for it.
    fn accept(&mut self, stop: &UnixStream) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted => return,
                _ => return self.rest(&error, stop),
            },
        };
        self.next_number += 1;
        let job = Job { number: self.next_number, stream: Arc::new(stream) };
        let entry = Live { stream: Arc::clone(&job.stream), silent: true };
        self.shared.live().insert(job.number, entry);
        let number = job.number;
        if !self.place(job) {
            self.shared.live().remove(&number);
        }
    }

    /// Gives the connection to a waiting thread, to a new one, or to the first that gets done.
    /// False: there was none in time, and the connection is closed.
    fn place(&mut self, job: Job) -> bool {
        let job = match self.hand_out.try_send(job) {
            Ok(()) => return true,
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
        };
        if self.places.try_send(()).is_ok() {
            return self.start_thread(job);
        }
        self.shared.close_a_silent_one();
        let placed = self.hand_out.send_timeout(job, ROOM_LIMIT).is_ok();
        if !placed {
            if let Some(held_back) = self.errors.pass(Instant::now()) {
                let more = limiter::more(held_back);
                log::warn!("{CONNECTIONS_MAX} clients are waiting; another one is refused{more}");
            }
        }
        placed
    }

    /// Starts a thread with this connection as its first.
    fn start_thread(&mut self, job: Job) -> bool {
        let worker = Worker {
            shared: Arc::clone(&self.shared),
            jobs: self.hand_in.clone(),
            places: self.places_end.clone(),
            _present: self.present.clone(),
        };
        let name = format!("client-{}", job.number % 100_000);
        let started =
            std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || worker.run(job));
        if let Err(error) = &started {
            let _ = self.places_end.try_recv();
            if self.errors.pass(Instant::now()).is_some() {
                log::warn!("cannot start a thread for a client: {error}");
            }
        }
        started.is_ok()
    }

    /// Waits a little after an error that would come again at once.
    fn rest(&mut self, error: &io::Error, stop: &UnixStream) {
        if let Some(held_back) = self.errors.pass(Instant::now()) {
            let more = limiter::more(held_back);
            log::warn!("cannot accept connections: {error}; trying again{more}");
        }
        let _ = poll::wait([stop.as_fd()], Some(REST));
    }
}

/// A connection thread.
struct Worker {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    places: Receiver<()>,
    _present: Sender<()>,
}

impl Worker {
    fn run(self, first: Job) {
        match Bell::new() {
            Ok(bell) => {
                self.serve(first, &bell);
                while let Ok(job) = self.jobs.recv_timeout(IDLE_LIMIT) {
                    self.serve(job, &bell);
                }
            }
            Err(error) => {
                log::warn!("cannot serve a client: {error}");
                self.shared.live().remove(&first.number);
            }
        }
        let _ = self.places.try_recv();
    }

    fn serve(&self, job: Job, bell: &Bell) {
        let begun = || {
            if let Some(entry) = self.shared.live().get_mut(&job.number) {
                entry.silent = false;
            }
        };
        serve(&self.shared.desk, &job.stream, bell, begun);
        self.shared.live().remove(&job.number);
    }
}
