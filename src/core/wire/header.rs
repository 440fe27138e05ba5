// SPDX-License-Identifier: GPL-2.0-or-later
//! The header that every packet begins with, and the sizes of packets (P1).
//!
//! [`super::Command`] lists the commands; the codecs know who may send them.

use super::code::Command;
use super::error::WireError;
use super::reader::{Reader, Writer};
use crate::model::MemberId;
use crate::time::WallTime;
use alloc::vec::Vec;

/// The length of the header in bytes.
pub const HEADER_LEN: usize = 48;
/// The length of the authentication trailer in bytes: hash id (4), HMAC-SHA1 (20), zeroes (4).
pub const MAC_LEN: usize = 28;
/// The length of the ticket payload in bytes: name, leader, term, valid-for.
pub(crate) const TICKET_LEN: usize = 64 + 3 * 4;
/// The length of the attribute payload in bytes: ticket, name, value.
pub(crate) const ATTR_LEN: usize = 64 + 64 + 128;
/// The length of a message between members in bytes, without authentication.
pub const PEER_LEN: usize = HEADER_LEN + TICKET_LEN;
/// The length of the longest datagram between members in bytes, with authentication. A receiver
/// that reads one byte more can see that a datagram is too long.
pub const DATAGRAM_MAX: usize = PEER_LEN + MAC_LEN;
/// The length of the longest request of a client in bytes, with authentication.
pub const REQUEST_MAX: usize = HEADER_LEN + ATTR_LEN + MAC_LEN;
/// The length of the longest message of any kind in bytes: enough for a list of the 100 000 tickets
/// that a configuration can have, with lines of 320 bytes.
pub const FRAME_MAX: usize = 32 * 1000 * 1000;
/// How many zero bytes may follow a client's request, beyond its stated length (P13).
///
/// Reference: without a key, its clients send zeroes in place of the MAC after list, peers,
/// attribute get and attribute list. A server reads and ignores them before it closes, because
/// closing with unread bytes resets the connection.
pub const REQUEST_TAIL: usize = MAC_LEN;

/// The magic number of a Booth packet.
const MAGIC: u32 = 0x5F1B_A08C;
/// The version of the protocol.
const VERSION: u32 = 0x0001_0003;
/// Bit 0 of `opts`: the packet is authenticated.
pub(crate) const OPT_AUTHENTICATED: u32 = 1;

/// Offset of the field `opts`.
pub(crate) const OPTS_AT: usize = 0;
/// Offset of the field `from`.
const FROM_AT: usize = 20;
/// Offset of the field `length`.
pub(crate) const LENGTH_AT: usize = 24;

/// All fields of the header as numbers (P1), except magic and version, which are only checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bit 0: authenticated; bits 3 to 31: the bond (P9).
    pub(crate) opts: u32,
    /// Seconds of the sender's wall clock; 0 without authentication.
    pub(crate) secs: u32,
    /// Microseconds; the reference takes them from a different clock than the seconds.
    pub(crate) usecs: u32,
    /// The sender's member id.
    pub(crate) from: u32,
    /// The length of the whole packet in bytes.
    pub(crate) length: u32,
    /// The number of a [`Command`].
    pub(crate) cmd: u32,
    /// The command that this one answers, or 0.
    pub(crate) request: u32,
    /// Options, round or nonce, depending on the command.
    pub(crate) options: u32,
    /// The number of a [`super::Reason`] or [`super::WaitCause`], a life, or what a voter knows.
    pub(crate) reason: u32,
    /// The number of a [`super::ResultCode`], or a life.
    pub(crate) result: u32,
}

impl Header {
    /// The header of an unsealed packet of this command; all other fields are 0.
    pub(crate) fn of(command: Command, from: u32) -> Header {
        Header { cmd: command.raw(), from, ..Header::default() }
    }

    /// Reads a header and checks magic and version.
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::TooShort { len: bytes.len(), need: HEADER_LEN });
        }
        let mut reader = Reader::new(bytes);
        let (opts, secs, usecs) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let magic = reader.u32()?;
        if magic != MAGIC {
            return Err(WireError::Magic(magic));
        }
        let version = reader.u32()?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        Ok(Header {
            opts,
            secs,
            usecs,
            from: reader.u32()?,
            length: reader.u32()?,
            cmd: reader.u32()?,
            request: reader.u32()?,
            options: reader.u32()?,
            reason: reader.u32()?,
            result: reader.u32()?,
        })
    }

    /// Reads the header of a packet that [`crate::auth::Opener`] has opened, and checks the length
    /// field, which still includes the removed MAC.
    pub(crate) fn read_opened(packet: &[u8]) -> Result<Header, WireError> {
        let header = Header::read(packet)?;
        let cut_off = if header.is_authenticated() { MAC_LEN } else { 0 };
        check_length(&header, packet.len().saturating_add(cut_off))?;
        Ok(header)
    }

    /// The unsealed packet of this header and a payload; sets the length field.
    pub(crate) fn packet(self, payload: &[u8]) -> Vec<u8> {
        let mut packet = self.ahead_of(payload.len());
        packet.reserve_exact(payload.len() + MAC_LEN);
        packet.extend_from_slice(payload);
        packet
    }

    /// The bytes of this header ahead of a payload of so many bytes; sets the length field.
    pub(crate) fn ahead_of(self, payload: usize) -> Vec<u8> {
        let len = HEADER_LEN + payload;
        assert!(len <= FRAME_MAX, "a packet stays below FRAME_MAX");
        // FRAME_MAX is far below u32::MAX, so the fallback is never taken.
        let length = u32::try_from(len).unwrap_or(u32::MAX);
        let mut writer = Writer::with_capacity(HEADER_LEN);
        for field in [self.opts, self.secs, self.usecs, MAGIC, VERSION, self.from, length] {
            writer.u32(field);
        }
        for field in [self.cmd, self.request, self.options, self.reason, self.result] {
            writer.u32(field);
        }
        writer.finish()
    }

    /// Whether the packet says that it is authenticated.
    pub(crate) const fn is_authenticated(&self) -> bool {
        self.opts & OPT_AUTHENTICATED != 0
    }

    /// The command in `cmd`; an error if there is no such command.
    pub(crate) fn command(&self) -> Result<Command, WireError> {
        Command::from_raw(self.cmd).ok_or(WireError::UnknownCommand(self.cmd))
    }
}

/// Checks that the length field states `actual` bytes.
pub(crate) fn check_length(header: &Header, actual: usize) -> Result<(), WireError> {
    if usize::try_from(header.length) == Ok(actual) {
        Ok(())
    } else {
        Err(WireError::LengthField { stated: header.length, actual })
    }
}

/// The length in bytes of the message that begins with this header on a stream, including the
/// header.
///
/// Clients use it to read answers; servers use [`request_len`], which has a lower limit.
///
/// # Errors
/// Magic or version is wrong, or the length field is below [`HEADER_LEN`] or above [`FRAME_MAX`].
pub fn frame_len(header: &[u8; HEADER_LEN]) -> Result<usize, WireError> {
    bounded_len(header, FRAME_MAX)
}

/// The length in bytes of the request that begins with this header on a stream, including the
/// header.
///
/// # Errors
/// Like [`frame_len`], with [`REQUEST_MAX`] as the limit.
pub fn request_len(header: &[u8; HEADER_LEN]) -> Result<usize, WireError> {
    bounded_len(header, REQUEST_MAX)
}

fn bounded_len(header: &[u8; HEADER_LEN], max: usize) -> Result<usize, WireError> {
    let length = Header::read(header)?.length;
    // The fallback is only for 16-bit platforms, where it is too long.
    let len = usize::try_from(length).unwrap_or(usize::MAX);
    if len < HEADER_LEN {
        Err(WireError::TooShort { len, need: HEADER_LEN })
    } else if len > max {
        Err(WireError::TooLong { len, max })
    } else {
        Ok(len)
    }
}

/// The time of day that an authenticated packet states; `None`: it states none. The microseconds
/// of a reference peer are of another clock: its stamps may be off by a second.
pub fn stamp_of(bytes: &[u8]) -> Option<WallTime> {
    let header = Header::read(bytes).ok().filter(Header::is_authenticated)?;
    let micros = u64::from(header.secs) * 1_000_000 + u64::from(header.usecs);
    Some(WallTime::from_micros(micros))
}

/// The sender that a packet names, if it is long enough. Magic and version are not checked, so that
/// a member with another version can be named. The result is not authenticated, so use it only for
/// counters and log lines.
pub fn claimed_sender(bytes: &[u8]) -> Option<MemberId> {
    let field = bytes.get(FROM_AT..)?.first_chunk::<4>()?;
    Some(MemberId::from_raw(u32::from_be_bytes(*field)))
}
