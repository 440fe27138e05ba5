// SPDX-License-Identifier: GPL-2.0-or-later
//! The tags of rules (L1, P1 and so on): each has a paragraph in `RULES.md` or `PROTOCOL.md`, code
//! that keeps it and a test that proves it; and no other is cited.

use super::tree::{files, rust, Complaint, File};
use super::{assert_tidy, complaints_about};
use std::collections::BTreeSet;

/// The letter of the tags, and where their paragraphs are.
const PAGES: &[(char, &str)] =
    &[('L', "src/core/engine/RULES.md"), ('P', "src/core/wire/PROTOCOL.md")];

/// The tag that begins a text, if one does: a letter and a number, and the rest.
fn tag(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(|letter| PAGES.iter().any(|(known, _)| *known == letter))?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let ends = rest[digits..].chars().next().is_none_or(|next| !next.is_alphanumeric());
    ((1..=2).contains(&digits) && ends).then(|| text.split_at(digits + 1))
}

/// The tags in a text that are words of their own, with their lines.
fn tags(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let starts = line.char_indices().filter(|(at, _)| {
            let before = line[..*at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && !"_\"'.{".contains(c))
        });
        found.extend(starts.filter_map(|(at, _)| Some((index + 1, tag(&line[at..])?.0))));
    }
    found
}

/// The comments of a file of Rust: only they cite.
fn comments(file: &File) -> String {
    let comment = |line: &str| line.find("//").map_or(String::new(), |at| line[at..].to_owned());
    file.text.lines().map(comment).collect::<Vec<_>>().join("\n")
}

/// The tags that a page defines: a paragraph that begins with one in bold letters.
fn defined(page: &str) -> BTreeSet<String> {
    let bold = |line: &str| tag(line.strip_prefix("**")?).map(|(tag, _)| tag.to_owned());
    page.lines().filter_map(bold).collect()
}

fn page(path: &str) -> BTreeSet<String> {
    let file = files().iter().find(|file| file.path == path);
    defined(&file.unwrap_or_else(|| panic!("{path} is there")).text)
}

fn all_defined() -> BTreeSet<String> {
    PAGES.iter().flat_map(|(_, path)| page(path)).collect()
}

/// A tag that is cited and that no page has.
fn unknown(file: &File) -> Vec<Complaint> {
    let known = all_defined();
    let comments = comments(file);
    let cited = tags(&comments).into_iter();
    let unknown = cited.filter(|(_, tag)| !known.contains(*tag));
    unknown.map(|(line, tag)| file.complaint(line, format!("there is no {tag}"))).collect()
}

#[test]
fn no_tag_is_cited_that_does_not_exist() {
    assert_tidy(rust().flat_map(unknown).collect());
}

#[test]
fn each_tag_has_code_and_a_test() {
    let cited = |tests: bool| -> BTreeSet<String> {
        let these = rust().filter(|file| file.is_test() == tests);
        let of = |file| tags(&comments(file)).into_iter().map(|(_, tag)| tag.to_owned()).collect();
        these.flat_map(|file| -> Vec<String> { of(file) }).collect()
    };
    let (code, tests) = (cited(false), cited(true));
    for (letter, path) in PAGES {
        let tags = page(path);
        assert!(tags.len() > 10, "{path} has paragraphs that begin with **{letter}1");
        for tag in tags {
            assert!(code.contains(&tag), "no code under src cites {tag} of {path}");
            assert!(tests.contains(&tag), "no test cites {tag} of {path}");
        }
    }
}

#[test]
fn tags_are_found_where_they_are_words() {
    let found = |text| tags(text).into_iter().map(|(_, tag)| tag).collect::<Vec<_>>();
    assert_eq!(found("L4(1), (L10) and P12: xL3 L3x L123 \"L5\" P L"), ["L4", "L10", "P12"]);
    let page = "**L1 One.** L2\n\n**P3** is\n**bold** L4\n";
    assert_eq!(defined(page).into_iter().collect::<Vec<_>>(), ["L1", "P3"]);
    // Not spelt out, or it would be found here.
    let wrong = format!("let l = L99;\n// by L{}\n", 98);
    let seen = complaints_about(unknown, "src/x.rs", &wrong);
    assert_eq!(seen, ["src/x.rs:2: there is no L98"]);
}
