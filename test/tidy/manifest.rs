// SPDX-License-Identifier: GPL-2.0-or-later
//! `Cargo.toml`: which crates there may be, and that every test is built.

use super::tree::{files, root};
use std::fs;

/// What the shipped program may be made of. Distributions have all of these, but for our own.
const CRATES: &[&str] = &[
    "booth-core",
    "crc32fast",
    "crossbeam-channel",
    "fastrand",
    "getopts",
    "hmac",
    "libc",
    "log",
    "nix",
    "roxmltree",
    "serde",
    "serde_json",
    "sha1",
    "signal-hook",
    "socket2",
    "syslog",
    "tiny_http",
];

/// What its tests may need besides.
const TEST_CRATES: &[&str] = &["booth-harness", "booth-sim", "proptest", "tempfile"];

/// The manifests of the program, of its core, and of what its tests are made of.
const MANIFESTS: &[&str] =
    &["Cargo.toml", "src/core/Cargo.toml", "test/harness/Cargo.toml", "test/sim/Cargo.toml"];

/// Those of which nothing is shipped.
const FOR_TESTS: &str = "test/";

/// The lines of a section.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
    let title = format!("[{name}]");
    let lines = manifest.lines().skip_while(|line| *line != title).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter(|line| is_entry(line)).collect()
}

fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn manifest() -> String {
    fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is there")
}

fn names<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.split(['=', '.']).next()).map(str::trim).collect()
}

#[test]
fn only_the_agreed_crates_are_used() {
    for path in MANIFESTS {
        let manifest = fs::read_to_string(root().join(path)).expect("it is there");
        let agreed = |section_name: &str, crates: &[&str]| {
            for name in names(&section(&manifest, section_name)) {
                assert!(crates.contains(&name), "{path}: {name} is not agreed upon");
            }
        };
        let shipped = !path.starts_with(FOR_TESTS);
        let more = if shipped { &[] } else { TEST_CRATES };
        agreed("dependencies", &[CRATES, more].concat());
        agreed("dev-dependencies", &[TEST_CRATES, CRATES].concat());
        let lints = ["workspace = true", "undocumented_unsafe_blocks = \"deny\""];
        assert!(lints.iter().any(|line| manifest.lines().any(|it| it == *line)), "{path}: lints");
        for kind in ["build-dependencies", "target.", "patch"] {
            assert!(!manifest.contains(&format!("[{kind}")), "{path}: no section {kind}");
        }
    }
}

/// Tests are not found by themselves (`autotests = false`), so each has to be named, by the program
/// or by the simulator.
#[test]
fn every_test_program_is_built() {
    let simulator = fs::read_to_string(root().join("test/sim/Cargo.toml")).expect("it is there");
    let manifest = manifest();
    for file in files() {
        let Some(folder) = file.path.strip_prefix("test/") else { continue };
        if folder.ends_with("/main.rs") {
            let inside = folder.strip_prefix("sim/");
            let there = inside.map_or_else(|| format!("../{folder}"), str::to_owned);
            let named = |manifest: &str, path: &str| {
                let line = format!("path = \"{path}\"");
                manifest.lines().any(|it| it == line)
            };
            let built = named(&manifest, &file.path) || named(&simulator, &there);
            assert!(built, "no Cargo.toml has {}", file.path);
        }
    }
}

/// What a lock file says that one of our packages needs.
fn locked<'a>(lock: &'a str, package: &str) -> Vec<&'a str> {
    let title = format!("name = \"{package}\"");
    let lines = lock.lines().skip_while(|line| *line != title);
    let lines = lines.skip_while(|line| *line != "dependencies = [").skip(1);
    let lines = lines.take_while(|line| *line != "]");
    lines.map(|line| line.trim_matches([' ', '"', ','])).collect()
}

/// No build of `make check` looks at the lock file of the fuzz targets, which have a workspace of
/// their own; it has to be renewed with the manifests.
#[test]
fn the_fuzz_targets_are_locked_to_what_the_manifests_say() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("it is there");
    let lock = read("test/fuzz/Cargo.lock");
    for (package, path) in [("booth", "Cargo.toml"), ("booth-core", "src/core/Cargo.toml")] {
        let manifest = read(path);
        let mut wanted = names(&section(&manifest, "dependencies"));
        wanted.sort_unstable();
        assert!(wanted.len() > 3, "{path} has dependencies");
        let how = "run `cargo update --workspace` in test/fuzz";
        assert_eq!(locked(&lock, package), wanted, "test/fuzz/Cargo.lock, {package}: {how}");
    }
}

#[test]
fn the_program_builds_with_the_agreed_compiler() {
    let manifest = manifest();
    for line in ["rust-version = \"1.85\"", "edition = \"2021\"", "license = \"GPL-2.0-or-later\""]
    {
        assert!(manifest.lines().any(|it| it == line), "Cargo.toml has no {line}");
    }
}

#[test]
fn sections_are_read() {
    let text = "[a]\nx = 1\n\n# y\nz.w = 2\n[b]\nq = 3\n";
    assert_eq!(names(&section(text, "a")), ["x", "z"]);
}
