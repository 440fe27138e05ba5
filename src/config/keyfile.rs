// SPDX-License-Identifier: GPL-2.0-or-later
//! The key file: its permissions and owner, and which of its bytes count.

use super::error::KeyFileProblem;
use crate::auth::{Key, KEY_MAX};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

/// Permission bits of group and others.
const RIGHTS_OF_OTHERS: u32 = 0o077;
/// The user id of root.
const ROOT: u32 = 0;

/// Reads an open key file. Its owner must be root or a user for whom `may_own` is true.
///
/// Reference: refuses a file that group or others may read, and checks neither other bits nor the
/// owner.
///
/// # Errors
/// It is not a regular file, belongs to somebody else, gives others rights on it, or holds no key.
pub fn read(file: &File, may_own: impl Fn(u32) -> bool) -> Result<Key, KeyFileProblem> {
    let failed = |error: io::Error| KeyFileProblem::open(&error);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyFileProblem::NotAFile);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & RIGHTS_OF_OTHERS != 0 {
        return Err(KeyFileProblem::OpenToOthers { mode });
    }
    let owner = metadata.uid();
    if owner != ROOT && !may_own(owner) {
        return Err(KeyFileProblem::Owner { user: owner });
    }
    read_unjudged(file)
}

/// Reads an open key file, whoever it belongs to.
///
/// # Errors
/// It cannot be read, or holds no key.
pub fn read_unjudged(file: &File) -> Result<Key, KeyFileProblem> {
    let mut head = Vec::with_capacity(KEY_MAX);
    let limit = u64::try_from(KEY_MAX).unwrap_or(u64::MAX);
    let read = file.take(limit).read_to_end(&mut head);
    read.map_err(|error| KeyFileProblem::open(&error))?;
    Key::new(trim(&head)).map_err(KeyFileProblem::Unfit)
}

/// The bytes that count, of the first [`KEY_MAX`] bytes: all of them or, if they are all ASCII,
/// those without the white space at both ends.
///
/// Reference: first cuts to 64 bytes and then trims, so leading white space counts towards the 64
/// bytes, and what follows them does not matter.
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
