// SPDX-License-Identifier: GPL-2.0-or-later
//! A key file, read from a file and by a few lines of our own.

use booth::auth::Key;
use booth::config::Surroundings;
use booth::sys::surroundings::System;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// White space as C has it.
const SPACE: &[u8] = b" \t\n\x0B\x0C\r";

pub fn run(bytes: &[u8]) {
    let path = path();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path).and_then(|mut file| file.write_all(bytes)).expect("a file can be written");
    let read = System.read_key(&path, &[]);
    std::fs::remove_file(&path).expect("the file is ours");
    match (expected(bytes), read) {
        (Some(expected), Ok(key)) => assert_eq!(key, expected),
        (None, Err(problem)) => assert!(!problem.to_string().is_empty(), "it has words"),
        (expected, read) => panic!("expected {expected:?}, got {read:?}"),
    }
}

fn expected(bytes: &[u8]) -> Option<Key> {
    let mut head = &bytes[..bytes.len().min(64)];
    if head.iter().all(u8::is_ascii) {
        while head.first().is_some_and(|byte| SPACE.contains(byte)) {
            head = &head[1..];
        }
        while head.last().is_some_and(|byte| SPACE.contains(byte)) {
            head = &head[..head.len() - 1];
        }
    }
    (head.len() >= 8).then(|| Key::new(head).expect("eight bytes make a key"))
}

/// One file for each thread, in memory if that is possible.
fn path() -> PathBuf {
    let folder = PathBuf::from("/dev/shm");
    let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    folder.join(format!("booth-fuzz-key-{}-{thread}", std::process::id()))
}
