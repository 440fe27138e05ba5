// SPDX-License-Identifier: GPL-2.0-or-later
//! The threads that serve clients: what the acceptor (`acceptor`) does not answer itself.
//!
//! There is always one idle thread for the next connection as long as that is possible: the
//! thread that took the last place starts another one, as long as there are fewer than
//! [`Bounds::served`] besides those whose clients wait; beyond that the oldest client has to go
//! that has not yet said what it wants, or else one that does not read its answer. What may wait
//! for long has places of its own (`places`). So neither silent nor patient clients keep anybody
//! out. Threads end after [`IDLE_LIMIT`] without a connection, all but one.
//!
//! Where a descriptor or a thread cannot be had, nothing ends: who is there is served on, and
//! the others stay with the kernel until there is room again.

use super::acceptor::Acceptor;
use super::connection::{serve, Admission, Seat};
use super::desk::Desk;
use super::limiter::Limiter;
use super::live::{Live, Shared, Stage, Visit, LOG_EVERY};
use super::places::{Bounds, Places, Wait};
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The stack of each of the daemon's threads, in bytes. The process is locked into memory, so
/// that stacks are not to be larger than they need to be.
pub const STACK: usize = 256 * 1024;
/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 512;
/// A request must be complete after this.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// A request must be complete after this if its thread is the last that could serve others.
const HURRIED_LIMIT: Duration = Duration::from_millis(250);
/// So many threads there are at first: one for a client that waits, one for the others. Where
/// there is no memory for both, nothing could ever be granted, and the daemon does not come up.
const AT_FIRST: usize = 2;
/// How long a thread waits for a connection before it ends.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// Binds the daemon's listening socket.
///
/// # Errors
/// The address is not local, the port is in use, or the kernel refuses.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The threads that serve clients, from outside.
pub struct Server {
    shared: Arc<Shared>,
    /// Each thread holds a sending end: when all are gone, so are the threads.
    present: Receiver<()>,
}

impl Server {
    /// Starts to serve the connections of `listener` at `desk`, at most so many.
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn start(listener: TcpListener, desk: Desk, bounds: Bounds) -> io::Result<Server> {
        let (present, present_end) = bounded(0);
        // Without room: a connection is handed over only to a thread that can serve it.
        let (accepted_end, accepted) = bounded(0);
        let shared = Arc::new(Shared {
            listener,
            accepted,
            desk,
            live: Mutex::new(BTreeMap::new()),
            next_number: AtomicU64::new(1),
            threads: AtomicUsize::new(AT_FIRST),
            idle: AtomicUsize::new(AT_FIRST),
            places: Places::new(bounds),
            room: bounded(1),
            stopping: AtomicBool::new(false),
            errors: Mutex::new(Limiter::new(LOG_EVERY)),
        });
        let acceptor =
            Acceptor::new(Arc::clone(&shared), accepted_end, present.clone(), bounds.leaving);
        std::thread::Builder::new()
            .name("tcp-accept".to_owned())
            .stack_size(STACK)
            .spawn(move || acceptor.run())?;
        for _ in 0..AT_FIRST {
            start_thread(Worker { shared: Arc::clone(&shared), present: present.clone() })?;
        }
        Ok(Server { shared, present: present_end })
    }

    /// Begins to stop: nothing more is accepted and all connections are closed.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor; when it ends, the threads that wait for connections end too.
        let _ = SockRef::from(&self.shared.listener).shutdown(Shutdown::Both);
        for entry in self.shared.live().values() {
            let _ = entry.stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits for the end of all threads; false if some are left after the time.
    pub fn wait(&self, limit: Duration) -> bool {
        // Nothing is ever sent: either the time is over or the last sender has gone.
        self.present.recv_timeout(limit) == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    }
}

/// Starts a thread that is counted already, also as idle.
fn start_thread(worker: Worker) -> io::Result<()> {
    std::thread::Builder::new()
        .name("client".to_owned())
        .stack_size(STACK)
        .spawn(move || worker.run())
        .map(|_| ())
}

/// One thread that serves.
struct Worker {
    shared: Arc<Shared>,
    present: Sender<()>,
}

impl Worker {
    fn run(self) {
        while let Some(visit) = self.next_connection() {
            self.shared.idle.fetch_sub(1, Ordering::SeqCst);
            self.serve(visit);
            self.shared.idle.fetch_add(1, Ordering::SeqCst);
            // If one such word waits already, another would say the same.
            let _ = self.shared.room.0.try_send(());
        }
    }

    /// Waits for a connection; `None` if the thread shall end.
    fn next_connection(&self) -> Option<Visit> {
        let shared = &*self.shared;
        if shared.stopping.load(Ordering::SeqCst) {
            return None;
        }
        match shared.accepted.recv_timeout(IDLE_LIMIT) {
            Ok(visit) => Some(visit),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) if self.leave() => None,
            // The last one that waits does so without a limit, so that a quiet daemon sleeps.
            Err(RecvTimeoutError::Timeout) => shared.accepted.recv().ok(),
        }
    }

    /// Gives up this thread's place, unless it is the last that waits for a connection. Who takes
    /// a connection looks whether it was the last, after it has ceased to count as idle: so there
    /// is always one left, or one more is started.
    fn leave(&self) -> bool {
        let fewer = |idle: usize| if idle > 1 { Some(idle - 1) } else { None };
        let idle = &self.shared.idle;
        let left = idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
        if left {
            self.shared.threads.fetch_sub(1, Ordering::SeqCst);
        }
        left
    }

    /// Serves one connection, after seeing to it that another thread takes the next.
    fn serve(&self, visit: Visit) {
        let shared = &*self.shared;
        let Visit { stream, frame } = visit;
        let number = shared.next_number.fetch_add(1, Ordering::SeqCst);
        let stream = Arc::new(stream);
        let entry = Live { stream: Arc::clone(&stream), stage: Stage::Silent(Instant::now()) };
        shared.live().insert(number, entry);
        let limit = if self.leaves_room(number) { REQUEST_LIMIT } else { HURRIED_LIMIT };
        if !shared.stopping.load(Ordering::SeqCst) {
            serve(&shared.desk, &stream, frame, limit, &Place { worker: self, number });
        }
        let live = shared.live().remove(&number);
        if let Some(wait) = live.and_then(|entry| entry.stage.waits()) {
            shared.places.leave(wait);
        }
    }

    /// Sees to it that there is a thread for the next connection; false if there cannot be.
    fn leaves_room(&self, number: u64) -> bool {
        let shared = &*self.shared;
        shared.has_idle() || self.start_another() || shared.make_room(Some(number))
    }

    /// Starts another thread if there may be one more.
    fn start_another(&self) -> bool {
        let shared = &self.shared;
        let max = shared.places.threads_max();
        let more = |threads: usize| (threads < max).then_some(threads + 1);
        if shared.threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
            return false;
        }
        shared.idle.fetch_add(1, Ordering::SeqCst);
        let worker = Worker { shared: Arc::clone(shared), present: self.present.clone() };
        match start_thread(worker) {
            Ok(()) => true,
            Err(error) => {
                shared.idle.fetch_sub(1, Ordering::SeqCst);
                shared.threads.fetch_sub(1, Ordering::SeqCst);
                shared.complain(&format!("cannot start a thread for clients: {error}"));
                false
            }
        }
    }
}

/// The connection that a thread serves.
struct Place<'a> {
    worker: &'a Worker,
    number: u64,
}

impl Place<'_> {
    /// The connection comes to another stage; a place where it waited is free then.
    fn enter(&self, stage: Stage) {
        let shared = &*self.worker.shared;
        let before = match shared.live().get_mut(&self.number) {
            Some(entry) => std::mem::replace(&mut entry.stage, stage),
            None => return,
        };
        if let Some(wait) = before.waits() {
            shared.places.leave(wait);
        }
    }
}

impl Seat for Place<'_> {
    fn admit(&self, wait: Option<Wait>) -> Admission {
        let shared = &*self.worker.shared;
        let Some(wait) = wait else {
            self.enter(Stage::Asked);
            return Admission::Stay;
        };
        if shared.places.take(wait) {
            self.enter(Stage::Waits(wait));
            if self.worker.leaves_room(self.number) {
                return Admission::Stay;
            }
        }
        // If it had a place, it gives it back.
        self.enter(Stage::Asked);
        shared.complain(wait.crowd());
        Admission::NoPlace
    }

    fn begins_to_write(&self) {
        let mut live = self.worker.shared.live();
        match live.get_mut(&self.number) {
            Some(entry) if entry.stage == Stage::Asked => {
                entry.stage = Stage::Reads(Instant::now());
            }
            // What is told to a client that waits is short.
            Some(_) | None => {}
        }
    }

    fn has_its_answer(&self) {
        self.enter(Stage::Answered);
    }
}
