// SPDX-License-Identifier: GPL-2.0-or-later
//! Directories that the daemon makes, and whose they are.

use super::accounts::{own_user, user_name, Identity};
use super::lockholder::{self, Users, ALL_WRITE, OTHERS_WRITE};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The bits that let somebody run a file.
const ANY_EXECUTE: u32 = 0o111;

/// The bit that lets nobody but its owner, and that of the directory, remove what lies there.
const STICKY: u32 = 0o1000;

/// Makes a directory that only this identity can use. One that is there already must belong to
/// it; only an empty one is made anew. The owner of a directory in which something lies is never
/// changed: processes of that user may be at work there.
///
/// # Errors
/// It cannot be made, belongs to another user, others can write in it, or there is something
/// else, a link for instance, in its place.
pub(crate) fn make(path: &Path, identity: Option<Identity>) -> io::Result<()> {
    let user = identity.map_or_else(own_user, |identity| identity.uid);
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
        Ok(there) if there.uid() == user && there.mode() & OTHERS_WRITE != 0 => {
            return Err(io::Error::other(format!(
                "others can write in it (mode {:04o}), and what lies there decides what boothd \
                 believes of its keeper; look who has, then make its mode 700 or remove it",
                there.mode() & 0o7777
            )));
        }
        Ok(there) if there.uid() == user => return Ok(()),
        Ok(there) => {
            fs::remove_dir(path).map_err(|error| foreign(there.uid(), user, &error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::DirBuilder::new().mode(0o700).create(path)?;
    let Some(identity) = identity else {
        return Ok(());
    };
    // Root must not be led elsewhere by the daemon's user.
    std::os::unix::fs::fchown(open(path)?, Some(identity.uid), Some(identity.gid))
}

/// Opens a directory, and no link to one.
///
/// # Errors
/// It is not there, is something else, or may not be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

/// Checks that only root and this process's user can write in a directory.
///
/// # Errors
/// It is not there, is none, belongs to another user, or others can write in it.
pub(crate) fn trusted(path: &Path) -> io::Result<()> {
    let there = fs::metadata(path)?;
    if !there.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    trust(&there)
}

/// Whether a file is an executable; one that others than root and this process's user can write to
/// is an error. A link counts as the file that it leads to.
///
/// # Errors
/// It cannot be looked at, belongs to another user, or others can write to it.
pub(crate) fn trusted_program(path: &Path) -> io::Result<bool> {
    let there = fs::metadata(path)?;
    if !there.is_file() || there.mode() & ANY_EXECUTE == 0 {
        return Ok(false);
    }
    trust(&there).map(|()| true)
}

fn trust(there: &fs::Metadata) -> io::Result<()> {
    let (owner, mode) = (there.uid(), there.mode() & 0o7777);
    if owner != 0 && owner != own_user() {
        return Err(io::Error::other(format!(
            "it belongs to user {}; only root or the daemon's user may own it",
            user_name(owner)
        )));
    }
    if mode & OTHERS_WRITE != 0 {
        let text = format!("others can write to it (mode {mode:04o}); run chmod go-w on it");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// Why a directory of somebody else's is not used.
fn foreign(owner: u32, user: u32, error: &io::Error) -> io::Error {
    let (owner, user) = (user_name(owner), user_name(user));
    io::Error::other(format!(
        "it belongs to user {owner}, boothd runs as {user}, and it cannot be made anew ({error}); \
         end the processes of boothd that user {owner} has left, if any, and remove it"
    ))
}

/// Looks whether a directory that the command line names can be trusted with a lock file and the
/// keeper's directory: whoever can remove or rename them could start a second keeper beside the
/// one that is at work. Everybody may write into one like `/tmp`, where nobody can do that to what
/// is others'.
///
/// # Errors
/// It belongs to somebody else than these users, or everybody can rename what lies there.
pub(crate) fn check(path: &Path, users: &Users) -> io::Result<()> {
    // If it is not there, the lock file cannot be made, which says so.
    let Ok(found) = lockholder::directory_of(path) else {
        return Ok(());
    };
    let why = if !users.contains(found.uid()) {
        format!("it belongs to user {}", user_name(found.uid()))
    } else if found.mode() & ALL_WRITE != 0 && found.mode() & STICKY == 0 {
        format!("everybody can write in it (mode {:04o})", found.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(io::Error::other(format!(
        "{why} and so could replace the lock file and the keeper's directory; give it to root with \
         mode 755, or name a lock file elsewhere with -l"
    )))
}

/// Says who can replace the lock file although the daemon is not theirs, if anybody can.
pub(crate) fn note_owner(path: &Path, users: &Users) {
    let Some(directory) = path.parent() else {
        return;
    };
    match lockholder::directory_of(path) {
        Ok(found) if !users.contains(found.uid()) => log::warn!(
            "the directory {} of the lock file belongs to user {}, who can replace the file; \
             give it to root",
            directory.display(),
            user_name(found.uid())
        ),
        Ok(found) if !users.alone_write(&found) => log::warn!(
            "others than its owner can write in {} and replace the lock file; change its mode",
            directory.display()
        ),
        Ok(_) | Err(_) => {}
    }
}
