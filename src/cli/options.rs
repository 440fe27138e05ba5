// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables of operations, options and exit codes. `args` parses with them, `usage` prints them,
//! and a test compares the manual pages with them, so the three cannot differ.

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
    pub const fn of_client(self) -> bool {
        match self {
            Operation::List
            | Operation::Peers
            | Operation::Grant
            | Operation::Revoke
            | Operation::Help
            | Operation::Version => true,
            Operation::Daemon
            | Operation::Status
            | Operation::Check
            | Operation::AttrList
            | Operation::AttrGet
            | Operation::AttrSet
            | Operation::AttrDelete => false,
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
    booth(Operation::List, &["list"], "", "show the tickets and their holders"),
    booth(Operation::Peers, &["peers"], "", "show the other members and their counters"),
    booth(Operation::Grant, &["grant"], "[TICKET]", "grant a ticket to a site"),
    booth(Operation::Revoke, &["revoke"], "[TICKET]", "take a ticket away from its site"),
    booth(Operation::Status, &["status"], "", "say whether the daemon runs here"),
    booth(Operation::Check, &["check"], "", "check a configuration and print its errors"),
    booth(
        Operation::Daemon,
        &["daemon", "start", "site", "arbitrator"],
        "",
        "run the daemon, as the site or arbitrator that it is in the configuration",
    ),
    booth(Operation::Help, &["help"], "", "print this text"),
    booth(Operation::Version, &["version"], "", "print the version"),
    geostore(Operation::AttrList, &["list"], "", "show all attributes of a ticket"),
    geostore(Operation::AttrGet, &["get"], "NAME", "show the value of an attribute"),
    geostore(Operation::AttrSet, &["set"], "NAME VALUE", "set an attribute"),
    geostore(Operation::AttrDelete, &["delete"], "NAME", "delete an attribute"),
    geostore(Operation::Help, &["help"], "", "print this text"),
    geostore(Operation::Version, &["version"], "", "print the version"),
];

/// An operation of `booth`.
const fn booth(
    operation: Operation,
    words: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
) -> OperationDef {
    OperationDef { operation, program: Program::Booth, words, arguments, help }
}

/// An operation of `geostore`.
const fn geostore(
    operation: Operation,
    words: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
) -> OperationDef {
    OperationDef { operation, program: Program::Geostore, words, arguments, help }
}

/// The operation with this name.
pub fn find_operation(program: Program, word: &str) -> Option<Operation> {
    OPERATIONS
        .iter()
        .find(|def| def.program == program && def.words.contains(&word))
        .map(|def| def.operation)
}

/// An option.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionDef {
    /// The letter after the dash.
    pub letter: char,
    /// The name of its value, if it has one.
    pub value: Option<&'static str>,
    /// The programs that know it.
    pub programs: &'static [Program],
    /// The operations that accept it; some of them ignore it, as in the reference.
    pub allowed: &'static [Operation],
    /// The operations that it is meant for, in words.
    pub only_for: &'static str,
    /// The description in the help.
    pub help: &'static str,
}

const BOTH: &[Program] = &[Program::Booth, Program::Geostore];
const BOOTH: &[Program] = &[Program::Booth];
const ALL: &[Operation] = &[
    Operation::Daemon,
    Operation::Status,
    Operation::Check,
    Operation::List,
    Operation::Peers,
    Operation::Grant,
    Operation::Revoke,
    Operation::AttrList,
    Operation::AttrGet,
    Operation::AttrSet,
    Operation::AttrDelete,
    Operation::Help,
    Operation::Version,
];

/// All options, in the order of the help.
pub const OPTIONS: &[OptionDef] = &[
    OptionDef {
        letter: 'c',
        value: Some("FILE"),
        programs: BOTH,
        allowed: ALL,
        only_for: "operations that read a configuration",
        help: "configuration: a path, or NAME for /etc/booth/NAME.conf (default: booth)",
    },
    OptionDef {
        letter: 's',
        value: Some("SITE"),
        programs: BOTH,
        allowed: ALL,
        only_for: "clients",
        help: "ask this member: an address, a host name, or \"other\"; daemon: be this member",
    },
    OptionDef {
        letter: 't',
        value: Some("TICKET"),
        programs: BOTH,
        allowed: &[
            Operation::Grant,
            Operation::Revoke,
            Operation::AttrList,
            Operation::AttrGet,
            Operation::AttrSet,
            Operation::AttrDelete,
        ],
        only_for: "grant, revoke and geostore",
        help: "the ticket; required if more than one is configured",
    },
    OptionDef {
        letter: 'F',
        value: None,
        programs: BOOTH,
        allowed: &[Operation::Grant],
        only_for: "client grant",
        help: "grant now, without waiting for sites that cannot be reached; \
               a manual ticket even if another site has it",
    },
    OptionDef {
        letter: 'w',
        value: None,
        programs: BOOTH,
        allowed: &[Operation::Grant, Operation::Revoke],
        only_for: "grant and revoke",
        help: "wait for the outcome, however long it takes",
    },
    OptionDef {
        letter: 'C',
        value: None,
        programs: BOOTH,
        allowed: &[Operation::Grant],
        only_for: "grant",
        help: "wait until the grant is in the cluster, however long it takes",
    },
    OptionDef {
        letter: 'l',
        value: Some("LOCKFILE"),
        programs: BOOTH,
        allowed: ALL,
        only_for: "daemon and status",
        help: "lock file (default: /var/run/booth/NAME.pid)",
    },
    OptionDef {
        letter: 'S',
        value: None,
        programs: BOOTH,
        allowed: ALL,
        only_for: "daemon",
        help: "daemon: stay in the foreground",
    },
    OptionDef {
        letter: 'D',
        value: None,
        programs: BOTH,
        allowed: ALL,
        only_for: "all operations",
        help: "say more; may be repeated",
    },
    OptionDef {
        letter: 'h',
        value: None,
        programs: BOTH,
        allowed: ALL,
        only_for: "all operations",
        help: "print this text",
    },
];

/// How a run of the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// It did not do what was asked.
    Failure,
    /// `status`: no daemon runs.
    NotRunning,
}

impl Exit {
    /// All variants.
    pub const ALL: &'static [Exit] = &[Exit::Success, Exit::Failure, Exit::NotRunning];

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::NotRunning => 7,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}
