// SPDX-License-Identifier: GPL-2.0-or-later
//! What can be wrong with a configuration, in words for a person.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong, with file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    text: String,
}

impl ConfigError {
    /// An error about this file, and this line of it if there is one.
    pub(super) fn new(file: impl Into<PathBuf>, line: Option<usize>, text: &str) -> ConfigError {
        ConfigError { file: file.into(), line, text: text.to_owned() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.text),
            None => write!(f, "{}: {}", self.file.display(), self.text),
        }
    }
}

impl std::error::Error for ConfigError {}
