// SPDX-License-Identifier: GPL-2.0-or-later
//! The process itself: into the background, scheduling, memory. (Its user: `accounts`.)
//!
//! Only root may do most of this; for others each part is skipped at debug level. What root
//! may do and the kernel still refuses is a warning, not the end: a daemon in a container
//! without these rights is as good a voter as any.

use super::accounts::own_user;
use super::{os, poll};
use nix::sys::mman::{mlockall, MlockAllFlags};
use nix::sys::resource::{setrlimit, Resource};
use nix::sys::stat::{umask, Mode};
use nix::unistd::{fork, ForkResult};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// How long the parent of a daemon waits for it to be up. A start takes milliseconds, or the
/// guard time of a ticket whose change a predecessor left behind.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The two processes after [`daemonize`].
pub(crate) enum Side {
    /// The one that was started; it says whether the daemon came up.
    Parent(Start),
    /// The daemon, leader of a new session.
    Daemon(Report),
}

/// The parent's view of a daemon that starts.
pub(crate) struct Start(UnixStream);

/// The daemon's way to say that it is up.
pub(crate) struct Report(Option<UnixStream>);

/// Goes on in a new process with a session of its own, so that init scripts can signal the
/// session of the process that holds the lock file. Must be called before any thread exists.
///
/// # Errors
/// There cannot be another process.
pub(crate) fn daemonize() -> io::Result<Side> {
    let (parent_end, daemon_end) = UnixStream::pair()?;
    // SAFETY: no other thread exists, so the child may go on as usual.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(parent_end);
            os::new_session()?;
            Ok(Side::Daemon(Report(Some(daemon_end))))
        }
        ForkResult::Parent { .. } => {
            drop(daemon_end);
            Ok(Side::Parent(Start(parent_end)))
        }
    }
}

/// How the wait for a daemon that starts has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Up,
    /// It has ended, and said why.
    Ended,
    /// Neither, within the limit.
    Late,
}

impl Start {
    /// Waits until the daemon is up, or ends; gives the exit code that says which. A daemon that
    /// takes longer than a minute is left alone, and it is said that it goes on.
    pub(crate) fn wait(self) -> ExitCode {
        match self.outcome(START_LIMIT) {
            Waited::Up => ExitCode::SUCCESS,
            Waited::Ended => ExitCode::FAILURE,
            Waited::Late => {
                let limit = START_LIMIT.as_secs();
                eprintln!("boothd: the daemon is not up after {limit} s; it goes on starting");
                ExitCode::FAILURE
            }
        }
    }

    fn outcome(mut self, limit: Duration) -> Waited {
        match poll::wait([self.0.as_fd()], Some(limit)) {
            // A daemon that ends closes its end, which reads as nothing.
            Ok([true]) if matches!(self.0.read(&mut [0u8; 1]), Ok(1)) => Waited::Up,
            Ok([true]) => Waited::Ended,
            Ok([false]) | Err(_) => Waited::Late,
        }
    }
}

impl Report {
    /// For a daemon that stays in the foreground.
    pub(crate) fn nobody() -> Report {
        Report(None)
    }

    /// Lets the parent go with success and leaves its terminal.
    ///
    /// # Errors
    /// `/dev/null` cannot be opened.
    pub(crate) fn up(&mut self) -> io::Result<()> {
        let Some(mut stream) = self.0.take() else {
            return Ok(());
        };
        os::point_to_null(&[0, 1, 2])?;
        // A parent that was killed does not matter any more.
        let _ = stream.write(&[1]);
        Ok(())
    }
}

/// Whether this process has root's rights.
pub(crate) fn am_root() -> bool {
    own_user() == 0
}

/// Keeps the process in memory and away from the out-of-memory killer.
pub(crate) fn raise_rights() {
    if !am_root() {
        log::debug!("not root: no memory lock, no real-time scheduling, no oom protection");
        return;
    }
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "-1000") {
        note_refusal("protect the process from the out-of-memory killer", &error);
    }
    // Without this limit, memory that is asked for later could be refused after root is given
    // up. Where it cannot be had, what is there now is locked and later memory is not.
    let limit = Resource::RLIMIT_MEMLOCK;
    let later = match setrlimit(limit, libc::RLIM_INFINITY, libc::RLIM_INFINITY) {
        Ok(()) => Some(libc::MCL_FUTURE | libc::MCL_ONFAULT),
        Err(error) => {
            note_refusal("lock later memory", &error.into());
            None
        }
    };
    // Later memory is locked page by page as it is first used: stacks and buffers would
    // otherwise be filled with pages that nobody needs.
    for flags in [Some(libc::MCL_CURRENT), later].into_iter().flatten() {
        if let Err(error) = mlockall(MlockAllFlags::from_bits_retain(flags)) {
            note_refusal("lock the process into memory", &error.into());
            return;
        }
    }
}

/// Logs what could not be had. What this process may not do at all, in a container for
/// instance, is no news to whoever set it up.
pub(crate) fn note_refusal(what: &str, error: &io::Error) {
    if error.kind() == io::ErrorKind::PermissionDenied {
        log::debug!("not permitted to {what}: {error}");
    } else {
        log::warn!("cannot {what}: {error}");
    }
}

/// Reference: the highest priority of the round-robin class.
const REALTIME_PRIORITY: libc::c_int = 99;

/// Gives the calling thread real-time scheduling, and all threads that it starts: the whole
/// daemon or none of it. Threads share queues and the heap; one with real-time scheduling would
/// wait, or even spin, for an ordinary one that the machine does not let run.
///
/// # Errors
/// This process is root and the kernel refuses; for others it is not tried.
pub(crate) fn enter_realtime() -> io::Result<()> {
    if am_root() {
        os::schedule(libc::SCHED_RR, REALTIME_PRIORITY)
    } else {
        Ok(())
    }
}

/// What comes before everything else: files that others may read, and one heap for all threads,
/// which glibc would otherwise give one of some megabytes each.
pub(crate) fn prepare() {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: takes numbers only; called before there are threads.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_millis(200);

    fn pair() -> (Start, UnixStream) {
        let (parent_end, daemon_end) = UnixStream::pair().expect("a pair");
        (Start(parent_end), daemon_end)
    }

    #[test]
    fn a_start_is_waited_for_no_longer_than_the_limit() {
        let (start, _daemon) = pair();
        let begun = Instant::now();
        assert_eq!(start.outcome(LIMIT), Waited::Late);
        assert!(begun.elapsed() >= LIMIT);
    }

    #[test]
    fn a_start_is_over_when_the_daemon_is_up_or_has_ended() {
        // As long as the product waits: whoever waits for more than the daemon hangs here.
        let (start, mut daemon) = pair();
        daemon.write_all(&[1]).expect("written");
        assert_eq!(start.outcome(START_LIMIT), Waited::Up);
        let (start, daemon) = pair();
        drop(daemon);
        assert_eq!(start.outcome(START_LIMIT), Waited::Ended);
    }
}
