// SPDX-License-Identifier: GPL-2.0-or-later
//! Notices that a file was removed or replaced, or that the addresses of this machine have
//! changed, without looking again and again.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A watched file.
pub struct FileWatch {
    inotify: OwnedFd,
}

impl FileWatch {
    /// Watches the file that is under this path now.
    ///
    /// # Errors
    /// The file is not there, or the kernel has no room for another watch.
    pub fn new(path: &Path) -> io::Result<FileWatch> {
        // SAFETY: takes numbers only.
        let descriptor = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it, and nobody else owns it.
        let inotify = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let path = CString::new(path.as_os_str().as_bytes())?;
        // An open file whose last name goes changes its attributes; it is not deleted yet.
        let events = libc::IN_ATTRIB | libc::IN_DELETE_SELF | libc::IN_MOVE_SELF;
        // SAFETY: the descriptor is open, and `path` is a C string that lives through the call.
        let result = unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), events) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(FileWatch { inotify })
    }

    /// What becomes readable when something happened to the file.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Takes note of what happened.
    pub fn drain(&self) {
        drain(self.inotify.as_fd());
    }
}

/// The kernel's word that addresses of interfaces have come or gone.
pub struct AddressChanges {
    netlink: OwnedFd,
}

impl AddressChanges {
    /// Listens from now on.
    ///
    /// # Errors
    /// This process may not listen, or there are too many open descriptors.
    pub fn new() -> io::Result<AddressChanges> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes numbers only.
        let descriptor = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it, and nobody else owns it.
        let netlink = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: `sockaddr_nl` is a plain C structure for which all zeroes is a value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = (libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;
        // A structure of a few numbers fits.
        let len = std::mem::size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        let place = std::ptr::from_ref(&address).cast::<libc::sockaddr>();
        // SAFETY: the descriptor is open; `place` points to a valid address of that length.
        let result = unsafe { libc::bind(netlink.as_raw_fd(), place, len) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(AddressChanges { netlink })
    }

    /// What becomes readable at a change.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }

    /// Takes note of all changes.
    pub fn drain(&self) {
        drain(self.netlink.as_fd());
    }
}

/// How many events are taken at once: more would only be read when the next ones come.
const EVENTS_MAX: usize = 10_000;

/// Reads what there is. The events themselves do not matter: the caller looks.
fn drain(file: BorrowedFd<'_>) {
    let mut buffer = [0u8; 1024];
    for _ in 0..EVENTS_MAX {
        // SAFETY: the buffer is valid for its length, the descriptor is open.
        let got = unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        // Events that the kernel had no room for are told once as an error.
        let lost = got < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS);
        if got <= 0 && !lost {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll;
    use std::fs;
    use std::time::Duration;

    fn happened(watch: &FileWatch, limit: Duration) -> bool {
        let [ready] = poll::wait([watch.descriptor()], Some(limit)).expect("polled");
        watch.drain();
        ready
    }

    #[test]
    fn removal_of_an_open_file_is_noticed_and_writing_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.pid");
        fs::write(&path, "x").expect("written");
        let open = fs::File::open(&path).expect("open");
        let watch = FileWatch::new(&path).expect("watched");
        fs::write(&path, "y").expect("written");
        assert!(!happened(&watch, Duration::from_millis(50)));
        fs::remove_file(&path).expect("removed");
        assert!(happened(&watch, Duration::from_secs(5)));
        drop(open);
        assert!(FileWatch::new(&path).is_err());
    }
}
