// SPDX-License-Identifier: GPL-2.0-or-later
//! Notices that the machine at the other end of a connection is gone, although it has said nothing.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::TcpStream;
use std::time::Duration;

/// A machine that has said nothing for so long is asked whether it is there,
const IDLE: Duration = Duration::from_secs(30);
/// then this often,
const INTERVAL: Duration = Duration::from_secs(5);
/// and after so many unanswered questions it is gone: a minute after its last word.
const PROBES: u32 = 6;
/// What the three above amount to.
pub(crate) const VANISHED: Duration = Duration::from_secs(60);

/// Has the kernel ask the other end of a connection.
///
/// # Errors
/// The kernel refuses; the connection works without.
pub(crate) fn ask(stream: &TcpStream) -> io::Result<()> {
    let keepalive =
        TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
