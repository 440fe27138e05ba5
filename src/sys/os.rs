// SPDX-License-Identifier: GPL-2.0-or-later
//! The system calls that the standard library has no words for, as far as children, locks and
//! the keeper need them. Each is one call; nothing is decided here.
//!
//! The crate nix makes them, but for those that it has none for (descriptors of processes,
//! `close_range`, scheduling) or only an `unsafe` one (`TIOCOUTQ`).

use super::{clock, open_files};
use crate::time::MonoTime;
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::memfd::{memfd_create, MemFdCreateFlag};
use nix::sys::mman::{mlockall, MlockAllFlags};
use nix::sys::resource::{getrlimit, Resource};
pub(crate) use nix::sys::signal::Signal;
use nix::sys::signal::{kill, killpg, SigSet, SigmaskHow};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
pub(crate) use nix::sys::timerfd::TimerFd;
use nix::sys::timerfd::{ClockId, Expiration, TimerFlags, TimerSetTimeFlags};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};
use nix::unistd::{close, dup2, getppid, write, Pid};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How long [`wait_readable`] pauses when it cannot wait, in milliseconds.
const REFUSED_PAUSE: u16 = 100;

/// A process or group that is a single one. 0 and 1 mean something else to the kernel (our own,
/// everybody) or are nobody to be signalled.
fn single(number: u32) -> Option<Pid> {
    libc::pid_t::try_from(number).ok().filter(|number| *number > 1).map(Pid::from_raw)
}

/// Sends a signal to a process group, if it is a single one.
pub(crate) fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = single(group) {
        // None of it may be left.
        let _ = killpg(group, signal);
    }
}

/// Whether a child of ours has ended; it is not collected, so its number stays taken. Whoever is
/// no child of ours counts as ended.
pub(crate) fn has_exited(pid: u32) -> bool {
    let Some(pid) = single(pid) else { return true };
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // The end by a signal that has no name is an error here.
    !matches!(waitid(Id::Pid(pid), options), Ok(WaitStatus::StillAlive))
}

/// Another process, by its number. On kernels since 5.3 it is not mistaken for a later one that has
/// got the same number.
#[derive(Debug)]
pub(crate) struct Handle {
    number: u32,
    end: Option<OwnedFd>,
}

impl Handle {
    /// Of the process that has this number now; there need not be one.
    pub(crate) fn new(number: u32) -> Handle {
        let open = |number: libc::pid_t| {
            // SAFETY: the call takes two numbers.
            let result = unsafe { libc::syscall(libc::SYS_pidfd_open, number, 0) };
            let descriptor = RawFd::try_from(result).ok().filter(|descriptor| *descriptor >= 0)?;
            // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
            Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
        };
        Handle { number, end: libc::pid_t::try_from(number).ok().and_then(open) }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// What becomes readable when it ends; `None`: the kernel cannot tell, or it was not there.
    pub(crate) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    /// Waits, at most so long, until it ends; where the kernel cannot tell that, so long.
    pub(crate) fn wait_end(&self, limit: Duration) {
        wait_readable(&Vec::from_iter(self.end()), Some(limit));
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        let Some(end) = &self.end else {
            if let Some(pid) = single(self.number) {
                let _ = kill(pid, Signal::SIGKILL);
            }
            return;
        };
        let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
        // SAFETY: the descriptor is open; without further information the kernel reads nothing.
        unsafe {
            let number = libc::SYS_pidfd_send_signal;
            libc::syscall(number, end.as_raw_fd(), libc::SIGKILL, info, flags)
        };
    }
}

/// Waits until one of the descriptors can be read or is closed at the other end, or until the
/// time is over, rounded up to milliseconds. An interruption counts as the end; so does a refusal
/// of the kernel, after a pause, or the caller would keep the processor busy.
pub(crate) fn wait_readable(descriptors: &[BorrowedFd<'_>], limit: Option<Duration>) {
    let mut entries: Vec<PollFd<'_>> =
        descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    let timeout = limit.map_or(PollTimeout::NONE, |limit| {
        PollTimeout::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
    });
    match nix::poll::poll(&mut entries, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => {
            let longest = PollTimeout::from(REFUSED_PAUSE);
            let pause = if timeout.is_none() { longest } else { timeout.min(longest) };
            let _ = nix::poll::poll(&mut [], pause);
        }
    }
}

/// Closes everything but standard input, output and error: whoever started the daemon may have
/// left descriptors open, and a helper or guard must keep none of them.
///
/// To be called first in a program, before anything has been opened.
pub(crate) fn close_inherited() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: nothing in this process has opened a descriptor yet, so nothing relies on one.
    let result = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
    if result == 0 {
        return;
    }
    // Kernels before 5.9: one by one, as far as descriptors can go by default.
    for descriptor in 3..4096 {
        let _ = close(descriptor);
    }
}

/// A new session, and a process group with this process alone in it.
///
/// # Errors
/// This process leads a group already.
pub(crate) fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Whether an error says that the kernel has no room for something now, and may have some later.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    use libc::{EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};
    let shortages = [EMFILE, ENFILE, EAGAIN, ENOMEM, ENOBUFS, ENOSPC];
    error.raw_os_error().is_some_and(|number| shortages.contains(&number))
}

/// Does something while these signals wait: they come to this thread afterwards.
pub(super) fn without_signals<T>(signals: &[libc::c_int], body: impl FnOnce() -> T) -> T {
    let named = signals.iter().filter_map(|signal| Signal::try_from(*signal).ok());
    let before = SigSet::from_iter(named).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = body();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    done
}

/// The name that `ps -o comm` and `pgrep` see, at most 15 bytes of it.
pub(crate) fn set_name(name: &CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

/// A descriptor that becomes readable at an instant of the boot-time clock, also when the
/// machine was suspended meanwhile.
///
/// # Errors
/// There are too many open descriptors.
pub(crate) fn boot_timer() -> io::Result<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    Ok(TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?)
}

/// Sets the instant of a [`boot_timer`], in microseconds; `None`: it never rings.
///
/// # Errors
/// None that a valid timer can cause.
pub(crate) fn set_boot_timer(timer: &TimerFd, at: Option<u64>) -> io::Result<()> {
    let Some(at) = at else { return Ok(timer.unset()?) };
    // An instant of zero would switch the timer off: it is past anyway.
    let (secs, nanos) = (at / 1_000_000, (at % 1_000_000) * 1_000 + 1);
    let secs = libc::time_t::try_from(secs).unwrap_or(libc::time_t::MAX);
    let at = TimeSpec::new(secs, libc::c_long::try_from(nanos).unwrap_or(0));
    Ok(timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
}

/// Reading from the descriptor never waits again.
///
/// # Errors
/// None that a valid descriptor can cause.
pub(crate) fn set_nonblocking(file: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file.as_raw_fd(), FcntlArg::F_GETFL)?);
    fcntl(file.as_raw_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Puts `/dev/null` in the place of these of standard input, output and error.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub(crate) fn point_to_null(standard: &[RawFd]) -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    for place in standard {
        dup2(null.as_raw_fd(), *place)?;
    }
    Ok(())
}

/// Sets policy and priority of the calling thread. Allowed between fork and exec.
///
/// # Errors
/// The kernel refuses.
pub(super) fn schedule(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    // SAFETY: `sched_param` is a plain C structure for which all zeroes is a value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: `parameters` is a valid structure for the call; 0 means the calling thread.
    Errno::result(unsafe { libc::sched_setscheduler(0, policy, &parameters) })?;
    Ok(())
}

/// What [`Command::pre_exec`] does for a child of a daemon that is scheduled in real time and
/// protected from the memory killer: it becomes an ordinary process. Only calls that are allowed
/// between fork and exec.
///
/// [`Command::pre_exec`]: std::os::unix::process::CommandExt::pre_exec
fn become_plain_child() {
    // Giving up a priority is always allowed.
    let _ = schedule(libc::SCHED_OTHER, 0);
    let path = c"/proc/self/oom_score_adj";
    if let Ok(file) = nix::fcntl::open(path, OFlag::O_WRONLY, Mode::empty()) {
        // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // A failure leaves the child protected, which is no reason not to run it.
        let _ = write(&file, b"0");
    }
}

/// Has the kernel kill this process when the thread that started it ends, whose process is
/// `parent`. Allowed between fork and exec.
///
/// # Errors
/// It has ended already.
fn die_with(parent: u32) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if u32::try_from(getppid().as_raw()) == Ok(parent) {
        Ok(())
    } else {
        Err(Errno::ESRCH.into())
    }
}

/// A file in memory with this content, to be read from its beginning: standard input for a child
/// that neither end ever waits for.
///
/// # Errors
/// There is no memory, or there are too many open descriptors.
pub(crate) fn memory_file(content: &[u8]) -> io::Result<std::fs::File> {
    use std::io::{Seek, Write};
    let mut file = std::fs::File::from(memfd_create(c"booth", MemFdCreateFlag::MFD_CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// The process at the other end of a local socket, and its user, as they were when they connected.
///
/// # Errors
/// It is no such socket.
pub(crate) fn peer_of(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let peer = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok((u32::try_from(peer.pid()).unwrap_or(0), peer.uid()))
}

/// What a command does between fork and exec.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BeforeExec {
    /// The kernel kills it when this process, whose only thread starts it, ends.
    pub dies_with: Option<u32>,
    /// It is not executed at this instant or later: then starting it fails with [`is_late`].
    pub start_before: Option<MonoTime>,
}

impl BeforeExec {
    /// Adds it to a command, which also becomes an ordinary process: not scheduled in real time,
    /// not protected from the memory killer, with the limit of open files of others.
    pub(crate) fn add_to(self, command: &mut std::process::Command) {
        use std::os::unix::process::CommandExt;
        let soft_limit = open_files::old();
        let act = move || {
            if let Some(parent) = self.dies_with {
                die_with(parent)?;
            }
            become_plain_child();
            if let Some(soft) = soft_limit {
                open_files::lower_to(soft);
            }
            match self.start_before {
                Some(at) if clock::mono() >= at => Err(Errno::ETIME.into()),
                _ => Ok(()),
            }
        };
        // SAFETY: everything in `act` is allowed between fork and exec.
        unsafe { command.pre_exec(act) };
    }
}

/// Whether a command was not executed because it was too late, see [`BeforeExec::start_before`].
pub(crate) fn is_late(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ETIME)
}

/// How much memory is taken by what the other end of a local socket has not yet read; nothing if
/// it has read all.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> usize {
    let mut unread: libc::c_int = 0;
    // SAFETY: the descriptor is open, and `unread` is a valid place for the result.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut unread) };
    usize::try_from(unread).ok().filter(|_| result == 0).unwrap_or(0)
}

/// How many rows the terminal behind a descriptor has; `None`: it is none, or does not say.
pub(crate) fn screen_rows(terminal: BorrowedFd<'_>) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and `size` is a valid place for the result.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (result == 0 && size.ws_row > 0).then(|| usize::from(size.ws_row))
}

/// Keeps this process in memory, as far as that is permitted; only pages that are used. With a
/// limit, memory that is asked for later is not locked: it would be refused.
pub(crate) fn lock_memory() {
    let free =
        getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == libc::RLIM_INFINITY);
    let later = if free { libc::MCL_FUTURE } else { 0 };
    let flags = libc::MCL_CURRENT | later | libc::MCL_ONFAULT;
    let _ = mlockall(MlockAllFlags::from_bits_retain(flags));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    /// Such a signal has no name, and the child has ended all the same.
    #[test]
    fn a_child_that_a_real_time_signal_ended_has_ended() {
        let mut child = Command::new("sh").args(["-c", "kill -40 $$"]).spawn().expect("started");
        Handle::new(child.id()).wait_end(Duration::from_secs(10));
        assert!(has_exited(child.id()));
        assert_eq!(child.wait().expect("it is there to be collected").signal(), Some(40));
    }

    #[test]
    fn a_child_that_lives_has_not_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("started");
        assert!(!has_exited(child.id()));
        Handle::new(child.id()).kill();
        assert_eq!(child.wait().expect("it is ours").signal(), Some(libc::SIGKILL));
        assert!(has_exited(child.id()), "no child of ours any more");
    }
}
