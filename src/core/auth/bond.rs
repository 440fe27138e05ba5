// SPDX-License-Identifier: GPL-2.0-or-later
//! To whom a packet is bound: to one receiver, and to one life of it (P9).
//!
//! Ours alone, in the field `opts`, which the MAC covers and of which a reference peer looks at
//! the bits 0 and 2 only: bit 3 says that the packet is bound, and bits 4 to 31 are a hash, made
//! with the key, of the receiver's id and life. The hash hides nothing; it only makes both fit.
//! An answer to a client is bound to the request instead: the bits are those of its MAC.

use super::mac::{digest_start, MacMaker};
use crate::model::MemberId;
use crate::wire::Life;

/// Bit 3 of `opts`: the packet is bound.
const BOUND_BIT: u32 = 8;
/// The bits of `opts` that say to what.
const BOND_SHIFT: u32 = 4;

/// What a packet is bound to: 28 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bond(u32);

impl Bond {
    /// The bond of packets for this receiver in this life of it; `None`: in a life that the
    /// sender does not know.
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
