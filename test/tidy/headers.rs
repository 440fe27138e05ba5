// SPDX-License-Identifier: GPL-2.0-or-later
//! How files begin: the licence, and what they are for.

use super::tree::{files, rust, Complaint, File};
use super::{assert_tidy, complaints_about};

const LICENCE: &str = "SPDX-License-Identifier: GPL-2.0-or-later";

/// The least letters that can say what a file is for.
const PURPOSE: usize = 10;

/// The licence is named in the first line of Rust, and in the first four of other texts, which
/// may have to begin with something else.
fn licence(file: &File) -> Vec<Complaint> {
    let (lines, wanted) =
        if file.is_rust() { (1, format!("// {LICENCE}")) } else { (4, LICENCE.to_owned()) };
    let found = file.text.lines().take(lines).any(|line| {
        if file.is_rust() {
            line == wanted
        } else {
            line.contains(&wanted)
        }
    });
    if found {
        return Vec::new();
    }
    vec![file.complaint(1, format!("expected {wanted:?} in the first lines"))]
}

/// Texts that name their licence: Rust, scripts, manuals, and what is read by people.
fn names_its_licence(file: &File) -> bool {
    let ends = [".rs", ".sh", ".8", ".5", ".py", ".in", "Makefile", ".conf.example"];
    file.text.starts_with("#!") || ends.iter().any(|end| file.path.ends_with(end))
}

/// A file of Rust says in a `//!` paragraph what it is for.
fn purpose(file: &File) -> Vec<Complaint> {
    let paragraph: Vec<&str> =
        file.text.lines().skip(1).take_while(|line| line.starts_with("//!")).collect();
    let text: usize =
        paragraph.iter().map(|line| line.trim_start_matches("//!").trim().len()).sum();
    if text >= PURPOSE {
        return Vec::new();
    }
    vec![file.complaint(2, "expected a //! paragraph that says what the file is for")]
}

#[test]
fn every_text_names_its_licence() {
    assert_tidy(files().iter().filter(|file| names_its_licence(file)).flat_map(licence).collect());
}

#[test]
fn every_file_of_rust_says_what_it_is_for() {
    assert_tidy(rust().flat_map(purpose).collect());
}

#[test]
fn a_missing_licence_is_seen() {
    let good = format!("// {LICENCE}\n");
    assert_eq!(complaints_about(licence, "a.rs", &good), Vec::<String>::new());
    assert_eq!(complaints_about(licence, "a.rs", &format!("\n{good}")).len(), 1);
    assert_eq!(complaints_about(licence, "a.rs", &good.replace("2.0", "3.0")).len(), 1);
    let script = format!("#!/bin/sh\n# {LICENCE}\n");
    assert_eq!(complaints_about(licence, "x", &script), Vec::<String>::new());
    assert!(names_its_licence(&File::new("x", "#!/bin/sh\n")));
}

#[test]
fn a_missing_purpose_is_seen() {
    let good = "// licence\n//! Does this and that.\n\nuse x;\n";
    assert_eq!(complaints_about(purpose, "a.rs", good), Vec::<String>::new());
    assert_eq!(complaints_about(purpose, "a.rs", "// licence\n\nuse x;\n").len(), 1);
    assert_eq!(complaints_about(purpose, "a.rs", "// licence\n//! To come.\n").len(), 1);
}
