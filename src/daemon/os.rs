// SPDX-License-Identifier: GPL-2.0-or-later
//! The system calls that the standard library has no words for, as far as children, locks and
//! the lease guard need them. Each is one call; nothing is decided here.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What is done to the processes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Term,
    /// End.
    Kill,
    /// Nothing: only ask whether there are any.
    Probe,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Term => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
            Signal::Probe => 0,
        }
    }
}

/// The result of a call that says -1 when it fails.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Sends a signal to a process group. Whether there was any process to receive it.
///
/// Groups 0 and 1 mean something else to the kernel (our own, everybody) and are refused.
pub fn signal_group(group: u32, signal: Signal) -> bool {
    match libc::pid_t::try_from(group) {
        // SAFETY: the call takes two numbers; the group is a single one, not "everybody".
        Ok(group) if group > 1 => unsafe { libc::kill(-group, signal.number()) == 0 },
        Ok(_) | Err(_) => false,
    }
}

/// Whether a child of ours has ended; it is not collected, so its number stays taken.
///
/// # Errors
/// It is no child of ours.
pub fn has_exited(pid: u32) -> io::Result<bool> {
    // SAFETY: `siginfo_t` is a plain C structure for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a valid place for the result.
    checked(unsafe { libc::waitid(libc::P_PID, pid, &mut info, options) })?;
    // SAFETY: `waitid` has filled in the variant with a pid, or left the zeroes.
    Ok(unsafe { info.si_pid() } != 0)
}

/// A descriptor that becomes readable when this child of ours ends; `None` on kernels before 5.3.
pub fn pid_descriptor(pid: u32) -> Option<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    // SAFETY: the call takes two numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = libc::c_int::try_from(result).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Waits until one of the descriptors can be read or is closed at the other end, or until the
/// time is over, rounded up to milliseconds. An interruption counts as the end.
pub fn wait_readable(
    descriptors: &[BorrowedFd<'_>],
    limit: Option<Duration>,
    ready: &mut Vec<bool>,
) {
    let mut entries: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let timeout = limit.map_or(-1, |limit| {
        libc::c_int::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
    });
    // A vector in memory has fewer entries than any `nfds_t` can count.
    let count = entries.len() as libc::nfds_t;
    // SAFETY: `entries` is an array of `count` entries whose descriptors are borrowed, and
    // therefore open, for the whole call.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), count, timeout) };
    ready.clear();
    ready.extend(entries.iter().map(|entry| result > 0 && entry.revents != 0));
}

/// Tries to lock bytes of a file for this open file description; whether it worked.
///
/// The lock belongs to the description, not to the process: a program that inherits the
/// descriptor holds it on, and it ends when the last copy is closed.
///
/// # Errors
/// The file cannot be locked at all.
pub fn try_lock(file: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<bool> {
    match set_lock(file, libc::F_WRLCK, start, len) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        },
    }
}

/// Unlocks bytes of a file.
///
/// # Errors
/// The kernel is out of memory for the remaining locks.
pub fn unlock(file: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<()> {
    set_lock(file, libc::F_UNLCK, start, len)
}

fn set_lock(file: BorrowedFd<'_>, kind: libc::c_int, start: u64, len: u64) -> io::Result<()> {
    let too_far = |_| io::Error::from(io::ErrorKind::InvalidInput);
    // SAFETY: `flock` is a plain C structure for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(kind).map_err(too_far)?;
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).map_err(too_far)?;
    lock.l_start = libc::off_t::try_from(start).map_err(too_far)?;
    lock.l_len = libc::off_t::try_from(len).map_err(too_far)?;
    // SAFETY: the descriptor is open, and `lock` is a valid structure for this command.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) }).map(|_| ())
}

/// Lets programs that this process executes inherit the descriptor.
///
/// # Errors
/// None that a valid descriptor can cause.
pub fn keep_across_exec(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open; the command takes a number.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) }).map(|_| ())
}

/// Closes everything but standard input, output and error: whoever started the daemon may have
/// left descriptors open, and a helper or guard must keep none of them.
///
/// To be called first in a program, before anything has been opened.
pub fn close_inherited() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: nothing in this process has opened a descriptor yet, so nothing relies on one.
    let result = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
    if result == 0 {
        return;
    }
    // Kernels before 5.9: one by one, as far as descriptors can go by default.
    for descriptor in 3..4096 {
        // SAFETY: as above; a number that is no open descriptor makes the call fail.
        unsafe { libc::close(descriptor) };
    }
}

/// A new session, and a process group with this process alone in it.
///
/// # Errors
/// This process leads a group already.
pub fn new_session() -> io::Result<()> {
    // SAFETY: the call takes nothing.
    checked(unsafe { libc::setsid() }).map(|_| ())
}

/// Back to ordinary scheduling, without the daemon's protection against the memory killer.
/// Failures leave the process as it is, which is no reason not to run it.
pub fn become_ordinary() {
    // SAFETY: `sched_param` is a plain C structure for which all zeroes is a value.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `param` is valid; giving up a priority is always allowed.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &param) };
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
}

/// Does something while these signals wait: they come to this thread afterwards.
pub fn without_signals<T>(signals: &[libc::c_int], body: impl FnOnce() -> T) -> T {
    // SAFETY: `sigset_t` is a plain C structure for which all zeroes is a value.
    let mut blocked: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `blocked` and `before` are valid sets for these calls, which fail only for numbers
    // that are no signals.
    unsafe {
        libc::sigemptyset(&mut blocked);
        for signal in signals {
            libc::sigaddset(&mut blocked, *signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, &mut before);
    }
    let done = body();
    // SAFETY: the set was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    done
}

/// The name that `ps -o comm` and `pgrep` see, at most 15 bytes of it.
pub fn set_name(name: &CStr) {
    // SAFETY: `name` ends with a NUL byte and lives for the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// A descriptor that becomes readable at an instant of the boot-time clock, also when the
/// machine was suspended meanwhile.
///
/// # Errors
/// There are too many open descriptors.
pub fn boot_timer() -> io::Result<OwnedFd> {
    let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
    // SAFETY: the call takes two numbers.
    let descriptor = checked(unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, flags) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sets the instant of a [`boot_timer`], in microseconds; `None`: it never rings.
///
/// # Errors
/// None that a valid timer can cause.
pub fn set_boot_timer(timer: BorrowedFd<'_>, at: Option<u64>) -> io::Result<()> {
    // An instant of zero would switch the timer off: it is past anyway.
    let (secs, nanos) = at.map_or((0, 0), |at| (at / 1_000_000, (at % 1_000_000) * 1_000 + 1));
    // SAFETY: `itimerspec` is a plain C structure for which all zeroes is a value.
    let mut spec: libc::itimerspec = unsafe { std::mem::zeroed() };
    spec.it_value.tv_sec = libc::time_t::try_from(secs).unwrap_or(libc::time_t::MAX);
    spec.it_value.tv_nsec = libc::c_long::try_from(nanos).unwrap_or(0);
    let old = std::ptr::null_mut();
    // SAFETY: the descriptor is open, `spec` is valid, and the old value is not asked for.
    let result =
        unsafe { libc::timerfd_settime(timer.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &spec, old) };
    checked(result).map(|_| ())
}

/// When a process started, in ticks since the machine did; 0 if there is no such process or the
/// kernel does not tell. Together with its number it names a process for good.
pub fn start_time(pid: u32) -> u64 {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return 0;
    };
    // The second field is the name in parentheses, which may contain anything; the start time is
    // field 22, that is the 20th behind it.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_ascii_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// Reading from the descriptor never waits again.
///
/// # Errors
/// None that a valid descriptor can cause.
pub fn set_nonblocking(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open; the command takes nothing.
    let flags = checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })?;
    let flags = flags | libc::O_NONBLOCK;
    // SAFETY: the descriptor is open; the command takes a number.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) }).map(|_| ())
}

/// Puts `/dev/null` in the place of one of standard input, output and error.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub fn point_to_null(standard: BorrowedFd<'_>) -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: both descriptors are open; the old content of the place is closed by the kernel.
    checked(unsafe { libc::dup2(null.as_raw_fd(), standard.as_raw_fd()) }).map(|_| ())
}

/// Kills the process with this number if it started at `started`, see [`start_time`].
pub fn kill_process(pid: u32, started: u64) {
    if started == 0 || start_time(pid) != started {
        return;
    }
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: the call takes two numbers; a pid above 0 is a single process.
        unsafe { libc::kill(pid.max(1), libc::SIGKILL) };
    }
}
