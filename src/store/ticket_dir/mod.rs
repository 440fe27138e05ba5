// SPDX-License-Identifier: GPL-2.0-or-later
//! The built-in ticket store: one file per ticket in a directory (P21).
//!
//! A file is replaced as a whole: temporary name, fsync, rename, fsync of the directory. So it
//! is never seen half written, and a writer that is killed leaves the old content or the new.
//! Who may write when is not decided here.

mod boot;
mod entries;

#[cfg(test)]
mod tests;

pub(super) use boot::BootMark;
pub(super) use entries::{Entries, EntriesError, Update};

use crate::model::TicketName;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The most bytes of a ticket's file: a few thousand attributes.
const FILE_MAX: u64 = 1 << 20;

/// The directory of the built-in store.
#[derive(Clone, Debug)]
pub(super) struct TicketDir {
    path: PathBuf,
}

/// Why a ticket's file cannot be read or written.
#[derive(Debug)]
pub(super) enum DirError {
    /// The operating system refuses; what was tried with which path.
    Io(&'static str, PathBuf, io::Error),
    /// It is a directory, a device or something else that is no ordinary file.
    NoFile(PathBuf),
    /// The file is longer than anything that was written here.
    TooLong(PathBuf),
    /// The file has something in it that was not written here.
    Content(PathBuf, EntriesError),
}

impl fmt::Display for DirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirError::Io(what, path, error) => {
                write!(f, "cannot {what} {}: {error}", path.display())
            }
            DirError::NoFile(path) => write!(f, "{}: it is no ordinary file", path.display()),
            DirError::TooLong(path) => {
                write!(f, "{} has more than {FILE_MAX} bytes", path.display())
            }
            DirError::Content(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DirError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DirError::Io(_, _, error) => Some(error),
            DirError::Content(_, error) => Some(error),
            DirError::NoFile(_) | DirError::TooLong(_) => None,
        }
    }
}

impl TicketDir {
    /// The store in this directory, which need not exist yet.
    pub(super) fn new(path: &Path) -> TicketDir {
        TicketDir { path: path.to_path_buf() }
    }

    /// Makes the directory if it is missing; its parent must exist.
    ///
    /// # Errors
    /// It can be neither found nor made, or its entry in the parent cannot be flushed.
    pub(super) fn ensure(&self) -> Result<(), DirError> {
        match fs::DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => flush(self.path.parent().unwrap_or(Path::new("/"))),
            Err(_) if self.path.is_dir() => Ok(()),
            Err(error) => Err(DirError::Io("make the directory", self.path.clone(), error)),
        }
    }

    /// What the store says of a ticket; `None`: it has no such ticket.
    ///
    /// # Errors
    /// The file, or the directory, cannot be read, or makes no sense.
    pub(super) fn read(&self, ticket: &TicketName) -> Result<Option<Entries>, DirError> {
        let path = self.path.join(file_name(ticket));
        let failed = |error| DirError::Io("read", path.clone(), error);
        // Whoever owns the directory must not hold up a reader, with a FIFO for instance.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match File::options().read(true).custom_flags(flags).open(&path) {
            Ok(file) if file.metadata().is_ok_and(|found| found.is_file()) => file,
            Ok(_) => return Err(DirError::NoFile(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Without the directory nothing is known about any ticket.
                let missing = |error| DirError::Io("find", self.path.clone(), error);
                return fs::metadata(&self.path).map(|_| None).map_err(missing);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
            return Err(DirError::TooLong(path));
        }
        Entries::parse(&bytes).map(Some).map_err(|error| DirError::Content(path, error))
    }

    /// The files of all tickets, in the order of their names; none if there is no directory.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry?;
            if ticket_of(&entry.file_name()).is_some() {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// The ticket of this file, if it is a grant that this boot proves to be over.
    ///
    /// # Errors
    /// The file cannot be read, or makes no sense.
    pub(super) fn left_by_an_earlier_boot(
        &self,
        path: &Path,
        now: &BootMark,
    ) -> Result<Option<TicketName>, DirError> {
        let Some(ticket) = path.file_name().and_then(ticket_of) else { return Ok(None) };
        let content = |error| DirError::Content(path.to_path_buf(), error);
        let Some(entries) = self.read(&ticket)? else { return Ok(None) };
        Ok(entries.is_left_over(now).map_err(content)?.then_some(ticket))
    }

    /// Takes away the grant of a ticket that nobody holds; all else that its file says stays.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) fn revoke_left(&self, ticket: &TicketName, now: &BootMark) -> Result<(), DirError> {
        let Some(mut entries) = self.read(ticket)? else { return Ok(()) };
        // A keeper may have begun meanwhile.
        if !entries.is_left_over(now).unwrap_or(false) {
            return Ok(());
        }
        entries.revoke();
        self.write(ticket, &entries)
            .or_else(|error| self.overwrite(ticket, &entries).map_err(|_| error))
    }

    /// Replaces what the store says of a ticket.
    ///
    /// # Errors
    /// The old content is still there, or, if only the last step failed, perhaps the new.
    pub(super) fn write(&self, ticket: &TicketName, entries: &Entries) -> Result<(), DirError> {
        let path = self.path.join(file_name(ticket));
        // No ticket's name has a dot. Whoever changes the ticket has locked it, so there is
        // only one temporary file of a ticket, and one that was left behind is overwritten.
        let temporary = self.path.join(format!(".{}.new", file_name(ticket)));
        let failed = |error| DirError::Io("write", temporary.clone(), error);
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.custom_flags(libc::O_NOFOLLOW).open(&temporary).map_err(failed)?;
        file.write_all(entries.to_text().as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        drop(file);
        fs::rename(&temporary, &path).map_err(|error| DirError::Io("replace", path, error))?;
        flush(&self.path)
    }

    /// Changes what the store says of a ticket and keeps the rest.
    ///
    /// A *revoke* must succeed. It replaces a file that cannot be read or makes no sense: what that
    /// said is lost anyway. Where there is no room for another file, it overwrites the one that is
    /// there, and where that cannot be done either, it removes it: a ticket that is not there is
    /// not granted, and only its attributes are lost.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) fn update(&self, ticket: &TicketName, update: &Update<'_>) -> Result<(), DirError> {
        let mut entries = match (self.read(ticket), update) {
            (Ok(entries), _) => entries.unwrap_or_default(),
            (Err(_), Update::Ticket { values, .. }) if !values.granted => Entries::default(),
            (Err(error), _) => return Err(error),
        };
        entries.apply(update);
        let written = self.write(ticket, &entries);
        match (written, update) {
            (Err(error), Update::Ticket { values, .. }) if !values.granted => {
                self.overwrite(ticket, &entries).or_else(|_| self.remove(ticket)).map_err(|_| error)
            }
            (written, _) => written,
        }
    }

    /// Overwrites a ticket's file, which needs no new file and, if it does not become longer than
    /// its blocks, no room. Whoever dies meanwhile leaves a file that makes no sense, which is not
    /// taken for a grant.
    fn overwrite(&self, ticket: &TicketName, entries: &Entries) -> Result<(), DirError> {
        let path = self.path.join(file_name(ticket));
        let failed = |error| DirError::Io("overwrite", path.clone(), error);
        let mut options = File::options();
        let file =
            options.write(true).custom_flags(libc::O_NOFOLLOW).open(&path).map_err(failed)?;
        let text = entries.to_text();
        file.write_all_at(text.as_bytes(), 0).map_err(failed)?;
        // A length in memory fits a file's.
        file.set_len(text.len() as u64).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let _ = fs::remove_file(self.path.join(format!(".{}.new", file_name(ticket))));
        Ok(())
    }

    /// Removes a ticket's file.
    fn remove(&self, ticket: &TicketName) -> Result<(), DirError> {
        let path = self.path.join(file_name(ticket));
        fs::remove_file(&path).map_err(|error| DirError::Io("remove", path, error))?;
        flush(&self.path)
    }
}

/// Writes the entries of a directory to the disk. The relative path of a file of the working
/// directory has an empty parent.
fn flush(dir: &Path) -> Result<(), DirError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| DirError::Io("flush the directory", dir.to_path_buf(), error))
}

/// A ticket's name as the name of a file.
fn file_name(ticket: &TicketName) -> String {
    ticket.as_str().replace('/', "%2F")
}

/// The ticket whose file has this name; temporary files have another kind of name.
fn ticket_of(file: &OsStr) -> Option<TicketName> {
    TicketName::new(&file.to_str()?.replace("%2F", "/")).ok()
}
