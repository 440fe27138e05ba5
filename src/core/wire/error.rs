// SPDX-License-Identifier: GPL-2.0-or-later
//! Why bytes are not a message.

use super::code::{printable, Command};
use crate::model::TicketNameError;
use core::fmt;

/// A string field, for messages about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The ticket's name.
    Ticket,
    /// An attribute's name.
    AttrName,
    /// An attribute's value.
    AttrValue,
}

/// Why bytes are not a message. In `booth peers`, bytes that are not a packet of the protocol count
/// as `error`, the rest as `invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// There are too few bytes.
    TooShort {
        /// How many there are.
        len: usize,
        /// How many are needed at least.
        need: usize,
    },
    /// There are too many bytes, or the length field announces too many.
    TooLong {
        /// How many there are, or are announced.
        len: usize,
        /// How many there may be.
        max: usize,
    },
    /// The magic number is wrong: this is not Booth.
    Magic(u32),
    /// The version of the protocol is not ours.
    Version(u32),
    /// The length field is not the length of the packet.
    LengthField {
        /// What the field says.
        stated: u32,
        /// How many bytes there are.
        actual: usize,
    },
    /// The message does not have the size of its command.
    Size {
        /// The command of the message.
        command: Command,
        /// How many bytes it has, without authentication.
        len: usize,
        /// How many it should have.
        expected: usize,
    },
    /// There is no command with this number.
    UnknownCommand(u32),
    /// The command is not valid here: a client's command between members, for instance.
    Misplaced(Command),
    /// The command answers (`request`) something that it cannot answer.
    Request {
        /// The command of the message.
        command: Command,
        /// The number in `request`.
        request: u32,
    },
    /// There is no reason with this number.
    UnknownReason(u32),
    /// There is no such result, or this command cannot have it.
    Result {
        /// The command of the message.
        command: Command,
        /// The number in `result`.
        result: u32,
    },
    /// The leader field is 0, which members never send.
    NoLeader,
    /// A HELLO does not state the life of its sender.
    NoLife,
    /// A vote is for nobody.
    VoteForNobody,
    /// A step-down names a leader; VOTE_FOR without a request must name nobody.
    StepDownWithLeader,
    /// A string has no NUL.
    NoNul(Field),
    /// A ticket name is not ASCII.
    TicketNotAscii,
    /// A ticket name is not valid.
    Ticket(TicketNameError),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::TooShort { len, need } => {
                write!(f, "{len} bytes, at least {need} are needed")
            }
            WireError::TooLong { len, max } => write!(f, "{len} bytes, at most {max} are possible"),
            WireError::Magic(magic) => write!(f, "magic number {magic:#010x}, not Booth's"),
            WireError::Version(version) => {
                write!(f, "protocol version {version:#010x}, not 0x00010003")
            }
            WireError::LengthField { stated, actual } => {
                write!(f, "length field says {stated}, but there are {actual} bytes")
            }
            WireError::Size { command, len, expected } => {
                write!(f, "{command} with {len} bytes, expected {expected}")
            }
            WireError::UnknownCommand(raw) => write!(f, "unknown command {}", printable(*raw)),
            WireError::Misplaced(command) => write!(f, "command {command} does not belong here"),
            WireError::Request { command, request } => {
                write!(f, "{command} cannot answer {}", printable(*request))
            }
            WireError::UnknownReason(raw) => write!(f, "unknown reason {}", printable(*raw)),
            WireError::Result { command, result } => {
                write!(f, "{command} cannot have result {}", printable(*result))
            }
            WireError::NoLeader => write!(f, "leader field is 0"),
            WireError::NoLife => write!(f, "no life of the sender in a hello"),
            WireError::VoteForNobody => write!(f, "vote for nobody"),
            WireError::StepDownWithLeader => write!(f, "step-down names a leader"),
            WireError::NoNul(Field::Ticket) => write!(f, "ticket name without end"),
            WireError::NoNul(Field::AttrName) => write!(f, "attribute name without end"),
            WireError::NoNul(Field::AttrValue) => write!(f, "attribute value without end"),
            WireError::TicketNotAscii => write!(f, "ticket name is not ASCII"),
            WireError::Ticket(error) => write!(f, "ticket name: {error}"),
        }
    }
}

impl core::error::Error for WireError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            WireError::Ticket(error) => Some(error),
            WireError::TooShort { .. }
            | WireError::TooLong { .. }
            | WireError::Magic(_)
            | WireError::Version(_)
            | WireError::LengthField { .. }
            | WireError::Size { .. }
            | WireError::UnknownCommand(_)
            | WireError::Misplaced(_)
            | WireError::Request { .. }
            | WireError::UnknownReason(_)
            | WireError::Result { .. }
            | WireError::NoLeader
            | WireError::NoLife
            | WireError::VoteForNobody
            | WireError::StepDownWithLeader
            | WireError::NoNul(_)
            | WireError::TicketNotAscii => None,
        }
    }
}
