// SPDX-License-Identifier: GPL-2.0-or-later
//! What a configuration needs from outside its text: addresses of host names and the key file.
//! `sys::surroundings` supplies those of the system; tests supply their own.

use super::error::KeyFileProblem;
use crate::auth::Key;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The environment of a configuration file.
pub trait Surroundings {
    /// The addresses of a host name, in the order of preference. Their ports have no meaning.
    ///
    /// # Errors
    /// The name has no address, or cannot be resolved now.
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>>;

    /// The key in a key file, which may belong to root, to the user who runs this process, and to
    /// these users.
    ///
    /// # Errors
    /// The file cannot be read, belongs to somebody else, gives others rights on it, or holds no
    /// key.
    fn read_key(&mut self, path: &Path, owners: &[&str]) -> Result<Key, KeyFileProblem>;
}
