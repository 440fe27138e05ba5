// SPDX-License-Identifier: GPL-2.0-or-later
//! Probes: whether a member that has been silent is there (P24). A probe is a STATUS and its answer
//! a MY_INDEX, so that a member of the C version answers, too, but neither says anything about a
//! ticket: members of ours keep them from their tickets.

use super::code::Command;
use super::header::{Header, PEER_LEN};
use super::payload::TicketPayload;
use super::peer::NONCE_MAX;
use crate::model::{Holder, MemberId, TicketName};
use alloc::vec::Vec;

/// Bit 30 of the field `options`: it is a probe or its answer; a nonce is smaller.
const PROBE_BIT: u32 = NONCE_MAX + 1;

/// A probe or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether it is an answer.
    pub answer: bool,
    /// What the answer returns, in `1..=NONCE_MAX`.
    pub nonce: u32,
    /// The digest of what the sender's configuration has in common with that of the others; 0: the
    /// sender states none.
    pub digest: u32,
}

/// The unsealed packet of a probe, 124 bytes. A member of the C version answers only about a ticket
/// that it has.
pub fn encode_probe(from: MemberId, ticket: &TicketName, probe: Probe) -> Vec<u8> {
    let (command, request) = match probe.answer {
        true => (Command::MyIndex, Command::Status.raw()),
        false => (Command::Status, 0),
    };
    let options = PROBE_BIT | (probe.nonce & NONCE_MAX);
    let header = Header::of(command, from.raw());
    let header = Header { request, options, reason: probe.digest, ..header };
    let leader = Holder::Nobody.raw();
    let payload = TicketPayload { name: ticket.as_str(), leader, term: 0, valid_for: 0 };
    header.packet(&payload.bytes())
}

/// The probe in an opened packet; `None`: it is another message.
pub fn decode_probe(packet: &[u8]) -> Option<Probe> {
    let header = Header::read_opened(packet).ok()?;
    let answer = match header.command().ok()? {
        Command::Status => false,
        Command::MyIndex => true,
        _ => return None,
    };
    let nonce = header.options & !PROBE_BIT;
    let marked = header.options & PROBE_BIT != 0 && (1..=NONCE_MAX).contains(&nonce);
    (marked && packet.len() == PEER_LEN).then_some(Probe { answer, nonce, digest: header.reason })
}
