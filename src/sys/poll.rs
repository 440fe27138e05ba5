// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for one of several descriptors, and the pair of sockets by which one thread wakes
//! another that waits like this.

use nix::errno::Errno;
use nix::poll::{ppoll, PollFd, PollFlags};
use nix::sys::time::TimeSpec;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// For what a descriptor is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Until it can be read.
    pub read: bool,
    /// Until it can be written to.
    pub write: bool,
}

impl Wanted {
    /// To be read only.
    pub const READ: Wanted = Wanted { read: true, write: false };
}

/// A descriptor that is waited for, and what came of it.
#[derive(Debug)]
pub struct Entry<'a> {
    descriptor: BorrowedFd<'a>,
    events: PollFlags,
    ready: bool,
}

impl<'a> Entry<'a> {
    /// Waits until the descriptor can be used as it is wanted. If nothing is wanted it is not
    /// waited for at all, also not for its end.
    pub fn new(descriptor: BorrowedFd<'a>, wanted: Wanted) -> Entry<'a> {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, wanted.read);
        events.set(PollFlags::POLLOUT, wanted.write);
        Entry { descriptor, events, ready: false }
    }

    /// Whether that is possible now, or the descriptor has an error or has ended, which reading
    /// or writing tells.
    pub(crate) const fn is_ready(&self) -> bool {
        self.ready
    }
}

/// Waits until one of the descriptors can be read (or has an error, which reading tells), or
/// until the time is over; without a time as long as it takes. Says which.
///
/// # Errors
/// The kernel refuses, for instance for lack of memory.
pub fn wait<const N: usize>(
    descriptors: [BorrowedFd<'_>; N],
    limit: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut entries = descriptors.map(|descriptor| Entry::new(descriptor, Wanted::READ));
    wait_for(&mut entries, limit)?;
    Ok(entries.map(|entry| entry.is_ready()))
}

/// Waits until one of these descriptors can be read, or until the time is over.
///
/// # Errors
/// As [`wait_for`].
pub(crate) fn wait_any(descriptors: &[BorrowedFd<'_>], limit: Duration) -> io::Result<()> {
    let entries = descriptors.iter().map(|descriptor| Entry::new(*descriptor, Wanted::READ));
    wait_for(&mut entries.collect::<Vec<_>>(), Some(limit))
}

/// Waits until one of the entries is ready, or until the time is over; without a time as long as
/// it takes.
///
/// # Errors
/// The kernel refuses, for lack of memory, or because there are more entries than the limit of
/// open files allows.
pub(crate) fn wait_for(entries: &mut [Entry<'_>], limit: Option<Duration>) -> io::Result<()> {
    let wanted = || |entry: &&mut Entry<'_>| !entry.events.is_empty();
    let polled = entries.iter_mut().filter(wanted());
    let mut polled: Vec<PollFd<'_>> =
        polled.map(|entry| PollFd::new(entry.descriptor, entry.events)).collect();
    let until = limit.map(|limit| Instant::now() + limit);
    loop {
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        match ppoll(&mut polled, rest.map(TimeSpec::from), None) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (entry, polled) in entries.iter_mut().filter(wanted()).zip(&polled) {
        entry.ready = polled.any().unwrap_or(true);
    }
    Ok(())
}

/// Two ends: writing into one makes the other readable. Neither ever blocks.
///
/// # Errors
/// There are too many open descriptors.
pub fn waker_pair() -> io::Result<(UnixStream, UnixStream)> {
    let (sleeper, waker) = UnixStream::pair()?;
    sleeper.set_nonblocking(true)?;
    waker.set_nonblocking(true)?;
    Ok((sleeper, waker))
}

/// Wakes the other end. If its buffer is full it is awake anyway.
pub fn wake(mut waker: &UnixStream) {
    let _ = waker.write(&[1]);
}

/// Takes out everything that woke this end; false if the other end is closed.
pub fn drain(mut sleeper: &UnixStream) -> bool {
    let mut buffer = [0u8; 64];
    // The other end is ours and writes a byte now and then: this ends.
    loop {
        match sleeper.read(&mut buffer) {
            Ok(0) => return false,
            Ok(len) if len == buffer.len() => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_descriptor_that_was_written_to_is_ready() {
        let (quiet, _quiet_waker) = waker_pair().expect("a pair");
        let (sleeper, waker) = waker_pair().expect("a pair");
        wake(&waker);
        let both = [quiet.as_fd(), sleeper.as_fd()];
        assert_eq!(wait(both, None).expect("polled"), [false, true]);
        assert!(drain(&sleeper));
        let limit = Duration::from_millis(20);
        let begun = Instant::now();
        assert_eq!(wait(both, Some(limit)).expect("polled"), [false, false]);
        assert!(begun.elapsed() >= limit);
    }

    #[test]
    fn a_closed_end_wakes_and_a_full_one_does_not_block() {
        let (sleeper, waker) = waker_pair().expect("a pair");
        for _ in 0..100_000 {
            wake(&waker);
        }
        assert!(drain(&sleeper));
        drop(waker);
        assert_eq!(wait([sleeper.as_fd()], None).expect("polled"), [true]);
        assert!(!drain(&sleeper));
    }

    #[test]
    fn an_entry_is_ready_for_what_it_waits_for_only() {
        let (end, other) = waker_pair().expect("a pair");
        let ready = |read, write| {
            let mut entries = [Entry::new(end.as_fd(), Wanted { read, write })];
            wait_for(&mut entries, Some(Duration::ZERO)).expect("polled");
            entries[0].is_ready()
        };
        assert!(ready(false, true) && ready(true, true) && !ready(true, false));
        while (&end).write(&[0; 4096]).is_ok() {}
        assert!(!ready(true, true));
        // The end wakes whoever waits for anything, but not who waits for nothing.
        drop(other);
        assert!(ready(true, false) && ready(false, true) && !ready(false, false));
    }
}
