// SPDX-License-Identifier: GPL-2.0-or-later
//! Sees to it that there is a lock file as long as there is a daemon: somebody may remove it, or
//! the whole directory.
#![forbid(unsafe_code)]

use super::lockfile::LockFile;
use super::watch::Watch;
use nix::sys::inotify::Inotify;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the lock file is made anew while somebody removes it at once.
const RESTORES: usize = 10;
/// A lock file that cannot be watched for now is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Notices that somebody has removed the lock file.
pub(crate) struct LockWatch {
    file: Option<Watch<Inotify>>,
    /// It cannot be watched for now: when it is looked at again.
    later: Option<Instant>,
    /// What keeps it from being made anew has been said.
    told: bool,
}

impl LockWatch {
    /// Begins to watch the file under this path.
    pub(crate) fn new(path: &Path) -> LockWatch {
        let file = Watch::file(path)
            .inspect_err(|error| log::debug!("cannot watch {}: {error}", path.display()))
            .ok();
        let later = file.is_none().then(|| Instant::now() + LOOK_AGAIN);
        LockWatch { file, later, told: false }
    }

    /// What becomes readable when something has happened to the file, if it is watched.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(Watch::descriptor)
    }

    /// How long to wait for anything else before the file is looked at.
    pub(crate) fn look_again(&self) -> Option<Duration> {
        self.later.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it is time to look at the file, whatever else there is to do.
    pub(crate) fn is_due(&self) -> bool {
        self.look_again() == Some(Duration::ZERO)
    }

    /// Makes the lock file anew if it is gone, so that the daemon can still be found and stopped.
    pub(crate) fn look(&mut self, lock: &mut LockFile) {
        if let Some(watch) = &self.file {
            watch.drain();
        }
        // Removed again before it was watched, it would be gone for good: so it is looked at after
        // that, too. Whoever removes it each time is left alone with it in the end.
        for _ in 0..RESTORES {
            match lock.restore() {
                Ok(false) if self.file.is_some() => return,
                Ok(false) => *self = LockWatch::new(lock.path()),
                Ok(true) => {
                    log::warn!("the lock file {} was removed and is back", lock.path().display());
                    *self = LockWatch::new(lock.path());
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.told, true) {
                        log::warn!(
                            "the lock file was removed: {error}; trying again to make it anew"
                        );
                    }
                    (self.file, self.later) = (None, Some(Instant::now() + LOOK_AGAIN));
                }
            }
            if self.file.is_none() {
                return;
            }
        }
    }
}
