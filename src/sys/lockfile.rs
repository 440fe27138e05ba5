// SPDX-License-Identifier: GPL-2.0-or-later
//! The lock file: which daemon runs for a configuration, and the line that describes it.
//!
//! A daemon holds an fcntl write lock on the whole file for as long as it lives; the kernel drops
//! it when the process ends, however it ends. Reference: the same lock, so either
//! implementation's `status` finds either daemon. Whose lock counts, [`super::lockholder`] says.

use super::filelock::try_lock;
use super::lockholder::{self, Held, Stranger, Users};
use super::presence;
pub(crate) use super::state_line::{DaemonState, StateLine};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directory of lock files without `-l`.
const DEFAULT_DIRECTORY: &str = "/var/run/booth";
/// More than a state line can have: path, name and address are far shorter than a page.
const LINE_MAX: u64 = 4096;
/// Whoever can open the file can lock it, and keep the reference from starting. Reference: 0644,
/// and yet `status` needs the right to write.
const MODE: u32 = 0o600;
/// Others may look for lock files, and not make any.
const DIRECTORY_MODE: u32 = 0o755;

/// The lock file of a configuration with this name, unless `-l` says otherwise.
pub fn default_path(config_name: &str) -> PathBuf {
    Path::new(DEFAULT_DIRECTORY).join(format!("{config_name}.pid"))
}

/// What a look at a lock file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// No daemon holds the lock, or there is no such file; but perhaps somebody else holds it.
    NotRunning(Option<Stranger>),
    /// A process that cannot be seen from here holds it.
    Unseen,
    /// A daemon runs and holds the lock.
    Running {
        /// The process that holds the lock.
        pid: u32,
        /// The file's line without its end; empty if that daemon has not written it yet.
        line: String,
    },
}

/// Looks whether a daemon of one of these users holds this lock file, or held it until somebody
/// removed the file under it.
///
/// Must not be called in a process that holds the lock itself: closing the file would drop it.
///
/// # Errors
/// The file is there but cannot be opened, read or asked for its lock.
pub fn probe(path: &Path, users: &Users) -> io::Result<Probe> {
    let held = match open_plain(File::options().read(true), path) {
        Ok(file) => match lockholder::look(&file, path, users)? {
            Held::Daemon(pid) => return running(pid, file),
            held => held,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Only then: anybody can take the name, and a file that nobody has locked says more.
            if let Some((pid, line)) = presence::find(path, users) {
                return Ok(Probe::Running { pid, line });
            }
            Held::No
        }
        Err(error) => return Err(error),
    };
    match (lockholder::find_without_file(path, users), held) {
        (Some((pid, file)), _) => running(pid, file),
        (None, Held::Stranger(stranger)) => Ok(Probe::NotRunning(Some(stranger))),
        (None, Held::Unseen) => Ok(Probe::Unseen),
        (None, Held::No | Held::Daemon(_)) => Ok(Probe::NotRunning(None)),
    }
}

/// What a daemon that holds the lock says of itself.
fn running(pid: u32, file: File) -> io::Result<Probe> {
    let mut bytes = Vec::new();
    file.take(LINE_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default();
    let writer = line.strip_prefix("booth_pid=").map(|rest| rest.split(' ').next());
    let writer = writer.flatten().and_then(|number| number.parse().ok());
    // A line of another process: of a daemon before this one, which was killed.
    let stale = writer.is_some_and(|number| !lockholder::is_number_of(number, pid));
    let line = if stale { String::new() } else { line.to_owned() };
    Ok(Probe::Running { pid, line })
}

/// Opens what is there, if it is an ordinary file: neither a link nor a pipe that blocks.
fn open_plain(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file =
        options.custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => io::Error::other("it is a symbolic link; remove it"),
            _ => error,
        })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no ordinary file; remove it"))
    }
}

/// Why a lock file cannot be had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// It cannot be opened or created.
    Open(PathBuf, io::Error),
    /// Another process holds it.
    Held {
        /// The file that is locked.
        path: PathBuf,
        /// The process, if it still could be asked for.
        pid: Option<u32>,
    },
    /// It is not fit for use, and there cannot be a new one in its place.
    Replace {
        /// The file that is to go.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Why it cannot be replaced.
        error: io::Error,
    },
    /// It can be opened, but not be locked or written.
    Use(PathBuf, io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (LockError::Open(path, _)
        | LockError::Held { path, .. }
        | LockError::Replace { path, .. }
        | LockError::Use(path, _)) = self;
        write!(f, "lockfile {} ", path.display())?;
        match self {
            LockError::Open(_, error) => write!(f, "open error: {error}"),
            LockError::Held { pid: Some(pid), .. } => {
                write!(f, "is held by process {pid}: another daemon runs with it")
            }
            LockError::Held { pid: None, .. } => f.write_str(
                "is held by a process that cannot be seen from here, in a container perhaps: \
                 another daemon may run with it",
            ),
            LockError::Replace { reason, error, .. } => {
                write!(f, "{reason}, and cannot be replaced: {error}; remove it")
            }
            LockError::Use(_, error) => write!(f, "cannot be locked or written: {error}"),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Open(_, error)
            | LockError::Replace { error, .. }
            | LockError::Use(_, error) => Some(error),
            LockError::Held { .. } => None,
        }
    }
}

/// A lock file that this process holds. Dropping it gives up the lock and leaves the file.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    users: Users,
    file: File,
    line: Option<StateLine>,
}

impl LockFile {
    /// Creates the file if it is missing and takes its lock. Nothing in it is touched before
    /// the lock is held. A file that a stranger has locked, or to which somebody else than
    /// `users` has access, is not used but replaced.
    ///
    /// # Errors
    /// The file cannot be opened, locked or replaced, or another daemon holds it.
    pub(crate) fn acquire(path: &Path, users: &Users) -> Result<LockFile, LockError> {
        make_default_directory(path);
        // A lock on a file that was removed between opening and locking protects nothing;
        // somebody who removes the file each time can only make the start fail.
        for _ in 0..LOCK_ATTEMPTS {
            let file = open_or_create(path);
            let file = file.map_err(|error| LockError::Open(path.to_owned(), error))?;
            let wrap = |error| LockError::Use(path.to_owned(), error);
            let held = |pid| Err(LockError::Held { path: path.to_owned(), pid });
            if !try_lock(&file).map_err(wrap)? {
                match lockholder::look(&file, path, users).map_err(wrap)? {
                    Held::No => {}
                    Held::Daemon(pid) => return held(Some(pid)),
                    Held::Unseen => return held(None),
                    Held::Stranger(stranger) => {
                        let reason = format!("was locked by {stranger}, which is no boothd");
                        replace(&file, path, &reason)?;
                    }
                }
            } else if let Some(reason) = unfit(&file, users).map_err(wrap)? {
                replace(&file, path, &reason)?;
            } else if same_file(&file, path) {
                // Older versions, as the reference, have left it readable by everybody.
                if let Err(error) = file.set_permissions(Permissions::from_mode(MODE)) {
                    log::debug!("cannot keep others from {}: {error}", path.display());
                }
                let (path, users) = (path.to_owned(), users.clone());
                return Ok(LockFile { path, users, file, line: None });
            }
        }
        let error = io::Error::other("it is removed again and again");
        Err(LockError::Use(path.to_owned(), error))
    }

    /// Writes the state line in place of what the file had.
    ///
    /// # Errors
    /// The file cannot be written, for instance because the disk is full.
    pub(crate) fn write(&mut self, line: &StateLine) -> Result<(), LockError> {
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
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))
    }

    /// Whether the file under the path is still this one.
    pub(super) fn is_in_place(&self) -> bool {
        same_file(&self.file, &self.path)
    }

    /// Makes the file anew if somebody removed or replaced it, so that `status` and init scripts
    /// find the daemon again. Returns whether that was necessary.
    ///
    /// # Errors
    /// The file cannot be made, or another daemon holds the one that is there.
    pub(super) fn restore(&mut self) -> Result<bool, LockError> {
        if self.is_in_place() {
            return Ok(false);
        }
        let fresh = LockFile::acquire(&self.path, &self.users).and_then(|mut fresh| {
            if let Some(line) = self.line.clone() {
                fresh.write(&line)?;
            }
            Ok(fresh)
        });
        self.give_way_to(fresh)?;
        Ok(true)
    }

    /// What was written last.
    pub(crate) fn line(&self) -> Option<&StateLine> {
        self.line.as_ref()
    }

    /// Puts another lock file in the place of this one, or stays as it is after an error. If both
    /// are the same file after all (it was moved away and back, or could not be looked at for a
    /// moment), closing either descriptor drops the lock: it is taken again.
    pub(super) fn give_way_to(
        &mut self,
        fresh: Result<LockFile, LockError>,
    ) -> Result<(), LockError> {
        let outcome = fresh.map(|fresh| *self = fresh);
        match try_lock(&self.file) {
            Ok(true) => outcome,
            Ok(false) => Err(LockError::Held { path: self.path.clone(), pid: None }),
            Err(error) => Err(LockError::Use(self.path.clone(), error)),
        }
    }

    /// The path under which the file was made.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file if it is still this daemon's own, then gives up the lock.
    pub(crate) fn remove(self) {
        self.remove_file();
    }

    /// Removes the file if it is still this daemon's own, and keeps the lock.
    pub(crate) fn remove_file(&self) {
        if self.is_in_place() && fs::remove_file(&self.path).is_err() {
            // The directory is not the daemon's. Without a line the file cannot mislead anybody
            // who does not ask for its lock.
            let _ = self.file.set_len(0);
        }
    }
}

/// How often [`LockFile::acquire`] starts over when the file is removed under its hands.
const LOCK_ATTEMPTS: usize = 10;

/// Opens the file, or makes it. Never both in one step: the kernel refuses that in a directory
/// like `/tmp` for a file of somebody else's.
fn open_or_create(path: &Path) -> io::Result<File> {
    let mut error = io::ErrorKind::NotFound.into();
    for _ in 0..LOCK_ATTEMPTS {
        match open_plain(File::options().read(true).write(true), path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(MODE);
        match open_plain(&mut options, path) {
            Err(there) if there.kind() == io::ErrorKind::AlreadyExists => error = there,
            created => return created,
        }
    }
    Err(error)
}

/// Why a file must not be the lock file: others than these users can reach or lock it.
fn unfit(file: &File, users: &Users) -> io::Result<Option<String>> {
    let metadata = file.metadata()?;
    Ok(if !users.contains(metadata.uid()) {
        Some(format!("belonged to user {}", super::accounts::user_name(metadata.uid())))
    } else if metadata.nlink() > 1 {
        Some("had another name".to_owned())
    } else {
        None
    })
}

/// Removes the name of a file that must not be the lock file, so that there can be a new one.
fn replace(file: &File, path: &Path, reason: &str) -> Result<(), LockError> {
    if !same_file(file, path) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Ok(()) => log::warn!("lockfile {} {reason}; a new one takes its place", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let (path, reason) = (path.to_owned(), reason.to_owned());
            return Err(LockError::Replace { path, reason, error });
        }
    }
    Ok(())
}

/// Makes the default directory if the path is in it: `/run` is empty after each boot, and no
/// service manager may have made it. A failure shows when the file cannot be opened.
fn make_default_directory(path: &Path) {
    if path.parent() == Some(Path::new(DEFAULT_DIRECTORY)) {
        let _ = DirBuilder::new().mode(DIRECTORY_MODE).create(DEFAULT_DIRECTORY);
    }
}

/// Whether the path leads to the open file. The kernel tells of a removal before it shows there.
fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => {
            open.nlink() > 0 && (open.dev(), open.ino()) == (there.dev(), there.ino())
        }
        _ => false,
    }
}
