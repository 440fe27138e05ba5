// SPDX-License-Identifier: GPL-2.0-or-later
//! Wrong engines, without building them: each applies to the core as it is, and says what it is.

use booth_harness::not_run;
use booth_sim::wrong::{all, Tree, WrongEngine};
use std::path::Path;
use std::process::Command;

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn wrong_engines() -> Vec<WrongEngine> {
    all(source()).unwrap_or_else(|why| panic!("{why}"))
}

/// The paths of the tests of the engine and the keeper, a line each.
fn core_tests() -> String {
    let mut text = String::new();
    for room in ["engine", "keeper"] {
        let dir = source().join("src/core").join(room).join("tests");
        for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
            let Ok(code) = std::fs::read_to_string(entry.path()) else { continue };
            let stem = entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
            for line in code.lines().filter_map(|line| line.trim().split_once("fn ")) {
                let name = line.1.split('(').next().unwrap_or_default();
                let file = stem.clone().unwrap_or_default();
                text += &format!("{room}::tests::{file}::{name}\n");
            }
        }
    }
    text
}

#[test]
fn every_wrong_engine_applies_to_the_core() {
    if Command::new("patch").arg("--version").output().is_err() {
        return not_run("every_wrong_engine_applies_to_the_core", "there is no program patch");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let mut tree = Tree::copy(source(), dir.path(), &["src/core"]).expect("a copy");
    let wrong: Vec<String> =
        wrong_engines().iter().filter_map(|wrong| tree.become_wrong(wrong).err()).collect();
    assert!(wrong.is_empty(), "see README.md, \"Wrong engines\":\n{}", wrong.join("\n"));
}

#[test]
fn wrong_engines_break_rules_that_exist_and_are_caught_by_tests_that_exist() {
    let rules = std::fs::read_to_string(source().join("src/core/engine/RULES.md")).expect("text");
    let protocol = std::fs::read_to_string(source().join("src/core/wire/PROTOCOL.md")).expect("it");
    let tests = core_tests();
    for wrong in wrong_engines() {
        for tag in &wrong.rules {
            let paragraph = format!("\n**{tag}");
            let known = rules.contains(&paragraph) || protocol.contains(&paragraph);
            assert!(known, "{}: there is no rule {tag}", wrong.name);
        }
        for test in &wrong.tests {
            let known = tests.lines().any(|line| line == test);
            assert!(known, "{}: there is no test {test}", wrong.name);
        }
    }
}

/// Each rule of safety is broken by an engine, and that is caught.
#[test]
fn every_rule_of_safety_is_broken_by_a_wrong_engine() {
    let wrong = wrong_engines();
    for number in 1..=14 {
        let tag = format!("L{number}");
        assert!(wrong.iter().any(|wrong| wrong.rules.contains(&tag)), "nothing breaks {tag}");
    }
}
