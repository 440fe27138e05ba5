// SPDX-License-Identifier: GPL-2.0-or-later
//! The configuration file: from a path or a short name to a checked [`Config`].
//!
//! All errors of the file are reported at once, each with file, line and what was expected. Other
//! modules decide which member this host is, and what happens to the values.
#![forbid(unsafe_code)]

mod check;
mod error;
pub mod keyfile;
mod keyword;
mod lexer;
mod locate;
mod parse;
mod raw;
mod surroundings;
#[cfg(test)]
mod tests;
mod times;
mod value;

pub use error::{system_words, ConfigError};
pub use keyfile::KeyFileProblem;
pub use keyword::{words as keywords, GlobalKey, TicketKey};
pub use locate::DIRECTORY;
pub use surroundings::Surroundings;

use crate::auth::Key;
use crate::model::{Member, Roster, TicketName, TicketSpec};
use crate::time::Span;
use crate::wire::TimeUnit;
use error::Problem;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};

/// The port of members before the first `port` line, for UDP and TCP.
pub const DEFAULT_PORT: u16 = 9929;

/// The longest configuration file in bytes: enough for a hundred thousand tickets, and a limit for
/// files like `/dev/zero`.
pub const CONFIG_BYTES_MAX: usize = 32 << 20;

/// The most tickets of one configuration; each costs memory and a line of `booth list`.
pub const TICKETS_MAX: usize = 100_000;

/// The longest name of a configuration in bytes: followed by `.pid`, it names the lock file.
pub const NAME_BYTES_MAX: usize = 251;

/// The most errors, or warnings, that are reported about one file.
pub const ERRORS_MAX: usize = 100;

/// The longest time, in milliseconds: 24 days.
///
/// Reference: refuses longer times, because its times are signed 32-bit milliseconds.
const TIME_MAX_MILLIS: u64 = 2_147_483_647;

/// The fewest repetitions of an unanswered message, as in the reference.
const RETRIES_MIN: u32 = 3;
/// The most repetitions of an unanswered message, as in the reference.
const RETRIES_MAX: u32 = 100;

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
    /// All tickets in file order, no two with the same name; at most [`TICKETS_MAX`]. There may
    /// be none: pcs adds them later.
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
    pub fn socket_address(&self) -> SocketAddr {
        match self.member.address {
            IpAddr::V4(v4) => SocketAddr::from((v4, self.port)),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, self.port, 0, self.scope_id).into(),
        }
    }
}

/// The user and group that the daemon runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name, or its number (see [`account_number`]).
    pub user: String,
    /// The group's name, or its number.
    pub group: String,
    /// Whether the user was named in the file.
    pub user_configured: bool,
    /// Whether the group was named in the file. If it was not and the default does not exist on
    /// this host, the group of the user is used.
    pub group_configured: bool,
}

/// The number of a user or group that is given by number. If a name of this spelling exists, it
/// takes precedence.
pub fn account_number(text: &str) -> Option<u32> {
    value::account_number(text).map(|(number, _)| number)
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

    /// The ticket with this name.
    pub fn ticket(&self, name: &TicketName) -> Option<&TicketConfig> {
        self.tickets.iter().find(|ticket| ticket.spec.name == *name)
    }
}

/// Reads and checks the configuration in `path_or_name`: a path, or a short name that stands
/// for `/etc/booth/NAME.conf`.
///
/// Asks the system for the addresses of host names, which may take a long time.
///
/// # Errors
/// All errors of the file, in file order; at least one.
pub fn load(
    path_or_name: &str,
    surroundings: &mut dyn Surroundings,
) -> Result<Config, Vec<ConfigError>> {
    let (found, text) = find_text(path_or_name)?;
    let mut config = read_text(&found.path, &text, surroundings)?;
    config.warnings.extend(found.warning);
    Ok(config)
}

/// The daemon of a configuration: the name of its lock file, and the accounts that it may run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// As [`Config::name`].
    pub name: String,
    /// User and group of the daemon if it is that of a site.
    pub site_account: Account,
    /// User and group of the daemon if it is that of an arbitrator.
    pub arbitrator_account: Account,
}

/// Reads the [`Instance`] from the configuration in `path_or_name`, which means the same as for
/// [`load`]. No host name is looked up: members with names are left out, and their errors are not
/// found.
///
/// # Errors
/// All other errors of the file, in file order; at least one.
pub fn load_instance(
    path_or_name: &str,
    surroundings: &mut dyn Surroundings,
) -> Result<Instance, Vec<ConfigError>> {
    let (found, text) = find_text(path_or_name)?;
    let config = check::check(parse::parse(&text), &found.path, Names::LeaveOut, surroundings)?;
    let Config { name, site_account, arbitrator_account, .. } = config;
    Ok(Instance { name, site_account, arbitrator_account })
}

/// What is done with host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// They are looked up, which may need the network.
    LookUp,
    /// Their members are left out.
    LeaveOut,
}

/// The file that is meant, and its text.
fn find_text(path_or_name: &str) -> Result<(locate::Found, Vec<u8>), Vec<ConfigError>> {
    let found = locate::locate(path_or_name, Path::new(locate::DIRECTORY));
    match read_file(&found.path) {
        Ok(text) => Ok((found, text)),
        Err(problem) => Err(vec![ConfigError::new(&found.path, None, problem)]),
    }
}

/// Reads and checks the text of a configuration file. Addresses of host names and the key come from
/// `surroundings`.
///
/// # Errors
/// All errors of the text, in file order; at least one.
pub fn read_text(
    path: &Path,
    text: &[u8],
    surroundings: &mut dyn Surroundings,
) -> Result<Config, Vec<ConfigError>> {
    check::check(parse::parse(text), path, Names::LookUp, surroundings)
}

/// What a configuration says about its ticket store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// As [`Config::name`].
    pub name: String,
    /// As [`Config::store`].
    pub store: TicketStore,
}

/// Reads only what a configuration says about its ticket store, and ignores other errors. No host
/// name is looked up, and no key is read.
///
/// # Errors
/// The file cannot be read, or the line about the store is wrong.
pub fn load_store(path_or_name: &str) -> Result<StoreConfig, Box<ConfigError>> {
    let path = locate::locate(path_or_name, Path::new(locate::DIRECTORY)).path;
    let failed = |line, problem| Box::new(ConfigError::new(&path, line, problem));
    let text = read_file(&path).map_err(|problem| failed(None, problem))?;
    let raw = parse::parse(&text);
    let word = GlobalKey::TicketStore.word();
    let about = |problem: &Problem| matches!(problem, Problem::Value { key, .. } if *key == word);
    if let Some((line, problem)) = raw.errors.into_iter().find(|(_, problem)| about(problem)) {
        return Err(failed(line, problem));
    }
    let name = raw.name.map(|name| name.value).filter(|name| !name.is_empty());
    Ok(StoreConfig {
        name: name.unwrap_or_else(|| locate::default_name(&path)),
        store: raw.store.map_or(TicketStore::Pacemaker, |store| store.value),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error: io::Error| Problem::File { reason: error::system_words(&error) };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Problem::File { reason: "it is a directory".to_owned() });
    }
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    file.take(limit).read_to_end(&mut text).map_err(failed)?;
    if text.len() > CONFIG_BYTES_MAX {
        return Err(Problem::FileTooLong);
    }
    Ok(text)
}
