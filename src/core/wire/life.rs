// SPDX-License-Identifier: GPL-2.0-or-later
//! The number of one life of a daemon, and where a packet carries it (P9).
//!
//! Only in ours. A reference peer sends 0 in these fields and does not read them.

use super::code::Command;
use super::header::{Header, HEADER_LEN};
use crate::model::MemberId;
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// Offset of the field `reason`.
const REASON_AT: usize = 40;
/// Offset of the field `result`.
const RESULT_AT: usize = 44;

/// The life of a daemon, from its start to its end: a random number above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Life(NonZeroU32);

impl Life {
    /// A life from any random number.
    pub fn from_random(random: u64) -> Life {
        let [.., a, b, c, d] = random.to_be_bytes();
        Life(NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).unwrap_or(NonZeroU32::MIN))
    }

    /// The life with this number; `None` for 0.
    pub fn from_raw(raw: u32) -> Option<Life> {
        NonZeroU32::new(raw).map(Life)
    }

    /// The number, above 0.
    pub const fn raw(self) -> u32 {
        self.0.get()
    }
}

/// The unsealed packet that only states the sender's life: HELLO, 48 bytes.
pub fn encode_hello(from: MemberId, life: Life) -> Vec<u8> {
    let mut packet = Header::of(Command::Hello, from.raw()).packet(&[]);
    put_life(&mut packet, life);
    packet
}

/// Whether an opened packet is a HELLO.
pub fn is_hello(packet: &[u8]) -> bool {
    packet.len() == HEADER_LEN && command_of(packet) == Some(Command::Hello)
}

/// Writes the sender's life into an unsealed packet that [`super::encode_peer`] made.
///
/// Panics if there is no room for a header.
pub fn put_life(packet: &mut [u8], life: Life) {
    let at = life_at(packet);
    packet[at..at + 4].copy_from_slice(&life.raw().to_be_bytes());
}

/// The life in an opened packet between members or in a HELLO; `None` if there is none.
pub fn life_of(packet: &[u8]) -> Option<Life> {
    let header = Header::read(packet).ok()?;
    Life::from_raw(if life_at(packet) == REASON_AT { header.reason } else { header.result })
}

/// The offset of the life: that of the field `result`. Between members, only a rejection uses
/// `result` otherwise; it does not use `reason`, so its life is there.
fn life_at(packet: &[u8]) -> usize {
    match command_of(packet) {
        Some(Command::Rejected) => REASON_AT,
        Some(_) | None => RESULT_AT,
    }
}

fn command_of(packet: &[u8]) -> Option<Command> {
    Header::read(packet).ok()?.command().ok()
}
