// SPDX-License-Identifier: GPL-2.0-or-later
//! Who holds a lock file: a daemon of ours, or a stranger.
//!
//! A lock counts only as what a daemon takes: a write lock on the whole file, of a process that
//! runs our program as a user whom the configuration trusts. Everybody who may open a file may
//! lock it, everybody may give a process any title, and what stands in a file may be old. So
//! nothing is believed here but what the kernel says of lock and process.

use super::accounts;
use super::filelock::{first_lock, Lock, Owner};
use crate::config::Account;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the kernel puts behind the path of a file that was removed or replaced, for instance of
/// a program since its upgrade.
const DELETED: &[u8] = b" (deleted)";
/// The names of the program, and of that of the reference.
const NAMES: [&str; 2] = ["boothd", "booth"];
/// How often a look is repeated when the holder changes meanwhile.
const LOOKS: usize = 5;
/// Bits of a mode that let others than the owner write.
pub(super) const OTHERS_WRITE: u32 = 0o022;
/// The bit of a mode that lets everybody write.
pub(super) const ALL_WRITE: u32 = 0o002;

/// The users whose processes count: root, who asks, and those of the configuration.
#[derive(Clone, Debug)]
pub struct Users(Vec<u32>);

impl Users {
    /// Those of a configuration: it may be that of a site or of an arbitrator, as whom a daemon
    /// runs. A user whom this host does not know is left out.
    pub fn of(accounts: [&Account; 2]) -> Users {
        let named = accounts.iter().filter_map(|account| accounts::user_number(&account.user));
        Users(Users::own().0.into_iter().chain(named).collect())
    }

    /// Root and who asks.
    pub fn own() -> Users {
        Users(vec![0, accounts::own_user()])
    }

    /// Whether this user is one of them.
    pub fn contains(&self, user: u32) -> bool {
        self.0.contains(&user)
    }

    /// Adds the owner of a lock file, if nobody else than these users can have put it there: a
    /// daemon goes on under the user to whom root gave the file, whatever its configuration says
    /// by now.
    fn with_owner(&self, path: &Path, file: &Metadata) -> Users {
        let mut users = self.clone();
        if directory_of(path).is_ok_and(|directory| self.alone_write(&directory)) {
            users.0.push(file.uid());
        }
        users
    }

    /// Whether nobody but these users can write there.
    pub(super) fn alone_write(&self, metadata: &Metadata) -> bool {
        self.contains(metadata.uid()) && metadata.mode() & OTHERS_WRITE == 0
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let names: Vec<String> = numbers.into_iter().map(accounts::user_name).collect();
        f.write_str(&names.join(" or "))
    }
}

/// The directory in which a file lies.
///
/// # Errors
/// It is not there or cannot be looked at.
pub(super) fn directory_of(path: &Path) -> io::Result<Metadata> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::metadata(parent.unwrap_or(Path::new(".")))
}

/// Who holds a lock on a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nobody holds one.
    No,
    /// A daemon, with this process.
    Daemon(u32),
    /// Somebody who is no daemon of ours.
    Stranger(Stranger),
    /// A process that cannot be seen from here, in a container for instance; it may be a daemon.
    Unseen,
}

/// A process with a lock that is not for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The process; `None`: the lock belongs to no single one, or it cannot be seen.
    pub pid: Option<u32>,
    /// Its user, as far as that is known.
    pub user: Option<u32>,
    /// Its program, as far as that may be known.
    pub program: Option<PathBuf>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("an unknown process")?,
        }
        if let Some(program) = &self.program {
            write!(f, " ({})", program.display())?;
        }
        if let Some(user) = self.user {
            write!(f, " of user {}", accounts::user_name(user))?;
        }
        Ok(())
    }
}

/// Looks who holds a lock on this open file, which lies under `path`.
///
/// Must not be called for a file that this process itself has locked: one's own locks do not
/// show.
///
/// # Errors
/// The file cannot be asked for its locks.
pub(crate) fn look(file: &File, path: &Path, users: &Users) -> io::Result<Held> {
    let metadata = file.metadata()?;
    let users = users.with_owner(path, &metadata);
    let mut lock = first_lock(file)?;
    for _ in 0..LOOKS {
        let Some(seen) = lock else {
            return Ok(Held::No);
        };
        let verdict = judge(seen, &metadata, &users);
        // Still the same holder: so what was seen under its number was not another process.
        lock = first_lock(file)?;
        if lock == Some(seen) {
            return Ok(verdict);
        }
    }
    Ok(Held::Unseen)
}

/// Whose lock it is.
fn judge(lock: Lock, file: &Metadata, users: &Users) -> Held {
    let pid = match lock.owner {
        Owner::Process(pid) => Some(pid),
        Owner::Unseen | Owner::OpenFile => None,
    };
    let user = pid.and_then(user_of);
    let program = pid.and_then(program_of);
    let stranger = Held::Stranger(Stranger { pid, user, program: program.clone() });
    // No daemon takes a lock of an open file.
    if !lock.write || !lock.whole || lock.owner == Owner::OpenFile {
        return stranger;
    }
    let Some(pid) = pid else {
        return Held::Unseen;
    };
    match (user, program) {
        (Some(user), _) if !users.contains(user) => stranger,
        (_, Some(program)) if !is_ours(pid, &program) => stranger,
        (Some(_), _) => Held::Daemon(pid),
        // Hidden (proc(5), hidepid). Whoever has a write lock could write.
        (None, _) if users.alone_write(file) => Held::Daemon(pid),
        (None, _) => Held::Unseen,
    }
}

/// Whether this process may be a daemon of these users: it runs as one of them, and our program as
/// far as that may be known.
pub(super) fn may_be_daemon(pid: u32, users: &Users) -> bool {
    let program_fits = || program_of(pid).is_none_or(|program| is_ours(pid, &program));
    pid > 0 && user_of(pid).is_none_or(|user| users.contains(user)) && program_fits()
}

/// The user of a process: real and effective, or nobody's if they differ.
fn user_of(pid: u32) -> Option<u32> {
    let line = status_line(pid, "Uid:")?;
    let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u32>().ok());
    match (numbers.next()?, numbers.next()?) {
        (Some(real), Some(effective)) if real == effective => Some(real),
        (real, effective) => real.max(effective),
    }
}

/// What stands behind a key of `/proc/PID/status`, which everybody may read.
fn status_line(pid: u32, key: &str) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned)
}

/// The path of a process's program. Only root may know it of other users' processes, and of
/// those that have changed their user.
fn program_of(pid: u32) -> Option<PathBuf> {
    let link = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(without_mark(link))
}

/// The path without the mark of a removed file.
fn without_mark(path: PathBuf) -> PathBuf {
    let bytes = path.into_os_string().into_vec();
    let path = bytes.strip_suffix(DELETED).unwrap_or(&bytes);
    PathBuf::from(OsStr::from_bytes(path))
}

/// Whether a process runs our program, also one that an upgrade has replaced since.
fn is_ours(pid: u32, program: &Path) -> bool {
    let named = program.file_name().and_then(OsStr::to_str);
    if named.is_some_and(|name| NAMES.contains(&name)) && may_be_installed(pid) {
        return true;
    }
    let same_file = || {
        let own = fs::metadata("/proc/self/exe").ok()?;
        let its = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((own.dev(), own.ino()) == (its.dev(), its.ino()))
    };
    program_of(std::process::id()).is_some_and(|own| own == program) || same_file().unwrap_or(false)
}

/// Whether root or who asks has put the program of a process where it is. A user as whom a daemon
/// runs may run other things, and give them any name.
fn may_be_installed(pid: u32) -> bool {
    // The file itself, whatever its path leads to by now. Whoever may not look at it cannot know.
    let file = fs::metadata(format!("/proc/{pid}/exe"));
    file.is_ok_and(|file| Users::own().contains(file.uid()) && file.mode() & ALL_WRITE == 0)
}

/// Whether a process calls itself so: its number here, or in a container in which it runs.
pub(super) fn is_number_of(number: u32, pid: u32) -> bool {
    let inner = || status_line(pid, "NSpid:");
    let among = |line: String| line.split_ascii_whitespace().any(|own| own.parse() == Ok(number));
    number == pid || inner().is_some_and(among)
}

/// A daemon that holds the lock of a file that was removed or replaced under it: its process,
/// and the file. Only root, who may look into processes, finds one.
pub(super) fn find_without_file(path: &Path, users: &Users) -> Option<(u32, File)> {
    let mut wanted = resolved(path)?.into_os_string().into_vec();
    wanted.extend_from_slice(DELETED);
    let wanted = PathBuf::from(OsStr::from_bytes(&wanted));
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let ours = program_of(pid).is_some_and(|program| is_ours(pid, &program));
        let trusted = ours && user_of(pid).is_some_and(|user| users.contains(user));
        if let Some(file) = trusted.then(|| open_as(pid, &wanted)).flatten() {
            if look(&file, path, users).ok() == Some(Held::Daemon(pid)) {
                return Some((pid, file));
            }
        }
    }
    None
}

/// A file that a process has open and that the kernel calls so.
fn open_as(pid: u32, wanted: &Path) -> Option<File> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let mut paths = descriptors.map(|entry| entry.path());
    let found = paths.find(|path| fs::read_link(path).is_ok_and(|link| link == wanted))?;
    File::open(found).ok()
}

/// The path without links above its last part, also if its directory was removed.
pub(crate) fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let parent = path.parent()?;
    let found = parent.ancestors().find_map(|above| {
        let rest = parent.strip_prefix(above).ok()?;
        fs::canonicalize(above).ok().map(|whole| whole.join(rest))
    })?;
    Some(found.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_is_known_by_its_name() {
        let path = |text: &str| without_mark(PathBuf::from(text));
        assert_eq!(path("/usr/sbin/boothd (deleted)"), Path::new("/usr/sbin/boothd"));
        assert_eq!(path("/usr/sbin/boothd"), Path::new("/usr/sbin/boothd"));
        assert!(is_ours(std::process::id(), &path("/usr/sbin/boothd (deleted)")));
        assert!(!is_ours(u32::MAX, Path::new("/home/eve/boothd/cat")));
        let own = program_of(std::process::id()).expect("one's own can be read");
        assert!(is_ours(std::process::id(), &own));
    }

    #[test]
    fn numbers_of_a_process_are_its_own() {
        let own = std::process::id();
        assert!(is_number_of(own, own) && !is_number_of(own + 1, own));
        assert_eq!(user_of(own), Some(accounts::own_user()));
        assert_eq!(user_of(u32::MAX), None);
    }

    #[test]
    fn the_path_of_a_file_is_resolved_although_its_directory_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let whole = fs::canonicalize(dir.path()).expect("it is there");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&whole, &link).expect("linked");
        assert_eq!(resolved(&link.join("gone/x.pid")), Some(whole.join("gone/x.pid")));
        assert_eq!(resolved(&link.join("x.pid")), Some(whole.join("x.pid")));
    }
}
