// SPDX-License-Identifier: GPL-2.0-or-later
//! `argv` to [`Invocation`]. This has no side effects: nothing is opened, resolved or printed, so
//! every rule has a simple table test.
//!
//! There are two steps. `LowArgs` (in `super::scan`) holds the words and options as typed, checked
//! only against the tables of `super::options`. [`Invocation`] holds one complete struct per
//! operation, with only the options of that operation.

use super::options::{find_operation, Operation, Program, OPTIONS};
pub use super::scan::UsageError;
use super::scan::{limited, scan, LowArgs};
use crate::daemon::DaemonOptions;
use crate::model::{TicketName, TICKET_NAME_MAX};
use crate::wire::ClientOptions;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The configuration that is used without `-c`: `/etc/booth/booth.conf`.
pub const DEFAULT_CONFIG: &str = "booth";
/// Where the exporter listens without `-L`.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9930";
/// The longest attribute name: 64 bytes on the wire with its NUL.
const ATTR_NAME_ARG_MAX: usize = 63;
/// The longest attribute value: 128 bytes on the wire with its NUL.
const ATTR_VALUE_ARG_MAX: usize = 127;

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Print the help text of the program, or of one of its operations.
    Help(Program, Option<Operation>),
    /// Print name and version.
    Version(Program),
    /// Run the daemon.
    Daemon(DaemonArgs),
    /// Say whether the daemon runs.
    Status(StatusArgs),
    /// Check a configuration and print its errors.
    Check(CheckArgs),
    /// Show the whole cluster.
    Overview(OverviewArgs),
    /// Say why a ticket is where it is.
    Explain(ExplainArgs),
    /// Show what has happened.
    History(HistoryArgs),
    /// Print metrics for Prometheus.
    Metrics(MetricsArgs),
    /// Serve metrics, reports and a page over HTTP.
    Exporter(ExporterArgs),
    /// Check the health for Nagios or Icinga.
    CheckHealth(CheckHealthArgs),
    /// Show the tickets.
    List(ListArgs),
    /// Show the other members.
    Peers(ListArgs),
    /// Grant a ticket.
    Grant(TicketArgs),
    /// Revoke a ticket.
    Revoke(TicketArgs),
    /// Read or change attributes of a ticket.
    Attr(AttrArgs),
}

/// `boothd daemon`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonArgs {
    /// `-s`: the member to be, instead of the one whose address is local.
    pub site: Option<String>,
    /// The other options.
    pub options: DaemonOptions,
}

/// How something is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs, as `booth-report(5)` says.
    Json,
}

/// `booth check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckArgs {
    /// `-c` as typed.
    pub config: String,
    /// `-p`: whether the daemons of the members are asked, too.
    pub peers: bool,
    /// `-o`.
    pub format: Format,
}

/// `booth overview`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverviewArgs {
    /// `-c` and `-D`; all members are asked, whatever `-s` says.
    pub target: Target,
    /// The ticket; `None`: all.
    pub ticket: Option<TicketName>,
    /// `-o`.
    pub format: Format,
    /// `-w`: after how many seconds it is shown again.
    pub watch: Option<u64>,
}

/// `booth explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainArgs {
    /// `-c` and `-D`; all members are asked, whatever `-s` says.
    pub target: Target,
    /// The ticket; `None`: all.
    pub ticket: Option<TicketName>,
}

/// `booth history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryArgs {
    /// The member to ask.
    pub target: Target,
    /// The ticket; `None`: all.
    pub ticket: Option<TicketName>,
    /// `-o`.
    pub format: Format,
}

/// `booth metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsArgs {
    /// The member to ask.
    pub target: Target,
}

/// `booth exporter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterArgs {
    /// The member to ask.
    pub target: Target,
    /// `-L`: where to listen.
    pub listen: SocketAddr,
}

/// `booth health` or `check_booth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckHealthArgs {
    /// All members are asked; the one that `-s` names, or the local one, has to answer.
    pub target: Target,
    /// A ticket that somebody has to hold.
    pub ticket: Option<TicketName>,
}

/// `booth status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusArgs {
    /// `-c` as typed.
    pub config: String,
    /// `-l`: the lock file, if not the default one.
    pub lockfile: Option<String>,
    /// `-o`.
    pub format: Format,
}

/// The member that a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `-c` as typed.
    pub config: String,
    /// The member that `-s` names.
    pub site: SiteArg,
    /// How often `-D` was given.
    pub debug: u8,
}

/// The value of `-s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteArg {
    /// Not given, or empty as in the reference: the member that this host belongs to.
    Local,
    /// `-s other`: the first site that is not the local one.
    Other,
    /// An address or a host name.
    Named(String),
}

/// `booth list` and `booth peers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListArgs {
    /// The member to ask.
    pub target: Target,
    /// Further arguments, which are ignored.
    ///
    /// Reference: both commands ignore further arguments; Hawk passes a literal `2>/dev/null`.
    pub ignored: Vec<String>,
    /// `-o`.
    pub format: Format,
}

/// `booth grant` and `booth revoke`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketArgs {
    /// The member to ask.
    pub target: Target,
    /// The ticket; `None`: the only one that is configured.
    pub ticket: Option<TicketName>,
    /// `-F`, `-w` and `-C`.
    pub options: ClientOptions,
}

/// `geostore list`, `get`, `set` and `delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrArgs {
    /// The site to ask.
    pub target: Target,
    /// `-t`; `None`: the only ticket that is configured.
    pub ticket: Option<TicketName>,
    /// The operation and its arguments.
    pub action: AttrAction,
    /// `-o`.
    pub format: Format,
}

/// The operation of `geostore` and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttrAction {
    /// Print all attributes.
    List,
    /// Print the value of the attribute with this name.
    Get(String),
    /// Set the attribute with this name to this value.
    Set(String, String),
    /// Delete the attribute with this name.
    Delete(String),
}

/// The program that `argv[0]` names; any name but `geostore` means `booth`.
pub fn program_of(argv0: &str) -> Program {
    match argv0.rsplit('/').next() {
        Some("geostore") => Program::Geostore,
        _ => Program::Booth,
    }
}

/// Parses the arguments after `argv[0]`.
///
/// # Errors
/// An argument is invalid or missing; the error says which and why.
pub fn parse(program: Program, argv: &[OsString]) -> Result<Invocation, UsageError> {
    if argv.is_empty() {
        return Ok(Invocation::Help(program, None));
    }
    let low = scan(program, argv)?;
    if low.has('h') {
        return Ok(help(program, &low.words));
    }
    if low.version {
        return Ok(Invocation::Version(program));
    }
    let (operation, words) = split_operation(program, &low.words)?;
    check_options(operation, &low)?;
    build(program, operation, &low, words)
}

/// Takes the operation off the front of the words: `list`, or `client list`.
fn split_operation(
    program: Program,
    words: &[String],
) -> Result<(Operation, &[String]), UsageError> {
    let (mut first, mut rest) = words.split_first().ok_or(UsageError::NoOperation)?;
    let through_client = program == Program::Booth && first == "client";
    if through_client {
        (first, rest) = rest.split_first().ok_or(UsageError::NoOperation)?;
    }
    match find_operation(program, first) {
        Some(operation) if !through_client || operation.of_client() => Ok((operation, rest)),
        Some(_) | None => Err(UsageError::UnknownOperation(program, first.clone())),
    }
}

/// The help for the operation that these words name, or for all.
fn help(program: Program, words: &[String]) -> Invocation {
    let named = split_operation(program, words).ok().map(|(operation, _)| operation);
    let general = [Operation::Help, Operation::Version];
    Invocation::Help(program, named.filter(|operation| !general.contains(operation)))
}

/// Refuses options that the operation does not know.
fn check_options(operation: Operation, low: &LowArgs) -> Result<(), UsageError> {
    let of_daemon = [Operation::Status, Operation::Check].contains(&operation)
        || (operation == Operation::Daemon && !low.has('D'));
    if of_daemon && low.has('s') {
        return Err(UsageError::SiteOfDaemon);
    }
    for option in OPTIONS.iter().filter(|option| low.has(option.letter)) {
        if let Some((_, only_for)) = option.only_for.filter(|(fit, _)| !fit.contains(&operation)) {
            return Err(UsageError::Misplaced { letter: option.letter, only_for });
        }
    }
    Ok(())
}

/// Builds the complete struct of an operation.
fn build(
    program: Program,
    operation: Operation,
    low: &LowArgs,
    words: &[String],
) -> Result<Invocation, UsageError> {
    let config = low.value('c').unwrap_or_else(|| DEFAULT_CONFIG.to_owned());
    let lockfile = low.value('l');
    let target = || Target { config: config.clone(), site: site_arg(low), debug: low.debug() };
    let format = format(low)?;
    let list = || ListArgs { target: target(), ignored: words.to_vec(), format };
    let ticket = || {
        let options = ClientOptions {
            immediate: low.has('F'),
            // Reference: -C sends both bits.
            wait: low.has('w') || low.has('C'),
            wait_commit: low.has('C'),
            explain: true,
        };
        Ok(TicketArgs { target: target(), ticket: ticket_arg(low, words)?, options })
    };
    Ok(match operation {
        Operation::Help => help(program, words),
        Operation::Version => Invocation::Version(program),
        Operation::Daemon => {
            no_more(words)?;
            let site = low.value('s').filter(|site| !site.is_empty());
            let options = DaemonOptions {
                debug: low.debug().into(),
                foreground: low.has('S'),
                lock_file: lockfile.map(PathBuf::from),
                config_given: config,
            };
            Invocation::Daemon(DaemonArgs { site, options })
        }
        Operation::Status => {
            no_more(words)?;
            Invocation::Status(StatusArgs { config, lockfile, format })
        }
        Operation::Check => {
            no_more(words)?;
            Invocation::Check(CheckArgs { config, peers: low.has('p'), format })
        }
        Operation::Overview
        | Operation::Explain
        | Operation::History
        | Operation::Metrics
        | Operation::Exporter
        | Operation::CheckHealth => build_view(operation, target(), low, words)?,
        Operation::List => Invocation::List(list()),
        Operation::Peers => Invocation::Peers(list()),
        Operation::Grant => Invocation::Grant(ticket()?),
        Operation::Revoke => Invocation::Revoke(ticket()?),
        Operation::AttrList | Operation::AttrGet | Operation::AttrSet | Operation::AttrDelete => {
            let (ticket, action) = (ticket_arg(low, &[])?, attr_action(operation, words)?);
            Invocation::Attr(AttrArgs { target: target(), ticket, action, format })
        }
    })
}

/// Builds the complete struct of an operation that shows what reports say.
fn build_view(
    operation: Operation,
    target: Target,
    low: &LowArgs,
    words: &[String],
) -> Result<Invocation, UsageError> {
    let format = format(low)?;
    let (watch, words) = match operation {
        Operation::Overview => watch(low, words)?,
        _ => (None, words),
    };
    if let Operation::Metrics | Operation::Exporter = operation {
        no_more(words)?;
    }
    let ticket = ticket_arg(low, words)?;
    Ok(match operation {
        Operation::Explain => Invocation::Explain(ExplainArgs { target, ticket }),
        Operation::History => Invocation::History(HistoryArgs { target, ticket, format }),
        Operation::Metrics => Invocation::Metrics(MetricsArgs { target }),
        Operation::Exporter => Invocation::Exporter(ExporterArgs { target, listen: listen(low)? }),
        Operation::CheckHealth => Invocation::CheckHealth(CheckHealthArgs { target, ticket }),
        // The only other one for which it is called.
        _ => Invocation::Overview(OverviewArgs { target, ticket, format, watch }),
    })
}

/// The value of `-s`; an empty one counts as not given, as in the reference.
fn site_arg(low: &LowArgs) -> SiteArg {
    match low.value('s') {
        None => SiteArg::Local,
        Some(name) if name.is_empty() => SiteArg::Local,
        Some(name) if name == "other" => SiteArg::Other,
        Some(name) => SiteArg::Named(name),
    }
}

/// The value of `-o`.
fn format(low: &LowArgs) -> Result<Format, UsageError> {
    match low.value('o').as_deref() {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(UsageError::UnknownFormat(other.to_owned())),
    }
}

/// The value of `-L`.
fn listen(low: &LowArgs) -> Result<SocketAddr, UsageError> {
    let text = low.value('L').unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
    text.parse().map_err(|_| UsageError::NoAddress(text))
}

/// How often `overview -w` shows the cluster again if it is not told.
const WATCH_SECS: u64 = 2;
/// The longest pause in seconds that may be given.
const WATCH_MAX: u64 = 86_400;

/// The pause of `overview -w`, and the words that are not it: a number behind `-w` is the pause, so
/// a ticket that is called by a number needs `-t`.
fn watch<'a>(
    low: &LowArgs,
    words: &'a [String],
) -> Result<(Option<u64>, &'a [String]), UsageError> {
    if !low.has('w') {
        return Ok((None, words));
    }
    let is_number = |word: &String| word.chars().all(|c| c.is_ascii_digit());
    match words.split_last() {
        Some((last, rest)) if is_number(last) => match last.parse() {
            Ok(secs @ 1..=WATCH_MAX) => Ok((Some(secs), rest)),
            Ok(_) | Err(_) => Err(UsageError::BadPause(last.clone(), WATCH_MAX)),
        },
        Some(_) | None => Ok((Some(WATCH_SECS), words)),
    }
}

/// Refuses further words.
fn no_more(words: &[String]) -> Result<(), UsageError> {
    match words {
        [] => Ok(()),
        _ => Err(UsageError::Superfluous(words.to_vec())),
    }
}

/// The ticket from `-t` or from the word after the operation; an empty one counts as not given.
fn ticket_arg(low: &LowArgs, words: &[String]) -> Result<Option<TicketName>, UsageError> {
    let text = match (low.value('t'), words) {
        (given, []) => given,
        (None, [word]) => Some(word.clone()),
        (None, [_, rest @ ..]) | (Some(_), rest) => {
            return Err(UsageError::Superfluous(rest.to_vec()));
        }
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let name = TicketName::new(&limited(&text, "ticket name", TICKET_NAME_MAX)?);
    name.map(Some).map_err(|why| UsageError::NoTicketName(text, why))
}

/// The arguments of `geostore`; `operation` is one of its four.
fn attr_action(operation: Operation, words: &[String]) -> Result<AttrAction, UsageError> {
    let mut words = words.iter();
    let mut next = |missing: &'static str, what: &'static str, max: usize| {
        let word = words.next().ok_or(UsageError::NotEnough(missing))?;
        limited(word, what, max)
    };
    let mut name = || next("the name of the attribute", "attribute name", ATTR_NAME_ARG_MAX);
    let action = if operation == Operation::AttrGet {
        AttrAction::Get(name()?)
    } else if operation == Operation::AttrDelete {
        AttrAction::Delete(name()?)
    } else if operation == Operation::AttrSet {
        AttrAction::Set(name()?, next("the value", "attribute value", ATTR_VALUE_ARG_MAX)?)
    } else {
        AttrAction::List
    };
    no_more(words.as_slice())?;
    Ok(action)
}
