// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls about `fcntl` locks of whole files, as the lock file needs them.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Takes the write lock; false if another process has it.
///
/// # Errors
/// The file system has no locks, or no room for one.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    let lock = whole_file(libc::F_WRLCK);
    // SAFETY: the descriptor is open for the whole call and `lock` is a valid `flock`.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) };
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EAGAIN) => Ok(false),
        _ => Err(error),
    }
}

/// A lock as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// A write lock, not a read lock.
    pub(crate) write: bool,
    /// On the whole file, whatever its length.
    pub(crate) whole: bool,
    /// Its process; -1: it belongs to an open file, 0: its process cannot be seen from here.
    pub(crate) pid: libc::pid_t,
}

/// The first write lock of others on a file; only if there is none, the first read lock.
///
/// # Errors
/// The file cannot be asked for its locks.
pub(crate) fn first_lock(file: &File) -> io::Result<Option<Lock>> {
    for asked in [libc::F_RDLCK, libc::F_WRLCK] {
        let mut lock = whole_file(asked);
        // SAFETY: the descriptor is open for the whole call; `lock` is a valid `flock` that the
        // kernel may write.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::c_int::from(lock.l_type) != libc::F_UNLCK {
            let write = libc::c_int::from(lock.l_type) == libc::F_WRLCK;
            let whole = lock.l_start == 0 && lock.l_len == 0;
            return Ok(Some(Lock { write, whole, pid: lock.l_pid }));
        }
    }
    Ok(None)
}

/// The description of a lock on a whole file.
fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: `flock` is a plain C structure of integers, for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}
