// SPDX-License-Identifier: GPL-2.0-or-later
//! What a report says of a ticket.

use super::event::{Event, Future, Past};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a member knows of a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its name.
    pub name: String,
    /// Who moves it.
    pub mode: Mode,
    /// What this member does with it.
    pub state: TicketState,
    /// Who has it, as this member knows.
    pub holder: Holder,
    /// The member's own term.
    pub term: Option<u32>,
    /// When the holder's lease ends, as this member knows; of a ticket that somebody holds.
    pub expires: Option<Future>,
    /// The lease of this site, if it has one.
    pub lease: Option<Lease>,
    /// The word that this member has given to another one: to follow nobody else until it ends.
    pub promise: Option<Promise>,
    /// Until when this member, which has just started, helps nobody new.
    pub grace: Option<Future>,
    /// What an administrator's grant waits for here.
    pub waits: Option<Waits>,
    /// What the first grant to this site waits for.
    pub commit: Option<Commit>,
    /// Clients that wait for a grant or a revoke.
    pub requests: Vec<Request>,
    /// Its before-acquire handler, if it has one.
    pub handler: Option<Handler>,
    /// The ticket store; none at an arbitrator.
    pub store: Option<Store>,
    /// When this site stands for election, if nothing comes between.
    pub stands: Option<Stand>,
    /// Its attributes; an arbitrator has none.
    pub attributes: Vec<Attribute>,
    /// Whether its attribute prerequisites hold here.
    pub prerequisites_hold: bool,
    /// Sites that say that their store may still say *granted*.
    pub objectors: Vec<String>,
    /// A manual ticket that several sites hold: which.
    pub also_granted: Vec<String>,
    /// Members that state another `expire`.
    pub expire_differs: Vec<Differs>,
    /// The next deadline.
    pub next: Option<Next>,
    /// Its times and weights in the configuration.
    pub settings: Settings,
    /// The last few events, the oldest first.
    pub recent: Vec<Event>,
}

impl Ticket {
    /// Whether the site that reports holds the ticket and its store says so; `None` at an
    /// arbitrator.
    pub fn held_here(&self) -> Option<bool> {
        Some(self.store.as_ref()?.says == StoreSays::Granted && self.holder.here)
    }
}

/// An attribute of a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// When it was set; `None` if it was in the store when the daemon started.
    pub set: Option<Past>,
}

/// Who moves a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The members elect a holder.
    Automatic,
    /// Administrators grant and revoke.
    Manual,
}

/// What a member does with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TicketState {
    /// A site reads its store, or revokes what it found there.
    Starting,
    /// Follows a holder, or nobody.
    Follower,
    /// Asks the others for their votes.
    Candidate,
    /// Was elected, or holds a manual ticket.
    Leader,
    /// Gives the ticket up; its store still has to say *revoked*.
    Leaving,
}

/// Who has a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// Whether anybody has it.
    pub state: HolderState,
    /// Who.
    pub member: Option<String>,
    /// Whether that is the member that reports.
    pub here: bool,
    /// Since when this member has known that.
    pub since: Past,
}

/// Whether anybody has a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HolderState {
    /// A member has it.
    Held,
    /// Nobody has it: `none` in `booth list`.
    Free,
    /// This member does not know: `NONE` in `booth list`.
    Unknown,
}

/// The lease of the holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// When it ends.
    pub until: Future,
    /// How long a renewal makes it last.
    pub length_seconds: f64,
    /// When the renewal began that a majority has acknowledged.
    pub renewed: Option<Past>,
    /// When the next renewal begins.
    pub next_renewal: Future,
    /// Whether a majority acknowledges in time.
    pub majority: bool,
    /// Who has not acknowledged the renewal under way.
    pub unacknowledged: Vec<String>,
}

/// A word given to another member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// To whom.
    pub to: String,
    /// In which term.
    pub term: u32,
    /// Until when.
    pub until: Future,
}

/// What a grant waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// One of `loading`, `grace`, `election`, `handler`, `commit-delay`, `store-write`,
    /// `store-failing` and `objection`.
    #[serde(rename = "for")]
    pub cause: String,
    /// When it ends, if that is known.
    pub until: Option<Future>,
}

/// What the first grant waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Until when at most.
    pub until: Future,
    /// Sites that have not answered; none if only `acquire-after` is waited for.
    pub missing: Vec<String>,
}

/// A request of a client that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `grant` or `revoke`.
    pub command: String,
    /// The address from which it was asked for; `None`: not known.
    pub from: Option<String>,
    /// Its options: of `-F`, `-w` and `-C`.
    pub options: Vec<String>,
}

/// A before-acquire handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handler {
    /// The program.
    pub path: String,
    /// Since when it runs; `None`: it does not run.
    pub running_since: Option<Past>,
}

/// The ticket store of a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// What it says of the ticket.
    pub says: StoreSays,
    /// Since when changes of it have failed; `None`: it is well.
    pub failing_since: Option<Past>,
    /// How many in a row.
    pub failures: u32,
    /// Since when the running change runs.
    pub writing_since: Option<Past>,
}

/// What a ticket store says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreSays {
    /// It has not been read yet.
    Unread,
    /// The ticket is not granted here.
    Revoked,
    /// The ticket may be granted here: a change is under way, or its outcome is not known.
    PerhapsGranted,
    /// The ticket is granted here.
    Granted,
}

/// When a site stands for election.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stand {
    /// When.
    pub at: Future,
    /// Why, in words.
    pub reason: String,
}

/// A member with another `expire`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Differs {
    /// Which.
    pub member: String,
    /// What it states.
    pub expire_seconds: f64,
}

/// A deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Next {
    /// Its name.
    pub deadline: String,
    /// When it is.
    pub at: Future,
}

/// Times and weights of a ticket; see booth.conf(5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `expire`.
    pub expire_seconds: f64,
    /// `acquire-after`.
    pub acquire_after_seconds: f64,
    /// `timeout`.
    pub timeout_seconds: f64,
    /// `renewal-freq`.
    pub renewal_seconds: f64,
    /// `retries`.
    pub retries: u32,
    /// `weights`, by address.
    pub weights: BTreeMap<String, i32>,
}
