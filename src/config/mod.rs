// SPDX-License-Identifier: GPL-2.0-or-later
//! The configuration file: from a path or a short name to a checked [`Config`].
//!
//! Everything that can be wrong in the file is reported at once, each with file, line and what
//! was expected. Which member this host is, and what happens to the values, others decide.
#![forbid(unsafe_code)]

mod error;

pub use error::ConfigError;

use crate::model::{Member, Roster, TicketName, TicketSpec};
use crate::time::Span;
use std::ffi::OsString;
use std::path::PathBuf;

/// The port of members that stand before any `port` line, for UDP and TCP alike.
pub const DEFAULT_PORT: u16 = 9929;

/// A configuration that has passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read, as an absolute path where the name was short, else as given.
    pub path: PathBuf,
    /// `name`, or the file's name without its directory and without `.conf`; in the store it is
    /// `booth-cfg-name`.
    pub name: String,
    /// The key file, if one is configured.
    pub authfile: Option<PathBuf>,
    /// The shared key, trimmed; without one nothing is authenticated.
    pub key: Option<Vec<u8>>,
    /// `maxtimeskew`: how far a packet's stamp may be off.
    pub max_skew: Span,
    /// All members in file order: at least one, at most [`crate::model::MEMBERS_MAX`], no two
    /// with the same id.
    pub members: Vec<ConfiguredMember>,
    /// User and group of the daemon on a site.
    pub site_account: Account,
    /// User and group of the daemon on an arbitrator.
    pub arbitrator_account: Account,
    /// `debug`: the level of messages; `-D` on the command line adds to it.
    pub debug: u32,
    /// Where a site keeps its tickets.
    pub store: TicketStore,
    /// All tickets in file order, at least one, no two with the same name.
    pub tickets: Vec<TicketConfig>,
    /// Whether any configured time has a millisecond part: then *valid-for* is in milliseconds
    /// on the wire, at all members.
    pub uses_millis: bool,
    /// What a person should know although the file is accepted; whole lines with file and line
    /// number, to be shown or logged once.
    pub warnings: Vec<String>,
}

/// A `site` or `arbitrator` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredMember {
    /// Id, role and address.
    pub member: Member,
    /// Its UDP and TCP port: that of the last `port` line before it.
    ///
    /// Reference: every member listens and is spoken to at the port in force where it stands.
    pub port: u16,
    /// The address or host name as it stands in the file.
    pub text: String,
    /// The line in the file, counted from 1.
    pub line: usize,
}

/// Under which user and group the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name.
    pub user: String,
    /// The group's name.
    pub group: String,
    /// Whether the user was named in the file; a default that does not exist on this host is
    /// no reason to stop.
    pub user_configured: bool,
    /// Whether the group was named in the file.
    pub group_configured: bool,
}

/// Where a site keeps its tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketStore {
    /// In Pacemaker's CIB, through `crm_ticket`.
    Pacemaker,
    /// In one file per ticket in this directory.
    Directory(PathBuf),
}

/// A `ticket` stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketConfig {
    /// What the engine needs.
    pub spec: TicketSpec,
    /// `before-acquire-handler`, if there is one.
    pub handler: Option<Handler>,
}

/// A program to ask before a ticket is acquired or renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// A program, or a directory of programs.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Config {
    /// All members, seen by the member number `me`.
    ///
    /// Panics if `me` is not an index into [`Config::members`].
    pub fn roster(&self, me: usize) -> Roster {
        let members = self.members.iter().map(|configured| configured.member.clone()).collect();
        Roster::new(members, me).expect("a checked configuration makes a roster")
    }

    /// The ticket with this name.
    pub fn ticket(&self, name: &TicketName) -> Option<&TicketConfig> {
        self.tickets.iter().find(|ticket| ticket.spec.name == *name)
    }
}

/// Reads and checks the configuration in `path_or_name`: a path, or a short name that stands
/// for `/etc/booth/NAME.conf`.
///
/// # Errors
/// All that is wrong with the file, in file order; at least one.
pub fn load(path_or_name: &str) -> Result<Config, Vec<ConfigError>> {
    Err(vec![ConfigError::new(path_or_name, None, "cannot be read yet")])
}
