// SPDX-License-Identifier: GPL-2.0-or-later
//! What a configuration needs from outside its text: addresses of host names and the key file.
//! The daemon brings those of the system, tests their own.

use super::keyfile::KeyFileProblem;
use crate::auth::Key;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The world around a configuration file.
pub trait Surroundings {
    /// The addresses of a host name, in the order of preference; the port means nothing.
    ///
    /// # Errors
    /// The name has no address, or that cannot be found out now.
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>>;

    /// The key in a key file, which may belong to root, to whoever runs this process, and to
    /// these users.
    ///
    /// # Errors
    /// The file cannot be read, belongs to somebody else, gives others rights on it, or holds no
    /// key.
    fn read_key(&mut self, path: &Path, owners: &[&str]) -> Result<Key, KeyFileProblem>;
}
