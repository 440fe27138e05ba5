// SPDX-License-Identifier: GPL-2.0-or-later
//! The lock file: which daemon runs for a configuration, and the line that describes it.
//!
//! A daemon holds an fcntl write lock on the whole file for as long as it lives; the kernel drops
//! it when the process ends, however it ends. Reference: the same lock, so either
//! implementation's `status` finds either daemon.

use crate::model::{MemberId, MemberRole};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory of lock files without `-l`.
const DEFAULT_DIRECTORY: &str = "/var/run/booth";
/// More than a state line can have: path, name and address are far shorter than a page.
const LINE_MAX: u64 = 4096;
/// Readable by everybody, as the reference's lock file is.
const MODE: u32 = 0o644;
/// Others may look for lock files, and not make any.
const DIRECTORY_MODE: u32 = 0o755;

/// The lock file of a configuration with this name, unless `-l` says otherwise.
pub fn default_path(config_name: &str) -> PathBuf {
    Path::new(DEFAULT_DIRECTORY).join(format!("{config_name}.pid"))
}

/// What a look at a lock file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Nobody holds the lock, or there is no such file.
    NotRunning,
    /// A daemon runs.
    Running {
        /// The process that holds the lock.
        pid: u32,
        /// The file's line without its end; empty if the daemon has not written it yet.
        line: String,
    },
}

/// Looks whether a daemon holds this lock file.
///
/// Must not be called in a process that holds the lock itself: closing the file would drop it.
///
/// # Errors
/// The file is there but cannot be opened, read or asked for its lock.
pub fn probe(path: &Path) -> io::Result<Probe> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Probe::NotRunning),
        Err(error) => return Err(error),
    };
    let Some(pid) = holder_of(&file)? else {
        return Ok(Probe::NotRunning);
    };
    let mut bytes = Vec::new();
    file.take(LINE_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok(Probe::Running { pid, line })
}

/// What the state line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateLine {
    /// The daemon's process.
    pub pid: u32,
    /// Whether it has begun to work on its tickets.
    pub state: DaemonState,
    /// Its role.
    pub role: MemberRole,
    /// The configuration's name.
    pub config_name: String,
    /// Its id.
    pub id: MemberId,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

/// How far a daemon's start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonState {
    /// It has not yet an answer from the store about every ticket.
    Starting,
    /// It has.
    Started,
}

impl fmt::Display for StateLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            DaemonState::Starting => "starting",
            DaemonState::Started => "started",
        };
        // Scripts evaluate the line in a shell: nothing may leave the quotes.
        let name = self.config_name.replace('\'', "");
        write!(
            f,
            "booth_pid={} booth_state={state} booth_type={} booth_cfg_name='{name}' \
             booth_id={} booth_addr_string='{}' booth_port={}",
            self.pid,
            self.role.word(),
            self.id.raw(),
            self.address,
            self.port
        )
    }
}

/// Why a lock file cannot be had.
#[derive(Debug)]
pub enum LockError {
    /// It cannot be opened or created.
    Open(PathBuf, io::Error),
    /// Another process holds it.
    Held {
        /// The file.
        path: PathBuf,
        /// The process, if it still could be asked for.
        pid: Option<u32>,
    },
    /// It can be opened, but not be locked or written.
    Use(PathBuf, io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Open(path, error) => {
                write!(f, "lockfile {} open error: {error}", path.display())
            }
            LockError::Held { path, pid: Some(pid) } => write!(
                f,
                "lockfile {} is held by process {pid}: another daemon runs with it",
                path.display()
            ),
            LockError::Held { path, pid: None } => {
                write!(f, "lockfile {} is held by another daemon", path.display())
            }
            LockError::Use(path, error) => {
                write!(f, "lockfile {} cannot be locked or written: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Open(_, error) | LockError::Use(_, error) => Some(error),
            LockError::Held { .. } => None,
        }
    }
}

/// A lock file that this process holds. Dropping it gives up the lock and leaves the file.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: File,
    line: Option<StateLine>,
}

impl LockFile {
    /// Creates the file if it is missing and takes its lock. Nothing in it is touched before
    /// the lock is held.
    ///
    /// # Errors
    /// The file cannot be opened or locked, or another process holds it.
    pub fn acquire(path: &Path) -> Result<LockFile, LockError> {
        make_default_directory(path);
        // A lock on a file that was removed between opening and locking protects nothing;
        // somebody who removes the file each time can only make the start fail.
        for _ in 0..LOCK_ATTEMPTS {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(MODE)
                // The directory may belong to the daemon's user: root must not be led by a
                // link in it to a file that is somebody else's.
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)
                .map_err(|error| LockError::Open(path.to_owned(), error))?;
            plain(&file).map_err(|error| LockError::Open(path.to_owned(), error))?;
            let locked = try_lock(&file).map_err(|error| LockError::Use(path.to_owned(), error))?;
            if !locked {
                let pid = holder_of(&file).ok().flatten();
                return Err(LockError::Held { path: path.to_owned(), pid });
            }
            if same_file(&file, path) {
                return Ok(LockFile { path: path.to_owned(), file, line: None });
            }
        }
        let error = io::Error::other("it is removed again and again");
        Err(LockError::Use(path.to_owned(), error))
    }

    /// Writes the state line in place of what the file had.
    ///
    /// # Errors
    /// The file cannot be written, for instance because the disk is full.
    pub fn write(&mut self, line: &StateLine) -> Result<(), LockError> {
        let text = format!("{line}\n");
        let wrap = |error| LockError::Use(self.path.clone(), error);
        // Longer than before or equal in all but "starting"/"started": written first and cut
        // afterwards, so that a reader never sees an empty file.
        self.file.write_all_at(text.as_bytes(), 0).map_err(wrap)?;
        self.file.set_len(text.len() as u64).map_err(wrap)?;
        self.line = Some(line.clone());
        Ok(())
    }

    /// Makes the file owned by the user that the daemon will run as, so that it can be removed
    /// and written again later.
    ///
    /// # Errors
    /// The owner cannot be changed.
    pub fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))
    }

    /// Whether the file under the path is still this one.
    pub fn is_in_place(&self) -> bool {
        same_file(&self.file, &self.path)
    }

    /// Makes the file anew if somebody removed or replaced it, so that `status` and init scripts
    /// find the daemon again. Returns whether that was necessary.
    ///
    /// # Errors
    /// The file cannot be made, or another daemon holds the one that is there.
    pub fn restore(&mut self) -> Result<bool, LockError> {
        if self.is_in_place() {
            return Ok(false);
        }
        let mut fresh = LockFile::acquire(&self.path)?;
        if let Some(line) = self.line.clone() {
            fresh.write(&line)?;
        }
        *self = fresh;
        Ok(true)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file if it is still this daemon's own, then gives up the lock.
    pub fn remove(self) {
        if self.is_in_place() && fs::remove_file(&self.path).is_err() {
            // The directory is not the daemon's. Without a line the file cannot mislead anybody
            // who does not ask for its lock.
            let _ = self.file.set_len(0);
        }
    }
}

/// How often [`LockFile::acquire`] starts over when the file is removed under its hands.
const LOCK_ATTEMPTS: usize = 10;

/// Refuses what is no ordinary file, or has a second name.
fn plain(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() <= 1 {
        Ok(())
    } else {
        Err(io::Error::other("it is no ordinary file"))
    }
}

/// Makes the default directory if the path is in it: `/run` is empty after each boot, and no
/// service manager may have made it. A failure shows when the file cannot be opened.
fn make_default_directory(path: &Path) {
    if path.parent() == Some(Path::new(DEFAULT_DIRECTORY)) {
        let _ = DirBuilder::new().mode(DIRECTORY_MODE).create(DEFAULT_DIRECTORY);
    }
}

/// Whether the path leads to the very file that is open.
fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

/// The description of a write lock on a whole file.
fn whole_file() -> libc::flock {
    // SAFETY: `flock` is a plain C structure of integers, for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// Takes the write lock; false if another process has it.
fn try_lock(file: &File) -> io::Result<bool> {
    let lock = whole_file();
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

/// The process that holds a lock on the file, if another one does.
fn holder_of(file: &File) -> io::Result<Option<u32>> {
    let mut lock = whole_file();
    // SAFETY: the descriptor is open for the whole call; `lock` is a valid `flock` that the
    // kernel may write.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if libc::c_int::from(lock.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    Ok(Some(u32::try_from(lock.l_pid).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(state: DaemonState) -> StateLine {
        StateLine {
            pid: 9,
            state,
            role: MemberRole::Site,
            config_name: "x".to_owned(),
            id: MemberId::from_raw(1_696_554_816),
            address: IpAddr::from([127, 0, 0, 1]),
            port: 9929,
        }
    }

    #[test]
    fn the_state_line_is_that_of_the_reference() {
        let expected = "booth_pid=9 booth_state=started booth_type=site booth_cfg_name='x' \
                        booth_id=1696554816 booth_addr_string='127.0.0.1' booth_port=9929";
        assert_eq!(state(DaemonState::Started).to_string(), expected);
    }

    #[test]
    fn a_shorter_line_replaces_a_longer_one_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.pid");
        fs::write(&path, "left by a daemon that was killed\n".repeat(20)).expect("written");
        let mut lock = LockFile::acquire(&path).expect("the lock is free");
        lock.write(&state(DaemonState::Starting)).expect("written");
        lock.write(&state(DaemonState::Started)).expect("written");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text, format!("{}\n", state(DaemonState::Started)));
        lock.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_removed_file_is_made_again_and_a_strange_one_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.pid");
        let mut lock = LockFile::acquire(&path).expect("the lock is free");
        lock.write(&state(DaemonState::Started)).expect("written");
        assert!(!lock.restore().expect("in place"));
        fs::remove_file(&path).expect("removed");
        assert!(lock.restore().expect("made again"));
        assert!(fs::read_to_string(&path).expect("readable").contains("booth_pid=9"));
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "somebody else's").expect("written");
        lock.remove();
        assert_eq!(fs::read_to_string(&path).expect("readable"), "somebody else's");
    }

    #[test]
    fn a_lock_file_nobody_holds_means_not_running() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.pid");
        assert_eq!(probe(&path).expect("no file is no error"), Probe::NotRunning);
        fs::write(&path, "booth_pid=1 left over").expect("written");
        assert_eq!(probe(&path).expect("readable"), Probe::NotRunning);
        let error = LockFile::acquire(&dir.path().join("no/x.pid")).expect_err("no directory");
        assert!(error.to_string().contains("open error"), "{error}");
        let link = dir.path().join("link.pid");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(matches!(LockFile::acquire(&link), Err(LockError::Open(..))));
        fs::hard_link(&path, dir.path().join("twin.pid")).expect("a second name");
        assert!(matches!(LockFile::acquire(&path), Err(LockError::Open(..))));
    }
}
