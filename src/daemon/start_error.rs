// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a daemon does not come up, in words.

use super::descriptors;
use super::host::Lack;
use crate::sys::accounts::AccountError;
use crate::sys::lockfile::LockError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the daemon does not come up.
#[derive(Debug)]
pub(super) enum StartError {
    /// There cannot be a process in the background.
    Background(io::Error),
    /// The log's thread cannot be started.
    Log(io::Error),
    /// So few files can be open at once that nothing would work.
    Descriptors(descriptors::Limit),
    /// The lock file cannot be had.
    Lock(LockError),
    /// The own address or port cannot be used.
    Bind(io::Error),
    /// The daemon cannot run as whom it should.
    Account(AccountError),
    /// The host has not what the member needs.
    Lack(Lack),
    /// The directory of the keeper or of the lock file cannot be made, or is another user's.
    RunDir(PathBuf, io::Error),
    /// The executor cannot be started.
    Executor(io::Error),
    /// Another thread, or the handling of signals, cannot be started.
    Thread(io::Error),
}

impl StartError {
    /// The directory of a file, or one in it, cannot be used.
    pub(super) fn of_directory(path: &Path) -> impl FnOnce(io::Error) -> StartError + '_ {
        |error| StartError::RunDir(path.parent().unwrap_or(path).to_owned(), error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Background(error) => write!(f, "cannot go into the background: {error}"),
            StartError::Log(error) => write!(f, "cannot start the log: {error}"),
            StartError::Descriptors(limit) => write!(
                f,
                "only {} files can be open at once, and {} are needed at least: raise the hard \
                 limit (ulimit -Hn, or LimitNOFILE of the service)",
                limit.files,
                limit.least()
            ),
            StartError::Lock(error) => error.fmt(f),
            StartError::Bind(error) | StartError::Executor(error) => error.fmt(f),
            StartError::Account(error) => error.fmt(f),
            StartError::Lack(error) => error.fmt(f),
            StartError::RunDir(path, error) => {
                write!(f, "cannot use the directory {}: {error}", path.display())
            }
            StartError::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Background(error)
            | StartError::Log(error)
            | StartError::Bind(error)
            | StartError::RunDir(_, error)
            | StartError::Thread(error) => Some(error),
            StartError::Descriptors(_) => None,
            StartError::Lock(error) => Some(error),
            StartError::Account(error) => Some(error),
            StartError::Lack(error) => Some(error),
            StartError::Executor(error) => Some(error),
        }
    }
}
