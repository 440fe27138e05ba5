// SPDX-License-Identifier: GPL-2.0-or-later
//! A bounded big-endian cursor over received bytes, and its counterpart for writing.
//!
//! Knows integers and fixed-size strings; what they mean is left to the codecs.

use super::error::{Field, WireError};
use alloc::vec::Vec;

/// Reads from the front of a slice; never past its end.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        match self.rest.split_at_checked(count) {
            Some((front, rest)) => {
                self.rest = rest;
                Ok(front)
            }
            None => Err(WireError::TooShort { len: self.rest.len(), need: count }),
        }
    }

    /// The next 32-bit number.
    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        let bytes = self.take(4)?;
        let mut number = [0; 4];
        number.copy_from_slice(bytes);
        Ok(u32::from_be_bytes(number))
    }

    /// The bytes of the next string, which occupies `size` bytes: everything before its NUL.
    ///
    /// What follows the NUL is not looked at, as in every C reader of such a field.
    pub(crate) fn string(&mut self, size: usize, field: Field) -> Result<&'a [u8], WireError> {
        let bytes = self.take(size)?;
        match bytes.iter().position(|b| *b == 0) {
            Some(end) => Ok(&bytes[..end]),
            None => Err(WireError::NoNul(field)),
        }
    }
}

/// Appends to a packet in the making.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(capacity) }
    }

    /// Appends a 32-bit number.
    pub(crate) fn u32(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    /// Appends a string in a field of `size` bytes, padded with NUL.
    ///
    /// Panics if the text does not leave room for one NUL: the name types are shorter than
    /// their fields.
    pub(crate) fn string(&mut self, text: &str, size: usize) {
        assert!(text.len() < size, "a string on the wire is shorter than its field");
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.resize(self.bytes.len() + (size - text.len()), 0);
    }

    /// Appends bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The packet.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
