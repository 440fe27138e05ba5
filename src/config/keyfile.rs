// SPDX-License-Identifier: GPL-2.0-or-later
//! The key file: who may read it, which of its bytes count.

pub use super::error::KeyFileProblem;

use super::error::system_words;
use crate::auth::{Key, KEY_MAX};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Permission bits that let group or others read.
const READABLE_BY_OTHERS: u32 = 0o044;
/// Permission bits that let group or others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A key as it was found in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The key.
    pub key: Key,
    /// Whether group or others may write the file, and so choose the key.
    pub writable_by_others: bool,
}

/// Reads a key file.
///
/// Reference: refuses a file that group or others may read, and looks at no other bit.
pub(super) fn read(path: &Path) -> Result<KeyFile, KeyFileProblem> {
    let failed = |error: io::Error| KeyFileProblem::Open { reason: system_words(&error) };
    // Looked at before it is opened, because opening a pipe may wait for ever.
    let before = std::fs::metadata(path).map_err(failed)?;
    if !before.is_file() {
        return Err(KeyFileProblem::NotAFile);
    }
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & READABLE_BY_OTHERS != 0 {
        return Err(KeyFileProblem::Readable { mode });
    }
    let mut head = Vec::with_capacity(KEY_MAX);
    let limit = u64::try_from(KEY_MAX).unwrap_or(u64::MAX);
    Read::by_ref(&mut file).take(limit).read_to_end(&mut head).map_err(failed)?;
    let key = Key::new(trim(&head)).map_err(KeyFileProblem::Unfit)?;
    Ok(KeyFile { key, writable_by_others: mode & WRITABLE_BY_OTHERS != 0 })
}

/// The bytes that count of the first [`KEY_MAX`]: all of them, or, if they are all ASCII, without
/// the white space at both ends.
///
/// Reference: cuts to 64 bytes first and trims then, so white space at the front counts against
/// the 64 and what stands behind them does not matter at all.
pub(super) fn trim(head: &[u8]) -> &[u8] {
    if !head.is_ascii() {
        return head;
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0B;
    let start = head.iter().take_while(|byte| is_space(byte)).count();
    let rest = &head[start..];
    let end = rest.iter().rev().take_while(|byte| is_space(byte)).count();
    &rest[..rest.len() - end]
}
