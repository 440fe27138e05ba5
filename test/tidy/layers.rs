// SPDX-License-Identifier: GPL-2.0-or-later
//! Which module may use what: the direction of dependencies, and where `unsafe`, clocks, children
//! and crates belong.

use super::exceptions::{apply, Exception};
use super::paths::paths;
use super::tree::{rust, Complaint, File};
use super::{assert_tidy, complaints_about};

/// The modules of both crates and those below them. What lies in `src/core` has no `std`: the
/// compiler keeps everything else out of it.
const BELOW: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("prng", &["time"]),
    ("model", &["time"]),
    ("wire", &["model", "time"]),
    ("auth", &["wire", "model", "time"]),
    ("engine", &["wire", "model", "time", "prng"]),
    // The writes that it turns into arguments are effects of the engine.
    ("pacemaker", &["engine", "model", "time"]),
    ("keeper", &["engine", "model", "time", "prng"]),
    ("slots", &["engine", "model", "time"]),
    ("wheel", &["model", "time"]),
    ("queues", &[]),
    ("reach", &["wire", "model", "time", "prng"]),
    ("report", &[]),
    ("config", &["auth", "wire", "model", "time"]),
    ("sys", &["config", "auth", "model", "time"]),
    ("store", &["sys", "config", "keeper", "slots", "engine", "pacemaker", "model", "time"]),
    (
        "daemon",
        &[
            "store",
            "sys",
            "config",
            "keeper",
            "slots",
            "wheel",
            "queues",
            "reach",
            "report",
            "engine",
            "pacemaker",
            "auth",
            "wire",
            "model",
            "time",
            "prng",
        ],
    ),
    (
        "cli",
        &[
            "daemon",
            "report",
            "store",
            "sys",
            "config",
            "engine",
            "pacemaker",
            "auth",
            "wire",
            "model",
            "time",
            "prng",
        ],
    ),
];

/// Where the pure crate lies.
const CORE: &str = "src/core/";

/// The files with `unsafe`: few and small.
const UNSAFE: &[&str] = &[
    "src/sys/clock.rs",
    "src/sys/filelock.rs",
    "src/sys/os.rs",
    "src/sys/process.rs",
    "src/sys/title.rs",
];

/// The most lines of a file with `unsafe`.
const UNSAFE_LINES: usize = 400;

/// The files that say that nothing below them is `unsafe`.
const FORBIDS_UNSAFE: &[&str] = &["src/config/mod.rs", "src/core/lib.rs"];

/// What only some files may name, so that there is one place to look at.
const ONLY_IN: &[(&str, &[&str])] = &[
    // Elsewhere it is `crate::`, which the table of modules sees.
    ("booth_core", &["src/lib.rs"]),
    ("hmac", &["src/core/auth/mac.rs"]),
    ("sha1", &["src/core/auth/mac.rs"]),
    ("fastrand", &["src/core/prng.rs"]),
    ("crc32fast", &["src/core/model/digest.rs", "src/core/model/member.rs"]),
    ("roxmltree", &["src/core/pacemaker/"]),
    ("getopts", &["src/cli/"]),
    ("libc", &["src/daemon/", "src/store/", "src/sys/"]),
    ("nix", &["src/sys/"]),
    ("socket2", &["src/daemon/", "src/store/", "src/sys/", "src/cli/net.rs"]),
    ("serde", &["src/cli/", "src/report/"]),
    ("serde_json", &["src/cli/", "src/daemon/"]),
    ("signal_hook", &["src/store/", "src/sys/"]),
    ("syslog", &["src/daemon/"]),
    ("tiny_http", &["src/cli/exporter/"]),
    ("crossbeam_channel", &["src/daemon/"]),
    ("std::process::Command", &["src/store/", "src/sys/"]),
    ("std::fs", &["src/config/", "src/daemon/", "src/store/", "src/sys/", "src/cli/"]),
    ("std::env", &["src/daemon/", "src/store/", "src/sys/", "src/cli/"]),
    ("libc::clock_gettime", &["src/sys/clock.rs"]),
    ("SystemTime::now", &["src/sys/clock.rs"]),
];

/// Breaches of the direction that are meant.
const EXCEPTIONS: &[Exception] = &[];

/// The module of a file below `src`, and how many modules deep the file is.
fn module(path: &str) -> Option<(&str, usize)> {
    let inner = path.strip_prefix(CORE).or_else(|| path.strip_prefix("src/"))?;
    let parts: Vec<&str> = inner.trim_end_matches(".rs").split('/').collect();
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
    Some((parts[0], depth))
}

/// A module uses only what lies below it, and does not climb out of itself with `super`.
fn direction(file: &File) -> Vec<Complaint> {
    let Some((own, depth)) = module(&file.path) else { return Vec::new() };
    let Some((_, below)) = BELOW.iter().find(|(name, _)| *name == own) else {
        let known = matches!(own, "lib" | "main");
        let text = format!("the module {own} has no place in the table of layers");
        return if known { Vec::new() } else { vec![file.complaint(1, text)] };
    };
    let mut complaints = Vec::new();
    for (line, path) in paths(file.code()) {
        let mut parts = path.split("::");
        let first = parts.next().unwrap_or_default();
        if first == "super" {
            let supers = 1 + parts.take_while(|part| *part == "super").count();
            if supers >= depth + usize::from(file.text.contains("\nmod tests {")) {
                complaints.push(file.complaint(line, "super leaves the module; write crate::"));
            }
        } else if first == "crate" {
            let used = parts.next().unwrap_or_default();
            let is_module = BELOW.iter().any(|(name, _)| *name == used);
            if is_module && used != own && !below.contains(&used) {
                complaints.push(file.complaint(line, format!("{own} may not use {used}")));
            }
        }
    }
    complaints
}

/// Whether `path` is `name` or lies below it.
fn begins(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn unsafety(file: &File) -> Vec<Complaint> {
    let code = file.code();
    let first = code.tokens().iter().find(|(_, token)| *token == "unsafe").map(|(line, _)| *line);
    let listed = UNSAFE.contains(&file.path.as_str());
    let lines = file.text.lines().count();
    match first {
        Some(line) if !listed => {
            vec![file.complaint(line, "unsafe in a file without licence for it")]
        }
        Some(_) if lines > UNSAFE_LINES => {
            let text = format!("{lines} lines with unsafe among them, at most {UNSAFE_LINES}");
            vec![file.complaint(1, text)]
        }
        None if listed => vec![file.complaint(1, "no unsafe any more: take it off the list")],
        Some(_) | None => Vec::new(),
    }
}

fn forbids_unsafe(file: &File) -> Vec<Complaint> {
    let wanted = FORBIDS_UNSAFE.contains(&file.path.as_str());
    if !wanted || file.text.contains("#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![file.complaint(1, "expected #![forbid(unsafe_code)]")]
}

fn places(file: &File) -> Vec<Complaint> {
    if file.is_test() || !file.path.starts_with("src/") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (line, path) in paths(file.code()) {
        for (name, places) in ONLY_IN {
            if begins(&path, name) && !places.iter().any(|place| file.path.starts_with(place)) {
                let text = format!("{name} belongs in {}", places.join(" "));
                complaints.push(file.complaint(line, text));
            }
        }
    }
    complaints
}

#[test]
fn modules_use_only_what_lies_below_them() {
    assert_tidy(apply(rust().flat_map(direction).collect(), EXCEPTIONS));
}

/// What has no standard library can neither read a clock nor do I/O; its tests may.
#[test]
fn the_core_has_no_standard_library() {
    let root = rust().find(|file| file.path == format!("{CORE}lib.rs")).expect("it is there");
    let line = "\n#![cfg_attr(not(test), no_std)]\n";
    assert!(root.text.contains(line));
    let with_std = |file: &File| {
        let is_core = file.path.starts_with(CORE) && !file.is_test();
        let line = file.text.lines().position(|line| line.trim() == "extern crate std;");
        line.filter(|_| is_core).map(|line| file.complaint(line + 1, "the core has no std"))
    };
    assert_tidy(rust().filter_map(with_std).collect());
}

#[test]
fn unsafe_is_in_few_small_files() {
    let product = rust().filter(|file| file.path.starts_with("src/"));
    assert_tidy(product.flat_map(unsafety).collect());
    for path in UNSAFE.iter().chain(FORBIDS_UNSAFE) {
        assert!(rust().any(|file| file.path == *path), "{path} is listed, but not there");
    }
    assert_tidy(rust().flat_map(forbids_unsafe).collect());
}

#[test]
fn crates_and_powers_are_named_in_their_places() {
    assert_tidy(rust().flat_map(places).collect());
}

#[test]
fn a_wrong_direction_is_seen() {
    let see = |path: &str, text: &str| complaints_about(direction, path, text);
    assert_eq!(see("src/core/wire/x.rs", "use crate::model::Term;"), Vec::<String>::new());
    let up = see("src/core/wire/x.rs", "\nuse crate::{model, engine::Effect};");
    assert_eq!(up, ["src/core/wire/x.rs:2: wire may not use engine"]);
    assert_eq!(see("src/core/wire/x.rs", "fn f() { crate::daemon::run() }").len(), 1);
    assert_eq!(see("src/core/wire/x.rs", "use super::y;"), Vec::<String>::new());
    assert_eq!(see("src/core/wire/x.rs", "use super::super::engine;").len(), 1);
    assert_eq!(see("src/core/wire/mod.rs", "use super::engine;").len(), 1);
    assert_eq!(see("src/new/x.rs", "use crate::wire;").len(), 1);
    assert_eq!(see("src/core/wire/x.rs", "// crate::engine\nlet x = \"crate::engine\";").len(), 0);
}

#[test]
fn unsafe_and_powers_in_the_wrong_place_are_seen() {
    let block = "fn f() {\n    unsafe { g() }\n}\n";
    let seen = complaints_about(unsafety, "src/cli/x.rs", block);
    assert_eq!(seen, ["src/cli/x.rs:2: unsafe in a file without licence for it"]);
    assert_eq!(complaints_about(unsafety, UNSAFE[0], block), Vec::<String>::new());
    assert_eq!(complaints_about(unsafety, UNSAFE[0], "// unsafe\n").len(), 1);
    assert_eq!(
        complaints_about(unsafety, UNSAFE[0], &format!("{block}{}", "\n".repeat(400))).len(),
        1
    );
    assert_eq!(complaints_about(forbids_unsafe, FORBIDS_UNSAFE[0], "mod x;").len(), 1);
    assert_eq!(complaints_about(places, "src/core/engine/x.rs", "use fastrand::Rng;").len(), 1);
    let seen = complaints_about(places, "src/core/prng.rs", "use fastrand::Rng;");
    assert_eq!(seen, Vec::<String>::new());
}
