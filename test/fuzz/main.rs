// SPDX-License-Identifier: GPL-2.0-or-later
//! The fuzz targets on a stable toolchain: every seed, every crash that was ever found, and a
//! bounded number of mutations of them. `BOOTH_FUZZ_CASES` sets how many for each target.

mod seeds;
mod targets;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use std::path::{Path, PathBuf};
use targets::{Target, TARGETS};

/// Mutations of each target without `BOOTH_FUZZ_CASES`: a few seconds in all.
const CASES: u32 = 400;

/// One change of a seed.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
    /// A run of bytes of another seed is put in the place of ours.
    Splice(Index, Index, Index),
    /// A number that is at some limit.
    Limit(Index, usize),
}

const LIMITS: [[u8; 4]; 6] = [
    [0; 4],
    [0xFF; 4],
    [0x7F, 0xFF, 0xFF, 0xFF],
    [0x80, 0, 0, 0],
    [0, 0, 0, 1],
    [0xFF, 0xFF, 0xFF, 0xFE],
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::Remove),
        at().prop_map(Mutation::Truncate),
        (at(), at(), at()).prop_map(|(at, other, len)| Mutation::Splice(at, other, len)),
        (at(), 0..LIMITS.len()).prop_map(|(at, limit)| Mutation::Limit(at, limit)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation, seeds: &[Vec<u8>]) {
    if bytes.is_empty() {
        bytes.push(0);
    }
    let len = bytes.len();
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(len)] = *byte,
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        Mutation::Remove(at) => {
            bytes.remove(at.index(len));
        }
        Mutation::Truncate(at) => bytes.truncate(at.index(len)),
        Mutation::Splice(at, other, run) => {
            let other = &seeds[other.index(seeds.len())];
            let at = at.index(len);
            let end = (at + run.index(other.len() + 1)).min(len);
            let from = &other[at.min(other.len())..end.min(other.len()).max(at.min(other.len()))];
            bytes.splice(at..end, from.iter().copied());
        }
        Mutation::Limit(at, limit) => {
            let at = at.index(len);
            let end = (at + 4).min(len);
            bytes[at..end].copy_from_slice(&LIMITS[*limit][..end - at]);
        }
    }
}

fn cases() -> u32 {
    match std::env::var("BOOTH_FUZZ_CASES") {
        Ok(text) => text.parse().expect("BOOTH_FUZZ_CASES is a number"),
        Err(_) => CASES,
    }
}

/// The folder with what crashed once.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fuzz/regressions");

/// What a folder has, with the names; it must be readable.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("the folder can be read").path()).collect()
}

/// Crashes that were found: one file each, in a folder of the target's name. Only that folder
/// may be missing.
fn regressions(target: Target) -> Vec<Vec<u8>> {
    let folders = files_in(Path::new(REGRESSIONS));
    let Some(folder) = folders.into_iter().find(|path| path.ends_with(target.name)) else {
        return Vec::new();
    };
    let files = files_in(&folder);
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|path| std::fs::read(path).expect("the file can be read")).collect()
}

fn fuzz(name: &str) {
    let target = targets::target(name);
    let mut seeds = seeds::seeds(name);
    assert!(!seeds.is_empty(), "{name} has seeds");
    seeds.extend(regressions(target));
    for seed in &seeds {
        (target.run)(seed);
    }
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    let mutated = (any::<Index>(), proptest::collection::vec(mutation(), 1..12));
    let strategy = prop_oneof![
        1 => noise.prop_map(|bytes| (Some(bytes), None)),
        9 => mutated.prop_map(|mutated| (None, Some(mutated))),
    ];
    let result = TestRunner::new(config).run(&strategy, |(noise, mutated)| {
        let mut bytes = noise.unwrap_or_default();
        if let Some((index, mutations)) = mutated {
            bytes = seeds[index.index(seeds.len())].clone();
            for mutation in &mutations {
                mutate(&mut bytes, mutation, &seeds);
            }
        }
        (target.run)(&bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{name}: {error}");
    }
}

#[test]
fn argv() {
    fuzz("argv");
}

#[test]
fn client_frame() {
    fuzz("client_frame");
}

#[test]
fn config_text() {
    fuzz("config_text");
}

#[test]
fn datagram() {
    fuzz("datagram");
}

#[test]
fn engine_events() {
    fuzz("engine_events");
}

#[test]
fn key_file() {
    fuzz("key_file");
}

#[test]
fn roundtrip() {
    fuzz("roundtrip");
}

#[test]
fn ticket_state() {
    fuzz("ticket_state");
}

/// An input in a folder of another name would never be run.
#[test]
fn every_folder_of_inputs_that_crashed_is_that_of_a_target() {
    let names = files_in(Path::new(REGRESSIONS)).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        (name != "README.md").then_some(name)
    });
    for name in names {
        assert!(TARGETS.iter().any(|target| target.name == name), "{name} is no target");
    }
}

/// Both drivers run all targets: each has seeds and an entry for libFuzzer, and no other has.
#[test]
fn every_target_has_seeds_and_an_entry_for_libfuzzer() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fuzz/fuzz_targets");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, TARGETS.map(|target| format!("{}.rs", target.name)));
    assert_eq!(seeds::TARGETS, TARGETS.map(|target| target.name));
}
