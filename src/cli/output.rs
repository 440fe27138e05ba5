// SPDX-License-Identifier: GPL-2.0-or-later
//! Where clients print: data to standard output, messages to standard error. It is not an error,
//! and never a panic, if the reader has gone (`booth list | head`).

use super::options::{Exit, Program};
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};

/// The two outputs of a client.
pub(super) struct Output {
    pub(super) program: Program,
    /// Where errors and warnings go instead, if they are to become a part of the data.
    kept: Option<RefCell<Kept>>,
}

/// What was to be said on standard error.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Output {
    /// The outputs of this program.
    pub(super) const fn of(program: Program) -> Output {
        Output { program, kept: None }
    }

    /// The same, but errors and warnings are kept.
    pub(super) fn keeping(&self) -> Output {
        Output { program: self.program, kept: Some(RefCell::default()) }
    }

    /// What was kept.
    pub(super) fn kept(self) -> Kept {
        self.kept.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Prints data to standard output; fails if it cannot be written.
    pub(super) fn data(&self, text: &str) -> Exit {
        self.more_data(text).map_or_else(|exit| exit, |_| Exit::Success)
    }

    /// The same; says whether there is still somebody who reads it.
    pub(super) fn more_data(&self, text: &str) -> Result<bool, Exit> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(true),
            // The reader has seen all that it wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(self.failure(&format!("cannot write to standard output: {error}"))),
        }
    }

    /// Whether a person reads the data, not a program: it may be put differently then.
    pub(super) fn is_for_a_person(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Prints a message to standard error.
    pub(super) fn message(&self, text: &str) {
        // If standard error is closed, only the exit code remains.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints an error.
    pub(super) fn error(&self, text: &str) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().errors.push(text.to_owned());
            return;
        }
        self.message(&format!("{}: {text}", self.program.name()));
    }

    /// Prints an error, and fails.
    pub(super) fn failure(&self, error: &dyn std::fmt::Display) -> Exit {
        self.error(&error.to_string());
        Exit::Failure
    }

    /// Prints how something has ended.
    pub(super) fn outcome(&self, exit: Exit, text: &str) -> Exit {
        match exit {
            Exit::Success => self.message(text),
            Exit::Failure | Exit::CannotTell | Exit::Unchecked | Exit::NotRunning => {
                self.error(text);
            }
        }
        exit
    }

    /// Prints all errors, and fails.
    pub(super) fn errors<E: std::fmt::Display>(&self, errors: &[E]) -> Exit {
        for error in errors {
            self.error(&error.to_string());
        }
        Exit::Failure
    }

    /// Prints a warning.
    pub(super) fn warning(&self, text: &str) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().warnings.push(text.to_owned());
            return;
        }
        self.message(&format!("{}: warning: {text}", self.program.name()));
    }
}
