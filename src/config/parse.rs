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
const DEFAULTS: &str = "__defaults__";

/// The longest host name that the domain name system knows, in bytes.
const HOST_BYTES_MAX: usize = 255;

/// Reads the text of a configuration file. The result contains the errors.
pub(super) fn parse(text: &[u8]) -> Raw {
    let (text, marked) = lexer::strip_mark(text);
    let mut parser = Parser::default();
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stanza {
    /// No ticket has begun.
    #[default]
    None,
    /// The defaults of the tickets that follow.
    Defaults,
    /// The last ticket.
    Ticket,
    /// A ticket with an invalid name: its keys are read only to report their errors.
    Broken,
}

#[derive(Default)]
struct Parser {
    raw: Raw,
    line: usize,
    /// The last `port` line.
    port: Option<Located<u16>>,
    stanza: Stanza,
    stanza_line: usize,
    defaults: Rc<Settings>,
    broken: Settings,
    names: BTreeMap<TicketName, usize>,
    /// The first `transport` line.
    transport: Option<usize>,
}

impl Parser {
    fn warn(&mut self, line: usize, text: impl Into<String>) {
        self.raw.warnings.push((Some(line), text.into()));
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
                self.keep(key, |raw| &mut raw.name, utf8(word, bytes)?.to_owned());
            }
            GlobalKey::Authfile => self.keep(key, |raw| &mut raw.authfile, path(bytes)),
            GlobalKey::EnableAuthfile => {
                let wanted = read(word, bytes, value::yes_or_no)?;
                self.keep(key, |raw| &mut raw.enable_authfile, wanted);
            }
            GlobalKey::MaxTimeSkew => {
                self.keep(key, |raw| &mut raw.max_skew, read(word, bytes, value::seconds)?);
            }
            GlobalKey::Debug => {
                self.keep(key, |raw| &mut raw.debug, read(word, bytes, value::level)?);
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
        if let Some(first) = self.transport {
            return Err(Problem::Twice { key: GlobalKey::Transport.word(), first });
        }
        self.transport = Some(self.line);
        Ok(())
    }

    fn set_port(&mut self, text: &str) -> Result<(), Problem> {
        let max = u64::from(u16::MAX);
        let port = value::number_in(text, 1, max).and_then(|number| u16::try_from(number).ok());
        let Some(port) = port else {
            return Err(wrong(GlobalKey::Port.word(), text, Expected::Port));
        };
        let others = self.raw.members.iter().filter(|member| member.port != port).count();
        let before = self.port.replace(Located { value: port, line: self.line });
        if others > 0 {
            let text = format!(
                "port: {others} of the members above have another port; this line applies only \
                 to the members below it"
            );
            self.warn(self.line, text);
        } else if let Some(before) = before.filter(|_| self.raw.members.is_empty()) {
            self.warn_twice(GlobalKey::Port.word(), before.line);
        }
        Ok(())
    }

    fn ticket_store(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let (key, path) = (GlobalKey::TicketStore, path(bytes));
        let store = if bytes == b"pacemaker" {
            TicketStore::Pacemaker
        } else if path.is_absolute() {
            TicketStore::Directory(path)
        } else {
            return Err(wrong(key.word(), &path.to_string_lossy(), Expected::Store));
        };
        self.keep(key, |raw| &mut raw.store, store);
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
        let port = self.port.as_ref().map_or(DEFAULT_PORT, |port| port.value);
        let (text, line) = (text.to_owned(), self.line);
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
        let word = key.word();
        match key {
            TicketKey::Expire => self.time(key, bytes, value::time, |it| &mut it.expire)?,
            TicketKey::AcquireAfter => {
                self.time(key, bytes, value::time_or_zero, |it| &mut it.acquire_after)?;
            }
            TicketKey::Timeout => self.time(key, bytes, value::time, |it| &mut it.timeout)?,
            TicketKey::RenewalFreq => self.time(key, bytes, value::time, |it| &mut it.renewal)?,
            TicketKey::Retries => {
                let Spelled { value, odd } = read(word, bytes, value::retries)?;
                self.warn_odd(word, odd, &value.to_string());
                self.put(key, |it| &mut it.retries, value);
            }
            TicketKey::Weights => {
                let Spelled { value, odd } = read(word, bytes, value::weights)?;
                self.warn_odd(word, odd, &format!("{value:?}"));
                self.put(key, |it| &mut it.weights, value);
            }
            TicketKey::Mode => self.put(key, |it| &mut it.mode, read(word, bytes, value::mode)?),
            TicketKey::AttrPrereq => {
                let rule = read(word, bytes, value::attr_rule)?;
                if rule.value.as_str().contains(['"', '\'']) {
                    let text = "attr-prereq: the quotes are part of the attribute's value";
                    self.warn(self.line, text);
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
        key: TicketKey,
        bytes: &[u8],
        form: fn(&str) -> Result<Span, Expected>,
        slot: impl Fn(&mut Settings) -> &mut Option<Located<Span>>,
    ) -> Result<(), Problem> {
        let span = read(key.word(), bytes, form)?;
        self.raw.sub_second |= span.as_millis() % 1000 != 0;
        self.put(key, slot, span);
        Ok(())
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

/// The value, if it is text and has the form that its key needs.
fn read<T>(
    key: &'static str,
    bytes: &[u8],
    form: fn(&str) -> Result<T, Expected>,
) -> Result<T, Problem> {
    let text = utf8(key, bytes)?;
    form(text).map_err(|expected| wrong(key, text, expected))
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}
