// SPDX-License-Identifier: GPL-2.0-or-later
//! The lease table: what has to survive the daemon of a site, in one small file.
//!
//! It is shared by the daemon, by the helpers that change the ticket store, by the lease guard,
//! and by the next daemon of the same site. A record per ticket says until when the ticket may
//! be held (the daemon writes that before each grant), who is changing the store right now,
//! whether the last change is known to have ended, and what the last grant wrote. A byte of each
//! record is locked by whoever changes the store.
//!
//! The file lies in a directory that is emptied at boot. Every entry in it is a *cell* with two
//! copies (see [`cell`]), so that a process that is killed at any byte leaves the old value or
//! the new one. Each cell has one writer at a time:
//!
//! | cell | writer |
//! |---|---|
//! | header, life, windows | the daemon, which holds the owner's lock |
//! | holder, grant, mark | whoever has locked the record |
//! | guard | the newest guard |

mod cell;
mod record;

#[cfg(test)]
mod tests;

pub use record::{Grant, Holder, HolderKind, Mark, Told, Verdict};

use super::os;
use crate::engine::HoldWindow;
use crate::model::{Term, TicketName};
use crate::time::{MonoTime, Span};
use cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What the file begins with; its last byte is the version of the format.
const MAGIC: u64 = 0x626f_6f74_684c_5301;
/// Bytes before the first record.
const HEADER_LEN: u64 = 512;
/// Bytes of a record.
const RECORD_LEN: u64 = 528;
/// The most tickets: far beyond any configuration, and half a gigabyte of file.
const TICKETS_MAX: u32 = 1 << 20;

/// Magic, boot, number of records, generation.
const HEADER: Cell<4> = Cell::at(0);
/// Generation, pid, start time.
const GUARD: Cell<3> = Cell::at(128);
/// Generation, and when it was stopped; 0: it has not been.
const LIFE: Cell<2> = Cell::at(256);
/// The byte that the daemon of the site keeps locked.
const OWNER_LOCK: u64 = 0;

/// A ticket's place in the table. It stays the same as long as the file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// One life of a daemon. A helper of an earlier one must not change the store any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// A lease guard, as it registers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardEntry {
    /// The daemon that started it.
    pub generation: Generation,
    /// Its process.
    pub pid: u32,
    /// When that started, see [`os::start_time`].
    pub started: u64,
}

/// The open lease table.
#[derive(Debug)]
pub struct LeaseTable {
    file: File,
}

/// Why a daemon cannot have the table.
#[derive(Debug)]
pub enum OpenError {
    /// It cannot be made, read or written.
    Io(io::Error),
    /// Another daemon has it.
    InUse,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

/// What the table of this machine tells a new daemon about the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Nothing: it is the first one here since the machine started, the table is new, damaged or
    /// of a version without this, or the last one did not live until it knew.
    Unknown,
    /// It ran here, and knew what was in flight. It did not say that it stopped.
    RanHere,
    /// It ran here, and stopped at this instant. Another machine may have had one since.
    StoppedHere(MonoTime),
}

/// What a daemon gets when it opens the table.
#[derive(Debug)]
pub struct Opened {
    /// The table, locked for this daemon until it is dropped.
    pub table: LeaseTable,
    /// The life that begins now.
    pub generation: Generation,
    /// The places of the tickets asked for, in their order.
    pub slots: Vec<Slot>,
    /// What is known of the daemon before.
    pub past: Past,
}

impl LeaseTable {
    /// Opens or makes the table for a new daemon with these tickets and their guard times `g`.
    /// From then on no helper of an earlier daemon changes the store, but for one that has
    /// locked a record already.
    ///
    /// # Errors
    /// The file cannot be made, read or written, or another daemon has it.
    pub fn open(path: &Path, tickets: &[(TicketName, Span)]) -> Result<Opened, OpenError> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
        let table = LeaseTable { file };
        if !os::try_lock(table.file.as_fd(), OWNER_LOCK, 1)? {
            return Err(OpenError::InUse);
        }
        let boot = boot_id();
        let (count, old_generation, past) = match HEADER.read(&table.file)? {
            Some([MAGIC, same, count, generation]) if same == boot => {
                let past = table.past(Generation(generation))?;
                (u32::try_from(count).unwrap_or(0), generation, past)
            }
            Some(_) | None => {
                table.file.set_len(0)?;
                table.file.write_all_at(&[0; HEADER_LEN as usize], 0)?;
                (0, 0, Past::Unknown)
            }
        };
        let mut known = BTreeMap::new();
        for slot in (0..count).map(Slot) {
            if let Some(name) = table.name(slot)? {
                known.insert(name, slot);
            }
        }
        let (mut slots, mut next) = (Vec::with_capacity(tickets.len()), count);
        for (name, guard) in tickets {
            let slot = known.get(name).copied().unwrap_or(Slot(next));
            if slot.0 == next {
                next += 1;
            }
            if next > TICKETS_MAX {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
            table.write_name(slot, name, *guard)?;
            slots.push(slot);
        }
        // Later than every life before, also if the table had to be made anew under a guard.
        let generation = old_generation.saturating_add(1).max(super::clock::wall().as_micros());
        HEADER.write(&table.file, [MAGIC, boot, u64::from(next), generation])?;
        Ok(Opened { table, generation: Generation(generation), slots, past })
    }

    /// What is known of the last daemon, which had this generation.
    fn past(&self, last: Generation) -> io::Result<Past> {
        Ok(match LIFE.read(&self.file)? {
            Some([life, 0]) if life == last.0 => Past::RanHere,
            Some([life, at]) if life == last.0 => Past::StoppedHere(MonoTime::from_micros(at)),
            Some(_) | None => Past::Unknown,
        })
    }

    /// Notes that nothing of an earlier daemon is in flight any more, wherever it ran: from now
    /// on what is in flight is what this table says.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note_settled(&self, generation: Generation) -> io::Result<()> {
        LIFE.write(&self.file, [generation.0, 0])
    }

    /// Notes that this daemon stops at `now` and changes nothing from then on, if it has settled.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn note_stopped(&self, generation: Generation, now: MonoTime) -> io::Result<()> {
        if self.past(generation)? == Past::Unknown {
            return Ok(());
        }
        LIFE.write(&self.file, [generation.0, now.as_micros().max(1)])
    }

    /// The table behind a descriptor that a helper or guard was given: a description of its
    /// own, so that its locks are its own too.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn reopen(file: BorrowedFd<'_>) -> io::Result<LeaseTable> {
        Ok(LeaseTable { file: open_again(file)? })
    }

    /// A descriptor to be given to a helper or guard. It is no copy of ours: whoever has it does
    /// not share our locks. It works also if the file has been removed.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn descriptor(&self) -> io::Result<File> {
        open_again(self.file.as_fd())
    }

    /// Whether the file has been removed: no later daemon will find it.
    pub fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// The number of records and the life of the newest daemon.
    ///
    /// # Errors
    /// The file cannot be read, or is no lease table.
    pub fn header(&self) -> io::Result<(u32, Generation)> {
        match HEADER.read(&self.file)? {
            Some([MAGIC, _, count, generation]) => {
                let count = u32::try_from(count).unwrap_or(TICKETS_MAX).min(TICKETS_MAX);
                Ok((count, Generation(generation)))
            }
            Some(_) | None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The guard that registered last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn guard(&self) -> io::Result<Option<GuardEntry>> {
        Ok(GUARD.read(&self.file)?.map(|[generation, pid, started]| GuardEntry {
            generation: Generation(generation),
            pid: u32::try_from(pid).unwrap_or(0),
            started,
        }))
    }

    /// Registers a guard.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_guard(&self, entry: GuardEntry) -> io::Result<()> {
        GUARD.write(&self.file, [entry.generation.0, u64::from(entry.pid), entry.started])
    }

    /// Tries to lock a record; whether it worked.
    ///
    /// # Errors
    /// The file cannot be locked at all.
    pub fn try_lock(&self, slot: Slot) -> io::Result<bool> {
        os::try_lock(self.file.as_fd(), start_of(slot), 1)
    }

    /// Unlocks a record.
    ///
    /// # Errors
    /// The kernel is out of memory.
    pub fn unlock(&self, slot: Slot) -> io::Result<()> {
        os::unlock(self.file.as_fd(), start_of(slot), 1)
    }

    /// Lets the program that this process executes next keep the locks, until it and everything
    /// that it starts has ended.
    ///
    /// # Errors
    /// None that can be named.
    pub fn hand_on(&self) -> io::Result<()> {
        os::keep_across_exec(self.file.as_fd())
    }

    /// Tells the window of a ticket; `None`: there is nothing to guard.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tell(&self, slot: Slot, window: Option<&HoldWindow>, term: Term) -> io::Result<()> {
        record::told(start_of(slot)).write(&self.file, record::told_words(window, term))
    }
}

fn open_again(file: BorrowedFd<'_>) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().read(true).write(true).open(path)
}

/// Where a record begins.
fn start_of(slot: Slot) -> u64 {
    HEADER_LEN + u64::from(slot.0) * RECORD_LEN
}

/// A number for this run of the machine: instants of the boot-time clock mean nothing in another.
fn boot_id() -> u64 {
    let text = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let (low, high) = text.split_at(text.len() / 2);
    (u64::from(crc32fast::hash(low)) << 32) | u64::from(crc32fast::hash(high))
}
