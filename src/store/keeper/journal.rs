// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper's lines in the system's log.

use super::setup::NAME;
use crate::engine::NoteLevel;
use std::os::unix::net::UnixDatagram;

/// A line for the system's log, never waited for: a log that nobody reads must not stop a revoke.
pub(super) fn log(level: NoteLevel, text: &str) {
    // As syslog counts it, in the facility *daemon*.
    let priority = match level {
        NoteLevel::Error => 27,
        NoteLevel::Warning => 28,
        NoteLevel::Info => 30,
        NoteLevel::Debug => 31,
    };
    let line = format!("<{priority}>{NAME}[{}]: {text}", std::process::id());
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(line.as_bytes(), "/dev/log")
    });
    // There is nowhere else to say it.
    drop(sent);
}
