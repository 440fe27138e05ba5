// SPDX-License-Identifier: GPL-2.0-or-later
//! The files in the run directory of a site.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// The socket.
pub(super) const SOCKET: &str = "keeper";
/// The mark.
pub(super) const MARK: &str = "in-flight";

/// A path inside a directory that was opened, whatever has become of its own.
pub(super) fn path_in(dir: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// A new socket of this name in a directory, in place of what has been there.
pub(super) fn socket_at(dir: &File, name: &str) -> io::Result<Socket> {
    let path = path_in(dir, name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(socket)
}
