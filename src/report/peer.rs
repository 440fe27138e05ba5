// SPDX-License-Identifier: GPL-2.0-or-later
//! What a report says of another member.

use super::event::Past;
use serde::{Deserialize, Serialize};

/// What a member knows of another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// `site` or `arbitrator`.
    pub role: String,
    /// Whether it can be reached.
    pub state: PeerState,
    /// Since when that is so; `None` if it was never heard.
    pub since: Option<Past>,
    /// When something was last heard from it.
    pub last_heard: Option<Past>,
    /// The last round trip that was measured.
    pub round_trip_seconds: Option<f64>,
    /// How far its clock is ahead, as far as its packets tell: they carry its time where there is a
    /// key. It includes the way of the packet.
    pub clock_offset_seconds: Option<f64>,
    /// Whether its configuration differs from that of the member that reports, where it must not;
    /// `None`: it has not told.
    pub configuration_differs: Option<bool>,
    /// Which program it runs, as far as its packets tell.
    pub kind: Kind,
    /// What was counted.
    pub counters: Counters,
}

/// Whether a member can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// It was heard from lately, or answers when it is asked.
    Reachable,
    /// It does not answer.
    Unreachable,
    /// It was not heard from since this daemon started, nor has it been found silent yet.
    Unheard,
}

/// Which program a member runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// This one.
    Ours,
    /// The C version.
    C,
    /// It has not shown yet.
    Unknown,
}

/// What was counted of a member; see `booth peers` in boothd(8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that could not be sent.
    pub send_errors: u64,
    /// Datagrams that repeated an unanswered one.
    pub resends: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams received in error.
    pub receive_errors: u64,
    /// Datagrams refused by authentication.
    pub authentication_failures: u64,
    /// Datagrams that made no sense.
    pub invalid: u64,
    /// Which part of what was sent repeats something unanswered: what was lost on the way there or
    /// back, or came late; `None` if nothing was sent.
    pub loss: Option<f64>,
}
