// SPDX-License-Identifier: GPL-2.0-or-later
//! What a packet is bound to: one receiver, and one life of that receiver (P9).
//!
//! Only in ours. The bond is in the field `opts`, which the MAC covers. A reference peer reads only
//! bits 0 and 2 of it. Bit 3 says that the packet is bound. Bits 4 to 31 are a hash, made with the
//! key, of the receiver's id and life; it is a hash only so that both fit. An answer to a client is
//! bound to the request instead: these bits come from the request's MAC.

use super::mac::{digest_start, MacMaker};
use crate::model::MemberId;
use crate::wire::Life;

/// Bit 3 of `opts`: the packet is bound.
const BOUND_BIT: u32 = 8;
/// The first bit of the bond in `opts`.
const BOND_SHIFT: u32 = 4;

/// What a packet is bound to: 28 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bond(u32);

impl Bond {
    /// The bond of packets for this receiver in this life; `None`: the sender does not know the
    /// life.
    pub(super) fn to(maker: &MacMaker, receiver: MemberId, life: Option<Life>) -> Bond {
        let life = life.map_or(0, Life::raw);
        let mut text = b"bound to ".to_vec();
        text.extend(receiver.raw().to_be_bytes());
        text.extend(life.to_be_bytes());
        Bond(digest_start(&maker.trailer(&text)) >> BOND_SHIFT)
    }

    /// The bond of answers to a packet with this trailer.
    pub(super) fn to_packet(trailer: &[u8; crate::wire::MAC_LEN]) -> Bond {
        Bond(digest_start(trailer) >> BOND_SHIFT)
    }

    /// The bits for the field `opts`.
    pub(super) const fn opts(self) -> u32 {
        BOUND_BIT | (self.0 << BOND_SHIFT)
    }

    /// The bond in a field `opts`, if there is one.
    pub(super) fn from_opts(opts: u32) -> Option<Bond> {
        (opts & BOUND_BIT != 0).then_some(Bond(opts >> BOND_SHIFT))
    }
}
