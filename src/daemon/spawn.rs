// SPDX-License-Identifier: GPL-2.0-or-later
//! Starts a thread of the daemon, and tells when it has ended.

use crossbeam_channel::{bounded, Receiver, RecvTimeoutError};
use std::io;
use std::time::Duration;

/// The stack of each of the daemon's threads, in bytes. The process is locked into memory, so
/// that stacks are not to be larger than they need to be.
pub(super) const STACK: usize = 256 * 1024;

/// What tells that a thread has ended.
#[derive(Debug)]
pub struct Ended(Receiver<()>);

impl Ended {
    /// Waits, at most so long, for the thread's end; false if it takes longer.
    pub fn wait(&self, limit: Duration) -> bool {
        // Nothing is ever sent: the thread drops its end when it ends.
        self.0.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Starts a thread with a small stack.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Ended> {
    let (alive, ended) = bounded::<()>(0);
    let body = move || {
        run();
        drop(alive);
    };
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(body)?;
    Ok(Ended(ended))
}
