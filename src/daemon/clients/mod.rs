// SPDX-License-Identifier: GPL-2.0-or-later
//! The thread that serves clients.
//!
//! It waits for the listening socket, for all connections and for the engine at once, and does
//! for each connection what can be done without waiting. A connection is a state machine
//! (`connection`): its request comes and is checked (`gateway`), the engine is asked, its answers
//! go out, and after the last the client may leave. What the engine has not stepped since it has
//! said, it is not asked again (`listing`); for reports it is asked only so often (`reports`).
//!
//! There are [`Bounds::served`] connections at once besides those whose clients wait for what may
//! take long, which have places of their own (`places`). When they are all taken and another client
//! comes, one is closed: one that has its answer, or else the oldest client that has not yet said
//! what it wants, or else one that does not read its answer. So neither silent nor patient clients
//! keep anybody out. While none of them may be closed, those that come stay with the kernel.
//!
//! Where a descriptor cannot be had, nothing ends: who is there is served on, and the others stay
//! with the kernel until there is room again.

mod connection;
mod gateway;
pub mod listing;
pub mod places;
mod reports;
mod socket;

use super::spawn::{spawn, Ended};
use crate::auth::ReplayGuard;
use crate::sys::poll::{self, Entry, Wanted};
use connection::Connection;
use gateway::Gateway;
pub(super) use gateway::GatewaySetup;
use places::Bounds;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 512;
/// So many are accepted before the others have their turn.
const AT_ONCE: usize = 16;
/// How long nothing is done after an error that would come again at once.
const REST: Duration = Duration::from_millis(100);

/// Binds a listening socket: the daemon's, or the exporter's.
///
/// # Errors
/// The address is not local, the port is in use, or the kernel refuses.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The thread that serves clients, from outside.
pub(super) struct Server {
    waker: Arc<UnixStream>,
    pub(super) ended: Ended,
}

impl Server {
    /// Starts to serve the connections of `listener`, at most so many.
    ///
    /// # Errors
    /// There cannot be another thread, or there are too many open descriptors.
    pub(super) fn start(
        listener: TcpListener,
        setup: GatewaySetup,
        guard: ReplayGuard,
        bounds: Bounds,
    ) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let (sleeper, waker) = poll::waker_pair()?;
        let waker = Arc::new(waker);
        let gateway = Gateway::new(setup, guard, bounds, Arc::clone(&waker));
        let clients = Clients { listener, sleeper, gateway, open: Vec::new(), rests: None };
        Ok(Server { waker, ended: spawn("clients", move || clients.run())? })
    }

    /// Begins to stop: nothing more is accepted and all connections are closed.
    pub(super) fn stop(&self) {
        let _ = self.waker.shutdown(Shutdown::Both);
    }
}

/// What the thread has.
struct Clients {
    listener: TcpListener,
    /// What the engine wakes, until the daemon stops.
    sleeper: UnixStream,
    gateway: Gateway,
    /// In the order in which they came.
    open: Vec<Connection>,
    /// Until when nothing is accepted after an error.
    rests: Option<Instant>,
}

impl Clients {
    /// Serves until the daemon stops.
    fn run(mut self) {
        loop {
            let mut ready = self.wait().into_iter();
            let [woken, comes] = [ready.next(), ready.next()].map(|ready| ready == Some(true));
            if woken && !poll::drain(&self.sleeper) {
                break;
            }
            let now = Instant::now();
            self.gateway.flush();
            self.gateway.attend_to_reports(now);
            let (gateway, before) = (&mut self.gateway, self.open.len());
            self.open.retain_mut(|client| {
                let ready = ready.next() == Some(true) || comes && client.leaves();
                client.go_on(gateway, ready, now)
            });
            if self.open.len() < before {
                self.rests = None;
            }
            self.gateway.reports.tidy();
            if comes {
                self.accept();
            }
        }
        self.open.iter().for_each(Connection::stop);
    }

    /// Waits until something can be done. Says whether the engine is awake, whether a client comes,
    /// and at which connections something has happened.
    fn wait(&mut self) -> Vec<bool> {
        let now = Instant::now();
        let accepts_at = self.accepts_at(now);
        let accepts = accepts_at.is_some_and(|at| at <= now);
        let until = self.open.iter().filter_map(Connection::deadline);
        let until =
            until.chain(accepts_at.filter(|_| !accepts)).chain(self.gateway.next_offer()).min();
        let mut entries = Vec::with_capacity(2 + self.open.len());
        entries.push(Entry::new(self.sleeper.as_fd(), Wanted::READ));
        entries.push(Entry::new(self.listener.as_fd(), Wanted { read: accepts, write: false }));
        entries.extend(self.open.iter().map(Connection::entry));
        let limit = until.map(|until| until.saturating_duration_since(now));
        let outcome = poll::wait_for(&mut entries, limit);
        let ready = entries.iter().map(|entry| outcome.is_err() || entry.is_ready()).collect();
        if let Err(error) = outcome {
            // Nothing here waits: all can be tried, but not too often.
            self.gateway.complain(&format!("cannot wait for clients: {error}; trying again"));
            let _ = poll::wait([self.sleeper.as_fd()], Some(REST));
        }
        ready
    }

    /// From when on a connection may be accepted, as far as that is known.
    fn accepts_at(&self, now: Instant) -> Option<Instant> {
        let room_at = if self.has_room() {
            Some(now)
        } else {
            self.open.iter().filter_map(Connection::yields).map(|yields| yields.at).min()
        };
        let first_word = self.open.last().and_then(Connection::first_word);
        room_at.map(|at| at.max(self.rests.unwrap_or(at)).max(first_word.unwrap_or(at)))
    }

    fn has_room(&self) -> bool {
        self.gateway.places.has_room_beside(self.open.len())
    }

    /// Accepts those who have come, as far as there is room, and begins to serve them: most have
    /// said already what they want.
    fn accept(&mut self) {
        for count in 0..AT_ONCE {
            // Room is made only for one that has come: so it was at the beginning.
            if !self.has_room() && (count > 0 || !self.make_room()) {
                return;
            }
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    if let Ok(mut client) = Connection::new(stream, peer) {
                        let stays = client.go_on(&mut self.gateway, true, Instant::now());
                        let is_silent = client.first_word().is_some();
                        self.open.extend(stays.then_some(client));
                        if stays && is_silent {
                            return;
                        }
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return self.lack(&error),
                },
            }
        }
    }

    /// Makes do with what there is: those who have their answers have to go, and one more.
    fn lack(&mut self, error: &io::Error) {
        let text = format!("cannot accept clients: {error}; they wait until there is room");
        self.gateway.complain(&text);
        let (leaving, others): (Vec<_>, _) = self.open.drain(..).partition(Connection::leaves);
        self.open = others;
        let none_leaves = leaving.is_empty();
        leaving.into_iter().for_each(Connection::cut);
        if !self.make_room() && none_leaves {
            self.rests = Some(Instant::now() + REST);
        }
    }

    /// Closes a connection that may be closed, the first in their order; false if there is none.
    fn make_room(&mut self) -> bool {
        let now = Instant::now();
        let yields = self.open.iter().enumerate();
        let yields = yields.filter_map(|(index, client)| Some((client.yields()?, index)));
        let mut yields: Vec<_> = yields.filter(|(yields, _)| yields.at <= now).collect();
        yields.sort_by_key(|(yields, _)| (yields.kind, yields.since));
        let found = yields.into_iter().find(|(_, index)| !self.open[*index].has_sent());
        if let Some((_, index)) = found {
            self.open.remove(index).cut();
        }
        found.is_some()
    }
}
