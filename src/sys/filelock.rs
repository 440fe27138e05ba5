// SPDX-License-Identifier: GPL-2.0-or-later
//! Locks of `fcntl` on whole files and directories. They end with their process, or when that
//! closes any descriptor of the file.

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Takes the write lock; false if another process has it.
///
/// # Errors
/// The file system has no locks, or no room for one.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    match set(file, libc::F_WRLCK) {
        Ok(()) => Ok(true),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes a read lock.
///
/// # Errors
/// Somebody has it for writing, or the file system has no locks.
pub(crate) fn lock_to_read(file: &File) -> io::Result<()> {
    Ok(set(file, libc::F_RDLCK)?)
}

/// Gives up a lock.
pub(crate) fn unlock(file: &File) {
    // What fails only for a descriptor that is not open.
    let _ = set(file, libc::F_UNLCK);
}

/// Another process that has any lock on this; 0: one that cannot be seen from here.
///
/// # Errors
/// The file system has no locks.
pub(crate) fn holder_of(file: &File) -> io::Result<Option<u32>> {
    let found = in_the_way(file, libc::F_WRLCK)?;
    Ok(found.map(|lock| match lock.owner {
        Owner::Process(pid) => pid,
        Owner::Unseen | Owner::OpenFile => 0,
    }))
}

/// A lock as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// A write lock, not a read lock.
    pub(crate) write: bool,
    /// On the whole file, whatever its length.
    pub(crate) whole: bool,
    /// Whose it is.
    pub(crate) owner: Owner,
}

/// Whose a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This process's.
    Process(u32),
    /// A process's that cannot be seen from here.
    Unseen,
    /// An open file's.
    OpenFile,
}

/// The first write lock of others on a file; only if there is none, the first read lock.
///
/// # Errors
/// The file cannot be asked for its locks.
pub(super) fn first_lock(file: &File) -> io::Result<Option<Lock>> {
    match in_the_way(file, libc::F_RDLCK)? {
        None => in_the_way(file, libc::F_WRLCK),
        found => Ok(found),
    }
}

/// The first lock of others for which one of this kind would have to wait.
fn in_the_way(file: &File, kind: libc::c_int) -> io::Result<Option<Lock>> {
    let mut lock = whole_file(kind);
    fcntl(file.as_raw_fd(), FcntlArg::F_GETLK(&mut lock))?;
    let is = |kind: libc::c_int| libc::c_int::from(lock.l_type) == kind;
    let owner = match u32::try_from(lock.l_pid) {
        Ok(0) => Owner::Unseen,
        Ok(pid) => Owner::Process(pid),
        Err(_) => Owner::OpenFile,
    };
    let whole = lock.l_start == 0 && lock.l_len == 0;
    let found = Lock { write: is(libc::F_WRLCK), whole, owner };
    Ok((!is(libc::F_UNLCK)).then_some(found))
}

fn set(file: &File, kind: libc::c_int) -> nix::Result<()> {
    fcntl(file.as_raw_fd(), FcntlArg::F_SETLK(&whole_file(kind))).map(drop)
}

/// The description of a lock on a whole file.
fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: `flock` is a plain C structure of integers, for which all zeroes is a value; some
    // platforms have more of them than others.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}
