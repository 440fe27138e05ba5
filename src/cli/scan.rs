// SPDX-License-Identifier: GPL-2.0-or-later
//! The first step of parsing arguments: words, option letters and lengths, as typed.

use super::options::{similar_operation, Program, OPTIONS};
use crate::model::{Excerpt, TicketNameError, TICKET_NAME_MAX};
use std::ffi::OsString;
use std::fmt;

/// The longest `-c`: `PATH_MAX` without room for `/etc/booth/` and `.conf`, as in the reference.
const CONFIG_ARG_MAX: usize = 4079;
/// The longest `-l`: `PATH_MAX` without its NUL, as in the reference.
const LOCKFILE_ARG_MAX: usize = 4095;
/// The longest `-s`, as in the reference.
const SITE_ARG_MAX: usize = 63;
/// The longest `-o`; the formats are shorter.
const FORMAT_ARG_MAX: usize = 63;
/// The longest `-L`; an address with a port is shorter.
const LISTEN_ARG_MAX: usize = 63;
/// Further `-D` options are not counted.
const DEBUG_MAX: u8 = 9;

/// Why the arguments are invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// There is no operation at all (`booth client`).
    NoOperation,
    /// The word is not an operation of this program.
    UnknownOperation(Program, String),
    /// There is no such option, or this program does not have it.
    InvalidOption(String),
    /// The option needs a value and is the last word.
    MissingValue(char),
    /// The option does not belong to this operation.
    Misplaced {
        /// The letter of the option.
        letter: char,
        /// The operations that it belongs to.
        only_for: &'static str,
    },
    /// `-s` for the daemon without `-D`, or for `status`.
    SiteOfDaemon,
    /// More arguments than the operation takes: the surplus ones.
    Superfluous(Vec<String>),
    /// Fewer arguments than the operation needs: a description of the missing one.
    NotEnough(&'static str),
    /// An argument is too long to be sent or opened.
    TooLong {
        /// The kind of argument.
        what: &'static str,
        /// The argument as typed.
        text: String,
        /// The most bytes that it may have.
        max: usize,
    },
    /// The text is not a valid ticket name, so no such ticket can exist.
    NoTicketName(String, TicketNameError),
    /// `-o` names no format.
    UnknownFormat(String),
    /// `-L` names no address with a port.
    NoAddress(String),
    /// The seconds behind `-w` are out of bounds; the most that may be given.
    BadPause(String, u64),
    /// An argument is not UTF-8 text.
    NotUtf8(OsString),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoOperation => write!(f, "not enough arguments: no operation given"),
            UsageError::UnknownOperation(program, word) => {
                let kind = match program {
                    Program::Booth => "client",
                    Program::Geostore => "attribute",
                };
                write!(f, "{kind} operation \"{}\" is unknown", Excerpt::new(word))?;
                match similar_operation(*program, word) {
                    Some(meant) => write!(f, ": did you mean \"{meant}\"?"),
                    None => Ok(()),
                }
            }
            UsageError::InvalidOption(text) => {
                write!(f, "invalid option -- '{}'", Excerpt::new(text))
            }
            UsageError::MissingValue(letter) => {
                write!(f, "option requires an argument -- '{letter}'")
            }
            UsageError::Misplaced { letter, only_for } => {
                write!(f, "use \"-{letter}\" only for {only_for}")
            }
            UsageError::SiteOfDaemon => {
                write!(f, "\"-s\" not allowed in daemon mode (\"daemon -D -s\" is, for tests)")
            }
            UsageError::Superfluous(words) => {
                let s = if words.len() == 1 { "" } else { "s" };
                write!(f, "Superfluous argument{s}: {}", Excerpt::new(&words.join(" ")))?;
                match words.iter().find_map(|word| config_option(word)) {
                    Some(meant) => write!(f, ": did you mean \"{meant}\"?"),
                    None => Ok(()),
                }
            }
            UsageError::NotEnough(missing) => {
                write!(f, "not enough arguments: {missing} is missing")
            }
            UsageError::TooLong { what, text, max } => {
                write!(f, "'{}' exceeds maximum {what} length of {max}", Excerpt::new(text))
            }
            UsageError::NoTicketName(text, why) => {
                write!(f, "ticket \"{text}\" does not exist: {why}")
            }
            UsageError::UnknownFormat(text) => {
                let text = Excerpt::new(text);
                write!(f, "output format \"{text}\" is unknown: use text or json")
            }
            UsageError::NoAddress(text) => write!(
                f,
                "\"{}\" is no address with a port: give one such as 127.0.0.1:9930 or [::1]:9930",
                Excerpt::new(text)
            ),
            UsageError::BadPause(text, max) => {
                let text = Excerpt::new(text);
                write!(f, "a pause of {text} s is not possible: give 1 to {max} seconds after -w")
            }
            UsageError::NotUtf8(word) => {
                write!(f, "argument {:?} is not UTF-8 text", Excerpt::new(&word.to_string_lossy()))
            }
        }
    }
}

impl std::error::Error for UsageError {}

/// The option that names the configuration in this file, if the word looks like such a file.
pub(super) fn config_option(word: &str) -> Option<String> {
    // Without a slash it would be one in /etc/booth.
    let here = if word.contains('/') { "" } else { "./" };
    word.ends_with(".conf").then(|| format!("-c {here}{}", Excerpt::new(word)))
}

/// The arguments as typed.
pub(super) struct LowArgs {
    pub(super) words: Vec<String>,
    /// Each time that an option was given, with its value.
    given: Vec<(char, Option<String>)>,
    pub(super) version: bool,
}

impl LowArgs {
    fn each(&self, letter: char) -> impl Iterator<Item = Option<&String>> {
        let these = self.given.iter().filter(move |(given, _)| *given == letter);
        these.map(|(_, value)| value.as_ref())
    }

    /// Whether an option was given.
    pub(super) fn has(&self, letter: char) -> bool {
        self.each(letter).next().is_some()
    }

    /// The last value of an option.
    pub(super) fn value(&self, letter: char) -> Option<String> {
        self.each(letter).last().flatten().cloned()
    }

    /// How often `-D` was given.
    pub(super) fn debug(&self) -> u8 {
        u8::try_from(self.each('D').count()).unwrap_or(DEBUG_MAX).min(DEBUG_MAX)
    }
}

/// Separates options from words. Both may come in any order; `--` ends the options.
pub(super) fn scan(program: Program, argv: &[OsString]) -> Result<LowArgs, UsageError> {
    if let Some(word) = argv.iter().find(|word| word.to_str().is_none()) {
        return Err(UsageError::NotUtf8(word.clone()));
    }
    let known = || OPTIONS.iter().filter(|option| option.programs.contains(&program));
    let mut grammar = getopts::Options::new();
    grammar.optflagmulti("V", "version", "");
    for option in known() {
        let letter = option.letter.to_string();
        let long = option.long;
        match option.value {
            Some(value) => grammar.optmulti(&letter, long, "", value),
            None => grammar.optflagmulti(&letter, long, ""),
        };
    }
    let found = grammar.parse(argv).map_err(usage_error)?;
    let mut given = Vec::new();
    for option in known() {
        let letter = option.letter.to_string();
        if option.value.is_none() {
            given.extend((0..found.opt_count(&letter)).map(|_| (option.letter, None)));
        }
        for value in found.opt_strs(&letter) {
            let (what, max) = limit(option.letter);
            given.push((option.letter, Some(limited(&value, what, max)?)));
        }
    }
    Ok(LowArgs { version: found.opt_present("V"), words: found.free, given })
}

/// What the value of an option is, and how long it may be.
fn limit(letter: char) -> (&'static str, usize) {
    match letter {
        'c' => ("config name", CONFIG_ARG_MAX),
        's' => ("site name", SITE_ARG_MAX),
        'l' => ("lock file", LOCKFILE_ARG_MAX),
        't' => ("ticket name", TICKET_NAME_MAX),
        'L' => ("address", LISTEN_ARG_MAX),
        'o' => ("output format", FORMAT_ARG_MAX),
        other => unreachable!("-{other} has a value in the table of options, so it is known here"),
    }
}

/// Turns an error of the library into one with the reference's message.
fn usage_error(fail: getopts::Fail) -> UsageError {
    use getopts::Fail;
    match fail {
        Fail::ArgumentMissing(name) => match name.chars().next() {
            Some(letter) => UsageError::MissingValue(letter),
            None => UsageError::InvalidOption(name),
        },
        Fail::UnrecognizedOption(name)
        | Fail::OptionMissing(name)
        | Fail::OptionDuplicated(name)
        | Fail::UnexpectedArgument(name) => {
            let long = name.chars().nth(1).is_some();
            UsageError::InvalidOption(if long { format!("--{name}") } else { name })
        }
    }
}

/// The text, unless it is longer than `max` bytes.
pub(super) fn limited(text: &str, what: &'static str, max: usize) -> Result<String, UsageError> {
    if text.len() > max {
        return Err(UsageError::TooLong { what, text: text.to_owned(), max });
    }
    Ok(text.to_owned())
}
