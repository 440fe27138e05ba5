// SPDX-License-Identifier: GPL-2.0-or-later
//! The two fixed payloads, ticket and attribute, as bytes (P2).

use super::error::{Field, WireError};
use super::header::{ATTR_LEN, HEADER_LEN, TICKET_LEN};
use super::reader::{Reader, Writer};
use crate::model::TicketName;
use alloc::vec::Vec;

/// The size in bytes of the field of a ticket's name.
const TICKET_FIELD: usize = 64;
/// The size in bytes of the field of an attribute's name.
const ATTR_NAME_FIELD: usize = 64;
/// The size in bytes of the field of an attribute's value.
const ATTR_VALUE_FIELD: usize = 128;

/// The fields of the ticket payload: `S` is text when written, bytes when read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TicketPayload<S> {
    /// The ticket's name; empty if there is none.
    pub(crate) name: S,
    /// The leader's id, [`crate::model::MemberId::NOBODY`], or 0 if it is not known.
    pub(crate) leader: u32,
    /// The sender's term.
    pub(crate) term: u32,
    /// The validity in the cluster's [`super::TimeUnit`].
    pub(crate) valid_for: u32,
}

impl TicketPayload<&str> {
    /// The payload of a packet that is not about a ticket: zeroes.
    pub(crate) const NONE: TicketPayload<&'static str> =
        TicketPayload { name: "", leader: 0, term: 0, valid_for: 0 };

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(TICKET_LEN);
        writer.string(self.name, TICKET_FIELD);
        writer.u32(self.leader);
        writer.u32(self.term);
        writer.u32(self.valid_for);
        writer.finish()
    }
}

impl<'a> TicketPayload<&'a [u8]> {
    /// Reads the payload after the header of a packet.
    pub(crate) fn read(packet: &'a [u8]) -> Result<TicketPayload<&'a [u8]>, WireError> {
        let mut reader = payload_reader(packet)?;
        Ok(TicketPayload {
            name: reader.string(TICKET_FIELD, Field::Ticket)?,
            leader: reader.u32()?,
            term: reader.u32()?,
            valid_for: reader.u32()?,
        })
    }
}

/// The fields of the attribute payload: `S` is text when written, bytes when read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttrPayload<S> {
    /// The ticket's name.
    pub(crate) ticket: S,
    /// The attribute's name; empty for a list.
    pub(crate) name: S,
    /// The attribute's value; empty unless it is set.
    pub(crate) value: S,
}

impl AttrPayload<&str> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(ATTR_LEN);
        writer.string(self.ticket, TICKET_FIELD);
        writer.string(self.name, ATTR_NAME_FIELD);
        writer.string(self.value, ATTR_VALUE_FIELD);
        writer.finish()
    }
}

impl<'a> AttrPayload<&'a [u8]> {
    /// Reads the payload after the header of a packet.
    pub(crate) fn read(packet: &'a [u8]) -> Result<AttrPayload<&'a [u8]>, WireError> {
        let mut reader = payload_reader(packet)?;
        Ok(AttrPayload {
            ticket: reader.string(TICKET_FIELD, Field::Ticket)?,
            name: reader.string(ATTR_NAME_FIELD, Field::AttrName)?,
            value: reader.string(ATTR_VALUE_FIELD, Field::AttrValue)?,
        })
    }
}

/// The ticket name in a field of a packet.
pub(crate) fn read_ticket_name(bytes: &[u8]) -> Result<TicketName, WireError> {
    match core::str::from_utf8(bytes) {
        Ok(text) => TicketName::new(text).map_err(WireError::Ticket),
        Err(_) => Err(WireError::TicketNotAscii),
    }
}

fn payload_reader(packet: &[u8]) -> Result<Reader<'_>, WireError> {
    match packet.get(HEADER_LEN..) {
        Some(payload) => Ok(Reader::new(payload)),
        None => Err(WireError::TooShort { len: packet.len(), need: HEADER_LEN }),
    }
}
