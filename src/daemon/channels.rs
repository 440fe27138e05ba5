// SPDX-License-Identifier: GPL-2.0-or-later
//! Every channel between the daemon's threads: what goes through it, how much fits, and what a
//! sender does when it is full.
//!
//! | channel | capacity | when full |
//! |---|---|---|
//! | receiver -> engine | [`PEER_QUEUE`] | drop and count: loss is part of the protocol's model |
//! | receiver -> engine, probes | [`PROBE_QUEUE`] | drop: another one follows |
//! | clients -> engine | [`CLIENT_QUEUE`] | offer it again for [`CLIENT_PATIENCE`], then close the connection |
//! | executor -> engine | [`RESULT_QUEUE`] | wait: blocking sends point towards the engine only |
//! | main -> engine | [`CONTROL_QUEUE`] | wait: signals are rare |
//! | timer -> engine | 1 | drop: a ring that waits says the same; the alarms are in the wheel |
//! | engine -> timer | 1 | drop: a wake that waits says the same; the alarms are in the wheel |
//! | engine -> executor | [`EXECUTOR_QUEUE`] | keep the wish in order, offer it again |
//! | engine -> clients | [`REPLY_QUEUE`] for each | forget the client: slow readers only hurt themselves |
//! | any -> alerts | [`ALERT_QUEUE`] | drop, count, report the count later |
//! | any -> log | [`LOG_QUEUE`] | drop, count, report the count later |
//!
//! The engine never waits for anybody, so no circle of waiting threads can exist.

pub use super::alerts::ALERT_QUEUE;
use crate::engine::{ClientId, JobWish, Reply, StoreWish};
pub use crate::queues::PEER_QUEUE;
use crate::wire::ClientRequest;
use crossbeam_channel::Sender;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Requests that wait for the engine: one for each connection that there can be.
pub const CLIENT_QUEUE: usize = super::clients::places::CONNECTIONS_MAX;
/// Probes of other members, and their answers, that wait for the engine's loop: a few of each.
pub const PROBE_QUEUE: usize = 64;
/// How long a request waits for room in [`CLIENT_QUEUE`].
pub(super) const CLIENT_PATIENCE: Duration = Duration::from_secs(2);
/// Results of children that wait for the engine.
pub const RESULT_QUEUE: usize = 64;
/// Signals that wait for the engine.
pub const CONTROL_QUEUE: usize = 8;
/// Wishes that wait for the executor; more are kept by the engine's loop.
pub const EXECUTOR_QUEUE: usize = 64;
/// Answers that wait for one client; a request has at most a handful.
pub const REPLY_QUEUE: usize = 8;
/// Log lines that wait for a slow syslog or terminal.
pub(super) const LOG_QUEUE: usize = 1024;

/// What the main thread, which receives the signals, tells the engine's loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Log the state of every ticket (SIGUSR1).
    Dump,
    /// Stop (SIGTERM, SIGINT).
    Shutdown,
}

/// What the executor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToExecutor {
    /// For the keeper of the ticket store, in order.
    Store(StoreWish),
    /// A job to be started or ended.
    Job(JobWish),
    /// SIGCHLD came. It is sent with `try_send`: a full queue wakes the executor as well.
    ChildExited,
    /// End: a running write may finish within a second, handlers are ended, nothing is started.
    Stop,
}

/// What the thread that serves clients tells the engine's loop.
#[derive(Debug)]
pub enum FromClient {
    /// A request that was opened and decoded.
    Request {
        /// The connection.
        client: ClientId,
        /// What it wants.
        request: ClientRequest,
        /// From where it comes, if that is known.
        from: Option<IpAddr>,
        /// Where the answers go.
        mailbox: Mailbox,
    },
    /// The connection is closed before its last answer.
    Gone {
        /// Which.
        client: ClientId,
    },
}

/// One answer on its way to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What.
    pub reply: Reply,
    /// Whether the connection ends with it.
    pub last: bool,
}

/// The engine's end of one connection: a bounded queue, and what wakes the thread that serves
/// clients, which watches its sockets at the same time.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// The queue, [`REPLY_QUEUE`] deep.
    pub answers: Sender<Answer>,
    /// The waking end, which never waits.
    pub waker: Arc<UnixStream>,
}
