// SPDX-License-Identifier: GPL-2.0-or-later
//! The report of a member: all that it knows, as one value that the daemon writes as JSON and every
//! client that shows more than `booth list` reads.
//!
//! The names of the fields are an interface; `booth-report(5)` describes each, and
//! `report.schema.json` is their schema. A field may be added in a version; none changes its
//! meaning or goes without [`VERSION`] becoming another number. Addresses are written as in
//! booth.conf's members, times as in RFC 3339 with the offset of the daemon's zone, and spans in
//! seconds.
#![forbid(unsafe_code)]

mod event;
mod peer;
mod ticket;

pub use event::{Event, Future, Past};
pub use peer::{Counters, Kind, Peer, PeerState};
pub use ticket::{
    Attribute, Commit, Differs, Handler, Holder, HolderState, Lease, Mode, Next, Promise, Request,
    Settings, Stand, Store, StoreSays, Ticket, TicketState, Waits,
};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format.
pub const VERSION: u32 = 1;

/// All that a member knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub report: u32,
    /// When the member made it.
    pub time: String,
    /// The same in seconds since 1970 in UTC.
    pub unix_time: f64,
    /// The member that made it.
    pub member: Member,
    /// What it has read in its configuration.
    pub configuration: Configuration,
    /// How the daemon is.
    pub health: Health,
    /// The tickets in configuration order.
    pub tickets: Vec<Ticket>,
    /// The other members in configuration order.
    pub peers: Vec<Peer>,
    /// What was counted over all tickets since the start.
    pub figures: Figures,
    /// What has happened, the oldest first; only if it was asked for, else empty.
    pub history: Vec<Event>,
    /// How many events were forgotten because there were more than are kept.
    pub history_forgotten: u64,
}

/// The member that made a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its address.
    pub address: String,
    /// Its UDP and TCP port.
    pub port: u16,
    /// `site` or `arbitrator`.
    pub role: String,
    /// Its id in packets.
    pub id: u32,
    /// The version of its program.
    pub version: String,
    /// When its daemon has started.
    pub started: Past,
    /// The process id of its daemon.
    pub pid: u32,
}

/// What a member has read in its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// The name of the cluster.
    pub name: String,
    /// The file.
    pub path: String,
    /// A digest of `shared`, in hexadecimal: equal at all members if nothing differs.
    pub digest: String,
    /// What must be equal at all members, by name.
    pub shared: BTreeMap<String, String>,
    /// Whether packets are sealed with a key.
    pub authenticated: bool,
}

/// How a daemon is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Steps of the engine since the start.
    pub steps: u64,
    /// The longest round of the engine's loop.
    pub longest_round_seconds: f64,
    /// Rounds of more than 50 ms.
    pub slow_rounds: u64,
    /// The longest time for which the process stood still.
    pub longest_pause_seconds: f64,
    /// Datagrams that were lost because the engine's queue was full.
    pub queue_drops: u64,
    /// Datagrams refused because they had come before.
    pub replays: u64,
    /// Requests of clients that were refused.
    pub refused_requests: u64,
}

/// What was counted over all tickets since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// How many tickets are held here; `None` at an arbitrator.
    pub held: Option<u64>,
    /// Attempts of this site to be elected.
    pub elections: u64,
    /// Those that it has won.
    pub wins: u64,
    /// How often this site has lost a ticket that it held.
    pub losses: u64,
    /// How long renewals took until a majority had acknowledged them.
    pub renewals: Histogram,
    /// How long changes of the ticket store took until it had them.
    pub store_changes: Histogram,
    /// Those that have failed.
    pub store_failures: u64,
    /// Runs of handlers that have failed.
    pub handler_failures: u64,
}

/// How long something took, how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How often it took no longer than a bucket's bound, in the order of the bounds.
    pub buckets: Vec<Bucket>,
    /// How often altogether.
    pub count: u64,
    /// The sum of all times.
    pub sum_seconds: f64,
}

/// A bucket of a [`Histogram`]; each contains those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// The upper bound.
    pub seconds: f64,
    /// How often it took no longer than that.
    pub count: u64,
}

impl Report {
    /// The ticket with this name.
    pub fn ticket(&self, name: &str) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.name == name)
    }

    /// The peer with this address.
    pub fn peer(&self, address: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.address == address)
    }
}
