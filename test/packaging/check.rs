// SPDX-License-Identifier: GPL-2.0-or-later
//! `scripts/check`: what it runs, and what it says and returns if tests lacked something. A script
//! stands in for cargo.

use super::{run, source, top, write_script};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

/// A cargo that notes its arguments, and prints and returns for each target what a file of the
/// target's name says, or that one test passed.
const CARGO: &str = r#"#!/bin/sh
here=${0%/*}
printf '%s threads=%s\n' "$*" "${RUST_TEST_THREADS:-}" >>"$here/calls"
code=0
case $* in *--no-run*) exit 0 ;; esac
for word in "$@"; do
	if [ -e "$here/$word" ]; then
		cat "$here/$word"
		! grep -q FAILED "$here/$word" || code=101
	fi
done
[ "$code" = 101 ] || printf 'test a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n'
exit "$code"
"#;

/// All tests of a target lack root, as libtest shows it with one thread and with more.
const LACKING: &str = "running 2 tests\ntest x ... not run: x: needs root\nok\n\
                       not run: y: needs root\ntest y ... ok\n\n";
const FAILING: &str = "test x ... FAILED\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n";

fn check(directory: &Path, words: &[&str]) -> Output {
    write_script(&directory.join("cargo"), CARGO);
    let mut command = Command::new(top().join("scripts/check"));
    command.args(words).env("CARGO", directory.join("cargo")).env("TMPDIR", directory);
    command.env_remove("RUST_TEST_THREADS");
    run(&mut command)
}

fn says(directory: &Path, target: &str, text: &str) {
    std::fs::write(directory.join(target), text).expect("written");
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn a_long_run_that_leaves_something_out_has_not_passed() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let layers = ["long", "interop", "figures"];
    let output = check(here, &layers);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!text(&output).contains("not run"), "{}", text(&output));

    says(here, "interop", LACKING);
    let output = check(here, &layers);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        text(&output).contains("\ncheck: not run: interop, 2 of 1 tests: needs root\n"),
        "the fake's own test is the one: {}",
        text(&output)
    );

    // A failure weighs more, and what was left out is said all the same.
    says(here, "figures", FAILING);
    let output = check(here, &layers);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("\ncheck: not run: interop"), "{}", text(&output));
    assert!(text(&output).contains("\ncheck: failed: figures\n"), "{}", text(&output));

    assert_eq!(check(here, &["long", "nonsense"]).status.code(), Some(2));
}

#[test]
fn a_quick_run_fails_with_each_of_its_targets_and_says_what_was_not_run() {
    let layers = source("test/layers");
    let only = layers.lines().filter(|line| line.starts_with("only"));
    let only: BTreeSet<&str> = only.filter_map(|line| line.split_whitespace().nth(3)).collect();
    let manifest = source("Cargo.toml") + &source("test/sim/Cargo.toml");
    let tests = manifest.split("[[test]]").skip(1).filter_map(|part| {
        let part = part.split("\n[").next()?;
        let name = part.split("name = \"").nth(1)?.split('"').next()?;
        (!part.contains("required-features") && !only.contains(name)).then_some(name)
    });
    let tests: BTreeSet<&str> = tests.collect();
    assert!(tests.len() > 10 && tests.contains("executor"), "{tests:?}");
    for target in &tests {
        let directory = tempfile::tempdir().expect("a directory");
        says(directory.path(), target, FAILING);
        let output = check(directory.path(), &["quick"]);
        assert_eq!(output.status.code(), Some(101), "{target}: {}", text(&output));
    }

    let directory = tempfile::tempdir().expect("a directory");
    says(directory.path(), "compliance", LACKING);
    let output = check(directory.path(), &["quick"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("\ncheck: not run: make check, 2 of "), "{}", text(&output));
    let calls = std::fs::read_to_string(directory.path().join("calls")).expect("noted");
    let runs: Vec<&str> = calls.lines().filter(|line| !line.contains("--no-run")).collect();
    for target in &tests {
        let times = runs.iter().filter(|run| run.contains(&format!("--test {target} "))).count();
        assert_eq!(times, 1, "{target}: {runs:?}");
    }
    // What waits for processes does so with more threads than there are cores.
    let patient = runs.iter().find(|run| run.contains("--test executor ")).expect("it is run");
    let threads: usize = patient.rsplit('=').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(threads >= 4, "{patient}");
}
