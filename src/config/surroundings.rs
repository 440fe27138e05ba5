// SPDX-License-Identifier: GPL-2.0-or-later
//! What a configuration needs from outside its text: addresses of host names and the key file.
//! Tests bring their own.

use super::keyfile::{self, KeyFile, KeyFileProblem};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

/// The world around a configuration file.
pub trait Surroundings {
    /// The addresses of a host name, in the order of preference; the port means nothing.
    ///
    /// # Errors
    /// The name has no address, or that cannot be found out now.
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>>;

    /// The key in a key file.
    ///
    /// # Errors
    /// The file cannot be read, others may read it, or it holds no key.
    fn read_key(&mut self, path: &Path) -> Result<KeyFile, KeyFileProblem>;
}

/// The system that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Surroundings for System {
    /// Reference: `getaddrinfo`, so forms like `127.2` are addresses too.
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        Ok((host, 0u16).to_socket_addrs()?.collect())
    }

    fn read_key(&mut self, path: &Path) -> Result<KeyFile, KeyFileProblem> {
        keyfile::read(path)
    }
}
