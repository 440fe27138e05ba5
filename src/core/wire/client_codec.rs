// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests of clients and their answers as bytes (P10).
//!
//! Stateless: the engine decides on the order and number of answers; `daemon` handles connections.

use super::client::{ClientOptions, ClientReply, ClientRequest, TicketAnswer};
use super::code::{Command, ResultCode, WaitCause};
use super::error::WireError;
use super::header::{Header, ATTR_LEN, FRAME_MAX, HEADER_LEN, MAC_LEN, TICKET_LEN};
use super::life::{encode_hello, life_of};
use super::payload::{read_ticket_name, AttrPayload, TicketPayload};
use super::unit::TimeUnit;
use crate::model::{AttrName, AttrValue, Holder, MemberId, Term, TicketName};
use crate::time::Span;
use alloc::string::String;
use alloc::vec::Vec;

/// Bit 0 of a request's `options`: `-F`.
const IMMEDIATE_BIT: u32 = 1;
/// Bit 1 of a request's `options`: `-w`.
const WAIT_BIT: u32 = 2;
/// Bit 2 of a request's `options`: `-C`.
const WAIT_COMMIT_BIT: u32 = 4;
/// Bit 3 of a request's `options`, only in ours: the client understands [`WaitCause`].
const EXPLAIN_BIT: u32 = 8;
/// Bit 4 of the `options` of a request for a report: with the whole history.
const HISTORY_BIT: u32 = 16;

/// The longest text of an answer, in bytes.
const TEXT_MAX: usize = FRAME_MAX - HEADER_LEN - MAC_LEN;
/// The last line of a text that was too long.
const TEXT_CUT: &str = "(the rest does not fit into one answer)\n";

/// The unsealed packet of a client's request.
///
/// `from` is the id of the member that the client belongs to or, if there is none, of the member
/// that it asks.
pub fn encode_request(from: u32, request: &ClientRequest) -> Vec<u8> {
    let (command, options) = match request {
        ClientRequest::List => (Command::List, ClientOptions::default()),
        ClientRequest::Peers => (Command::Peers, ClientOptions::default()),
        ClientRequest::Report { .. } => (Command::Report, ClientOptions::default()),
        ClientRequest::Grant { options, .. } => (Command::Grant, *options),
        ClientRequest::Revoke { options, .. } => (Command::Revoke, *options),
        ClientRequest::AttrSet { .. } => (Command::AttrSet, ClientOptions::default()),
        ClientRequest::AttrGet { .. } => (Command::AttrGet, ClientOptions::default()),
        ClientRequest::AttrDelete { .. } => (Command::AttrDelete, ClientOptions::default()),
        ClientRequest::AttrList { .. } => (Command::AttrList, ClientOptions::default()),
    };
    let payload = match request {
        ClientRequest::List | ClientRequest::Peers | ClientRequest::Report { .. } => {
            TicketPayload::NONE.bytes()
        }
        ClientRequest::Grant { ticket, .. } | ClientRequest::Revoke { ticket, .. } => {
            TicketPayload { name: ticket_text(ticket), ..TicketPayload::NONE }.bytes()
        }
        ClientRequest::AttrSet { ticket, name, value } => {
            let value = value.as_ref().map_or("", AttrValue::as_str);
            AttrPayload { ticket: ticket_text(ticket), name: name_text(name), value }.bytes()
        }
        ClientRequest::AttrGet { ticket, name } | ClientRequest::AttrDelete { ticket, name } => {
            AttrPayload { ticket: ticket_text(ticket), name: name_text(name), value: "" }.bytes()
        }
        ClientRequest::AttrList { ticket } => {
            AttrPayload { ticket: ticket_text(ticket), name: "", value: "" }.bytes()
        }
    };
    let history = matches!(request, ClientRequest::Report { history: true });
    let options = options_bits(options) | if history { HISTORY_BIT } else { 0 };
    Header { options, ..Header::of(command, from) }.packet(&payload)
}

/// The sender's member and the request of an opened packet, without its MAC.
///
/// Invalid names become `None`, because such a request is answered, not dropped.
///
/// # Errors
/// The packet is not a client's request.
pub fn decode_request(packet: &[u8]) -> Result<(u32, ClientRequest), WireError> {
    let header = Header::read_opened(packet)?;
    let command = header.command()?;
    let options = options_of(header.options);
    let request = match command {
        Command::List => of_size(packet, command, TICKET_LEN).map(|()| ClientRequest::List)?,
        Command::Peers => of_size(packet, command, TICKET_LEN).map(|()| ClientRequest::Peers)?,
        Command::Report => {
            of_size(packet, command, TICKET_LEN)?;
            ClientRequest::Report { history: header.options & HISTORY_BIT != 0 }
        }
        Command::Grant => ClientRequest::Grant { ticket: ticket_of(packet, command)?, options },
        Command::Revoke => ClientRequest::Revoke { ticket: ticket_of(packet, command)?, options },
        Command::AttrSet => {
            let (ticket, name, value) = attr_of(packet, command)?;
            ClientRequest::AttrSet { ticket, name, value }
        }
        Command::AttrGet => {
            let (ticket, name, _) = attr_of(packet, command)?;
            ClientRequest::AttrGet { ticket, name }
        }
        Command::AttrDelete => {
            let (ticket, name, _) = attr_of(packet, command)?;
            ClientRequest::AttrDelete { ticket, name }
        }
        Command::AttrList => {
            let (ticket, _, _) = attr_of(packet, command)?;
            ClientRequest::AttrList { ticket }
        }
        Command::Result
        | Command::ResultList
        | Command::Status
        | Command::MyIndex
        | Command::ReqVote
        | Command::VoteFor
        | Command::Heartbeat
        | Command::Ack
        | Command::Update
        | Command::RevokeTicket
        | Command::Rejected
        | Command::Hello => return Err(WireError::Misplaced(command)),
    };
    Ok((header.from, request))
}

/// The unsealed packet of an answer to a client.
///
/// Reference: the field `request` of an answer is always 0. A text that exceeds [`FRAME_MAX`] is
/// cut after a whole line, and its last line says so.
pub fn encode_reply(from: MemberId, reply: &ClientReply, unit: TimeUnit) -> Vec<u8> {
    match reply {
        ClientReply::Ticket(answer) => encode_answer(from, answer, unit),
        ClientReply::Result(result) => {
            let header = Header::of(Command::Result, from.raw());
            Header { result: result.raw(), ..header }.packet(&[])
        }
        ClientReply::List(text) => encode_text(from, Command::ResultList, text),
        ClientReply::Report(text) => encode_text(from, Command::Report, text),
        ClientReply::Attr(text) => encode_text(from, Command::AttrGet, text),
        ClientReply::Attrs(text) => encode_text(from, Command::AttrList, text),
        ClientReply::Hello(life) => encode_hello(from, *life),
    }
}

/// The header of a report whose text has so many bytes: what [`encode_reply`] puts before it. The
/// text can be the same for many clients.
pub fn encode_report_header(from: MemberId, text: usize) -> Vec<u8> {
    Header::of(Command::Report, from.raw()).ahead_of(text)
}

/// The answer in an opened packet, without its MAC.
///
/// # Errors
/// The packet is not an answer to a client.
pub fn decode_reply(packet: &[u8], unit: TimeUnit) -> Result<ClientReply, WireError> {
    let header = Header::read_opened(packet)?;
    let command = header.command()?;
    let text = || String::from_utf8_lossy(packet.get(HEADER_LEN..).unwrap_or(&[])).into_owned();
    match command {
        Command::Result if packet.len() == HEADER_LEN => {
            Ok(ClientReply::Result(result_of(&header)?))
        }
        Command::Result => decode_answer(&header, packet, unit).map(ClientReply::Ticket),
        Command::ResultList => Ok(ClientReply::List(text())),
        Command::Report => Ok(ClientReply::Report(text())),
        Command::AttrGet => Ok(ClientReply::Attr(text())),
        Command::AttrList => Ok(ClientReply::Attrs(text())),
        Command::Hello => {
            of_size(packet, command, 0)?;
            life_of(packet).map(ClientReply::Hello).ok_or(WireError::NoLife)
        }
        Command::List
        | Command::Grant
        | Command::Revoke
        | Command::Peers
        | Command::AttrSet
        | Command::AttrDelete
        | Command::Status
        | Command::MyIndex
        | Command::ReqVote
        | Command::VoteFor
        | Command::Heartbeat
        | Command::Ack
        | Command::Update
        | Command::RevokeTicket
        | Command::Rejected => Err(WireError::Misplaced(command)),
    }
}

fn encode_answer(from: MemberId, answer: &TicketAnswer, unit: TimeUnit) -> Vec<u8> {
    let mut header = Header::of(Command::Result, from.raw());
    header.result = answer.result.raw();
    if let Some((cause, wait)) = answer.cause.filter(|_| may_explain(answer.result)) {
        header.reason = cause.raw();
        header.options = wait_secs(wait);
    }
    let payload = match &answer.ticket {
        None => TicketPayload::NONE,
        Some(ticket) => TicketPayload {
            name: ticket.as_str(),
            leader: answer.leader.raw(),
            term: answer.term.get(),
            valid_for: unit.number(answer.valid_for),
        },
    };
    header.packet(&payload.bytes())
}

fn decode_answer(
    header: &Header,
    packet: &[u8],
    unit: TimeUnit,
) -> Result<TicketAnswer, WireError> {
    of_size(packet, Command::Result, TICKET_LEN)?;
    let payload = TicketPayload::read(packet)?;
    let ticket = match payload.name {
        [] => None,
        name => Some(read_ticket_name(name)?),
    };
    let result = result_of(header)?;
    let wait = Span::from_secs(u64::from(header.options));
    let cause = WaitCause::from_raw(header.reason).filter(|_| may_explain(result));
    Ok(TicketAnswer {
        result,
        ticket,
        leader: Holder::from_raw(payload.leader),
        term: Term::new(payload.term),
        valid_for: unit.span(payload.valid_for),
        cause: cause.map(|cause| (cause, wait)),
    })
}

/// Whether an answer with this result has a cause: it is not the last one.
const fn may_explain(result: ResultCode) -> bool {
    matches!(result, ResultCode::Async | ResultCode::More | ResultCode::CibPending)
}

/// A wait in whole seconds. It is rounded up, because 0 means that its length is not known.
fn wait_secs(wait: Span) -> u32 {
    let up = wait.plus(Span::from_micros(999_999)).as_secs();
    u32::try_from(up).unwrap_or(u32::MAX)
}

fn encode_text(from: MemberId, command: Command, text: &str) -> Vec<u8> {
    let header = Header::of(command, from.raw());
    if text.len() <= TEXT_MAX {
        return header.packet(text.as_bytes());
    }
    let room = text.as_bytes().get(..TEXT_MAX - TEXT_CUT.len()).unwrap_or(&[]);
    let end = room.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    let mut cut = room.get(..end).unwrap_or(&[]).to_vec();
    cut.extend_from_slice(TEXT_CUT.as_bytes());
    header.packet(&cut)
}

/// Checks that a packet has a header and `payload` bytes.
fn of_size(packet: &[u8], command: Command, payload: usize) -> Result<(), WireError> {
    let expected = HEADER_LEN + payload;
    if packet.len() == expected {
        Ok(())
    } else {
        Err(WireError::Size { command, len: packet.len(), expected })
    }
}

fn result_of(header: &Header) -> Result<ResultCode, WireError> {
    let unknown = WireError::Result { command: Command::Result, result: header.result };
    ResultCode::from_raw(header.result).ok_or(unknown)
}

/// The ticket of a grant or revoke.
fn ticket_of(packet: &[u8], command: Command) -> Result<Option<TicketName>, WireError> {
    of_size(packet, command, TICKET_LEN)?;
    Ok(read_ticket_name(TicketPayload::read(packet)?.name).ok())
}

type Attr = (Option<TicketName>, Option<AttrName>, Option<AttrValue>);

/// Ticket, name and value of an attribute request.
fn attr_of(packet: &[u8], command: Command) -> Result<Attr, WireError> {
    of_size(packet, command, ATTR_LEN)?;
    let payload = AttrPayload::read(packet)?;
    let text = |bytes| core::str::from_utf8(bytes).ok();
    Ok((
        read_ticket_name(payload.ticket).ok(),
        text(payload.name).and_then(|name| AttrName::new(name).ok()),
        text(payload.value).and_then(|value| AttrValue::new(value).ok()),
    ))
}

fn ticket_text(ticket: &Option<TicketName>) -> &str {
    ticket.as_ref().map_or("", TicketName::as_str)
}

fn name_text(name: &Option<AttrName>) -> &str {
    name.as_ref().map_or("", AttrName::as_str)
}

fn options_bits(options: ClientOptions) -> u32 {
    [
        (options.immediate, IMMEDIATE_BIT),
        (options.wait, WAIT_BIT),
        (options.wait_commit, WAIT_COMMIT_BIT),
        (options.explain, EXPLAIN_BIT),
    ]
    .into_iter()
    .map(|(set, bit)| if set { bit } else { 0 })
    .sum()
}

/// The options in a header; bits that have no meaning yet are ignored.
const fn options_of(bits: u32) -> ClientOptions {
    ClientOptions {
        immediate: bits & IMMEDIATE_BIT != 0,
        wait: bits & WAIT_BIT != 0,
        wait_commit: bits & WAIT_COMMIT_BIT != 0,
        explain: bits & EXPLAIN_BIT != 0,
    }
}
