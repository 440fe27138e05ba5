// SPDX-License-Identifier: GPL-2.0-or-later
//! Many small configuration files, each with what the reference says of it and what ours says.
//!
//! The cases are data, in `cases/*.txt`; `case.rs` explains their form. By default ours is held
//! against its recorded verdicts, and every difference from the reference must name an entry of
//! `test/QUIRKS.md`. With `BOOTH_UNDER_TEST=theirs` the reference itself is run and held against
//! *its* recorded verdicts; that needs root and what `test/harness/reference-root` makes, in the
//! folder that `BOOTH_REFERENCE_ROOT` names. `BOOTH_RECORD=1` writes the verdicts into the files.

mod case;
mod ours;
mod quirks;
mod theirs;

use booth_harness::not_run;
use case::{Case, CaseFile, Verdict};
use std::path::{Path, PathBuf};

/// Which program is held against the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Ours,
    Theirs,
}

impl Program {
    fn under_test() -> Program {
        match std::env::var("BOOTH_UNDER_TEST").as_deref() {
            Ok("theirs") => Program::Theirs,
            Ok("ours") | Err(_) => Program::Ours,
            Ok(other) => panic!("BOOTH_UNDER_TEST is {other:?}; it may be \"ours\" or \"theirs\""),
        }
    }
}

/// The folder of this test.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test/config")
}

fn read_all() -> Vec<CaseFile> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(here().join("cases"))
        .expect("the cases are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

#[test]
fn every_file_gets_its_recorded_verdict() {
    let mut files = read_all();
    let program = Program::under_test();
    let cases: Vec<&Case> = files.iter().flat_map(|file| &file.cases).collect();
    assert!(cases.len() > 300, "the cases were found");
    if let Some(why) = theirs::lacking().filter(|_| program == Program::Theirs) {
        return not_run("every_file_gets_its_recorded_verdict", &why);
    }
    let verdicts = match program {
        Program::Ours => ours::verdicts(&cases),
        Program::Theirs => theirs::verdicts(&cases),
    };
    if std::env::var_os("BOOTH_RECORD").is_some() {
        let mut verdicts = verdicts.into_iter();
        for file in &mut files {
            for case in &mut file.cases {
                let verdict = verdicts.next().expect("there is one verdict for each case");
                case.record(program == Program::Ours, verdict);
            }
            file.write();
        }
        return;
    }
    let mut wrong = Vec::new();
    for (case, found) in cases.iter().zip(verdicts) {
        let expected = match program {
            Program::Ours => &case.ours,
            Program::Theirs => &case.theirs,
        };
        if !expected.matches(&found) {
            wrong.push(format!("{}: expected {expected}, found {found}", case.place));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_difference_from_the_reference_is_explained() {
    let quirks = quirks::numbers();
    let mut wrong = Vec::new();
    for case in read_all().iter().flat_map(|file| &file.cases) {
        let differ = case.ours.accepts() != case.theirs.accepts();
        match &case.quirk {
            Some(number) if !quirks.contains(number) => {
                wrong.push(format!("{}: test/QUIRKS.md has no entry {number}", case.place));
            }
            None if differ => {
                wrong.push(format!("{}: ours and theirs differ without a quirk", case.place));
            }
            Some(_) | None => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_verdict_is_matched_by_kind_and_words() {
    let refuse = |text: &str| Verdict::Refuse(text.to_owned());
    assert!(refuse("port").matches(&refuse("x:1: port is wrong")));
    assert!(!refuse("port").matches(&refuse("x:1: site is wrong")));
    assert!(!refuse("port").matches(&Verdict::Accept(String::new())));
    assert!(!Verdict::Accept(String::new()).matches(&Verdict::Accept("warning".to_owned())));
    assert!(!Verdict::Unknown.matches(&Verdict::Unknown));
}
