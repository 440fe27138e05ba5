// SPDX-License-Identifier: GPL-2.0-or-later
//! Entry point: hands the arguments to [`booth::cli`] and exits with its code.

fn main() -> std::process::ExitCode {
    booth::cli::main()
}
