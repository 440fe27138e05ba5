// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages between members as bytes: header and ticket payload, 124 bytes, always (P8).
//!
//! Stateless: the caller checks whether sender, leader and ticket are known.

use super::code::{Command, Reason, ResultCode};
use super::error::WireError;
use super::header::{Header, PEER_LEN};
use super::payload::{read_ticket_name, TicketPayload};
use super::peer::{LastKnown, PeerBody, PeerMessage, Round, Stamp, NONCE_MAX};
use super::unit::TimeUnit;
use crate::model::{Holder, MemberId, Term};
use crate::time::Span;
use alloc::vec::Vec;

/// Bit 31 of `options`: the *established* mark of requests, the *vouched* mark of votes, the
/// *granted* mark of rejections, the *milliseconds* mark of acknowledgements.
const MARK_BIT: u32 = 1 << 31;
/// Bit 0 of a vote request's `options`: `-F` of an administrative grant.
const FORCE_BIT: u32 = 1;
/// Bits 1 to 30 of a vote request's `options`: the nonce that it returns.
const NONCE_SHIFT: u32 = 1;

/// The unsealed packet of a message between members, 124 bytes.
pub fn encode_peer(from: MemberId, message: &PeerMessage, unit: TimeUnit) -> Vec<u8> {
    let mut header = Header::of(command_of(&message.body), from.raw());
    let millis = unit == TimeUnit::Millis;
    match message.body {
        PeerBody::Status { nonce } => header.options = nonce,
        PeerBody::MyIndex { nonce } => {
            header.request = Command::Status.raw();
            header.options = nonce;
        }
        PeerBody::ReqVote { reason, established, force, nonce } => {
            header.reason = reason.raw();
            let marks = bit(established, MARK_BIT) | bit(force, FORCE_BIT);
            header.options = marks | ((nonce & NONCE_MAX) << NONCE_SHIFT);
        }
        PeerBody::Vote { vouched, unbound_for, last } => {
            header.reason = last.map_or(0, last_bits);
            header.request = Command::ReqVote.raw();
            header.options = bit(vouched, MARK_BIT) | unbound_for.map_or(0, unbound_bits);
        }
        PeerBody::StepDown { reason, stamp } | PeerBody::Revoke { reason, stamp } => {
            header.reason = reason.raw();
            header.options = stamp_bits(stamp);
        }
        PeerBody::Heartbeat { stamp } | PeerBody::Update { stamp } => {
            header.options = stamp_bits(stamp);
        }
        PeerBody::Ack { of, round } => {
            header.request = of.raw();
            header.options = round.map_or(0, |round| round.get() | bit(millis, MARK_BIT));
        }
        PeerBody::Rejected { of, result, granted } => {
            header.request = of.raw();
            header.result = result.raw();
            header.options = bit(granted, MARK_BIT);
        }
    }
    let leader = match message.leader {
        Holder::Unknown | Holder::Nobody => Holder::Nobody,
        Holder::Member(id) => Holder::Member(id),
    };
    let payload = TicketPayload {
        name: message.ticket.as_str(),
        leader: leader.raw(),
        term: message.term.get(),
        valid_for: unit.number(message.valid_for),
    };
    let packet = header.packet(&payload.bytes());
    assert!(packet.len() == PEER_LEN, "a message between members has one size");
    packet
}

/// The sender and the message of an opened packet, without its MAC.
///
/// # Errors
/// The packet is not a message between members. It is not checked whether the ticket is known.
pub fn decode_peer(packet: &[u8], unit: TimeUnit) -> Result<(MemberId, PeerMessage), WireError> {
    let header = Header::read_opened(packet)?;
    let command = header.command()?;
    if !is_between_members(command) {
        return Err(WireError::Misplaced(command));
    }
    if packet.len() != PEER_LEN {
        return Err(WireError::Size { command, len: packet.len(), expected: PEER_LEN });
    }
    let payload = TicketPayload::read(packet)?;
    let leader = match Holder::from_raw(payload.leader) {
        Holder::Unknown => return Err(WireError::NoLeader),
        leader @ (Holder::Nobody | Holder::Member(_)) => leader,
    };
    let body = body_of(command, &header, leader)?;
    let unit = match body {
        // The packet states its own unit, because configurations may differ.
        PeerBody::Ack { round: Some(_), .. } if header.options & MARK_BIT != 0 => TimeUnit::Millis,
        PeerBody::Ack { round: Some(_), .. } => TimeUnit::Seconds,
        _ => unit,
    };
    let message = PeerMessage {
        ticket: read_ticket_name(payload.name)?,
        leader,
        term: Term::new(payload.term),
        valid_for: unit.span(payload.valid_for),
        body,
    };
    Ok((MemberId::from_raw(header.from), message))
}

/// The body of a message. `command` must be one of those between members.
fn body_of(command: Command, header: &Header, leader: Holder) -> Result<PeerBody, WireError> {
    let marked = header.options & MARK_BIT != 0;
    let stamp = Stamp { round: Round::new(header.options & !MARK_BIT), established: marked };
    Ok(match command {
        Command::Status => PeerBody::Status { nonce: header.options },
        Command::MyIndex => PeerBody::MyIndex { nonce: header.options },
        Command::ReqVote => PeerBody::ReqVote {
            reason: reason_of(header)?,
            established: marked,
            force: header.options & FORCE_BIT != 0,
            nonce: (header.options >> NONCE_SHIFT) & NONCE_MAX,
        },
        Command::VoteFor => return vote_of(header, leader, stamp),
        Command::Heartbeat => PeerBody::Heartbeat { stamp },
        Command::Update => PeerBody::Update { stamp },
        Command::RevokeTicket => PeerBody::Revoke { reason: reason_of(header)?, stamp },
        Command::Ack => match Command::from_raw(header.request) {
            Some(
                of @ (Command::Heartbeat
                | Command::Update
                | Command::RevokeTicket
                | Command::VoteFor),
            ) => PeerBody::Ack { of, round: stamp.round },
            _ => return Err(WireError::Request { command, request: header.request }),
        },
        Command::Rejected => PeerBody::Rejected {
            of: Command::from_raw(header.request)
                .filter(|of| is_between_members(*of))
                .ok_or(WireError::Request { command, request: header.request })?,
            result: rejection_of(header)?,
            granted: marked,
        },
        Command::List
        | Command::Grant
        | Command::Revoke
        | Command::Peers
        | Command::Report
        | Command::AttrSet
        | Command::AttrGet
        | Command::AttrDelete
        | Command::AttrList
        | Command::Result
        | Command::ResultList
        | Command::Hello => return Err(WireError::Misplaced(command)),
    })
}

/// VOTE_FOR is a vote if it answers a vote request, and a step-down if it answers nothing.
fn vote_of(header: &Header, leader: Holder, stamp: Stamp) -> Result<PeerBody, WireError> {
    let answers_request = header.request == Command::ReqVote.raw();
    match (answers_request, leader) {
        (true, Holder::Member(_)) => Ok(PeerBody::Vote {
            vouched: stamp.established,
            unbound_for: unbound_of(header.options & !MARK_BIT),
            last: last_of(header.reason),
        }),
        (true, Holder::Nobody | Holder::Unknown) => Err(WireError::VoteForNobody),
        (false, _) if header.request != 0 => {
            Err(WireError::Request { command: Command::VoteFor, request: header.request })
        }
        (false, Holder::Nobody | Holder::Unknown) => {
            Ok(PeerBody::StepDown { reason: reason_of(header)?, stamp })
        }
        (false, Holder::Member(_)) => Err(WireError::StepDownWithLeader),
    }
}

fn reason_of(header: &Header) -> Result<Reason, WireError> {
    Reason::from_raw(header.reason).ok_or(WireError::UnknownReason(header.reason))
}

/// The result of a rejection, which is one of three.
fn rejection_of(header: &Header) -> Result<ResultCode, WireError> {
    match ResultCode::from_raw(header.result) {
        Some(
            result @ (ResultCode::TermOutdated
            | ResultCode::TermStillValid
            | ResultCode::YouOutdated),
        ) => Ok(result),
        _ => Err(WireError::Result { command: Command::Rejected, result: header.result }),
    }
}

const fn command_of(body: &PeerBody) -> Command {
    match body {
        PeerBody::Status { .. } => Command::Status,
        PeerBody::MyIndex { .. } => Command::MyIndex,
        PeerBody::ReqVote { .. } => Command::ReqVote,
        PeerBody::Vote { .. } | PeerBody::StepDown { .. } => Command::VoteFor,
        PeerBody::Heartbeat { .. } => Command::Heartbeat,
        PeerBody::Update { .. } => Command::Update,
        PeerBody::Revoke { .. } => Command::RevokeTicket,
        PeerBody::Ack { .. } => Command::Ack,
        PeerBody::Rejected { .. } => Command::Rejected,
    }
}

const fn is_between_members(command: Command) -> bool {
    match command {
        Command::Status
        | Command::MyIndex
        | Command::ReqVote
        | Command::VoteFor
        | Command::Heartbeat
        | Command::Ack
        | Command::Update
        | Command::RevokeTicket
        | Command::Rejected => true,
        Command::List
        | Command::Grant
        | Command::Revoke
        | Command::Peers
        | Command::Report
        | Command::AttrSet
        | Command::AttrGet
        | Command::AttrDelete
        | Command::AttrList
        | Command::Result
        | Command::ResultList
        | Command::Hello => false,
    }
}

/// How long a voter has been unbound, as bits 0 to 30 of its vote: one more than the milliseconds,
/// because a reference peer sends 0; the largest number if it does not fit.
fn unbound_bits(span: Span) -> u32 {
    let most = u64::from(MARK_BIT) - 1;
    u32::try_from(span.as_millis().saturating_add(1).min(most)).unwrap_or(MARK_BIT - 1)
}

/// The reverse of [`unbound_bits`].
fn unbound_of(bits: u32) -> Option<Span> {
    bits.checked_sub(1).map(|millis| Span::from_millis(u64::from(millis)))
}

/// The last that a voter knows, as the `reason` of its vote: the term in bits 0 to 30, and whether
/// the ticket was revoked in bit 31. A reference peer sends 0.
fn last_bits(last: LastKnown) -> u32 {
    let term = last.term.get();
    if term & MARK_BIT == 0 {
        term | bit(last.free && term != 0, MARK_BIT)
    } else {
        0
    }
}

/// The reverse of [`last_bits`].
fn last_of(bits: u32) -> Option<LastKnown> {
    let term = Term::new(bits & !MARK_BIT);
    (term > Term::ZERO).then_some(LastKnown { term, free: bits & MARK_BIT != 0 })
}

fn stamp_bits(stamp: Stamp) -> u32 {
    stamp.round.map_or(0, Round::get) | bit(stamp.established, MARK_BIT)
}

const fn bit(set: bool, bit: u32) -> u32 {
    if set {
        bit
    } else {
        0
    }
}
