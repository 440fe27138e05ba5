// SPDX-License-Identifier: GPL-2.0-or-later
//! Recorded differences: where a case expects something else of the reference than of ours, it
//! says so through [`differs`], with the number of the paragraph in `test/QUIRKS.md`.

use booth_harness::{under_test, Kind};

/// The list of differences.
const QUIRKS: &str = include_str!("../QUIRKS.md");

/// What to expect of the program under test: `ours`, or, as recorded under `number`, `theirs`.
#[track_caller]
pub fn differs<T>(number: u32, ours: T, theirs: T) -> T {
    let entry = format!("\n{number}. **");
    assert!(QUIRKS.contains(&entry), "test/QUIRKS.md has no entry {number}");
    match under_test() {
        Kind::Ours | Kind::OursInRoot | Kind::OursBeside => ours,
        Kind::Theirs => theirs,
    }
}
