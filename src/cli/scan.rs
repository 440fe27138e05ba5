// SPDX-License-Identifier: GPL-2.0-or-later
//! The first step of parsing arguments: words, option letters and lengths, as typed.

use super::options::{OptionDef, Program, OPTIONS};
use crate::model::{Excerpt, TicketNameError, TICKET_NAME_MAX};
use std::ffi::OsString;
use std::fmt;

/// The longest `-c`: `PATH_MAX` without room for `/etc/booth/` and `.conf`, as in the reference.
const CONFIG_ARG_MAX: usize = 4079;
/// The longest `-l`: `PATH_MAX` without its NUL, as in the reference.
const LOCKFILE_ARG_MAX: usize = 4095;
/// The longest `-s`, as in the reference.
const SITE_ARG_MAX: usize = 63;
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
    Misplaced(&'static OptionDef),
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
                write!(f, "{kind} operation \"{}\" is unknown", Excerpt::new(word))
            }
            UsageError::InvalidOption(text) => {
                write!(f, "invalid option -- '{}'", Excerpt::new(text))
            }
            UsageError::MissingValue(letter) => {
                write!(f, "option requires an argument -- '{letter}'")
            }
            UsageError::Misplaced(option) => {
                write!(f, "use \"-{}\" only for {}", option.letter, option.only_for)
            }
            UsageError::SiteOfDaemon => {
                write!(f, "\"-s\" not allowed in daemon mode (\"daemon -D -s\" is, for tests)")
            }
            UsageError::Superfluous(words) if words.len() == 1 => {
                write!(f, "Superfluous argument: {}", Excerpt::new(&words[0]))
            }
            UsageError::Superfluous(words) => {
                write!(f, "Superfluous arguments: {}", Excerpt::new(&words.join(" ")))
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
            UsageError::NotUtf8(word) => {
                write!(f, "argument {:?} is not UTF-8 text", Excerpt::new(&word.to_string_lossy()))
            }
        }
    }
}

impl std::error::Error for UsageError {}

/// The arguments as typed: the words in their order, the last value of each option, and the flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LowArgs {
    pub(super) words: Vec<String>,
    pub(super) config: Option<String>,
    pub(super) site: Option<String>,
    pub(super) lockfile: Option<String>,
    pub(super) ticket: Option<String>,
    pub(super) debug: u8,
    pub(super) foreground: bool,
    pub(super) force: bool,
    pub(super) wait: bool,
    pub(super) wait_commit: bool,
    pub(super) help: bool,
    pub(super) version: bool,
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
        let long = if option.letter == 'h' { "help" } else { "" };
        match option.value {
            Some(value) => grammar.optmulti(&letter, long, "", value),
            None => grammar.optflagmulti(&letter, long, ""),
        };
    }
    let found = grammar.parse(argv).map_err(usage_error)?;
    let mut low = LowArgs { version: found.opt_present("V"), ..LowArgs::default() };
    for option in known() {
        let letter = option.letter.to_string();
        if option.value.is_none() {
            for _ in 0..found.opt_count(&letter) {
                low.set_flag(option.letter);
            }
        }
        for value in found.opt_strs(&letter) {
            low.set_value(option.letter, &value)?;
        }
    }
    low.words = found.free;
    Ok(low)
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

impl LowArgs {
    /// Sets a flag; its letter comes from [`OPTIONS`].
    fn set_flag(&mut self, letter: char) {
        match letter {
            'D' => self.debug = self.debug.saturating_add(1).min(DEBUG_MAX),
            'S' => self.foreground = true,
            'F' => self.force = true,
            'w' => self.wait = true,
            'C' => self.wait_commit = true,
            'h' => self.help = true,
            other => unreachable!("-{other} is in the table of options, so it is known here"),
        }
    }

    /// Sets the value of an option; the last value counts.
    fn set_value(&mut self, letter: char, value: &str) -> Result<(), UsageError> {
        let (slot, what, max) = match letter {
            'c' => (&mut self.config, "config name", CONFIG_ARG_MAX),
            's' => (&mut self.site, "site name", SITE_ARG_MAX),
            'l' => (&mut self.lockfile, "lock file", LOCKFILE_ARG_MAX),
            't' => (&mut self.ticket, "ticket name", TICKET_NAME_MAX),
            other => unreachable!("-{other} is in the table of options, so it is known here"),
        };
        *slot = Some(limited(value, what, max)?);
        Ok(())
    }

    /// Whether an option was given.
    pub(super) fn has(&self, letter: char) -> bool {
        match letter {
            'c' => self.config.is_some(),
            's' => self.site.is_some(),
            'l' => self.lockfile.is_some(),
            't' => self.ticket.is_some(),
            'D' => self.debug > 0,
            'S' => self.foreground,
            'F' => self.force,
            'w' => self.wait,
            'C' => self.wait_commit,
            'h' => self.help,
            other => unreachable!("-{other} is in the table of options, so it is known here"),
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
