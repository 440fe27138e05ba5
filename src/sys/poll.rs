// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for one of several descriptors, and the pair of sockets by which one thread wakes
//! another that waits like this.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
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
    let mut entries = descriptors.map(|descriptor| libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    let until = limit.map(|limit| Instant::now() + limit);
    loop {
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = rest.map(timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // N is the number of a handful of descriptors and fits every integer type.
        let count = N as libc::nfds_t;
        // SAFETY: `entries` is an array of N valid entries whose descriptors are borrowed, and
        // therefore open, for the whole call; `timeout` is null or points to a value that lives
        // as long, and a null mask leaves the signals as they are.
        let result = unsafe { libc::ppoll(entries.as_mut_ptr(), count, timeout, std::ptr::null()) };
        if result >= 0 {
            return Ok(entries.map(|entry| entry.revents != 0));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn timespec(limit: Duration) -> libc::timespec {
    // SAFETY: all zeroes are a time; some platforms have padding beside its two numbers.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    time.tv_sec = libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX);
    // Less than a second, which fits everywhere.
    time.tv_nsec = limit.subsec_nanos() as _;
    time
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
