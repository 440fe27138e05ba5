// SPDX-License-Identifier: GPL-2.0-or-later
//! Why there is no executor.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the executor could not be started.
#[derive(Debug)]
pub enum ExecutorError {
    /// This lease table cannot be made, read or written.
    Table(PathBuf, io::Error),
    /// Another daemon of this site uses the lease table.
    InUse(PathBuf),
    /// The lease guard cannot be started; without it nothing may be granted.
    Guard(io::Error),
    /// The thread cannot be started.
    Thread(io::Error),
    /// The daemon was told to stop while it waited.
    Stopped,
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecutorError::Table(path, error) => {
                write!(f, "the lease table {} cannot be used: {error}", path.display())
            }
            ExecutorError::InUse(path) => {
                write!(f, "another daemon of this site uses the lease table {}", path.display())
            }
            ExecutorError::Guard(error) => write!(f, "cannot start the lease guard: {error}"),
            ExecutorError::Thread(error) => write!(f, "cannot start the executor: {error}"),
            ExecutorError::Stopped => f.write_str("told to stop before it had started"),
        }
    }
}

impl std::error::Error for ExecutorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExecutorError::Table(_, error)
            | ExecutorError::Guard(error)
            | ExecutorError::Thread(error) => Some(error),
            ExecutorError::InUse(_) | ExecutorError::Stopped => None,
        }
    }
}
