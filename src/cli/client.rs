// SPDX-License-Identifier: GPL-2.0-or-later
//! What all clients need, and the clients that print a text: `booth list` and `peers`.

use super::args::{ListArgs, Target as TargetArgs};
use super::net::{Codec, Connection, NetError, ANSWER_LIMIT, CONNECT_LIMIT};
use super::options::Exit;
use super::output::Output;
use super::scan::config_option;
use super::target::{self, Purpose, Target};
use super::wording;
use crate::config::{self, Config, Surroundings};
use crate::model::{Excerpt, TicketName};
use crate::sys::local_addr;
use crate::sys::surroundings::System;
use crate::wire::{ClientReply, ClientRequest, ResultCode};
use std::time::Duration;

/// The most ticket names that are listed if no ticket was given.
const NAMES_TOLD: usize = 8;

/// Everything that a request needs, from the configuration.
pub(super) struct Session {
    /// The checked configuration.
    pub config: Config,
    /// How the cluster encodes packets.
    pub codec: Codec,
    /// The member to ask.
    pub target: Target,
}

impl Session {
    /// Reads the configuration and chooses the member to ask; prints why if it cannot.
    pub(super) fn open(
        args: &TargetArgs,
        purpose: Purpose,
        output: &Output,
    ) -> Result<Session, Exit> {
        Session::open_in(args, purpose, &mut System, output)
    }

    /// The same in other surroundings.
    pub(super) fn open_in(
        args: &TargetArgs,
        purpose: Purpose,
        surroundings: &mut dyn Surroundings,
        output: &Output,
    ) -> Result<Session, Exit> {
        let config = load_in(args, surroundings, output)?;
        let codec = Codec::of(&config);
        let target =
            target::choose(&config, &args.site, purpose).map_err(|error| output.failure(&error))?;
        if args.debug > 0 {
            output.message(&format!("asking {}", target.address));
        }
        Ok(Session { config, codec, target })
    }

    /// The ticket that was named, or the only one in the configuration.
    pub(super) fn ticket(
        &self,
        named: Option<&TicketName>,
        output: &Output,
    ) -> Result<TicketName, Exit> {
        match (named, self.config.tickets.as_slice()) {
            (Some(name), _) => Ok(name.clone()),
            (None, [only]) => Ok(only.spec.name.clone()),
            (None, tickets) => {
                let mut names: Vec<&str> =
                    tickets.iter().map(|t| t.spec.name.as_str()).take(NAMES_TOLD).collect();
                if tickets.len() > NAMES_TOLD {
                    names.push("...");
                }
                let names = names.join(", ");
                let text = format!("No ticket given. There is more than one: {names}");
                Err(output.failure(&text))
            }
        }
    }
}

/// Reads the configuration; prints why if it cannot, and its warnings if that is wanted.
pub(super) fn load(args: &TargetArgs, output: &Output) -> Result<Config, Exit> {
    load_in(args, &mut System, output)
}

fn load_in(
    args: &TargetArgs,
    surroundings: &mut dyn Surroundings,
    output: &Output,
) -> Result<Config, Exit> {
    let config =
        config::load(&args.config, surroundings).map_err(|errors| output.errors(&errors))?;
    if args.debug > 0 {
        for warning in &config.warnings {
            output.warning(warning);
        }
    }
    Ok(config)
}

/// `booth list` and `booth peers`: asks for a text and prints it.
pub(super) fn show(
    args: &ListArgs,
    request: &ClientRequest,
    output: &Output,
) -> Result<Exit, Exit> {
    // Hawk passes a literal redirection; there is nobody to warn.
    for word in args.ignored.iter().filter(|word| *word != "2>/dev/null") {
        let meant = config_option(word);
        let hint = meant.map_or_else(String::new, |meant| format!(": did you mean \"{meant}\"?"));
        output.warning(&format!("argument \"{}\" is ignored{hint}", Excerpt::new(word)));
    }
    let session = Session::open(&args.target, Purpose::Read, output)?;
    match fetch_text(&session.codec, &session.target, request, ANSWER_LIMIT) {
        Ok(Ok(text)) => {
            let text = printable(&text);
            let text = if output.is_for_a_person() { with_never(&text) } else { text };
            note_time_zone(&session, &text, output);
            Ok(output.data(&text))
        }
        Ok(Err(code)) => Err(output.failure(&text_refused(request, code))),
        Err(error) => Err(output.failure(&error)),
    }
}

/// The message for a refusal of list or peers.
fn text_refused(request: &ClientRequest, code: ResultCode) -> String {
    if code == ResultCode::AuthFailed {
        return wording::AUTHENTICATION_ERROR.to_owned();
    }
    let word = if *request == ClientRequest::Peers { "peers" } else { "list" };
    format!("{word} failed! ({code:?})")
}

/// The text of list or peers, or the result code that came instead.
pub(super) fn fetch_text(
    codec: &Codec,
    target: &Target,
    request: &ClientRequest,
    limit: Duration,
) -> Result<Result<String, ResultCode>, NetError> {
    let mut connection = Connection::ask_within(target, codec, request, limit.min(CONNECT_LIMIT))?;
    match connection.answer(Some(limit))? {
        ClientReply::List(text) => Ok(Ok(text)),
        ClientReply::Result(code) => Ok(Err(code)),
        ClientReply::Ticket(_)
        | ClientReply::Attr(_)
        | ClientReply::Report(_)
        | ClientReply::Attrs(_)
        | ClientReply::Hello(_) => Err(NetError::Unexpected(target.address)),
    }
}

/// Says on a terminal whose time zone the times in an answer are in, if that may be another one.
pub(super) fn note_time_zone(session: &Session, text: &str, output: &Output) {
    let asked = session.target.address.ip();
    let is_here = || {
        let local = local_addr::local_addresses().unwrap_or_default();
        local.iter().any(|here| here.address == asked)
    };
    let is_date = |word: &str| matches!(word.as_bytes(), [_, _, _, _, b'-', _, _, b'-', _, _]);
    let has_times = text.split([' ', '\n']).any(is_date);
    if has_times && output.is_for_a_person() && !is_here() {
        output.message(&format!("(times in the time zone of {asked})"));
    }
}

/// The text of `peers` with `never` for the epoch, which stands there in some time zone.
fn with_never(text: &str) -> String {
    let line = |line: &str| match line.split_once(", last recv: ") {
        Some((member, time))
            if time.starts_with("1970-01-01") || time.starts_with("1969-12-31") =>
        {
            format!("{member}, last recv: never\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The text with `?` for control characters, which could control a terminal.
pub(super) fn printable(text: &str) -> String {
    let keep = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if keep(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_was_never_heard_is_shown_so() {
        let text = "site 10.0.0.2, last recv: 1970-01-01 01:00:00\n\tSent pkts:0\n\n\
                    site 10.0.0.3, last recv: 1969-12-31 19:00:00\n\
                    site 10.0.0.4, last recv: 2026-12-01 00:00:00\n";
        let shown = "site 10.0.0.2, last recv: never\n\tSent pkts:0\n\n\
                     site 10.0.0.3, last recv: never\n\
                     site 10.0.0.4, last recv: 2026-12-01 00:00:00\n";
        assert_eq!(with_never(text), shown);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc\r\nd\u{9b}"), "a?[2Jb\tc?\nd?");
    }
}
