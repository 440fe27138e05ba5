// SPDX-License-Identifier: GPL-2.0-or-later
//! No file uses another one that uses it, not even by way of others.

use super::assert_tidy;
use super::code::Code;
use super::paths::paths;
use super::tree::{rust, Complaint, File};
use std::collections::{BTreeMap, BTreeSet};

/// The module of a file: its crate, then its path.
fn module(path: &str) -> Option<Vec<String>> {
    let (own, inner) = match path.strip_prefix("src/core/") {
        Some(inner) => ("core", inner),
        None => ("booth", path.strip_prefix("src/")?),
    };
    let parts = inner.strip_suffix(".rs")?.split('/');
    let parts = parts.filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    Some([own].into_iter().chain(parts).map(str::to_owned).collect())
}

/// The modules that each module uses.
fn arrows<'a>(files: impl Iterator<Item = &'a File>) -> BTreeMap<Vec<String>, Vec<Vec<String>>> {
    let files: BTreeMap<Vec<String>, &File> =
        files.filter_map(|file| Some((module(&file.path)?, file))).collect();
    let used = |from: &Vec<String>, path: &str| {
        let parts: Vec<&str> = path.split("::").collect();
        let supers = parts.iter().take_while(|part| **part == "super").count();
        let (mut to, rest) = match parts[0] {
            "crate" => (from[..1].to_vec(), &parts[1..]),
            "super" => (from[..from.len().checked_sub(supers)?].to_vec(), &parts[supers..]),
            _ => (from.clone(), &parts[..]),
        };
        for part in rest {
            to.push((*part).to_owned());
            if !files.contains_key(&to) {
                to.pop();
                break;
            }
        }
        (to != *from && files.contains_key(&to)).then_some(to)
    };
    let all = |(from, file): (&Vec<String>, &&File)| {
        // In tests of its own that stand in a file, `super` is the file.
        let code = file.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let paths = paths(&Code::of(code));
        let to = paths.iter().filter_map(|(_, path)| used(from, path)).collect();
        (from.clone(), to)
    };
    files.iter().map(all).collect()
}

/// The modules that a module uses, itself or by way of others.
fn reached<'a>(
    arrows: &'a BTreeMap<Vec<String>, Vec<Vec<String>>>,
    from: &Vec<String>,
) -> BTreeSet<&'a Vec<String>> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&Vec<String>> = arrows.get(from).into_iter().flatten().collect();
    while let Some(next) = waiting.pop() {
        if reached.insert(next) {
            waiting.extend(arrows.get(next).into_iter().flatten());
        }
    }
    reached
}

fn circles<'a>(files: impl Iterator<Item = &'a File>) -> Vec<String> {
    let arrows = arrows(files);
    let itself = |from: &&Vec<String>| reached(&arrows, from).contains(*from);
    arrows.keys().filter(itself).map(|module| module.join("::")).collect()
}

#[test]
fn no_file_uses_itself_by_way_of_others() {
    let source = rust().filter(|file| file.path.starts_with("src/") && !file.is_test());
    let found = circles(source);
    let file = File::new("src", "");
    let complain = |text: String| -> Complaint { file.complaint(1, text) };
    let complaints =
        found.iter().map(|module| complain(format!("{module} is in a circle of uses")));
    assert_tidy(complaints.collect());
}

#[test]
fn circles_are_found_and_trees_are_not() {
    let file = |(path, text): &(&str, &str)| File::new(path, text);
    let found = |files: &[(&str, &str)]| {
        let files: Vec<File> = files.iter().map(file).collect();
        circles(files.iter())
    };
    let tree = [
        ("src/a/mod.rs", "use b::B; pub use self::c::C;"),
        ("src/a/b.rs", "use super::c::C; use crate::d::D;"),
        ("src/a/c.rs", "use std::fmt;"),
        ("src/d.rs", "struct D;"),
    ];
    assert_eq!(found(&tree), [""; 0]);
    let parent = [("src/a/mod.rs", "use b::B; struct A;"), ("src/a/b.rs", "use super::A;")];
    assert_eq!(found(&parent), ["booth::a", "booth::a::b"]);
    let three = [
        ("src/core/x.rs", "fn f() { crate::y::g() }"),
        ("src/core/y.rs", "use super::z::h;"),
        ("src/core/z.rs", "use crate::{x::{self, f}, w};"),
        ("src/core/w.rs", "use crate::x::f;"),
    ];
    assert_eq!(found(&three), ["core::w", "core::x", "core::y", "core::z"]);
}
