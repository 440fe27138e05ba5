// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules of the design that a machine can check: it reads the sources as text.
//!
//! Each file of this test is about one kind of rule, and each rule comes with a test that a
//! breach is seen. A rule that has to be broken gets an exception in its table, with the reason;
//! an exception that nothing needs any more is a failure, too.

mod circles;
mod code;
mod exceptions;
mod functions;
mod guide;
mod headers;
mod keys;
mod layers;
mod limits;
mod manifest;
mod manuals;
mod paths;
mod tags;
mod tree;
mod words;

use tree::{Complaint, File};

/// Fails with every complaint, one a line.
fn assert_tidy(complaints: Vec<Complaint>) {
    let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} complaints:\n{}", lines.len(), lines.join("\n"));
}

/// What one rule says of a file that a test has made up.
fn complaints_about(rule: fn(&File) -> Vec<Complaint>, path: &str, text: &str) -> Vec<String> {
    rule(&File::new(path, text)).iter().map(ToString::to_string).collect()
}
