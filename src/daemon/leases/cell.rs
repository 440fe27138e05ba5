// SPDX-License-Identifier: GPL-2.0-or-later
//! Cells of the lease table: a few numbers that are replaced as one.
//!
//! A cell has two copies, each with a sequence number before and a checksum behind it. A write
//! goes to the older or damaged copy; a read takes the newer good one. So a writer that is
//! killed at any byte, and a reader that comes in between, finds the old value or the new one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A cell of `N` numbers at a place in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<const N: usize> {
    offset: u64,
}

/// The most numbers of a cell, with sequence number and checksum.
const WORDS_MAX: usize = 16;

impl<const N: usize> Cell<N> {
    /// The bytes of one copy.
    const COPY_LEN: usize = (N + 2) * 8;
    /// The bytes of the whole cell.
    #[cfg(test)]
    pub(super) const LEN: usize = 2 * Self::COPY_LEN;

    /// The cell that begins at this byte.
    pub(super) const fn at(offset: u64) -> Cell<N> {
        assert!(N + 2 <= WORDS_MAX, "a copy fits its buffer");
        Cell { offset }
    }

    /// What the cell says; `None`: it was never written.
    pub(super) fn read(self, file: &File) -> io::Result<Option<[u64; N]>> {
        Ok(self.newest(file)?.map(|(_, _, words)| words))
    }

    /// What the cell says, and the number of that value.
    pub(super) fn read_numbered(self, file: &File) -> io::Result<Option<(u64, [u64; N])>> {
        Ok(self.newest(file)?.map(|(_, sequence, words)| (sequence, words)))
    }

    /// Replaces what the cell says.
    pub(super) fn write(self, file: &File, words: [u64; N]) -> io::Result<()> {
        let (copy, sequence) = match self.newest(file)? {
            Some((newest, sequence, _)) => (1 - newest, sequence.saturating_add(1)),
            None => (0, 1),
        };
        let mut bytes = [0u8; WORDS_MAX * 8];
        let numbers = std::iter::once(sequence).chain(words);
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = u64::from(crc32fast::hash(&bytes[..Self::COPY_LEN - 8]));
        bytes[Self::COPY_LEN - 8..Self::COPY_LEN].copy_from_slice(&sum.to_le_bytes());
        file.write_all_at(&bytes[..Self::COPY_LEN], self.place_of(copy))
    }

    fn place_of(self, copy: u64) -> u64 {
        self.offset + copy * Self::COPY_LEN as u64
    }

    /// The newer good copy: which, its number, its value.
    fn newest(self, file: &File) -> io::Result<Option<(u64, u64, [u64; N])>> {
        let mut bytes = [0u8; 2 * WORDS_MAX * 8];
        let both = &mut bytes[..2 * Self::COPY_LEN];
        match file.read_exact_at(both, self.offset) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let (first, second) = both.split_at(Self::COPY_LEN);
        Ok(match (Self::check(first), Self::check(second)) {
            (Some(a), Some(b)) if a.0 >= b.0 => Some((0, a.0, a.1)),
            (Some(_), Some(b)) | (None, Some(b)) => Some((1, b.0, b.1)),
            (Some(a), None) => Some((0, a.0, a.1)),
            (None, None) => None,
        })
    }

    /// Number and value of a copy, if it is good.
    fn check(copy: &[u8]) -> Option<(u64, [u64; N])> {
        let (content, sum) = copy.split_at(Self::COPY_LEN - 8);
        let mut numbers = content.chunks_exact(8).map(number);
        let sequence = numbers.next().filter(|sequence| *sequence > 0)?;
        if number(sum) != u64::from(crc32fast::hash(content)) {
            return None;
        }
        let mut words = [0u64; N];
        for (word, value) in words.iter_mut().zip(numbers) {
            *word = value;
        }
        Some((sequence, words))
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut array = [0u8; 8];
    array.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(array)
}
