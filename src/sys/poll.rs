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

/// Waits until one of the descriptors can be read (or has an error, which reading tells), or
/// until the time is over; without a time as long as it takes. Says which.
///
/// # Errors
/// The kernel refuses, for instance for lack of memory.
pub fn wait<const N: usize>(
    descriptors: [BorrowedFd<'_>; N],
    limit: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut entries = descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    let until = limit.map(|limit| Instant::now() + limit);
    loop {
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        match ppoll(&mut entries, rest.map(TimeSpec::from), None) {
            Ok(_) => return Ok(entries.map(|entry| entry.any().unwrap_or(true))),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
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

/// Takes out everything that woke this end.
pub fn drain(mut sleeper: &UnixStream) {
    let mut buffer = [0u8; 64];
    // The other end is ours and writes a byte now and then: this ends.
    while matches!(sleeper.read(&mut buffer), Ok(len) if len == buffer.len()) {}
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
        drain(&sleeper);
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
        drain(&sleeper);
        drop(waker);
        assert_eq!(wait([sleeper.as_fd()], None).expect("polled"), [true]);
    }
}
