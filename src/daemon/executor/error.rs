// SPDX-License-Identifier: GPL-2.0-or-later
//! Why there is no executor.

use std::fmt;
use std::io;

/// Why the executor could not be started.
#[derive(Debug)]
pub enum ExecutorError {
    /// The keeper cannot be started; without it nothing may be granted.
    Keeper(io::Error),
    /// The thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecutorError::Keeper(error) => {
                write!(f, "cannot start the keeper of the tickets: {error}")
            }
            ExecutorError::Thread(error) => write!(f, "cannot start the executor: {error}"),
        }
    }
}

impl std::error::Error for ExecutorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExecutorError::Keeper(error) | ExecutorError::Thread(error) => Some(error),
        }
    }
}
