// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line.

/// Runs the program that the arguments ask for and returns its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
