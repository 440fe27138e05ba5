// SPDX-License-Identifier: GPL-2.0-or-later
//! Assignments to a [`Raw`] configuration, in file order. Checks that each key is allowed in its
//! place and that each value by itself is well formed. `check` does what needs the whole file or
//! the system.

use super::checked::TicketStore;
use super::error::{Expected, Problem};
use super::keyword::{GlobalKey, TicketKey};
use super::lexer::{self, Assignment};
use super::limits::{DEFAULT_PORT, TICKETS_MAX};
use super::raw::{Located, Raw, RawMember, RawTicket, Settings};
use super::times;
use super::value::{self, Spelled};
use crate::model::{Excerpt, MemberRole, TicketName};
use crate::time::Span;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

/// The name of a stanza that sets defaults for the tickets after it.
pub(super) const DEFAULTS: &str = "__defaults__";

/// The longest host name that the domain name system knows, in bytes.
const HOST_BYTES_MAX: usize = 255;

/// Reads the text of a configuration file. The result contains the errors.
pub(super) fn parse(text: &[u8]) -> Raw {
    let (text, marked) = lexer::strip_mark(text);
    let mut parser = Parser::new();
    if marked {
        parser.warn(1, "the file begins with a byte order mark, which the C boothd refuses");
    }
    for (line, result) in lexer::assignments(text) {
        parser.line = line;
        if let Err(problem) = result.map_err(Problem::Line).and_then(|a| parser.assign(&a)) {
            parser.raw.errors.push((Some(line), problem));
        }
    }
    parser.end_stanza();
    parser.raw
}

/// The stanza that ticket keys belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stanza {
    /// No ticket has begun.
    None,
    /// The defaults of the tickets that follow.
    Defaults,
    /// The last ticket.
    Ticket,
    /// A ticket with an invalid name: its keys are read only to report their errors.
    Broken,
}

struct Parser {
    raw: Raw,
    line: usize,
    port: u16,
    port_line: Option<usize>,
    stanza: Stanza,
    stanza_line: usize,
    defaults: Rc<Settings>,
    broken: Settings,
    names: BTreeMap<TicketName, usize>,
}

impl Parser {
    fn new() -> Parser {
        Parser {
            raw: Raw::default(),
            line: 0,
            port: DEFAULT_PORT,
            port_line: None,
            stanza: Stanza::None,
            stanza_line: 0,
            defaults: Rc::new(Settings::default()),
            broken: Settings::default(),
            names: BTreeMap::new(),
        }
    }

    fn warn(&mut self, line: usize, text: impl Into<String>) {
        self.raw.warnings.push((line, text.into()));
    }

    fn assign(&mut self, assignment: &Assignment<'_>) -> Result<(), Problem> {
        let under_ticket = self.stanza != Stanza::None;
        if assignment.cut {
            let text = format!(
                "{}: comment after an unquoted value; the C boothd treats it as part of the value",
                assignment.key
            );
            self.warn(self.line, text);
        }
        if let Some(key) = GlobalKey::from_word(assignment.key) {
            return self.global(key, assignment.value);
        }
        match TicketKey::from_word(assignment.key) {
            Some(key) if under_ticket => self.setting(key, assignment.value),
            Some(_) | None => Err(Problem::Key { key: assignment.key.to_owned(), under_ticket }),
        }
    }

    fn global(&mut self, key: GlobalKey, bytes: &[u8]) -> Result<(), Problem> {
        let word = key.word();
        match key {
            GlobalKey::Transport => return self.transport(utf8(word, bytes)?),
            GlobalKey::Port => return self.set_port(utf8(word, bytes)?),
            GlobalKey::Name => {
                let name = utf8(word, bytes)?.to_owned();
                self.keep(key, |raw| &mut raw.name, name);
            }
            GlobalKey::Authfile => {
                let path = PathBuf::from(OsStr::from_bytes(bytes));
                self.keep(key, |raw| &mut raw.authfile, path);
            }
            GlobalKey::EnableAuthfile => {
                let wanted = with_value(word, utf8(word, bytes)?, value::yes_or_no)?;
                self.keep(key, |raw| &mut raw.enable_authfile, wanted);
            }
            GlobalKey::MaxTimeSkew => {
                let secs = number(word, bytes, value::SECONDS_MAX, Expected::Seconds)?;
                self.keep(key, |raw| &mut raw.max_skew, Span::from_secs(secs));
            }
            GlobalKey::Debug => {
                let level = number(word, bytes, value::DEBUG_MAX, Expected::Level)?;
                let level = u32::try_from(level).unwrap_or(u32::MAX);
                self.keep(key, |raw| &mut raw.debug, level);
            }
            GlobalKey::TicketStore => return self.ticket_store(bytes),
            GlobalKey::Site => return self.member(key, MemberRole::Site, bytes),
            GlobalKey::Arbitrator => return self.member(key, MemberRole::Arbitrator, bytes),
            GlobalKey::SiteUser => return self.account(key, bytes, |raw| &mut raw.site_user),
            GlobalKey::SiteGroup => return self.account(key, bytes, |raw| &mut raw.site_group),
            GlobalKey::ArbitratorUser => {
                return self.account(key, bytes, |raw| &mut raw.arbitrator_user)
            }
            GlobalKey::ArbitratorGroup => {
                return self.account(key, bytes, |raw| &mut raw.arbitrator_group)
            }
            GlobalKey::Ticket => return self.ticket(bytes),
        }
        Ok(())
    }

    /// Stores the value of a key that counts once; the last line wins, as in the reference.
    fn keep<T>(
        &mut self,
        key: GlobalKey,
        slot: impl Fn(&mut Raw) -> &mut Option<Located<T>>,
        value: T,
    ) {
        let line = self.line;
        if let Some(old) = slot(&mut self.raw).replace(Located { value, line }) {
            self.warn_twice(key.word(), old.line);
        }
    }

    fn warn_twice(&mut self, key: &'static str, first: usize) {
        let text = format!("{key}: given again after line {first}; this line counts");
        self.warn(self.line, text);
    }

    /// Reference: knows other names, too; one of them makes the daemon crash at its start.
    fn transport(&mut self, text: &str) -> Result<(), Problem> {
        if !text.eq_ignore_ascii_case("udp") {
            return Err(Problem::Transport { value: text.to_owned() });
        }
        match self.raw.transport {
            Some(first) => Err(Problem::Twice { key: GlobalKey::Transport.word(), first }),
            None => {
                self.raw.transport = Some(self.line);
                Ok(())
            }
        }
    }

    fn set_port(&mut self, text: &str) -> Result<(), Problem> {
        let max = u64::from(u16::MAX);
        let port = value::number_in(text, 1, max).and_then(|number| u16::try_from(number).ok());
        let Some(port) = port else {
            return Err(wrong(GlobalKey::Port.word(), text, Expected::Port));
        };
        let others = self.raw.members.iter().filter(|member| member.port != port).count();
        if others > 0 {
            let text = format!(
                "port: {others} of the members above have another port; this line applies only \
                 to the members below it"
            );
            self.warn(self.line, text);
        } else if let Some(first) = self.port_line.filter(|_| self.raw.members.is_empty()) {
            self.warn_twice(GlobalKey::Port.word(), first);
        }
        self.port = port;
        self.port_line = Some(self.line);
        Ok(())
    }

    fn ticket_store(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let path = PathBuf::from(OsStr::from_bytes(bytes));
        let store = if bytes == b"pacemaker" {
            TicketStore::Pacemaker
        } else if path.is_absolute() {
            TicketStore::Directory(path)
        } else {
            return Err(wrong(
                GlobalKey::TicketStore.word(),
                &path.to_string_lossy(),
                Expected::Store,
            ));
        };
        self.keep(GlobalKey::TicketStore, |raw| &mut raw.store, store);
        Ok(())
    }

    fn account(
        &mut self,
        key: GlobalKey,
        bytes: &[u8],
        slot: impl Fn(&mut Raw) -> &mut Option<Located<String>>,
    ) -> Result<(), Problem> {
        let text = utf8(key.word(), bytes)?;
        if text.is_empty() || text.contains([' ', '\t', ':', '/', ',']) {
            return Err(wrong(key.word(), text, Expected::Account));
        }
        if let Some(number) = value::spelled_account(text) {
            let read_as = format!("{} unless it is a name", number.value);
            self.warn_odd(key.word(), number.odd, &read_as);
        }
        self.keep(key, slot, text.to_owned());
        Ok(())
    }

    fn member(&mut self, key: GlobalKey, role: MemberRole, bytes: &[u8]) -> Result<(), Problem> {
        let text = utf8(key.word(), bytes)?;
        let blank = text.contains([' ', '\t', ',']);
        if text.is_empty() || blank || text.len() > HOST_BYTES_MAX {
            return Err(wrong(key.word(), text, Expected::OneHost));
        }
        let (text, port, line) = (text.to_owned(), self.port, self.line);
        self.raw.members.push(RawMember { role, text, port, line });
        Ok(())
    }

    /// Reference: checks the defaults as if they were a ticket.
    fn end_stanza(&mut self) {
        if self.stanza == Stanza::Defaults {
            if let Some(text) = times::defaults_misfit(&self.defaults) {
                self.warn(self.stanza_line, text);
            }
        }
    }

    fn ticket(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.end_stanza();
        self.stanza = Stanza::Broken;
        self.stanza_line = self.line;
        self.broken = Settings::default();
        let text = utf8(GlobalKey::Ticket.word(), bytes)?;
        if text == DEFAULTS {
            self.stanza = Stanza::Defaults;
            return Ok(());
        }
        let name = TicketName::new(text)
            .map_err(|why| Problem::TicketName { name: text.to_owned(), why })?;
        if let Some(first) = self.names.get(&name) {
            return Err(Problem::TicketTwice { name: text.to_owned(), first: *first });
        }
        if self.raw.tickets.len() >= TICKETS_MAX {
            return Err(Problem::TooManyTickets);
        }
        self.names.insert(name.clone(), self.line);
        let (own, defaults, line) = (Settings::default(), Rc::clone(&self.defaults), self.line);
        self.raw.tickets.push(RawTicket { name, line, own, defaults });
        self.stanza = Stanza::Ticket;
        Ok(())
    }

    /// The settings of the stanza that is being read.
    fn settings(&mut self) -> &mut Settings {
        match self.stanza {
            Stanza::None | Stanza::Broken => &mut self.broken,
            Stanza::Defaults => Rc::make_mut(&mut self.defaults),
            Stanza::Ticket => match self.raw.tickets.last_mut() {
                Some(ticket) => &mut ticket.own,
                None => &mut self.broken,
            },
        }
    }

    fn setting(&mut self, key: TicketKey, bytes: &[u8]) -> Result<(), Problem> {
        let line = self.line;
        let word = key.word();
        match key {
            TicketKey::Expire => {
                let value = self.time(word, bytes, value::time)?;
                self.put(key, |settings| &mut settings.expire, value);
            }
            TicketKey::AcquireAfter => {
                let value = self.time(word, bytes, value::time_or_zero)?;
                self.put(key, |settings| &mut settings.acquire_after, value);
            }
            TicketKey::Timeout => {
                let value = self.time(word, bytes, value::time)?;
                self.put(key, |settings| &mut settings.timeout, value);
            }
            TicketKey::RenewalFreq => {
                let value = self.time(word, bytes, value::time)?;
                self.put(key, |settings| &mut settings.renewal, value);
            }
            TicketKey::Retries => {
                let Spelled { value, odd } = with_value(word, utf8(word, bytes)?, value::retries)?;
                self.warn_odd(word, odd, &value.to_string());
                self.put(key, |settings| &mut settings.retries, value);
            }
            TicketKey::Weights => {
                let Spelled { value, odd } = with_value(word, utf8(word, bytes)?, value::weights)?;
                self.warn_odd(word, odd, &format!("{value:?}"));
                self.put(key, |settings| &mut settings.weights, value);
            }
            TicketKey::Mode => {
                let value = with_value(word, utf8(word, bytes)?, value::mode)?;
                self.put(key, |settings| &mut settings.mode, value);
            }
            TicketKey::AttrPrereq => {
                let rule = with_value(word, utf8(word, bytes)?, value::attr_rule)?;
                if rule.value.as_str().contains(['"', '\'']) {
                    let text = "attr-prereq: the quotes are part of the attribute's value";
                    self.warn(line, text);
                }
                self.settings().rules.push(rule);
            }
            TicketKey::Handler => self.handler(bytes),
        }
        Ok(())
    }

    /// Stores the value of a ticket's key that counts once; the last line wins.
    fn put<T>(
        &mut self,
        key: TicketKey,
        slot: impl Fn(&mut Settings) -> &mut Option<Located<T>>,
        value: T,
    ) {
        let (line, in_defaults) = (self.line, self.stanza == Stanza::Defaults);
        if let Some(old) = slot(self.settings()).replace(Located { value, line }) {
            if !in_defaults || old.line >= self.stanza_line {
                self.warn_twice(key.word(), old.line);
            }
        }
    }

    /// A time. If it is not a whole number of seconds, it changes the unit on the wire.
    ///
    /// Reference: it does so anywhere in the file, even if a later line replaces it (seen with
    /// `expire = 600500ms` in the defaults); `600000ms` does not.
    fn time(
        &mut self,
        key: &'static str,
        bytes: &[u8],
        read: fn(&str) -> Result<Span, Expected>,
    ) -> Result<Span, Problem> {
        let span = with_value(key, utf8(key, bytes)?, read)?;
        self.raw.sub_second |= span.as_millis() % 1000 != 0;
        Ok(span)
    }

    fn warn_odd(&mut self, key: &'static str, odd: bool, read_as: &str) {
        if odd {
            let text = format!(
                "{key}: a number with a leading zero is octal, one with 0x hexadecimal, as in \
                 the C boothd; read as {}",
                Excerpt::new(read_as)
            );
            self.warn(self.line, text);
        }
    }

    fn handler(&mut self, bytes: &[u8]) {
        let line = self.line;
        let value = value::handler(bytes);
        match &value {
            None => self.warn(line, "before-acquire-handler: empty, no handler is used"),
            Some(handler) if !handler.path.is_absolute() => {
                let text = format!(
                    "before-acquire-handler: {:?} does not begin with '/'; it will not be found, \
                     and the ticket will not be acquired",
                    Excerpt::new(&handler.path.to_string_lossy())
                );
                self.warn(line, text);
            }
            Some(_) => {}
        }
        self.put(TicketKey::Handler, |settings| &mut settings.handler, value);
    }
}

fn utf8<'a>(key: &'static str, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8 { key })
}

fn wrong(key: &'static str, value: &str, expected: Expected) -> Problem {
    Problem::Value { key, value: value.to_owned(), expected }
}

fn with_value<T>(
    key: &'static str,
    text: &str,
    read: fn(&str) -> Result<T, Expected>,
) -> Result<T, Problem> {
    read(text).map_err(|expected| wrong(key, text, expected))
}

fn number(key: &'static str, bytes: &[u8], max: u64, expected: Expected) -> Result<u64, Problem> {
    let text = utf8(key, bytes)?;
    value::number_in(text, 0, max).ok_or_else(|| wrong(key, text, expected))
}
