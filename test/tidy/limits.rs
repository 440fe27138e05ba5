// SPDX-License-Identifier: GPL-2.0-or-later
//! Lengths of files, functions and lines.

use super::exceptions::{apply, Exception};
use super::functions::functions;
use super::tree::{files, rust, Complaint, File};
use super::{assert_tidy, complaints_about};

/// The most lines of a file of Rust.
const FILE_LINES: usize = 500;
/// The most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// The most characters of a line of Rust; tables in comments cannot be broken.
const COLUMNS: usize = 100;

/// Files and functions that may be longer.
const EXCEPTIONS: &[Exception] = &[];

fn lengths(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES {
        let text = format!("the file has {lines} lines, at most {FILE_LINES} are wanted");
        complaints.push(file.complaint(1, text));
    }
    for function in functions(file.code()) {
        if function.length > FUNCTION_LINES {
            let text = format!(
                "the function {} has {} lines, at most {FUNCTION_LINES} are wanted",
                function.name, function.length
            );
            complaints.push(file.complaint(function.line, text));
        }
    }
    for (index, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        let is_table = line.trim_start().starts_with("//! |");
        if columns > COLUMNS && !is_table {
            let text = format!("the line has {columns} characters, at most {COLUMNS} are wanted");
            complaints.push(file.complaint(index + 1, text));
        }
    }
    complaints
}

/// Blanks at the ends of lines and missing newlines make noise in every later diff. Data of tests
/// may need them.
fn ends(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            complaints.push(file.complaint(index + 1, "the line ends with a blank"));
        }
    }
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        let text = "the file must end with one newline";
        complaints.push(file.complaint(file.text.lines().count(), text));
    }
    complaints
}

#[test]
fn files_functions_and_lines_are_short() {
    assert_tidy(apply(rust().flat_map(lengths).collect(), EXCEPTIONS));
}

#[test]
fn lines_and_files_end_well() {
    let is_text = |file: &&File| {
        [".rs", ".toml", ".md", ".sh", ".8", ".5"].iter().any(|end| file.path.ends_with(end))
    };
    assert_tidy(files().iter().filter(is_text).flat_map(ends).collect());
}

#[test]
fn what_is_too_long_is_seen() {
    let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    x();\n".repeat(lines));
    assert_eq!(complaints_about(lengths, "a.rs", &body(68)), Vec::<String>::new());
    let long = complaints_about(lengths, "a.rs", &body(69));
    assert_eq!(long, ["a.rs:1: the function f has 71 lines, at most 70 are wanted"]);
    let file = complaints_about(lengths, "a.rs", &"\n".repeat(501));
    assert_eq!(file, ["a.rs:1: the file has 501 lines, at most 500 are wanted"]);
    let line = complaints_about(lengths, "a.rs", &format!("\n// {}", "ü".repeat(98)));
    assert_eq!(line, ["a.rs:2: the line has 101 characters, at most 100 are wanted"]);
}

#[test]
fn bad_ends_are_seen() {
    assert_eq!(complaints_about(ends, "a.rs", "x \ny\n"), ["a.rs:1: the line ends with a blank"]);
    let newline = ["a.rs:1: the file must end with one newline"];
    assert_eq!(complaints_about(ends, "a.rs", "x"), newline);
    assert_eq!(complaints_about(ends, "a.rs", "x\n"), Vec::<String>::new());
}
