// SPDX-License-Identifier: GPL-2.0-or-later
//! What a configuration says, once it has passed every check.

use crate::auth::Key;
use crate::model::{Member, Roster, TicketName, TicketSpec};
use crate::time::Span;
use crate::wire::TimeUnit;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;

/// A configuration that has passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read: an absolute path if the name was short, otherwise as given.
    pub path: PathBuf,
    /// `name`, or the file's name without its directory and without `.conf`; in the store it is
    /// `booth-cfg-name`.
    pub name: String,
    /// The key file, if one is configured.
    pub authfile: Option<PathBuf>,
    /// The shared key; without one nothing is authenticated.
    pub key: Option<Key>,
    /// `maxtimeskew`: how far a packet's stamp may be off.
    pub max_skew: Span,
    /// All members in file order: at most [`crate::model::MEMBERS_MAX`], no two with the same id.
    /// There may be none, as in the reference.
    pub members: Vec<ConfiguredMember>,
    /// User and group of the daemon on a site.
    pub site_account: Account,
    /// User and group of the daemon on an arbitrator.
    pub arbitrator_account: Account,
    /// `debug`: the level of messages; `-D` on the command line adds to it.
    pub debug: u32,
    /// Where a site keeps its tickets.
    pub store: TicketStore,
    /// All tickets in file order, no two with the same name; at most [`super::TICKETS_MAX`]. There
    /// may be none: pcs adds them later.
    pub tickets: Vec<TicketConfig>,
    /// The unit of *valid-for* on the wire: milliseconds if any time in the file is not a whole
    /// number of seconds.
    pub unit: TimeUnit,
    /// Warnings about an accepted file: whole lines with file and line number, to be shown or
    /// logged once.
    pub warnings: Vec<String>,
}

/// A `site` or `arbitrator` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredMember {
    /// Id, role and address.
    pub member: Member,
    /// Its UDP and TCP port: that of the last `port` line before it.
    ///
    /// Reference: every member uses the port in force at its line.
    pub port: u16,
    /// The address or host name as written in the file.
    pub text: String,
    /// The interface of an IPv6 link-local address, 0 otherwise.
    pub scope_id: u32,
    /// The line in the file, counted from 1.
    pub line: usize,
}

impl ConfiguredMember {
    /// The address and port at which the member listens.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        match self.member.address {
            IpAddr::V4(v4) => SocketAddr::from((v4, self.port)),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, self.port, 0, self.scope_id).into(),
        }
    }
}

/// The user and group that the daemon runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name, or its number (see [`super::account_number`]).
    pub user: String,
    /// The group's name, or its number.
    pub group: String,
    /// Whether the user was named in the file.
    pub user_configured: bool,
    /// Whether the group was named in the file. If it was not and the default does not exist on
    /// this host, the group of the user is used.
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
    /// All members, from the view of member number `me`.
    ///
    /// Panics if `me` is not an index into [`Config::members`].
    pub fn roster(&self, me: usize) -> Roster {
        let members = self.members.iter().map(|configured| configured.member.clone()).collect();
        Roster::new(members, me).expect("a checked configuration makes a roster")
    }

    /// The addresses of all members.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.members.iter().map(|configured| configured.member.address).collect()
    }

    /// The ticket with this name.
    pub fn ticket(&self, name: &TicketName) -> Option<&TicketConfig> {
        self.tickets.iter().find(|ticket| ticket.spec.name == *name)
    }
}

/// The daemon of a configuration: the name of its lock file, and the accounts that it may run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// As [`Config::name`].
    pub name: String,
    /// User and group of the daemon if it is that of a site.
    pub site_account: Account,
    /// User and group of the daemon if it is that of an arbitrator.
    pub arbitrator_account: Account,
}

/// What a configuration says about its ticket store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreConfig {
    /// As [`Config::name`].
    pub name: String,
    /// As [`Config::store`].
    pub store: TicketStore,
}
