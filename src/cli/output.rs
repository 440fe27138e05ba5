// SPDX-License-Identifier: GPL-2.0-or-later
//! Where clients print: data to standard output, messages to standard error. A reader that
//! went away (`booth list | head`) is no failure and never a panic.

use super::options::{Exit, Program};
use std::io::{self, Write};

/// The two outputs of a client.
pub struct Output {
    program: Program,
}

impl Output {
    /// The outputs of this program.
    pub const fn new(program: Program) -> Output {
        Output { program }
    }

    /// Whose outputs these are.
    pub const fn program(&self) -> Program {
        self.program
    }

    /// Prints data; success, unless it could not be written.
    pub fn data(&self, text: &str) -> Exit {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Exit::Success,
            // The reader has seen all that it wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Err(error) => {
                self.error(&format!("cannot write to standard output: {error}"));
                Exit::Failure
            }
        }
    }

    /// Tells how things go.
    pub fn message(&self, text: &str) {
        // Nothing is left to tell when standard error is gone; the exit code says the rest.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Tells what went wrong.
    pub fn error(&self, text: &str) {
        self.message(&format!("{}: {text}", self.program.name()));
    }

    /// Tells what went wrong, and fails.
    pub fn failure(&self, error: &dyn std::fmt::Display) -> Exit {
        self.error(&error.to_string());
        Exit::Failure
    }

    /// Tells all that went wrong.
    pub fn errors<E: std::fmt::Display>(&self, errors: &[E]) -> Exit {
        for error in errors {
            self.error(&error.to_string());
        }
        Exit::Failure
    }

    /// Tells what a person should know although it goes on.
    pub fn warning(&self, text: &str) {
        self.message(&format!("{}: warning: {text}", self.program.name()));
    }
}
