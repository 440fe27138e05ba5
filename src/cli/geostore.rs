// SPDX-License-Identifier: GPL-2.0-or-later
//! `geostore list`, `get`, `set`, `delete`: attributes of a ticket at one site.

use super::args::{AttrAction, AttrArgs, Format};
use super::client::{note_time_zone, printable, Session};
use super::json;
use super::net::{Connection, NetError, ANSWER_LIMIT, CHANGE_LIMIT};
use super::options::Exit;
use super::output::Output;
use super::target::Purpose;
use super::wording;
use crate::model::{AttrName, AttrValue, TicketName, ATTRS_MAX};
use crate::wire::{ClientReply, ClientRequest, ResultCode};
use std::time::Duration;

/// A request and what messages need to know about it.
struct Question {
    request: ClientRequest,
    /// The operation's name in messages.
    word: &'static str,
    /// The attribute, if the request names one.
    attribute: Option<String>,
    /// How long the answer may take.
    limit: Duration,
}

/// Asks, and prints the answer.
pub(super) fn run(args: &AttrArgs, output: &Output) -> Result<Exit, Exit> {
    let purpose = match args.action {
        AttrAction::List | AttrAction::Get(_) => Purpose::Read,
        AttrAction::Set(..) | AttrAction::Delete(_) => Purpose::Attribute,
    };
    let session = Session::open(&args.target, purpose, output)?;
    let ticket = session.ticket(args.ticket.as_ref(), output)?;
    if args.action == AttrAction::List && args.format == Format::Json {
        return json::attributes(&session, &ticket, output);
    }
    let question = question(&args.action, &ticket).map_err(|text| output.failure(&text))?;
    let reply = ask(&session, &question).map_err(|error| output.failure(&error))?;
    Ok(answer(&session, &question, &ticket, reply, output))
}

/// The request of an operation, or why its arguments are invalid.
///
/// Reference: sends every name; some of them make the CIB unreadable (P18).
fn question(action: &AttrAction, ticket: &TicketName) -> Result<Question, String> {
    let (ticket, mut value) = (Some(ticket.clone()), None);
    if let AttrAction::Set(_, text) = action {
        let stored = AttrValue::new(text);
        let refused = |error| format!("value \"{text}\" cannot be stored: {error}");
        value = Some(stored.map_err(refused)?);
    }
    let attribute = match action {
        AttrAction::List => None,
        AttrAction::Get(name) | AttrAction::Set(name, _) | AttrAction::Delete(name) => Some(name),
    };
    let checked = |text: &String| {
        let refused = |error| format!("attribute name \"{text}\" cannot be used: {error}");
        AttrName::new(text).map_err(refused)
    };
    let name = attribute.map(checked).transpose()?;
    let (word, limit, request) = match action {
        AttrAction::List => ("list", ANSWER_LIMIT, ClientRequest::AttrList { ticket }),
        AttrAction::Get(_) => ("get", ANSWER_LIMIT, ClientRequest::AttrGet { ticket, name }),
        AttrAction::Set(..) => {
            ("set", CHANGE_LIMIT, ClientRequest::AttrSet { ticket, name, value })
        }
        AttrAction::Delete(_) => {
            ("delete", CHANGE_LIMIT, ClientRequest::AttrDelete { ticket, name })
        }
    };
    Ok(Question { request, word, attribute: attribute.cloned(), limit })
}

fn ask(session: &Session, question: &Question) -> Result<ClientReply, NetError> {
    let (target, request) = (&session.target, &question.request);
    let mut connection = Connection::ask(target, &session.codec, request)?;
    connection.answer(Some(question.limit))
}

fn answer(
    session: &Session,
    question: &Question,
    ticket: &TicketName,
    reply: ClientReply,
    output: &Output,
) -> Exit {
    let address = session.target.address;
    match (&question.request, reply) {
        (ClientRequest::AttrGet { .. }, ClientReply::Attr(text))
        | (ClientRequest::AttrList { .. }, ClientReply::Attrs(text)) => {
            let mut text = printable(&text);
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            note_time_zone(session, &text, output);
            output.data(&text)
        }
        (_, ClientReply::Result(code)) => {
            let attribute = question.attribute.as_deref();
            let verdict = wording::attr_verdict(question.word, ticket, attribute, code);
            let text = format!("{} (answered by {})", verdict.text, address.ip());
            if code == ResultCode::SyncFail && is_full(session, question) {
                return output.failure(&format!("{text}; {}", wording::attributes_full()));
            }
            output.outcome(verdict.exit, &text)
        }
        (_, _) => output.failure(&NetError::Unexpected(address)),
    }
}

/// Whether the attribute could not be set because the ticket already has the most attributes that
/// it can have. This only improves a message, so it must not take long.
fn is_full(session: &Session, question: &Question) -> bool {
    const LIST_LIMIT: Duration = Duration::from_secs(2);
    let ClientRequest::AttrSet { ticket, name: Some(name), .. } = &question.request else {
        return false;
    };
    let request = ClientRequest::AttrList { ticket: ticket.clone() };
    let list = Question { request, word: "list", attribute: None, limit: LIST_LIMIT };
    let Ok(ClientReply::Attrs(text)) = ask(session, &list) else {
        return false;
    };
    let names = || text.lines().filter_map(|line| line.split(' ').next());
    names().count() >= ATTRS_MAX && !names().any(|other| other == name.as_str())
}
