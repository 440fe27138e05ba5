// SPDX-License-Identifier: GPL-2.0-or-later
//! Authentication of packets: keys, stamps, MACs, and the memory against replays.
//!
//! Works on the bytes that `wire` encodes and decodes, without sockets and clocks.

mod bond;
mod envelope;
mod error;
mod mac;
mod replay;

pub use bond::Bond;
pub use envelope::{bond_of_answers, Opened, Opener, Proof, Sealer};
pub use error::AuthError;
pub use mac::{Key, KeyError, KEY_MAX, KEY_MIN};
pub use replay::{ReplayGuard, REMEMBERED_MAX};

#[cfg(test)]
mod tests;
