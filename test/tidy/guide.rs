// SPDX-License-Identifier: GPL-2.0-or-later
//! The guide to the source (`src/README.md`) names files and folders that exist.

use super::tree::{files, Complaint, File};
use super::{assert_tidy, complaints_about};

/// Whether a word in backticks is a path: it has a folder, or ends like a file of ours.
fn is_path(word: &str) -> bool {
    let ends = [".rs", ".md", ".sh", ".txt", ".5", ".8"].iter().any(|end| word.ends_with(end));
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    plain && (ends || word.contains('/')) && !word.starts_with('/') && !word.starts_with("./")
}

/// The places where a path may be: from the top, below `src`, or in the folder of the path before
/// and those around it.
fn places(word: &str, folder: &str) -> Vec<String> {
    let word = word.trim_start_matches("../");
    let around = folder.match_indices('/').map(|(at, _)| &folder[..at]);
    let around: Vec<&str> = around.chain([folder]).collect();
    let below = around.iter().rev().map(|folder| format!("{folder}/{word}"));
    let all: Vec<String> =
        [word.to_owned(), format!("src/{word}")].into_iter().chain(below).collect();
    all.iter().flat_map(|place| [place.clone(), format!("{place}.rs")]).collect()
}

/// The paths of a line that no file has. `folder`: that of the path before.
fn missing<'a>(line: &'a str, folder: &mut String, exists: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let words = line.split('`').skip(1).step_by(2).filter(|word| is_path(word));
    let mut missing = Vec::new();
    for word in words {
        match places(word, folder).into_iter().find(|place| exists(place)) {
            Some(found) => {
                let parent = found.rsplit_once('/').map_or("", |(parent, _)| parent);
                *folder = if found.ends_with(".rs") { parent.to_owned() } else { found };
            }
            None => missing.push(word),
        }
    }
    missing
}

fn complaints(file: &File) -> Vec<Complaint> {
    let exists = |path: &str| {
        let folder = format!("{}/", path.trim_end_matches('/'));
        files().iter().any(|file| file.path == path || file.path.starts_with(&folder))
    };
    let mut folder = String::new();
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let missing = missing(line, &mut folder, exists).into_iter();
        complaints.extend(missing.map(|path| file.complaint(index + 1, format!("no {path}"))));
    }
    complaints
}

#[test]
fn the_guide_names_what_exists() {
    let guide = files().iter().find(|file| file.path == "src/README.md").expect("it is there");
    assert_tidy(complaints(guide));
}

#[test]
fn a_path_that_is_gone_is_found() {
    let found = complaints_about(complaints, "src/README.md", "see `core/engine/nowhere.rs`");
    assert_eq!(found.len(), 1);
    let exists = |path: &str| ["src/a/b.rs", "src/a/e/c.rs", "test/x"].contains(&path);
    let missing = |line| missing(line, &mut String::new(), exists);
    assert_eq!(missing("`a/b.rs`, `e/c.rs`, `b.rs` and `Type`; `test/x`"), [""; 0]);
    assert_eq!(missing("`c.rs`; `a/b`, `c.rs`"), ["c.rs", "c.rs"]);
}
