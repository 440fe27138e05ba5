// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said of a test that lacks something, in one place for all test programs.

use std::io::Write;

/// Set to 1 (continuous integration): a test that cannot run has failed.
const REQUIRE_ALL: &str = "BOOTH_TEST_REQUIRE_ALL";

/// Says that the test `name` is not run here, and why. `scripts/check` counts these lines.
///
/// Panics if `BOOTH_TEST_REQUIRE_ALL` is 1.
pub fn not_run(name: &str, why: &str) {
    assert!(
        std::env::var_os(REQUIRE_ALL).is_none_or(|value| value != "1"),
        "{name} cannot run: {why}, and {REQUIRE_ALL} is set"
    );
    // Not through eprintln!, whose text libtest keeps to itself when a test passes.
    let line = format!("not run: {name}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
