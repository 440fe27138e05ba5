// SPDX-License-Identifier: GPL-2.0-or-later
//! How a helper ends, where it is not the program that it became.

use std::io::Write;
use std::process::ExitCode;

/// The exit code of a helper that gave up before it became or ran anything else.
pub(crate) const FAILED: u8 = 201;

/// Says on standard error why a helper failed.
pub(super) fn fail(why: &str) -> ExitCode {
    // Nobody to tell if that fails.
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::from(FAILED)
}
