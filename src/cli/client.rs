// SPDX-License-Identifier: GPL-2.0-or-later
//! What every client needs, and those that print a text: `booth list` and `peers`.

use super::args::{ListArgs, Target as TargetArgs};
use super::net::{Codec, Connection, NetError, ANSWER_LIMIT};
use super::options::Exit;
use super::output::Output;
use super::target::{self, Purpose, Target};
use super::wording;
use crate::config::Config;
use crate::model::{Excerpt, TicketName};
use crate::wire::{ClientReply, ClientRequest, ResultCode};
use std::time::Duration;

/// Ticket names that are told when the ticket is missing.
const NAMES_TOLD: usize = 8;

/// Everything that a request needs, read from the configuration.
pub struct Session {
    /// The configuration.
    pub config: Config,
    /// How the cluster talks.
    pub codec: Codec,
    /// Whom to ask.
    pub target: Target,
}

impl Session {
    /// Reads the configuration and finds out whom to ask; says why if it cannot.
    pub fn open(args: &TargetArgs, purpose: Purpose, output: &Output) -> Result<Session, Exit> {
        let config = super::load(&args.config).map_err(|errors| output.errors(&errors))?;
        if args.debug > 0 {
            for warning in &config.warnings {
                output.warning(warning);
            }
        }
        let codec = Codec::of(&config);
        let target =
            target::choose(&config, &args.site, purpose).map_err(|error| output.failure(&error))?;
        if args.debug > 0 {
            output.message(&format!("asking {}", target.address));
        }
        Ok(Session { config, codec, target })
    }

    /// The ticket that is meant: the one that was named, or the only one there is.
    pub fn ticket(&self, named: Option<&TicketName>, output: &Output) -> Result<TicketName, Exit> {
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
                output.error(&format!("No ticket given. There is more than one: {names}"));
                Err(Exit::Failure)
            }
        }
    }
}

/// `booth list`.
pub fn list(args: &ListArgs, output: &Output) -> Exit {
    show(args, &ClientRequest::List, output)
}

/// `booth peers`.
pub fn peers(args: &ListArgs, output: &Output) -> Exit {
    show(args, &ClientRequest::Peers, output)
}

/// Asks for a text and prints it.
fn show(args: &ListArgs, request: &ClientRequest, output: &Output) -> Exit {
    // Hawk's literal redirection means that nobody reads what is said here.
    for word in args.ignored.iter().filter(|word| *word != "2>/dev/null") {
        let word = Excerpt::new(word);
        output.warning(&format!("argument \"{word}\" has no meaning here"));
    }
    let session = match Session::open(&args.target, Purpose::Read, output) {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    match fetch_text(&session.codec, &session.target, request, ANSWER_LIMIT) {
        Ok(Ok(text)) => output.data(&printable(&text)),
        Ok(Err(code)) => output.failure(&text_refused(request, code)),
        Err(error) => output.failure(&error),
    }
}

/// What a refusal of list or peers means.
fn text_refused(request: &ClientRequest, code: ResultCode) -> String {
    let word = if *request == ClientRequest::Peers { "peers" } else { "list" };
    if code == ResultCode::AuthFailed {
        wording::AUTHENTICATION_ERROR.to_owned()
    } else {
        format!("{word} failed! ({code:?})")
    }
}

/// The text of list or peers, or the code that came instead.
pub fn fetch_text(
    codec: &Codec,
    target: &Target,
    request: &ClientRequest,
    limit: Duration,
) -> Result<Result<String, ResultCode>, NetError> {
    let mut connection = Connection::ask(target, codec, request)?;
    match connection.answer(Some(limit))? {
        ClientReply::List(text) => Ok(Ok(text)),
        ClientReply::Result(code) => Ok(Err(code)),
        ClientReply::Ticket(_)
        | ClientReply::Attr(_)
        | ClientReply::Attrs(_)
        | ClientReply::Hello(_) => Err(NetError::Unexpected(target.address)),
    }
}

/// The text without control characters, which could steer a terminal.
pub fn printable(text: &str) -> String {
    let keep = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if keep(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc\r\nd\u{9b}"), "a?[2Jb\tc?\nd?");
    }
}
