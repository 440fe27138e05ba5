// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables of operations, options and exit codes. `args` parses with them, `usage` prints them,
//! and a test compares the manual pages with them, so the three cannot differ.

use crate::config::one_step_apart;
use Program::{Booth, Geostore};

/// The program, by the name under which it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `booth` or `boothd`.
    Booth,
    /// `geostore`.
    Geostore,
}

impl Program {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Program::Booth => "booth",
            Program::Geostore => "geostore",
        }
    }
}

/// An operation of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Run the daemon.
    Daemon,
    /// Say whether the daemon runs.
    Status,
    /// Check the configuration.
    Check,
    /// Show the tickets.
    List,
    /// Show the other members.
    Peers,
    /// Show the whole cluster.
    Overview,
    /// Say why a ticket is where it is.
    Explain,
    /// Show what has happened.
    History,
    /// Print metrics for Prometheus.
    Metrics,
    /// Serve metrics, reports and a page over HTTP.
    Exporter,
    /// Check the health for Nagios or Icinga.
    CheckHealth,
    /// Grant a ticket.
    Grant,
    /// Revoke a ticket.
    Revoke,
    /// Show a ticket's attributes.
    AttrList,
    /// Show one attribute.
    AttrGet,
    /// Set an attribute.
    AttrSet,
    /// Delete an attribute.
    AttrDelete,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

impl Operation {
    /// Whether it may follow `booth client`.
    pub(super) const fn of_client(self) -> bool {
        use Operation::{Explain, Grant, Help, History, List, Overview, Peers, Revoke, Version};
        matches!(
            self,
            List | Peers | Overview | Explain | History | Grant | Revoke | Help | Version
        )
    }

    /// Whether the option changes anything about it; some accept options that they ignore.
    pub(super) fn heeds(self, option: &OptionDef) -> bool {
        use Operation::{Check, Daemon, Status};
        match option.letter {
            'S' => self == Daemon,
            'l' => matches!(self, Daemon | Status),
            's' | 'D' => !matches!(self, Check | Status),
            _ => option.only_for.is_none_or(|(fit, _)| fit.contains(&self)),
        }
    }
}

/// An operation and how it is called.
#[derive(Debug)]
pub struct OperationDef {
    /// The operation that the words mean.
    pub operation: Operation,
    /// The program that has the operation.
    pub program: Program,
    /// Its names; the help shows the first one.
    pub words: &'static [&'static str],
    /// Its arguments, as the help shows them.
    pub arguments: &'static str,
    /// The description in the help.
    pub help: &'static str,
}

/// All operations, in the order of the help.
pub const OPERATIONS: &[OperationDef] = &[
    def(Booth, Operation::List, &["list"], "", "show the tickets and their holders"),
    def(Booth, Operation::Peers, &["peers"], "", "show the other members and their counters"),
    def(Booth, Operation::Overview, &["overview"], "[TICKET]", "show the whole cluster"),
    def(Booth, Operation::Explain, &["explain"], "[TICKET]", "say why a ticket is where it is"),
    def(Booth, Operation::History, &["history"], "[TICKET]", "show what has happened lately"),
    def(Booth, Operation::Metrics, &["metrics"], "", "print metrics for Prometheus"),
    def(Booth, Operation::Exporter, &["exporter"], "", "serve metrics and a page over HTTP"),
    def(
        Booth,
        Operation::CheckHealth,
        &["health"],
        "[TICKET]",
        "check the health for Nagios or Icinga; also called check_booth",
    ),
    def(Booth, Operation::Grant, &["grant"], "[TICKET]", "grant a ticket to a site"),
    def(Booth, Operation::Revoke, &["revoke"], "[TICKET]", "take a ticket away from its site"),
    def(Booth, Operation::Status, &["status"], "", "say whether the daemon runs here"),
    def(Booth, Operation::Check, &["check"], "", "check a configuration and print its errors"),
    def(
        Booth,
        Operation::Daemon,
        &["daemon", "start", "site", "arbitrator"],
        "",
        "run the daemon, as the site or arbitrator that it is in the configuration",
    ),
    def(Booth, Operation::Help, &["help"], "", "print this text"),
    def(Booth, Operation::Version, &["version"], "", "print the version"),
    def(Geostore, Operation::AttrList, &["list"], "", "show all attributes of a ticket"),
    def(Geostore, Operation::AttrGet, &["get"], "NAME", "show the value of an attribute"),
    def(Geostore, Operation::AttrSet, &["set"], "NAME VALUE", "set an attribute"),
    def(Geostore, Operation::AttrDelete, &["delete"], "NAME", "delete an attribute"),
    def(Geostore, Operation::Help, &["help"], "", "print this text"),
    def(Geostore, Operation::Version, &["version"], "", "print the version"),
];

const fn def(
    program: Program,
    operation: Operation,
    words: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
) -> OperationDef {
    OperationDef { operation, program, words, arguments, help }
}

/// The operation with this name.
pub(super) fn find_operation(program: Program, word: &str) -> Option<Operation> {
    let mut known = OPERATIONS.iter();
    let found = known.find(|def| def.program == program && def.words.contains(&word));
    found.map(|def| def.operation)
}

/// What somebody may have meant by a word that is no operation here: an operation that has its name
/// or one that differs by a letter, or another program's.
pub(super) fn similar_operation(program: Program, word: &str) -> Option<String> {
    let plain = word.to_ascii_lowercase();
    let named = |def: &&OperationDef| def.words.contains(&plain.as_str());
    let (ours, others): (Vec<_>, Vec<_>) = OPERATIONS.iter().partition(|d| d.program == program);
    if let Some(def) = ours.iter().copied().chain(others).find(named) {
        // The same word, but in small letters, or not behind "client", or of the other program.
        let prefix = if def.program != program || plain == word { def.program.name() } else { "" };
        return Some(format!("{prefix} {plain}").trim_start().to_owned());
    }
    let mut words = ours.iter().flat_map(|def| def.words);
    let near = |known: &str| one_step_apart(known, &plain) || swapped(known, &plain);
    words.find(|known| near(known)).map(|known| (*known).to_owned())
}

/// Whether the texts differ only in the order of two neighbouring bytes.
fn swapped(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    match (&a[head..], &b[head..]) {
        ([p, q, rest @ ..], [r, s, tail @ ..]) => (p, q, rest) == (s, r, tail),
        _ => false,
    }
}

/// An option.
#[derive(Debug)]
pub struct OptionDef {
    /// The letter after the dash.
    pub letter: char,
    /// The word after two dashes; empty: it has none.
    pub long: &'static str,
    /// The name of its value, if it has one.
    pub value: Option<&'static str>,
    /// The programs that know it.
    pub programs: &'static [Program],
    /// The operations that accept it, and these in words; `None`: all, though some ignore it, as in
    /// the reference.
    pub only_for: Option<(&'static [Operation], &'static str)>,
    /// The description in the help.
    pub help: &'static str,
}

/// All options, in the order of the help.
pub const OPTIONS: &[OptionDef] = &[
    option(
        'c',
        Some("FILE"),
        BOTH,
        "configuration: a path, or NAME for /etc/booth/NAME.conf (default: booth)",
    ),
    option(
        's',
        Some("SITE"),
        BOTH,
        "ask this member: an address, a host name, or \"other\"; daemon: be this member",
    ),
    OptionDef {
        only_for: Some((WITH_TICKET, "grant, revoke and geostore")),
        ..option('t', Some("TICKET"), BOTH, "the ticket; required if more than one is configured")
    },
    OptionDef {
        only_for: Some((&[Operation::Grant], "client grant")),
        help: "grant now, without waiting for sites that cannot be reached; \
               a manual ticket even if another site has it",
        ..option('F', None, &[Booth], "")
    },
    OptionDef {
        only_for: Some((
            &[Operation::Grant, Operation::Revoke, Operation::Overview],
            // Reference: this sentence; its clients have no overview.
            "grant and revoke",
        )),
        help: "wait for the outcome, however long it takes; \
               overview: show it again every 2 seconds, or as many as follow",
        ..option('w', None, &[Booth], "")
    },
    OptionDef {
        only_for: Some((&[Operation::Grant], "grant")),
        help: "wait until the grant is in the cluster, however long it takes",
        ..option('C', None, &[Booth], "")
    },
    OptionDef {
        long: "output-format",
        only_for: Some((WITH_JSON, "what shows something")),
        ..option('o', Some("FORMAT"), BOTH, "text, or json as in booth-report(5)")
    },
    OptionDef {
        long: "peers",
        only_for: Some((&[Operation::Check], "check")),
        help: "check: compare the configuration with those of the other members' daemons",
        ..option('p', None, &[Booth], "")
    },
    OptionDef {
        long: "listen",
        only_for: Some((&[Operation::Exporter], "exporter")),
        ..option('L', Some("ADDRESS"), &[Booth], "exporter: listen here (default: 127.0.0.1:9930)")
    },
    option('l', Some("LOCKFILE"), &[Booth], "lock file (default: /var/run/booth/NAME.pid)"),
    option('S', None, &[Booth], "daemon: stay in the foreground"),
    option('D', None, BOTH, "say more; may be repeated"),
    OptionDef { long: "help", ..option('h', None, BOTH, "print this text") },
];

const BOTH: &[Program] = &[Booth, Geostore];

const WITH_JSON: &[Operation] = &[
    Operation::List,
    Operation::Peers,
    Operation::Overview,
    Operation::History,
    Operation::Status,
    Operation::Check,
    Operation::AttrList,
];

const WITH_TICKET: &[Operation] = &[
    Operation::Overview,
    Operation::Explain,
    Operation::History,
    Operation::CheckHealth,
    Operation::Grant,
    Operation::Revoke,
    Operation::AttrList,
    Operation::AttrGet,
    Operation::AttrSet,
    Operation::AttrDelete,
];

const fn option(
    letter: char,
    value: Option<&'static str>,
    programs: &'static [Program],
    help: &'static str,
) -> OptionDef {
    OptionDef { letter, long: "", value, programs, only_for: None, help }
}

/// How a run of the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// It did not do what was asked.
    Failure,
    /// `overview`: nobody could tell. `health`: critical.
    CannotTell,
    /// `health`: it could not be checked.
    Unchecked,
    /// `status`: no daemon runs.
    NotRunning,
}

impl Exit {
    /// All variants.
    pub const ALL: &'static [Exit] =
        &[Exit::Success, Exit::Failure, Exit::CannotTell, Exit::Unchecked, Exit::NotRunning];

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::CannotTell => 2,
            Exit::Unchecked => 3,
            Exit::NotRunning => 7,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}
