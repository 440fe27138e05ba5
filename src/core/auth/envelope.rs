// SPDX-License-Identifier: GPL-2.0-or-later
//! Sealing packets (time stamp, authentication) and opening received ones (P3, L15).
//!
//! An [`Opener`] checks in this order: the shape (size, magic, version, length field), whether
//! authentication is as configured, the MAC, and the age. [`super::ReplayGuard`] checks whether a
//! packet was accepted before, the codecs of `wire` decode it, and the caller checks whether its
//! sender is a member.

use super::bond::Bond;
use super::error::AuthError;
use super::mac::{fingerprint, Key, MacMaker, MacMismatch};
use crate::model::MemberId;
use crate::time::{Span, WallTime};
use crate::wire::header::{check_length, Header, LENGTH_AT, OPTS_AT, OPT_AUTHENTICATED};
use crate::wire::{
    Command, Life, WireError, DATAGRAM_MAX, FRAME_MAX, HEADER_LEN, MAC_LEN, REQUEST_MAX,
};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Stamps and authenticates outgoing packets.
#[derive(Clone, Debug)]
pub struct Sealer {
    maker: Option<MacMaker>,
}

/// Checks incoming packets.
#[derive(Clone, Debug)]
pub struct Opener {
    maker: Option<MacMaker>,
    max_skew: Span,
}

/// A packet that passed every check of an [`Opener`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Header and payload without the MAC, for the codecs of `wire`.
    pub packet: Cow<'a, [u8]>,
    /// Identifies it for a [`super::ReplayGuard`]; `None` without authentication.
    pub proof: Option<Proof>,
    /// What it is bound to; `None`: to nothing, like packets of a reference peer and packets
    /// without authentication.
    pub bond: Option<Bond>,
    /// What an answer to it must be bound to; `None` if it is not bound itself.
    pub answer: Option<Bond>,
}

/// Identifies an authenticated packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The member that authenticated it.
    pub(super) from: MemberId,
    /// The seconds of its stamp, since the epoch.
    pub(super) secs: u64,
    /// The fingerprint of its MAC, which covers sender, stamp and everything else.
    pub(super) mac: u64,
}

impl Proof {
    /// The time of the packet's stamp, in whole seconds.
    pub const fn stamp(&self) -> WallTime {
        WallTime::from_secs(self.secs)
    }
}

/// What the answers to this sealed request of a client must be bound to; `None` if the request
/// itself is not bound.
pub fn bond_of_answers(request: &[u8]) -> Option<Bond> {
    let header = Header::read(request).ok().filter(Header::is_authenticated)?;
    let (_, trailer) = take_last(request)?;
    Bond::from_opts(header.opts).map(|_| Bond::to_packet(trailer))
}

/// The position of the MAC in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Last; it covers everything before it. Messages between members, requests, `Rslt`.
    Last,
    /// Directly after the header; it covers only the header, and the text follows unprotected.
    /// Reference: answers with text, see `RLst` in the vectors.
    BehindHeader,
}

impl Sealer {
    /// A sealer with this key. Without a key, packets get neither stamp nor MAC.
    pub fn new(key: Option<Key>) -> Sealer {
        Sealer { maker: key.as_ref().map(MacMaker::new) }
    }

    /// The bond of packets for this receiver in this life; without a life, in one that is not
    /// known. `None` without a key.
    pub fn bond(&self, receiver: MemberId, life: Option<Life>) -> Option<Bond> {
        self.maker.as_ref().map(|maker| Bond::to(maker, receiver, life))
    }

    /// Seals a message between members or a client's request, from [`crate::wire::encode_peer`] or
    /// [`crate::wire::encode_request`], without a bond, like a reference peer.
    pub fn seal(&self, packet: Vec<u8>, wall: WallTime) -> Vec<u8> {
        self.seal_as(Layout::Last, packet, wall, None)
    }

    /// The same, with a bond from [`Sealer::bond`].
    pub fn seal_bound(&self, packet: Vec<u8>, wall: WallTime, bond: Option<Bond>) -> Vec<u8> {
        self.seal_as(Layout::Last, packet, wall, bond)
    }

    /// Seals an answer to a client, from [`crate::wire::encode_reply`], without a bond.
    pub fn seal_reply(&self, packet: Vec<u8>, wall: WallTime) -> Vec<u8> {
        self.seal_reply_to(packet, wall, None)
    }

    /// The same, with the bond in [`Opened::answer`] of the request.
    pub fn seal_reply_to(&self, packet: Vec<u8>, wall: WallTime, bond: Option<Bond>) -> Vec<u8> {
        self.seal_as(reply_layout(&packet), packet, wall, bond)
    }

    /// Seals a report, whose text stays where it is: what [`crate::wire::encode_report_header`]
    /// made, and what comes behind the text.
    pub fn seal_report(
        &self,
        mut header: Vec<u8>,
        text: &str,
        wall: WallTime,
        bond: Option<Bond>,
    ) -> (Vec<u8>, Vec<u8>) {
        let Some(maker) = &self.maker else {
            return (header, Vec::new());
        };
        let length = header.len() + text.len();
        stamp(&mut header, length, wall, bond);
        let trailer = maker.trailer_of_both(&header, text.as_bytes());
        (header, trailer.to_vec())
    }

    fn seal_as(
        &self,
        layout: Layout,
        mut packet: Vec<u8>,
        wall: WallTime,
        bond: Option<Bond>,
    ) -> Vec<u8> {
        assert!(packet.len() >= HEADER_LEN, "only packets with a header are sealed");
        let Some(maker) = &self.maker else {
            return packet;
        };
        let length = packet.len();
        stamp(&mut packet, length, wall, bond);
        let covered = match layout {
            Layout::Last => packet.len(),
            Layout::BehindHeader => HEADER_LEN,
        };
        let trailer = maker.trailer(&packet[..covered]);
        packet.splice(covered..covered, trailer);
        packet
    }
}

impl Opener {
    /// An opener with this key, which accepts stamps at most `max_skew` before or after its own
    /// wall clock. Without a key, it refuses authenticated packets.
    pub fn new(key: Option<Key>, max_skew: Span) -> Opener {
        Opener { maker: key.as_ref().map(MacMaker::new), max_skew }
    }

    /// Opens a datagram of a member.
    ///
    /// # Errors
    /// One of the checks failed; [`AuthError::is_invalid`] says how that counts.
    pub fn open<'a>(&self, bytes: &'a [u8], wall: WallTime) -> Result<Opened<'a>, AuthError> {
        self.open_as(|_| Layout::Last, DATAGRAM_MAX, bytes, wall)
    }

    /// Opens a client's request, without the bytes after its [`crate::wire::request_len`].
    ///
    /// # Errors
    /// Like [`Opener::open`].
    pub fn open_request<'a>(
        &self,
        bytes: &'a [u8],
        wall: WallTime,
    ) -> Result<Opened<'a>, AuthError> {
        self.open_as(|_| Layout::Last, REQUEST_MAX, bytes, wall)
    }

    /// Opens an answer to a client.
    ///
    /// # Errors
    /// Like [`Opener::open`].
    pub fn open_reply<'a>(&self, bytes: &'a [u8], wall: WallTime) -> Result<Opened<'a>, AuthError> {
        self.open_as(reply_layout, FRAME_MAX, bytes, wall)
    }

    fn open_as<'a>(
        &self,
        layout: fn(&[u8]) -> Layout,
        max: usize,
        bytes: &'a [u8],
        wall: WallTime,
    ) -> Result<Opened<'a>, AuthError> {
        let header = check_shape(bytes, max)?;
        let from = MemberId::from_raw(header.from);
        let maker = match (&self.maker, header.is_authenticated()) {
            (None, false) => {
                let packet = Cow::Borrowed(bytes);
                return Ok(Opened { packet, proof: None, bond: None, answer: None });
            }
            (None, true) => return Err(AuthError::NoKeyHere { from }),
            (Some(_), false) => return Err(AuthError::NotAuthenticated { from }),
            (Some(maker), true) => maker,
        };
        let (packet, trailer) = match layout(bytes) {
            Layout::Last => take_last(bytes),
            Layout::BehindHeader => take_behind_header(bytes),
        }
        .ok_or(AuthError::Malformed {
            from: Some(from),
            error: WireError::TooShort { len: bytes.len(), need: HEADER_LEN + MAC_LEN },
        })?;
        let covered = match &packet {
            Cow::Borrowed(whole) => whole,
            Cow::Owned(with_text) => &with_text[..HEADER_LEN],
        };
        maker.verify(covered, trailer).map_err(|mismatch| match mismatch {
            MacMismatch::HashId(id) => AuthError::HashId { from, id },
            MacMismatch::Digest => AuthError::WrongMac { from },
        })?;
        let secs = self.check_age(&header, wall)?;
        let proof = Some(Proof { from, secs, mac: fingerprint(trailer) });
        let bond = Bond::from_opts(header.opts);
        let answer = bond.map(|_| Bond::to_packet(trailer));
        Ok(Opened { packet, proof, bond, answer })
    }

    /// Checks the stamp, and returns its seconds since the epoch, not only their lower 32 bits.
    ///
    /// Only whole seconds count: the reference takes the microseconds from a different clock.
    fn check_age(&self, header: &Header, wall: WallTime) -> Result<u64, AuthError> {
        let from = MemberId::from_raw(header.from);
        let ahead = header.secs.wrapping_sub(stamp_secs(wall));
        let behind = stamp_secs(wall).wrapping_sub(header.secs);
        if ahead <= behind {
            let by = Span::from_secs(u64::from(ahead));
            if by > self.max_skew {
                return Err(AuthError::TooNew { from, by });
            }
            Ok(wall.as_secs().saturating_add(u64::from(ahead)))
        } else {
            let by = Span::from_secs(u64::from(behind));
            if by > self.max_skew {
                return Err(AuthError::TooOld { from, by });
            }
            Ok(wall.as_secs().saturating_sub(u64::from(behind)))
        }
    }
}

/// The checks that need no key, in their order.
fn check_shape(bytes: &[u8], max: usize) -> Result<Header, AuthError> {
    if bytes.len() > max {
        let from = crate::wire::claimed_sender(bytes);
        let error = WireError::TooLong { len: bytes.len(), max };
        return Err(AuthError::Malformed { from, error });
    }
    let header = Header::read(bytes).map_err(|error| AuthError::Malformed { from: None, error })?;
    let from = Some(MemberId::from_raw(header.from));
    check_length(&header, bytes.len()).map_err(|error| AuthError::Malformed { from, error })?;
    Ok(header)
}

/// Puts into the header what a seal needs; the packet has so many bytes without the MAC.
fn stamp(header: &mut [u8], length: usize, wall: WallTime, bond: Option<Bond>) {
    // Packets are shorter than FRAME_MAX, so the fallback is never taken.
    let length = u32::try_from(length + MAC_LEN).unwrap_or(u32::MAX);
    put(header, OPTS_AT, OPT_AUTHENTICATED | bond.map_or(0, Bond::opts));
    put(header, OPTS_AT + 4, stamp_secs(wall));
    put(header, OPTS_AT + 8, wall.subsec_micros());
    put(header, LENGTH_AT, length);
}

/// The layout of an answer: in answers with text, the MAC follows the header.
fn reply_layout(packet: &[u8]) -> Layout {
    let command = Header::read(packet).ok().and_then(|header| header.command().ok());
    match command {
        Some(Command::ResultList | Command::AttrGet | Command::AttrList) => Layout::BehindHeader,
        Some(_) | None => Layout::Last,
    }
}

type Split<'a> = Option<(Cow<'a, [u8]>, &'a [u8; MAC_LEN])>;

/// Packet and MAC of a packet whose MAC is last.
fn take_last(bytes: &[u8]) -> Split<'_> {
    let (packet, trailer) = bytes.split_last_chunk::<MAC_LEN>()?;
    (packet.len() >= HEADER_LEN).then_some((Cow::Borrowed(packet), trailer))
}

/// Packet and MAC of a packet whose MAC is between header and text.
fn take_behind_header(bytes: &[u8]) -> Split<'_> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let (trailer, text) = rest.split_first_chunk::<MAC_LEN>()?;
    Some((Cow::Owned([header, text].concat()), trailer))
}

/// The seconds of a stamp: their lower 32 bits. They are compared modulo 2^32, so their overflow in
/// 2106 does no harm.
fn stamp_secs(wall: WallTime) -> u32 {
    let [_, _, _, _, a, b, c, d] = wall.as_secs().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Writes a number at an offset inside the header.
fn put(packet: &mut [u8], at: usize, number: u32) {
    packet[at..at + 4].copy_from_slice(&number.to_be_bytes());
}
