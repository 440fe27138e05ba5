// SPDX-License-Identifier: GPL-2.0-or-later
//! The message authentication code, HMAC-SHA1, and its 28 bytes on the wire (P3).
//!
//! Only this file uses the hash crates. `envelope` decides which bytes are covered.

use crate::wire::MAC_LEN;
use alloc::vec::Vec;
use core::fmt;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// The fewest bytes that a key must have.
///
/// Reference: refuses shorter key files.
pub const KEY_MIN: usize = 8;
/// How many bytes of a key count: one block of SHA-1.
///
/// Reference: reads no more than that from the key file.
pub const KEY_MAX: usize = 64;

/// The hash id of HMAC-SHA1 in the trailer; there is no other.
const HASH_ID: u32 = 2;
/// The length of an HMAC-SHA1 in bytes.
const DIGEST_LEN: usize = 20;
/// The offset of the digest in the trailer, after the hash id.
const DIGEST_AT: usize = 4;

/// The secret that all members and their clients share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: Vec<u8>,
}

/// Why bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There are fewer than [`KEY_MIN`] bytes.
    TooShort {
        /// How many there are.
        len: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::TooShort { len } => {
                write!(f, "the key has {len} bytes, at least {KEY_MIN} are needed")
            }
        }
    }
}

impl core::error::Error for KeyError {}

impl Key {
    /// The key in these bytes, which the caller has trimmed if necessary. Only the first
    /// [`KEY_MAX`] bytes count.
    ///
    /// # Errors
    /// There are fewer than [`KEY_MIN`] bytes.
    pub fn new(bytes: &[u8]) -> Result<Key, KeyError> {
        if bytes.len() < KEY_MIN {
            return Err(KeyError::TooShort { len: bytes.len() });
        }
        let counting = bytes.get(..KEY_MAX).unwrap_or(bytes);
        Ok(Key { bytes: counting.to_vec() })
    }

    /// Whether the reference would treat this key as no key, and not authenticate.
    ///
    /// Reference: it does so if the first byte is zero.
    pub fn disarms_reference(&self) -> bool {
        self.bytes.first() == Some(&0)
    }
}

/// Does not show the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.bytes.len())
    }
}

/// Why a trailer does not authenticate its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MacMismatch {
    /// The hash id is not that of HMAC-SHA1.
    HashId(u32),
    /// The digest is wrong.
    Digest,
}

/// Makes and checks trailers with one key.
#[derive(Clone)]
pub(super) struct MacMaker {
    keyed: Hmac<Sha1>,
}

/// Does not show the secret.
impl fmt::Debug for MacMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacMaker")
    }
}

impl MacMaker {
    pub(super) fn new(key: &Key) -> MacMaker {
        // HMAC takes keys of any length, so this cannot fail.
        let keyed = Hmac::new_from_slice(&key.bytes).expect("HMAC accepts every key length");
        MacMaker { keyed }
    }

    /// The trailer for these bytes.
    pub(super) fn trailer(&self, covered: &[u8]) -> [u8; MAC_LEN] {
        self.trailer_of_both(covered, &[])
    }

    /// The trailer for these bytes, one part behind the other.
    pub(super) fn trailer_of_both(&self, first: &[u8], then: &[u8]) -> [u8; MAC_LEN] {
        let digest = self.keyed.clone().chain_update(first).chain_update(then);
        let digest = digest.finalize().into_bytes();
        let mut trailer = [0; MAC_LEN];
        trailer[..DIGEST_AT].copy_from_slice(&HASH_ID.to_be_bytes());
        trailer[DIGEST_AT..DIGEST_AT + DIGEST_LEN].copy_from_slice(&digest);
        trailer
    }

    /// Checks the trailer for these bytes in constant time. Its last four bytes are ignored: they
    /// are not part of the hash, and changing them gains nothing.
    pub(super) fn verify(
        &self,
        covered: &[u8],
        trailer: &[u8; MAC_LEN],
    ) -> Result<(), MacMismatch> {
        let mut id = [0; DIGEST_AT];
        id.copy_from_slice(&trailer[..DIGEST_AT]);
        let id = u32::from_be_bytes(id);
        if id != HASH_ID {
            return Err(MacMismatch::HashId(id));
        }
        let digest = &trailer[DIGEST_AT..DIGEST_AT + DIGEST_LEN];
        let keyed = self.keyed.clone().chain_update(covered);
        keyed.verify_slice(digest).map_err(|_| MacMismatch::Digest)
    }
}

/// The first four bytes of a trailer's digest.
pub(super) fn digest_start(trailer: &[u8; MAC_LEN]) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&trailer[DIGEST_AT..DIGEST_AT + 4]);
    u32::from_be_bytes(bytes)
}

/// Eight bytes of a trailer's digest, by which it is remembered. Nobody can choose them without the
/// key, so two packets share them only by chance, with a probability of 2^-64.
pub(super) fn fingerprint(trailer: &[u8; MAC_LEN]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&trailer[DIGEST_AT..DIGEST_AT + 8]);
    u64::from_be_bytes(bytes)
}
