// SPDX-License-Identifier: GPL-2.0-or-later
//! The two system calls that a switch in user space needs: a TAP device's own end, through which
//! its Ethernet frames are read and written, and waiting for several of them.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// What TUNSETIFF takes: `struct ifreq` with a name and flags.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Makes a TAP device `name` in this network namespace; it lives as long as the file is open,
/// also when it is moved to another namespace. Reads do not wait.
///
/// # Errors
/// Not root, no TAP devices in this kernel, or the name is taken or too long.
pub fn open(name: &str) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open("/dev/net/tun")?;
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    if name.len() >= request.name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // Both are below 2^15.
    request.flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the call reads and writes a `struct ifreq`, whose size and layout `Request` has.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Waits until one of the files can be read, at most `limit`, rounded up to milliseconds.
pub fn wait_readable(files: &[File], limit: Duration) {
    let mut polled: Vec<libc::pollfd> = files
        .iter()
        .map(|file| libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let millis =
        libc::c_int::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the number describe the vector, which lives through the call.
    // Nothing follows from the result: whoever is readable is found by reading.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) };
}
