// SPDX-License-Identifier: GPL-2.0-or-later
//! A bounded big-endian cursor over received bytes, and its counterpart for writing. They handle
//! integers and fixed-size strings; the codecs know their meaning.

use super::error::{Field, WireError};
use alloc::vec::Vec;

/// Reads from the front of a slice, and never past its end.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        match self.rest.split_at_checked(count) {
            Some((front, rest)) => {
                self.rest = rest;
                Ok(front)
            }
            None => Err(WireError::TooShort { len: self.rest.len(), need: count }),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        let bytes = self.take(4)?;
        let mut number = [0; 4];
        number.copy_from_slice(bytes);
        Ok(u32::from_be_bytes(number))
    }

    /// The next string, without its NUL, from a field of `size` bytes.
    ///
    /// The bytes after the NUL are ignored, as in C.
    pub(crate) fn string(&mut self, size: usize, field: Field) -> Result<&'a [u8], WireError> {
        let bytes = self.take(size)?;
        match bytes.iter().position(|b| *b == 0) {
            Some(end) => Ok(&bytes[..end]),
            None => Err(WireError::NoNul(field)),
        }
    }
}

/// Appends to a packet that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(capacity) }
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    /// Appends a string in a field of `size` bytes, padded with NUL.
    ///
    /// Panics if the text leaves no room for a NUL. The types of names guarantee that it does.
    pub(crate) fn string(&mut self, text: &str, size: usize) {
        assert!(text.len() < size, "a string on the wire is shorter than its field");
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.resize(self.bytes.len() + (size - text.len()), 0);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
