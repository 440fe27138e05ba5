// SPDX-License-Identifier: GPL-2.0-or-later
//! Units and package recipes: what must agree with the rest of the tree.

use super::{run, source, top};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The value of the first line `KEY<separator>VALUE`.
fn value<'a>(text: &'a str, key: &str, separator: &str) -> &'a str {
    let prefix = format!("{key}{separator}");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("there is no line {prefix}"))
        .trim()
}

#[test]
fn all_recipes_have_the_version_and_the_rust_version_of_the_crate() {
    let version = env!("CARGO_PKG_VERSION");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let spec = source("scripts/rpm/booth.spec");
    assert_eq!(value(&spec, "Version", ":"), version);
    assert!(spec.contains(&format!("cargo >= {rust}\n")));
    let control = source("scripts/debian/control");
    assert!(control.contains(&format!("cargo:native (>= {rust})")));
}

/// The crates of all manifests but our own, development ones included: cargo resolves those too.
fn crates() -> BTreeSet<String> {
    let mut crates = BTreeSet::new();
    for path in
        ["Cargo.toml", "src/core/Cargo.toml", "test/harness/Cargo.toml", "test/sim/Cargo.toml"]
    {
        add_crates(&source(path), &mut crates);
    }
    for own in ["booth-core", "booth-harness", "booth-sim"] {
        assert!(crates.remove(own), "{own} is there");
    }
    crates
}

fn add_crates(manifest: &str, crates: &mut BTreeSet<String>) {
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let Some((name, _)) = line.split_once(" = ") {
            if section == "[dependencies]" || section == "[dev-dependencies]" {
                crates.insert(name.to_owned());
            }
        }
    }
}

/// The words that stand between `before` and one of the characters `ends`.
fn names(text: &str, before: &str, ends: &[char]) -> BTreeSet<String> {
    let parts = text.split(before).skip(1);
    parts.map(|part| part.split(ends).next().expect("a part").to_owned()).collect()
}

#[test]
fn all_recipes_name_exactly_the_crates_of_the_manifest() {
    let crates = crates();
    assert!(crates.contains("libc"), "{crates:?}");
    assert_eq!(names(&source("scripts/rpm/booth.spec"), "crate(", &[')', '/']), crates);
    // librust-NAME-VERSION[+FEATURE]-dev
    let packages = names(&source("scripts/debian/control"), "librust-", &['\n', ',', ' ']);
    let packaged = |name: &String| {
        let prefix = format!("{}-", name.replace('_', "-"));
        packages.iter().any(|package| {
            package.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(char::is_numeric))
        })
    };
    assert!(crates.iter().all(packaged), "{crates:?} {packages:?}");
    assert_eq!(packages.len(), crates.len(), "{packages:?}");
}

#[test]
fn the_lease_guard_outlives_the_end_of_its_unit() {
    let unit = source("scripts/systemd/booth@.service.in");
    assert_eq!(value(&unit, "KillMode", "="), "process");
}

/// At a site Pacemaker runs the daemon. An arbitrator may be a node of somebody else's cluster.
#[test]
fn only_the_unit_of_any_member_excludes_pacemaker() {
    let conflicts = |name: &str| {
        let unit = source(&format!("scripts/systemd/{name}"));
        value(&unit, "Conflicts", "=").to_owned()
    };
    assert_eq!(conflicts("booth@.service.in"), "pacemaker.service");
    assert_eq!(conflicts("booth-arbitrator.service.in"), "booth@booth.service");
}

#[test]
fn units_wait_for_the_daemon_and_watch_it() {
    for name in ["booth@.service.in", "booth-arbitrator.service.in"] {
        let unit = source(&format!("scripts/systemd/{name}"));
        assert_eq!(value(&unit, "Type", "="), "notify", "{name}");
        assert_eq!(value(&unit, "Restart", "="), "on-failure", "{name}");
        assert!(!value(&unit, "WatchdogSec", "=").is_empty(), "{name}");
        // Whatever has failed how often, it is tried again, in growing pauses.
        assert_eq!(value(&unit, "StartLimitIntervalSec", "="), "0", "{name}");
        let (first, last) =
            (value(&unit, "RestartSec", "="), value(&unit, "RestartMaxDelaySec", "="));
        assert_eq!((first, value(&unit, "RestartSteps", "="), last), ("1s", "5", "10s"), "{name}");
        // Real-time scheduling and locked memory are the daemon's own wish.
        assert!(!unit.contains("RestrictRealtime=yes"), "{name}");
    }
}

/// Every file that git knows and every script carries its license in one of its first lines.
#[test]
fn every_script_names_its_license() {
    let listed = run(Command::new("find").current_dir(top()).args([
        "scripts",
        "man",
        ".ci",
        "Makefile",
        "booth.conf.example",
        "-type",
        "f",
    ]));
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let mut seen = 0;
    for path in listed.lines() {
        let in_debian = path.starts_with("scripts/debian/");
        let text = source(path);
        // Debian's lists of files and fields have no comments, and neither has JSON.
        if in_debian && !text.starts_with("#!") || path.ends_with(".json") {
            continue;
        }
        seen += 1;
        let named = text
            .lines()
            .take(3)
            .any(|line| line.contains("SPDX-License-Identifier: GPL-2.0-or-later"));
        assert!(named, "{path} names no license");
    }
    assert!(seen >= 20, "only {seen} files were looked at");
}

#[test]
fn every_shell_script_can_be_parsed() {
    let listed =
        run(Command::new("find").current_dir(top()).args(["scripts", ".ci", "test", "-type", "f"]));
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let mut seen = 0;
    for path in listed.lines().map(Path::new) {
        let Ok(text) = std::fs::read_to_string(top().join(path)) else { continue };
        let library = path.extension().is_some_and(|extension| extension == "sh");
        if !library && !text.starts_with("#!/bin/sh") {
            continue;
        }
        seen += 1;
        let output = run(Command::new("sh").arg("-n").arg(top().join(path)));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {errors}", path.display());
    }
    assert!(seen >= 14, "only {seen} scripts were found");
}
