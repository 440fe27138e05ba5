// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals as something to wait for: handlers only set a flag and wake the main thread.

use super::{os, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The signals that mean something to the daemon. SIGPIPE is ignored from the start of every
/// Rust program.
const WATCHED: [i32; 5] = [SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGCHLD];

/// From now on SIGHUP and SIGUSR1 do not end this process: until [`Signals::watch`] they mean
/// nothing. A name server can keep a daemon from getting there for long. Must be called before any
/// thread exists.
pub(crate) fn outlive_requests() {
    for signal in [SIGHUP, SIGUSR1] {
        // Where that is refused, so is all that comes later, and said.
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// SIGTERM, SIGINT: the daemon shall stop, because of this signal.
    Stop(i32),
    /// SIGUSR1: log the state of every ticket.
    Dump,
    /// SIGHUP: only noted in the log.
    Reload,
    /// SIGCHLD: a child ended.
    Child,
}

/// The signals that have come.
pub(crate) struct Signals {
    flags: Vec<(i32, Arc<AtomicBool>)>,
    sleeper: UnixStream,
}

impl Signals {
    /// Begins to watch. Must be called before any thread exists.
    ///
    /// # Errors
    /// The kernel refuses a handler, or there are too many open descriptors.
    pub(crate) fn watch() -> io::Result<Signals> {
        // One that came between handler and flag would be lost.
        os::without_signals(&WATCHED, Signals::register)
    }

    fn register() -> io::Result<Signals> {
        let (sleeper, waker) = poll::waker_pair()?;
        let mut flags = Vec::with_capacity(WATCHED.len());
        for signal in WATCHED {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: who is woken must find it set.
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
            flags.push((signal, flag));
        }
        Ok(Signals { flags, sleeper })
    }

    /// What becomes readable when a signal comes.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.sleeper.as_fd()
    }

    /// The signals that came since the last call, each once.
    pub(crate) fn take(&self) -> Vec<Wish> {
        poll::drain(&self.sleeper);
        let came = self.flags.iter().filter(|(_, flag)| flag.swap(false, Ordering::SeqCst));
        came.filter_map(|(signal, _)| wish_of(*signal)).collect()
    }

    /// The signal that asks to stop, if one has come; [`Signals::take`] still tells of it.
    pub(crate) fn wants_stop(&self) -> Option<i32> {
        let came = self.flags.iter().filter(|(_, flag)| flag.load(Ordering::SeqCst));
        came.map(|(signal, _)| *signal)
            .find(|signal| matches!(wish_of(*signal), Some(Wish::Stop(_))))
    }

    /// What has been heard so far is no longer readable; [`Signals::take`] still tells of it.
    pub(crate) fn quiet(&self) {
        poll::drain(&self.sleeper);
    }
}

fn wish_of(signal: i32) -> Option<Wish> {
    match signal {
        SIGTERM | SIGINT => Some(Wish::Stop(signal)),
        SIGUSR1 => Some(Wish::Dump),
        SIGHUP => Some(Wish::Reload),
        SIGCHLD => Some(Wish::Child),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_signal_wakes_and_is_told_once() {
        let signals = Signals::watch().expect("watched");
        for _ in 0..3 {
            signal_hook::low_level::raise(SIGUSR1).expect("raised");
        }
        let woken = poll::wait([signals.descriptor()], Some(Duration::from_secs(5)));
        assert_eq!(woken.expect("polled"), [true]);
        // Other tests of this process may have children that end.
        let came: Vec<Wish> = signals.take().into_iter().filter(|w| *w != Wish::Child).collect();
        assert_eq!(came, [Wish::Dump]);
        let again: Vec<Wish> = signals.take().into_iter().filter(|w| *w != Wish::Child).collect();
        assert_eq!(again, []);
    }
}
