// SPDX-License-Identifier: GPL-2.0-or-later
//! While the daemon starts: it takes the lock file, leaves the surroundings of whoever has started
//! it, and ends at once on SIGTERM or SIGINT, whatever it waits for.
//!
//! Until its threads run, nothing depends on an orderly end: nothing is granted, and a keeper that
//! was found goes on by itself. So the process just ends, without the lock file.

use super::logsink::{LogSink, LOG_LIMIT};
use super::start_error::StartError;
use crate::config::Account;
use crate::sys::lockfile::{LockError, LockFile};
use crate::sys::lockholder::Users;
use crate::sys::signals::Signals;
use crate::sys::{accounts, poll, process};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a start waits for the lock of another daemon, which may just be ending.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How often it tries in that time.
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// Takes the lock file. One that was killed a moment ago may still have it. `None`: a signal asks
/// to stop meanwhile; it has not been taken.
///
/// # Errors
/// Those of [`LockFile::acquire`].
pub(super) fn lock(
    path: &Path,
    users: &Users,
    signals: &Signals,
) -> Result<Option<LockFile>, LockError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match LockFile::acquire(path, users) {
            Err(LockError::Held { .. }) if signals.wants_stop().is_some() => return Ok(None),
            Err(LockError::Held { .. }) if Instant::now() < until => {
                // A signal ends the wait for the lock at the next look.
                let _ = poll::wait([], Some(LOCK_AGAIN));
            }
            outcome => return outcome.map(Some),
        }
    }
}

/// Does a part of the start that may wait for others, and ends the process, with success, if a
/// signal asks for that meanwhile.
///
/// # Errors
/// Those of the part; or there cannot be a thread.
pub(super) fn watched<T: Send>(
    signals: &Signals,
    lock: &LockFile,
    sink: &LogSink,
    part: impl FnOnce() -> Result<T, StartError>,
) -> Result<T, StartError> {
    let (sleeper, waker) = poll::waker_pair().map_err(StartError::Thread)?;
    std::thread::scope(|scope| {
        let watcher = std::thread::Builder::new().name("start".to_owned());
        let watch = || {
            while let Ok([_, false]) = poll::wait([signals.descriptor(), sleeper.as_fd()], None) {
                // Others are looked at when the start is over.
                signals.quiet();
                if let Some(signal) = signals.wants_stop() {
                    log::info!("caught signal {signal}");
                    lock.remove_file();
                    log::info!("exiting");
                    sink.flush(LOG_LIMIT);
                    // The other thread waits somewhere: nothing is to be done behind its back.
                    std::process::exit(0);
                }
            }
        };
        watcher
            .stack_size(super::spawn::STACK)
            .spawn_scoped(scope, watch)
            .map_err(StartError::Thread)?;
        let done = part();
        poll::wake(&waker);
        done
    })
}

/// Leaves what belongs to whoever has started the daemon: the working directory, which could not
/// be unmounted, and, for root, who becomes the user of `account`, the names and the home of root.
/// Nothing that is missing stops the daemon. Must be called before any thread exists.
pub(super) fn leave_surroundings(account: &Account) {
    // The root directory is always there.
    let _ = std::env::set_current_dir("/");
    if !process::am_root() {
        return;
    }
    for name in ["HOME", "USER", "LOGNAME", "SHELL", "MAIL"] {
        std::env::remove_var(name);
    }
    // A user that does not exist is told of later, where that matters.
    if let Some((name, home)) = accounts::name_and_home(&account.user) {
        std::env::set_var("HOME", home);
        std::env::set_var("USER", &name);
        std::env::set_var("LOGNAME", name);
    }
}
