// SPDX-License-Identifier: GPL-2.0-or-later
//! How boothd finds the keeper that is there, and makes sure that there is none before it starts
//! one.

use super::peer::{LOOK, PATIENCE_MIN};
use crate::store::keeper::owner;
use crate::store::keeper::run_dir::{path_in, socket_at, SOCKET};
use crate::store::keeper::setup::is_keeper;
use crate::sys::accounts::{own_user, user_name};
use crate::sys::os::{self, Handle};
use crate::sys::{clock, directory};
use crate::time::Span;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// How long a keeper that was killed may take to end.
const END: Span = Span::from_secs(5);
/// What the owner of the run directory must be permitted to do.
const ALL: u32 = 0o700;
/// A socket that is made to see whether that is possible.
const TRIAL: &str = "keeper.new";

/// Opens the run directory. If it is ours and its mode forbids us something, the mode is mended.
///
/// # Errors
/// It is not there, or is no directory, or belongs to somebody else who does not let us in.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let there = fs::symlink_metadata(path)?;
    if there.is_dir() && there.uid() == own_user() && there.mode() & ALL != ALL {
        // What forbids that will forbid the rest, too, and is told then.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(there.mode() & 0o777 | ALL));
    }
    directory::open(path)
}

/// A socket of the keeper that is there, and its process; `None`: there is none any more. One that
/// cannot be reached for `patience` is ended.
///
/// # Errors
/// It can neither be reached nor ended, or the next one could not be found; the text says what to
/// do.
pub(super) fn find(dir: &File, patience: Span) -> io::Result<Option<(Socket, Handle)>> {
    let begun = clock::mono();
    loop {
        let error = match connect(dir, patience) {
            Ok(found) => return Ok(Some(found)),
            Err(error) => error,
        };
        // It has had its time: there was no room for one more caller.
        let crowded = error.kind() == io::ErrorKind::WouldBlock;
        let Some(owner) = owner::owner(dir)? else {
            try_out(dir).map_err(unusable)?;
            return Ok(None);
        };
        let process = Handle::new(owner);
        if !crowded && clock::mono() < begun.plus(PATIENCE_MIN) {
            // It has no socket yet, or it is just ending.
            process.wait_end(LOOK.as_duration());
            continue;
        }
        if !crowded {
            try_out(dir).map_err(|error| guarded(owner, unusable(error)))?;
        }
        log::error!(
            "the keeper of the tickets, process {owner}, cannot be reached ({error}); starting \
             another"
        );
        end(dir, &process)?;
        return Ok(None);
    }
}

/// Connects to the keeper that listens; for room among its callers it waits so long.
fn connect(dir: &File, patience: Span) -> io::Result<(Socket, Handle)> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    socket.set_write_timeout(Some(patience.as_duration()))?;
    socket.connect(&SockAddr::unix(path_in(dir, SOCKET))?)?;
    socket.set_nonblocking(true)?;
    match os::peer_of(socket.as_fd())? {
        (pid, user) if user == 0 || user == own_user() => Ok((socket, Handle::new(pid))),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// Ends the owner of the run directory, and waits for that.
fn end(dir: &File, process: &Handle) -> io::Result<()> {
    let owner = process.number();
    let stays = || owner::owner(dir).map(|now| now == Some(owner));
    // The name was that of the owner only if it still is.
    if is_keeper(&owner.to_string()) && stays()? {
        process.kill();
        let killed = clock::mono();
        while clock::mono() < killed.plus(END) && stays()? {
            process.wait_end(LOOK.as_duration());
        }
    }
    if !stays()? {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "process {owner} owns the directory, does not answer and cannot be ended; end it (kill -9) \
         and start boothd again"
    )))
}

/// Whether a keeper could make its socket there.
fn try_out(dir: &File) -> io::Result<()> {
    socket_at(dir, TRIAL)?;
    fs::remove_file(path_in(dir, TRIAL))
}

fn unusable(error: io::Error) -> io::Error {
    let user = user_name(own_user());
    io::Error::other(format!(
        "{error}; the keeper cannot make its socket there, and the next boothd could not find it: \
         make the directory writable for user {user}, with room in it, and start boothd again"
    ))
}

/// A keeper works there that cannot be found.
fn guarded(owner: u32, error: io::Error) -> io::Error {
    io::Error::other(format!("{error}; until then process {owner} guards the tickets"))
}
