// SPDX-License-Identifier: GPL-2.0-or-later
//! What can be wrong with a configuration, and the messages about it. `test/config` checks the
//! wording that people and scripts rely on.

use super::keyword::{self, TicketKey};
use super::lexer::LineError;
use super::limits::{
    CONFIG_BYTES_MAX, ERRORS_MAX, NAME_BYTES_MAX, RETRIES_MAX, RETRIES_MIN, TICKETS_MAX,
    TIME_MAX_MILLIS,
};
use crate::auth::KeyError;
use crate::model::{AttrError, Excerpt, TicketNameError, TicketSpec, MEMBERS_MAX};
use crate::time::Span;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One thing that is wrong, with file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    problem: Problem,
}

impl ConfigError {
    pub(super) fn new(file: &Path, line: Option<usize>, problem: Problem) -> ConfigError {
        ConfigError { file: file.to_owned(), line, problem }
    }

    /// The line in the file, counted from 1; `None` if the error is about the whole file.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match (&self.problem, self.line) {
            // Reference: these words, the path and the reason.
            (Problem::File { reason }, _) => write!(f, "failed to open {file}: {reason}"),
            (problem, Some(line)) => write!(f, "{file}:{line}: {problem}"),
            (problem, None) => write!(f, "{file}: {problem}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// What is wrong, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The file cannot be opened or read.
    File { reason: String },
    /// The file is longer than [`CONFIG_BYTES_MAX`].
    FileTooLong,
    /// The line is not an assignment.
    Line(LineError),
    /// There is no such key, or it is not allowed here.
    Key { key: String, under_ticket: bool },
    /// The value is not UTF-8 text.
    NotUtf8 { key: &'static str },
    /// The value is not what the key needs.
    Value { key: &'static str, value: String, expected: Expected },
    /// The transport is not UDP.
    Transport { value: String },
    /// A key that may appear only once appears twice.
    Twice { key: &'static str, first: usize },
    /// The file's name without its suffix is empty, and so the name of the configuration.
    NameEmpty,
    /// That name has a character that does not fit into a file name or a shell assignment.
    NameUnfit { name: String, unfit: char },
    /// It is too long for the name of a lock file; the length in bytes.
    NameTooLong { len: usize },
    /// A ticket's name is wrong.
    TicketName { name: String, why: TicketNameError },
    /// Two tickets have the same name.
    TicketTwice { name: String, first: usize },
    /// There are more than [`TICKETS_MAX`] tickets.
    TooManyTickets,
    /// A member cannot be one.
    Member(MemberProblem),
    /// The retries do not fit into a renewal period.
    Times(Box<TimesProblem>),
    /// The lease ends before it can be renewed, and no other renewal period would help.
    Lease { ticket: String, expire: Span, renewal: Span, timeout: Span, enough: String },
    /// The key file is unusable.
    KeyFile { path: PathBuf, why: KeyFileProblem },
    /// There were more errors than [`ERRORS_MAX`].
    More { count: usize },
}

/// Why a member cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberProblem {
    /// There are more than [`MEMBERS_MAX`] members.
    TooMany,
    /// A host name has no address.
    Resolve { host: String, reason: String },
    /// The address cannot be a member's.
    Address { text: String, address: IpAddr, why: &'static str },
    /// Two members have the same address.
    SameMember { text: String, first: String, first_line: usize },
    /// Two members have the same id, but not the same address.
    SameId { text: String, first: String, first_line: usize },
    /// The member's id is one of the two reserved numbers.
    Reserved { address: IpAddr },
}

/// What the value of a key should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Port,
    /// `meant`, here and below: how the file spells a time that is written as in `10m`.
    Seconds {
        meant: Option<String>,
    },
    Level,
    Time {
        meant: Option<String>,
    },
    TimeOrZero {
        meant: Option<String>,
    },
    Retries,
    Weights {
        at: String,
    },
    Mode,
    YesOrNo,
    PrereqWords {
        found: usize,
    },
    PrereqMode {
        found: String,
    },
    PrereqOp {
        found: String,
    },
    PrereqAttr {
        found: String,
        error: AttrError,
    },
    Account,
    Store,
    OneHost,
}

/// The arithmetic of a ticket whose retries do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimesProblem {
    pub spec: TicketSpec,
    /// Whether `renewal-freq` is configured, not derived from `expire`.
    pub renewal_set: bool,
    pub hints: Vec<(TicketKey, String)>,
}

/// Why a key file is unusable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFileProblem {
    /// It cannot be opened or read.
    Open {
        /// What the system says.
        reason: String,
    },
    /// It is a symbolic link.
    Link,
    /// It is not a regular file.
    NotAFile,
    /// Group or others have rights on it.
    OpenToOthers {
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to a user who must not choose the key.
    Owner {
        /// The number of that user.
        user: u32,
    },
    /// What remains after trimming is not a key.
    Unfit(KeyError),
}

impl KeyFileProblem {
    /// It cannot be opened or read, for this reason.
    pub fn open(error: &io::Error) -> KeyFileProblem {
        KeyFileProblem::Open { reason: system_words(error) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::File { reason } => write!(f, "failed to open: {reason}"),
            Problem::FileTooLong => {
                write!(
                    f,
                    "the file is longer than {CONFIG_BYTES_MAX} bytes; this is not a booth.conf"
                )
            }
            Problem::Line(error) => error.fmt(f),
            Problem::Key { key, under_ticket } => write_key(f, key, *under_ticket),
            Problem::NotUtf8 { key } => write!(f, "{key}: the value is not UTF-8 text"),
            Problem::Value { key, value, expected } => {
                write!(f, "{key} = {:?}: {expected}", Excerpt::new(value))
            }
            Problem::Transport { value } => {
                let value = Excerpt::new(value);
                write!(f, "invalid transport protocol {value:?}: only \"udp\" is supported")
            }
            Problem::Twice { key, first } => {
                write!(f, "{key} is given twice, first on line {first}")
            }
            Problem::NameEmpty => write!(
                f,
                "the file's name gives the configuration an empty name; set one with name ="
            ),
            Problem::NameUnfit { name, unfit } => write!(
                f,
                "the configuration's name {:?} has {unfit:?}, which cannot be part of the lock \
                 file's name and of the status line; set another one with name =",
                Excerpt::new(name)
            ),
            Problem::NameTooLong { len } => write!(
                f,
                "the configuration's name has {len} bytes; the maximum is {NAME_BYTES_MAX}"
            ),
            Problem::TicketName { name, why } => {
                write!(f, "ticket name {:?} invalid: {why}", Excerpt::new(name))
            }
            Problem::TicketTwice { name, first } => {
                write!(f, "ticket name {name:?} used again: it is already on line {first}")
            }
            Problem::TooManyTickets => {
                write!(f, "too many tickets: at most {TICKETS_MAX} are possible")
            }
            Problem::Member(problem) => problem.fmt(f),
            Problem::Times(times) => times.fmt(f),
            Problem::Lease { ticket, expire, renewal, timeout, enough } => write!(
                f,
                "ticket {ticket:?}: expire = {expire} is too short for renewal-freq = {renewal} \
                 and timeout = {timeout}; try expire = {enough}"
            ),
            Problem::KeyFile { path, why } => {
                write!(f, "authfile {}: {why}", Excerpt::of_path(path.to_string_lossy()))
            }
            Problem::More { count } => {
                write!(f, "{count} more errors; only the first {ERRORS_MAX} are shown")
            }
        }
    }
}

impl fmt::Display for MemberProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberProblem::TooMany => write!(
                f,
                "too many members: at most {MEMBERS_MAX} sites and arbitrators are possible"
            ),
            MemberProblem::Resolve { host, reason } => {
                let excerpt = Excerpt::new(host);
                write!(f, "cannot find an address for the host {excerpt:?}: {reason}")?;
                write_host_hint(f, host)
            }
            MemberProblem::Address { text, address, why } => {
                write!(f, "a member cannot have the address {address}")?;
                if *text != address.to_string() {
                    write!(f, " (of {:?})", Excerpt::new(text))?;
                }
                write!(f, ": {why}")
            }
            MemberProblem::SameMember { text, first, first_line } => {
                write!(f, "{text:?} is the same member as {first:?} on line {first_line}")
            }
            MemberProblem::SameId { text, first, first_line } => write!(
                f,
                "{text:?} happens to have the same id as {first:?} on line {first_line}; \
                 change one of the two addresses"
            ),
            MemberProblem::Reserved { address } => {
                write!(f, "the id of member {address} is a reserved number; use another address")
            }
        }
    }
}

/// What to write instead of an address with its port, or in brackets.
fn write_host_hint(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.parse() != Ok(0u16) && port.parse::<u16>().is_ok() => {
            (host, Some(port))
        }
        _ => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = Excerpt::new(bare.unwrap_or(host));
    match port {
        Some(port) => write!(f, "; write {host}, and port = {port} on a line above it"),
        None if bare.is_some() => write!(f, "; write {host}, without brackets"),
        None => Ok(()),
    }
}

fn write_meant(f: &mut fmt::Formatter<'_>, meant: &Option<String>) -> fmt::Result {
    match meant {
        Some(meant) => write!(f, "; write {meant}"),
        None => Ok(()),
    }
}

/// The system's message for an error, without its number.
pub(crate) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Reference: *Unexpected* before the first ticket, *Unknown* after it; its tests look for both.
fn write_key(f: &mut fmt::Formatter<'_>, key: &str, under_ticket: bool) -> fmt::Result {
    let word = if under_ticket { "Unknown" } else { "Unexpected" };
    write!(f, "{word} keyword {:?}", Excerpt::new(key))?;
    if TicketKey::from_word(key).is_some() {
        return write!(f, ": it belongs under a line such as ticket = \"NAME\"");
    }
    match keyword::similar_to(key) {
        Some(word) => write!(f, ": did you mean {word:?}?"),
        None => write!(f, ": there is no such key"),
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::Nul { column } => {
                write!(f, "byte {column} is NUL; expected text in UTF-8 (not UTF-16)")
            }
            LineError::NoKey => {
                write!(f, "no key at the start of the line; expected: key = value, or # comment")
            }
            LineError::NoEquals { key } => write!(f, "expected '=' after {:?}", Excerpt::new(key)),
            LineError::NoValue { key, comment: false } => {
                write!(f, "{}: no value after '='", Excerpt::new(key))
            }
            LineError::NoValue { key, comment: true } => {
                let key = Excerpt::new(key);
                write!(f, "{key}: no value, only a comment; quote a value that begins with '#'")
            }
            LineError::Unterminated { key, quote } => {
                let key = Excerpt::new(key);
                write!(f, "{key}: unterminated value: the closing {quote} is missing")
            }
            LineError::Surplus { key, text } => {
                let (key, text) = (Excerpt::new(key), Excerpt::new(text));
                write!(f, "{key}: surplus text {text:?} after the closing quote")
            }
            LineError::Control { key, byte } => {
                let key = Excerpt::new(key);
                write!(f, "{key}: the value has the control character 0x{byte:02x}")
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs_max = TIME_MAX_MILLIS / 1000;
        match self {
            Expected::Port => write!(f, "expected a port number from 1 to 65535"),
            Expected::Seconds { meant } => {
                write!(f, "expected whole seconds from 0 to {secs_max}")?;
                write_meant(f, meant)
            }
            Expected::Level => write!(f, "expected a number, 0 or greater"),
            Expected::Time { meant } => {
                let max = format_args!("seconds up to {secs_max}, or such as 1500ms");
                write!(f, "expected a time greater than 0: {max}")?;
                write_meant(f, meant)
            }
            Expected::TimeOrZero { meant } => {
                let max = format_args!("seconds up to {secs_max}, or such as 1500ms");
                write!(f, "expected a time: 0 or more {max}")?;
                write_meant(f, meant)
            }
            Expected::Retries => {
                write!(f, "expected a whole number from {RETRIES_MIN} to {RETRIES_MAX}")
            }
            Expected::Weights { at } => {
                let at = Excerpt::new(at);
                write!(f, "expected whole numbers separated by commas, found {at:?}")
            }
            Expected::Mode => write!(f, "expected \"auto\" or \"manual\""),
            Expected::YesOrNo => write!(f, "expected \"yes\" or \"no\""),
            Expected::PrereqWords { found } => {
                write!(f, "expected four words: auto|manual NAME eq|ne VALUE, found {found}")
            }
            Expected::PrereqMode { found } => {
                let found = Excerpt::new(found);
                write!(f, "expected \"auto\" or \"manual\" as the first word, found {found:?}")
            }
            Expected::PrereqOp { found } => {
                let found = Excerpt::new(found);
                write!(f, "expected \"eq\" or \"ne\" as the third word, found {found:?}")
            }
            Expected::PrereqAttr { found, error } => {
                write!(f, "attribute {:?}: {error}", Excerpt::new(found))
            }
            Expected::Account => write!(f, "expected the name of a user or group, without blanks"),
            Expected::Store => {
                write!(f, "expected \"pacemaker\" or a directory that begins with '/'")
            }
            Expected::OneHost => write!(f, "expected one address or one host name"),
        }
    }
}

impl fmt::Display for TimesProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TicketSpec { name, timeout, retries, expire, renewal, .. } = &self.spec;
        let sends = u64::from(*retries).saturating_add(1);
        write!(
            f,
            "ticket {:?}: timeout * (retries + 1) = {timeout} * {sends} = {} must be less than the \
             renewal period {renewal}",
            name.as_str(),
            timeout.times(sends)
        )?;
        if self.renewal_set {
            write!(f, " (renewal-freq)")?;
        } else {
            write!(f, " (half of expire = {expire})")?;
        }
        for (index, (key, value)) in self.hints.iter().enumerate() {
            let before = if index == 0 { "; try " } else { ", or " };
            write!(f, "{before}{} = {value}", key.word())?;
        }
        Ok(())
    }
}

impl fmt::Display for KeyFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFileProblem::Open { reason } => write!(f, "cannot open: {reason}"),
            KeyFileProblem::Link => {
                write!(f, "it is a symbolic link; name the file that it points to")
            }
            KeyFileProblem::NotAFile => write!(f, "it is not a regular file"),
            // Reference: these words, for those who may read it.
            KeyFileProblem::OpenToOthers { mode } if mode & 0o044 != 0 => write!(
                f,
                "mode {mode:04o}: the file shall not be readable for anyone but the owner; \
                 use chmod 600"
            ),
            KeyFileProblem::OpenToOthers { mode } => write!(
                f,
                "mode {mode:04o}: only the owner may have rights on the file; use chmod 600"
            ),
            KeyFileProblem::Owner { user } => write!(
                f,
                "it belongs to user {user}, who could choose the key; give it to root or to the \
                 user of boothd (site-user, arbitrator-user)"
            ),
            KeyFileProblem::Unfit(error) => {
                write!(f, "{error} after trimming; use booth-keygen to create one")
            }
        }
    }
}
