// SPDX-License-Identifier: GPL-2.0-or-later
//! Notices that a file was removed or replaced, or that the addresses of this machine have
//! changed, without looking again and again.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{
    bind, socket, AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Something that becomes readable when what it watches has changed.
pub(crate) struct Watch<T>(T);

impl Watch<Inotify> {
    /// Watches the file that is under this path now.
    ///
    /// # Errors
    /// The file is not there, or the kernel has no room for another watch.
    pub(super) fn file(path: &Path) -> io::Result<Watch<Inotify>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // An open file whose last name goes changes its attributes; it is not deleted yet.
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        inotify.add_watch(path, AddWatchFlags::IN_ATTRIB | gone)?;
        Ok(Watch(inotify))
    }
}

impl Watch<OwnedFd> {
    /// Listens from now on to the kernel's word that addresses of interfaces have come or gone.
    ///
    /// # Errors
    /// This process may not listen, or there are too many open descriptors.
    pub(crate) fn addresses() -> io::Result<Watch<OwnedFd>> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let route = SockProtocol::NetlinkRoute;
        let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, route)?;
        let groups = (libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;
        bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Watch(netlink))
    }
}

/// How many events are taken at once: more would only be read when the next ones come.
const EVENTS_MAX: usize = 10_000;

impl<T: AsFd> Watch<T> {
    /// What becomes readable when something has changed.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes note of what has changed. The events themselves do not matter: the caller looks.
    pub(crate) fn drain(&self) {
        let mut buffer = [0u8; 1024];
        for _ in 0..EVENTS_MAX {
            match nix::unistd::read(self.descriptor().as_raw_fd(), &mut buffer) {
                // Events that the kernel had no room for are told once as an error.
                Ok(1..) | Err(Errno::ENOBUFS) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll;
    use std::fs;
    use std::time::Duration;

    fn happened(watch: &Watch<Inotify>, limit: Duration) -> bool {
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
        let watch = Watch::file(&path).expect("watched");
        fs::write(&path, "y").expect("written");
        assert!(!happened(&watch, Duration::from_millis(50)));
        fs::remove_file(&path).expect("removed");
        assert!(happened(&watch, Duration::from_secs(5)));
        drop(open);
        assert!(Watch::file(&path).is_err());
    }
}
