// SPDX-License-Identifier: GPL-2.0-or-later
//! The content of a ticket's file: `key=value` lines with the keys of the CIB. Pure.
//!
//! In values `%` and control characters stand as `%XX`, so that every value is one line.

use super::boot::BootMark;
use crate::engine::{AttrChange, CibTicket};
use crate::model::{AttrName, AttrValue, Excerpt};
use crate::pacemaker::{owner_number, parse_owner, parse_term, TicketValues};
use crate::time::WallTime;
use std::collections::BTreeMap;
use std::fmt;

/// The key of the boot on which a ticket was granted; no attribute can have this name.
const BOOT: &str = ".boot";

/// Everything that the file of a ticket says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries(BTreeMap<String, String>);

/// What is to be changed.
#[derive(Clone, Debug)]
pub(crate) enum Update<'a> {
    /// The ticket itself, its attributes apart.
    Ticket {
        /// Everything that is written.
        values: &'a TicketValues<'a>,
        /// The wall clock, for `last-granted`.
        now: WallTime,
        /// The boot on which it is written, if that is known; a grant keeps it.
        boot: Option<&'a BootMark>,
    },
    Attr(&'a AttrChange),
}

/// Why a file makes no sense; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntriesError {
    /// It is empty: nothing is known, not even that there is no such ticket.
    Empty,
    /// It is no UTF-8 text.
    NotText,
    /// The line is no `key=value`.
    NoAssignment(usize),
    /// The key has been there before.
    Twice(usize, String),
    /// The value has a `%` without two hexadecimal digits, or is no UTF-8 text when unescaped.
    BadEscape(usize),
    /// `granted` is neither `true` nor `false`.
    Granted(String),
}

impl fmt::Display for EntriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntriesError::Empty => write!(f, "it is empty"),
            EntriesError::NotText => write!(f, "it is no text"),
            EntriesError::NoAssignment(line) => write!(f, "line {line} is no key=value"),
            EntriesError::Twice(line, key) => {
                write!(f, "line {line} has {:?} once more", Excerpt::new(key))
            }
            EntriesError::BadEscape(line) => write!(f, "line {line} has a damaged % escape"),
            EntriesError::Granted(text) => {
                let text = Excerpt::new(text);
                write!(f, "'granted' is neither true nor false but {text:?}")
            }
        }
    }
}

impl std::error::Error for EntriesError {}

impl Entries {
    /// The entries in a file's bytes.
    ///
    /// # Errors
    /// It has something in it that [`Entries::to_text`] does not write.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Entries, EntriesError> {
        let text = std::str::from_utf8(bytes).map_err(|_| EntriesError::NotText)?;
        if text.is_empty() {
            return Err(EntriesError::Empty);
        }
        let mut entries = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let (key, value) = line.split_once('=').ok_or(EntriesError::NoAssignment(number))?;
            let value = unescape(value).ok_or(EntriesError::BadEscape(number))?;
            if entries.insert(key.to_owned(), value).is_some() {
                return Err(EntriesError::Twice(number, key.to_owned()));
            }
        }
        Ok(Entries(entries))
    }

    /// What [`Entries::parse`] reads back.
    pub(crate) fn to_text(&self) -> String {
        let line = |(key, value): (&String, &String)| format!("{key}={}\n", escape(value));
        self.0.iter().map(line).collect::<Vec<String>>().concat()
    }

    /// The ticket that the entries describe.
    ///
    /// # Errors
    /// `granted` is neither true nor false.
    pub(crate) fn ticket(&self) -> Result<CibTicket, EntriesError> {
        let get = |key| self.0.get(key).map(String::as_str);
        let granted = match get("granted") {
            Some("true") => true,
            Some("false") | None => false,
            Some(other) => {
                return Err(EntriesError::Granted(other.chars().take(20).collect()));
            }
        };
        let attrs = self.0.iter().filter_map(|(key, value)| {
            Some((AttrName::new(key).ok()?, AttrValue::new(value).ok()?))
        });
        Ok(CibTicket {
            granted,
            owner: get("owner").and_then(parse_owner),
            expires: get("expires").and_then(|text| text.parse().ok()).map(WallTime::from_secs),
            term: get("term").and_then(parse_term),
            attrs: attrs.collect(),
        })
    }

    /// Makes a change; what it does not name stays.
    pub(crate) fn apply(&mut self, update: &Update<'_>) {
        match update {
            Update::Ticket { values, now, boot } => {
                let was = self.0.get("granted").is_some_and(|granted| granted == "true");
                if values.granted && !was {
                    self.set("last-granted", now.as_secs().to_string());
                }
                self.set("granted", values.granted.to_string());
                self.set("owner", owner_number(values.owner).to_string());
                self.set("expires", values.expires.to_string());
                self.set("term", values.term.to_string());
                self.set("booth-cfg-name", values.config_name.to_owned());
                match boot.filter(|_| values.granted) {
                    Some(boot) => self.set(BOOT, boot.to_string()),
                    None => {
                        self.0.remove(BOOT);
                    }
                }
            }
            Update::Attr(AttrChange::Set(name, value)) => {
                self.set(name.as_str(), value.as_str().to_owned());
            }
            Update::Attr(AttrChange::Delete(name)) => {
                self.0.remove(name.as_str());
                // A file is never empty, so that an emptied one is known to be damaged.
                self.0.entry("granted".to_owned()).or_insert_with(|| "false".to_owned());
            }
        }
    }

    /// Whether this is a grant with a lease that was written on another boot than this one, or on
    /// none that is known. A manual ticket has no lease, and a boot does not end it.
    ///
    /// # Errors
    /// `granted` is neither true nor false.
    pub(super) fn is_left_over(&self, now: &BootMark) -> Result<bool, EntriesError> {
        let ticket = self.ticket()?;
        let leased = ticket.expires.is_some_and(|expires| expires > WallTime::EPOCH);
        let boot = self.0.get(BOOT).and_then(|text| BootMark::parse(text));
        Ok(ticket.granted && leased && boot.is_none_or(|boot| boot.is_over(now)))
    }

    /// Takes the grant away, as a keeper does at the end of a lease; all else stays.
    pub(crate) fn revoke(&mut self) {
        self.set("granted", false.to_string());
        self.0.remove(BOOT);
    }

    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if c == '%' || c.is_control() {
            let mut bytes = [0u8; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                text.push_str(&format!("%{byte:02X}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // A sign is no digit, but a number may begin with it.
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}
