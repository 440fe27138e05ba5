// SPDX-License-Identifier: GPL-2.0-or-later
//! Events and times in a report.

use serde::{Deserialize, Serialize};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number since the start of the daemon, from 1.
    pub number: u64,
    /// When.
    pub time: Past,
    /// What: one of the words in `booth-report(5)`.
    pub event: String,
    /// To which ticket.
    pub ticket: Option<String>,
    /// Which other member it has to do with.
    pub member: Option<String>,
    /// From which address a client asked.
    pub client: Option<String>,
    /// In which term.
    pub term: Option<u32>,
    /// What the log says of it.
    pub text: String,
}

/// A time that has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// When.
    pub at: String,
    /// How long ago.
    pub seconds_ago: f64,
}

/// A time to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Future {
    /// When.
    pub at: String,
    /// For how long still; 0 if it is just passing.
    pub seconds_left: f64,
}
