// SPDX-License-Identifier: GPL-2.0-or-later
//! The system calls that the standard library has no words for, as far as children, locks and
//! the keeper need them. Each is one call; nothing is decided here.

use super::clock;
use crate::time::MonoTime;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// How long [`wait_readable`] pauses when it cannot wait, in milliseconds.
const REFUSED_PAUSE: libc::c_int = 100;

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

/// A descriptor that becomes readable when this process ends; `None` on kernels before 5.3, or if
/// there is no such process.
pub fn pid_descriptor(pid: u32) -> Option<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    // SAFETY: the call takes two numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = libc::c_int::try_from(result).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Waits until one of the descriptors can be read or is closed at the other end, or until the
/// time is over, rounded up to milliseconds. An interruption counts as the end; so does a refusal
/// of the kernel, after a pause, or the caller would keep the processor busy.
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
    if result < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
        let pause = if timeout < 0 { REFUSED_PAUSE } else { timeout.min(REFUSED_PAUSE) };
        // SAFETY: no entries are given, so nothing is read or written.
        unsafe { libc::poll(std::ptr::null_mut(), 0, pause) };
    }
    ready.clear();
    ready.extend(entries.iter().map(|entry| result > 0 && entry.revents != 0));
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

/// Whether an error says that the kernel has no room for something now, and may have some later.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMFILE
                | libc::ENFILE
                | libc::EAGAIN
                | libc::ENOMEM
                | libc::ENOBUFS
                | libc::ENOSPC
        )
    )
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

/// What [`Command::pre_exec`] does for a child of a daemon that is scheduled in real time and
/// protected from the memory killer: it becomes an ordinary process. Only calls that are allowed
/// between fork and exec.
///
/// [`Command::pre_exec`]: std::os::unix::process::CommandExt::pre_exec
pub fn become_plain_child() {
    // SAFETY: `sched_param` is a plain C structure for which all zeroes is a value.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `param` is valid; giving up a priority is always allowed.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &param) };
    // SAFETY: the path is a C string.
    let file = unsafe { libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY) };
    if file >= 0 {
        // SAFETY: the descriptor was opened above; the buffer has a byte. A failure leaves the
        // child protected, which is no reason not to run it.
        unsafe {
            libc::write(file, c"0".as_ptr().cast(), 1);
            libc::close(file);
        }
    }
}

/// Has the kernel kill this process when the thread that started it ends, whose process is
/// `parent`. Allowed between fork and exec.
///
/// # Errors
/// It has ended already.
pub fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: the calls take numbers.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // SAFETY: the call takes nothing.
    let now = unsafe { libc::getppid() };
    if u32::try_from(now) == Ok(parent) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ESRCH))
    }
}

/// A file in memory with this content, to be read from its beginning: standard input for a child
/// that neither end ever waits for.
///
/// # Errors
/// There is no memory, or there are too many open descriptors.
pub fn memory_file(content: &[u8]) -> io::Result<std::fs::File> {
    use std::io::{Seek, Write};
    // SAFETY: the name is a C string.
    let file = checked(unsafe { libc::memfd_create(c"booth".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
    let mut file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(file) });
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// The process at the other end of a local socket, and its user, as they were when they connected.
///
/// # Errors
/// It is no such socket.
pub fn peer_of(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    // A structure of three numbers fits.
    let mut len = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` and `len` are valid places of the sizes given.
    checked(unsafe {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        let place = std::ptr::from_mut(&mut peer).cast();
        libc::getsockopt(socket.as_raw_fd(), level, name, place, &mut len)
    })?;
    Ok((u32::try_from(peer.pid).unwrap_or(0), peer.uid))
}

/// Kills the process of a descriptor, and never another one that has got its number since.
pub fn kill_by(process: BorrowedFd<'_>) {
    let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
    // SAFETY: the descriptor is open; without further information the kernel reads nothing.
    unsafe {
        let number = libc::SYS_pidfd_send_signal;
        libc::syscall(number, process.as_raw_fd(), libc::SIGKILL, info, flags)
    };
}

/// Kills one process.
pub fn kill_process(pid: u32) {
    if let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 1) {
        // SAFETY: the call takes two numbers; a pid above 1 is a single process.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// The user with whose rights this process works.
pub fn my_user() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// What a command does between fork and exec.
#[derive(Clone, Copy, Debug, Default)]
pub struct BeforeExec {
    /// The kernel kills it when this process, whose only thread starts it, ends.
    pub dies_with: Option<u32>,
    /// It is not executed at this instant or later: then starting it fails with [`is_late`].
    pub start_before: Option<MonoTime>,
    /// Its soft limit of open files; `None`: that of this process.
    pub open_files: Option<u64>,
}

impl BeforeExec {
    /// Adds it to a command, which also becomes an ordinary process, see [`become_plain_child`].
    pub fn add_to(self, command: &mut std::process::Command) {
        use std::os::unix::process::CommandExt;
        let act = move || {
            if let Some(parent) = self.dies_with {
                die_with(parent)?;
            }
            become_plain_child();
            if let (Some(soft), Ok(limit)) = (self.open_files, open_files()) {
                // Nobody may be refused a lower limit; with a higher one the program works, too.
                let _ = set_open_files(limit, soft);
            }
            match self.start_before {
                Some(at) if clock::mono() >= at => Err(io::Error::from_raw_os_error(libc::ETIME)),
                _ => Ok(()),
            }
        };
        // SAFETY: everything in `act` is allowed between fork and exec.
        unsafe { command.pre_exec(act) };
    }
}

/// Whether a command was not executed because it was too late, see [`BeforeExec::start_before`].
pub fn is_late(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ETIME)
}

/// How much memory is taken by what the other end of a local socket has not yet read; nothing if
/// it has read all.
pub fn unread(socket: BorrowedFd<'_>) -> usize {
    let mut unread: libc::c_int = 0;
    // SAFETY: the descriptor is open, and `unread` is a valid place for the result.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut unread) };
    usize::try_from(unread).ok().filter(|_| result == 0).unwrap_or(0)
}

/// Takes a read lock of `fcntl` on the whole of a file or directory. It ends with this process,
/// or when that closes any descriptor of the file.
///
/// # Errors
/// Somebody has it for writing, or the file system has no locks.
pub fn lock_to_read(file: BorrowedFd<'_>) -> io::Result<()> {
    lock(file, libc::F_SETLK, libc::F_RDLCK).map(|_| ())
}

/// Gives it back.
pub fn unlock(file: BorrowedFd<'_>) {
    // What fails only for a descriptor that is not open.
    let _ = lock(file, libc::F_SETLK, libc::F_UNLCK);
}

/// Another process that has a lock like [`lock_to_read`]; 0: one that cannot be seen from here.
///
/// # Errors
/// The file system has no locks.
pub fn reader_of(file: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let found = lock(file, libc::F_GETLK, libc::F_WRLCK)?;
    let free = libc::c_int::from(found.l_type) == libc::F_UNLCK;
    Ok((!free).then(|| u32::try_from(found.l_pid).unwrap_or(0)))
}

/// One call about a lock of this kind on a whole file.
fn lock(file: BorrowedFd<'_>, command: libc::c_int, kind: libc::c_int) -> io::Result<libc::flock> {
    // SAFETY: `flock` is a plain C structure of integers, for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open; `lock` is a valid structure that the kernel may write.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), command, &mut lock) })?;
    Ok(lock)
}

/// Keeps this process in memory, as far as that is permitted; only pages that are used. With a
/// limit, memory that is asked for later is not locked: it would be refused.
pub fn lock_memory() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0;
    let free = known && limit.rlim_cur == libc::RLIM_INFINITY;
    let later = if free { libc::MCL_FUTURE } else { 0 };
    // SAFETY: the call takes numbers.
    unsafe { libc::mlockall(libc::MCL_CURRENT | later | libc::MCL_ONFAULT) };
}

/// The limits of open files of this process.
///
/// # Errors
/// None that can be expected.
pub fn open_files() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets the soft limit of open files and leaves the hard one, which it does not exceed.
///
/// # Errors
/// The kernel refuses.
pub fn set_open_files(limit: libc::rlimit, soft: libc::rlim_t) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft.min(limit.rlim_max), ..limit };
    // SAFETY: `limit` is a valid structure for the call.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
