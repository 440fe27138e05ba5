// SPDX-License-Identifier: GPL-2.0-or-later
//! A ticket's record in the lease table.

use super::cell::Cell;
use super::{start_of, LeaseTable, Slot};
use crate::engine::HoldWindow;
use crate::model::{Term, TicketName, TICKET_NAME_MAX};
use crate::time::{MonoTime, Span, WallTime};
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a name with its NUL.
const NAME_LEN: usize = TICKET_NAME_MAX + 1;

/// The name as eight numbers, and `g`.
fn name_cell(start: u64) -> Cell<9> {
    Cell::at(start)
}

/// The window, term and whether it is armed.
pub(super) fn told(start: u64) -> Cell<6> {
    Cell::at(start + 176)
}

/// Process group, start time of its leader, kind and [`ENDED`].
pub(super) fn holder(start: u64) -> Cell<3> {
    Cell::at(start + 304)
}

/// Term and `expires` of the last grant.
fn grant(start: u64) -> Cell<2> {
    Cell::at(start + 384)
}

/// Number of the told window, verdict.
fn mark(start: u64) -> Cell<3> {
    Cell::at(start + 448)
}

/// Beside the kind of the holder: every change that was begun is known to have ended. A table of
/// a version that did not note that never says so.
const ENDED: u64 = 2;

/// What the guard has been told of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The number of this word; each tells it anew.
    pub number: u64,
    /// Until when the store may say *granted*; `None`: there is nothing to guard.
    pub window: Option<HoldWindow>,
    /// The term.
    pub term: Term,
}

/// What a group that has locked a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// A grant or an attribute: it may be killed.
    Change,
    /// A revoke, of the daemon or of the guard: it is let finish.
    Revoke,
}

/// Who has locked a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process group.
    pub group: u32,
    /// When its leader started.
    pub started: u64,
    /// What it does.
    pub kind: HolderKind,
}

/// What the newest grant wrote, or what the store said when the daemon read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Attribute `term`.
    pub term: Term,
    /// Attribute `expires` in seconds: the latest that was written in this term.
    pub expires: u64,
}

/// What a guard did at the end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The store did not say *granted*; that was written once more.
    WasFree,
    /// The store has something newer than ours: the daemon runs on another node of the site.
    Newer,
    /// It revoked the ticket.
    Revoked,
}

/// The last thing that a guard did about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which [`Told::number`] it was about.
    pub number: u64,
    /// What it did.
    pub verdict: Verdict,
    /// When.
    pub at: WallTime,
}

/// A window as numbers.
pub(super) fn told_words(window: Option<&HoldWindow>, term: Term) -> [u64; 6] {
    let armed = u64::from(window.is_some());
    let none = MonoTime::ZERO;
    let w = window.copied().unwrap_or(HoldWindow {
        hold_until: none,
        lease_until: none,
        start_before: none,
        kill_at: none,
    });
    [
        w.hold_until.as_micros(),
        w.lease_until.as_micros(),
        w.start_before.as_micros(),
        w.kill_at.as_micros(),
        u64::from(term.get()),
        armed,
    ]
}

impl LeaseTable {
    /// The name in a record; `None` if it is damaged.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn name(&self, slot: Slot) -> io::Result<Option<TicketName>> {
        let Some(words) = name_cell(start_of(slot)).read(&self.file)? else {
            return Ok(None);
        };
        let bytes: Vec<u8> = words[..8].iter().flat_map(|word| word.to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
        let text = std::str::from_utf8(&bytes[..end]).ok();
        Ok(text.and_then(|text| TicketName::new(text).ok()))
    }

    /// `g` of the ticket in a record.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn guard_time(&self, slot: Slot) -> io::Result<Span> {
        let words = name_cell(start_of(slot)).read(&self.file)?;
        Ok(words.map_or(Span::ZERO, |words| Span::from_micros(words[8])))
    }

    /// Makes a record, or brings `g` up to date. The space for all of it is taken now, so that a
    /// full disk shows here and not before a grant.
    pub(super) fn write_name(&self, slot: Slot, name: &TicketName, guard: Span) -> io::Result<()> {
        let start = start_of(slot);
        if self.name(slot)?.as_ref() != Some(name) {
            self.file.write_all_at(&[0u8; super::RECORD_LEN as usize], start)?;
        }
        let mut bytes = [0u8; NAME_LEN];
        bytes[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
        let mut words = [0u64; 9];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut array = [0u8; 8];
            array.copy_from_slice(chunk);
            *word = u64::from_le_bytes(array);
        }
        words[8] = guard.as_micros();
        name_cell(start).write(&self.file, words)
    }

    /// What the guard was told last; `None`: never anything.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn told(&self, slot: Slot) -> io::Result<Option<Told>> {
        let Some((number, words)) = told(start_of(slot)).read_numbered(&self.file)? else {
            return Ok(None);
        };
        let [hold_until, lease_until, start_before, kill_at, term, armed] = words;
        let window = (armed != 0).then_some(HoldWindow {
            hold_until: MonoTime::from_micros(hold_until),
            lease_until: MonoTime::from_micros(lease_until),
            start_before: MonoTime::from_micros(start_before),
            kill_at: MonoTime::from_micros(kill_at),
        });
        let term = Term::new(u32::try_from(term).unwrap_or(u32::MAX));
        Ok(Some(Told { number, window, term }))
    }

    /// Who said that it has locked the record: true only while it is locked.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn holder(&self, slot: Slot) -> io::Result<Option<Holder>> {
        Ok(holder(start_of(slot)).read(&self.file)?.map(|[group, started, kind]| Holder {
            group: u32::try_from(group).unwrap_or(0),
            started,
            kind: if kind & !ENDED == 0 { HolderKind::Change } else { HolderKind::Revoke },
        }))
    }

    /// Says who has locked the record. That something may be in flight stays as it was.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn set_holder(&self, slot: Slot, entry: Holder) -> io::Result<()> {
        let kind = match entry.kind {
            HolderKind::Change => 0,
            HolderKind::Revoke => 1,
        };
        let ended = if self.may_be_in_flight(slot)? { 0 } else { ENDED };
        let words = [u64::from(entry.group), entry.started, kind | ended];
        holder(start_of(slot)).write(&self.file, words)
    }

    /// Whether a change was begun that is not known to have ended: the cluster may still make it,
    /// also if its process is gone.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn may_be_in_flight(&self, slot: Slot) -> io::Result<bool> {
        let words = holder(start_of(slot)).read(&self.file)?;
        Ok(words.is_some_and(|[_, _, kind]| kind & ENDED == 0))
    }

    /// Notes that whoever has locked the record begins a change now.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn note_begun(&self, slot: Slot) -> io::Result<()> {
        self.set_ended(slot, 0)
    }

    /// Notes that this change has ended, and with it every earlier one: they are made in order.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn note_ended(&self, slot: Slot) -> io::Result<()> {
        self.set_ended(slot, ENDED)
    }

    fn set_ended(&self, slot: Slot, ended: u64) -> io::Result<()> {
        let cell = holder(start_of(slot));
        let [group, started, kind] = cell.read(&self.file)?.unwrap_or_default();
        cell.write(&self.file, [group, started, kind & !ENDED | ended])
    }

    /// What the newest grant wrote.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn grant(&self, slot: Slot) -> io::Result<Option<Grant>> {
        Ok(grant(start_of(slot)).read(&self.file)?.map(|[term, expires]| Grant {
            term: Term::new(u32::try_from(term).unwrap_or(u32::MAX)),
            expires,
        }))
    }

    /// Notes what a grant is about to write. Within a term the latest `expires` is kept: the
    /// wall clock may have been set back, and a killed grant may or may not have taken effect.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn note_grant(&self, slot: Slot, entry: Grant) -> io::Result<()> {
        let expires = match self.grant(slot)? {
            Some(old) if old.term == entry.term => old.expires.max(entry.expires),
            Some(_) | None => entry.expires,
        };
        let words = [u64::from(entry.term.get()), expires];
        grant(start_of(slot)).write(&self.file, words)
    }

    /// The last thing that a guard did about the ticket.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn mark(&self, slot: Slot) -> io::Result<Option<Mark>> {
        Ok(mark(start_of(slot)).read(&self.file)?.map(|[number, verdict, at]| Mark {
            number,
            verdict: match verdict {
                0 => Verdict::WasFree,
                1 => Verdict::Newer,
                _ => Verdict::Revoked,
            },
            at: WallTime::from_micros(at),
        }))
    }

    /// Notes what a guard did about the ticket.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_mark(&self, slot: Slot, entry: Mark) -> io::Result<()> {
        let verdict = match entry.verdict {
            Verdict::WasFree => 0,
            Verdict::Newer => 1,
            Verdict::Revoked => 2,
        };
        mark(start_of(slot)).write(&self.file, [entry.number, verdict, entry.at.as_micros()])
    }
}

/// Every cell of a record with its bytes, for the test that they do not overlap.
#[cfg(test)]
pub(super) fn layout() -> Vec<(&'static str, u64, u64)> {
    let cell = |name, place: u64, len: usize| (name, place, len as u64);
    vec![
        cell("name", 0, Cell::<9>::LEN),
        cell("told", 176, Cell::<6>::LEN),
        cell("holder", 304, Cell::<3>::LEN),
        cell("grant", 384, Cell::<2>::LEN),
        cell("mark", 448, Cell::<3>::LEN),
    ]
}
