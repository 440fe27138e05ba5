// SPDX-License-Identifier: GPL-2.0-or-later
//! A process that is no daemon but looks like one: with any title, as any user, with any lock.

use super::not_run::not_run;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A user without a name whom no configuration knows.
pub const NOBODYS_USER: u32 = 4242;

/// What a stranger locks in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole file for reading, for which one need not be able to write.
    Read,
    /// The whole file for writing, as a daemon does.
    Write,
    /// One byte for writing.
    Byte,
    /// The whole file for writing, for the open file and not for the process.
    OpenFile,
}

/// What a stranger does.
pub struct Disguise<'a> {
    /// What it runs: something like `sleep`, perhaps under another name.
    pub program: &'a Path,
    /// What `ps` shows.
    pub title: &'a str,
    /// Whether it is [`NOBODYS_USER`], for which the test has to be root.
    pub foreign: bool,
    /// What it locks.
    pub lock: Option<(&'a Path, Kind)>,
}

/// The process; it ends with the test.
pub struct Stranger(Child);

impl Stranger {
    /// Starts it; it has its lock when this returns.
    pub fn start(disguise: &Disguise<'_>) -> Stranger {
        let mut command = Command::new(disguise.program);
        command.arg0(disguise.title).arg("60").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        if disguise.foreign {
            command.uid(NOBODYS_USER).gid(NOBODYS_USER);
        }
        if let Some((path, kind)) = disguise.lock {
            let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
            // SAFETY: between fork and exec only system calls are made. A record lock and the
            // descriptor, which is not closed by exec, stay with the process.
            unsafe { command.pre_exec(move || lock(&path, kind)) };
        }
        let child = command.spawn().expect("the stranger has its lock and runs");
        let stranger = Stranger(child);
        let until = Instant::now() + Duration::from_secs(5);
        let title = disguise.title.as_bytes();
        let titled = || {
            let line = std::fs::read(format!("/proc/{}/cmdline", stranger.pid()));
            line.is_ok_and(|line| line.starts_with(title))
        };
        while !titled() {
            assert!(Instant::now() < until, "the stranger has its title");
            std::thread::sleep(Duration::from_millis(2));
        }
        stranger
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether nobody has ended it.
    pub fn lives(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lock(path: &CString, kind: Kind) -> std::io::Result<()> {
    let failed = || Err(std::io::Error::last_os_error());
    let flags = if kind == Kind::Read { libc::O_RDONLY } else { libc::O_RDWR };
    // SAFETY: a C string that lives for the call.
    let descriptor = unsafe { libc::open(path.as_ptr(), flags) };
    if descriptor < 0 {
        return failed();
    }
    // SAFETY: all zeroes is a value of this plain C structure.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = if kind == Kind::Read { libc::F_RDLCK } else { libc::F_WRLCK } as libc::c_short;
    lock.l_len = libc::off_t::from(kind == Kind::Byte);
    let command = if kind == Kind::OpenFile { libc::F_OFD_SETLK } else { libc::F_SETLK };
    // SAFETY: the descriptor is open and `lock` valid for the call.
    if unsafe { libc::fcntl(descriptor, command, &lock) } != 0 {
        return failed();
    }
    Ok(())
}

/// Whether this test is root and can be other users, too; says so if it is not.
pub fn is_root_for(test: &str) -> bool {
    // SAFETY: takes no argument and cannot fail.
    let root = unsafe { libc::geteuid() == 0 };
    if !root {
        not_run(test, "needs root");
    }
    root
}
