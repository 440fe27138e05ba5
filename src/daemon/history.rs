// SPDX-License-Identifier: GPL-2.0-or-later
//! What has happened lately: a bounded ring that every report can be asked for. What is in it is in
//! the log, too, with the same words and, where a journal reads it, with fields.
#![forbid(unsafe_code)]

use super::alerts::Alerts;
pub use super::entry::Entry;
use super::repeats::{Repeats, Telling};
use crate::model::{Roster, TicketName};
use crate::time::MonoTime;
use log::{Level, Record};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many events of tickets and members are kept.
pub const EVENTS_KEPT: usize = 800;
/// So many of those are kept besides that may come often: refused requests, changes of attributes,
/// attempts to be elected. They do not drive out the others.
pub const PROVOKED_KEPT: usize = 200;

/// The ring, shared by all threads.
#[derive(Clone, Debug)]
pub struct History {
    roster: Roster,
    ring: Arc<Mutex<Ring>>,
    alerts: Option<Alerts>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Entry>,
    provoked: VecDeque<Entry>,
    count: u64,
    repeats: Repeats,
}

/// What a history remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The events, the oldest first.
    pub entries: Vec<Entry>,
    /// How many were forgotten.
    pub forgotten: u64,
}

impl History {
    /// Nothing has happened.
    pub fn new(roster: Roster) -> History {
        History { roster, ring: Arc::default(), alerts: None }
    }

    /// The same history, which also tells alerts of what happens.
    pub fn with_alerts(self, alerts: Option<Alerts>) -> History {
        History { alerts, ..self }
    }

    /// A panic of one thread ends the process: there is no half-changed ring.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what has happened, and writes it to the log with these words; what changes to and
    /// fro only now and then.
    pub fn tell(&self, level: Level, entry: Entry, line: &str) {
        // What the engine does is in the log in any case.
        if entry.ticket.is_some() {
            self.log(level, &entry, line);
        }
        let telling = Telling { level, entry, line: line.to_owned() };
        let telling = self.ring().repeats.weigh(telling);
        telling.into_iter().for_each(|telling| self.remember(telling));
    }

    /// Tells what was held back because it had changed too often.
    pub(super) fn settle(&self, now: MonoTime) {
        let told = self.ring().repeats.settle(now);
        told.into_iter().for_each(|telling| self.remember(telling));
    }

    fn remember(&self, Telling { level, entry, line }: Telling) {
        if entry.ticket.is_none() {
            self.log(level, &entry, &line);
        }
        let mut ring = self.ring();
        ring.count += 1;
        let (number, provoked) = (ring.count, entry.provoked);
        let entry = Entry { number, ..entry };
        if let Some(alerts) = &self.alerts {
            alerts.tell(&entry);
        }
        let (kept, max) = match provoked {
            true => (&mut ring.provoked, PROVOKED_KEPT),
            false => (&mut ring.events, EVENTS_KEPT),
        };
        if kept.len() >= max {
            kept.pop_front();
        }
        kept.push_back(entry);
    }

    /// All that is remembered.
    pub fn all(&self) -> Remembered {
        let ring = self.ring();
        let mut entries: Vec<Entry> = ring.events.iter().chain(&ring.provoked).cloned().collect();
        entries.sort_unstable_by_key(|entry| entry.number);
        let kept = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        Remembered { forgotten: ring.count.saturating_sub(kept), entries }
    }

    /// How many events there were.
    pub(super) fn count(&self) -> u64 {
        self.ring().count
    }

    /// The last few events of each ticket that has any, the oldest first: of all tickets at once,
    /// since each look goes through the whole ring.
    pub fn last_of_each(&self, count: usize) -> BTreeMap<TicketName, Vec<Entry>> {
        let mut last: BTreeMap<TicketName, Vec<Entry>> = BTreeMap::new();
        for entry in self.ring().events.iter().rev() {
            let Some(ticket) = &entry.ticket else { continue };
            let of_ticket = last.entry(ticket.clone()).or_default();
            if of_ticket.len() < count {
                of_ticket.push(entry.clone());
            }
        }
        last.values_mut().for_each(|entries| entries.reverse());
        last
    }

    /// Writes the line with the fields of a journal.
    fn log(&self, level: Level, entry: &Entry, line: &str) {
        let mut fields = vec![("BOOTH_EVENT", entry.kind.word().to_owned())];
        fields.extend(entry.ticket.as_ref().map(|name| ("BOOTH_TICKET", name.to_string())));
        let member = entry.member.map(|member| self.roster.member(member).address.to_string());
        fields.extend(member.map(|address| ("BOOTH_PEER", address)));
        fields.extend(entry.client.map(|client| ("BOOTH_CLIENT", client.to_string())));
        fields.extend(entry.term.map(|term| ("BOOTH_TERM", term.to_string())));
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let logger = log::logger();
        logger.log(
            &Record::builder()
                .level(level)
                .target("booth")
                .args(format_args!("{line}"))
                .key_values(&fields.as_slice())
                .build(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EventKind;
    use crate::model::{Member, MemberId, MemberRole};
    use crate::time::{Now, WallTime};
    use std::net::IpAddr;

    fn history() -> History {
        let address = IpAddr::from([192, 0, 2, 1]);
        let id = MemberId::of_address(address);
        let members = vec![Member { id, role: MemberRole::Site, address }];
        History::new(Roster::new(members, 0).expect("a roster"))
    }

    fn entry(kind: EventKind, ticket: &str) -> Entry {
        let ticket = TicketName::new(ticket).ok();
        let at = Now { mono: MonoTime::ZERO, wall: WallTime::from_secs(7) };
        Entry { ticket, ..Entry::new(at, kind, "text".to_owned()) }
    }

    #[test]
    fn what_is_provoked_drives_out_nothing_else_and_the_oldest_goes_first() {
        let history = history();
        history.tell(Level::Info, entry(EventKind::Granted, "t"), "granted");
        for _ in 0..PROVOKED_KEPT + 5 {
            history.tell(Level::Warn, entry(EventKind::Refused, "").provoked(), "refused");
        }
        let all = history.all();
        assert_eq!((all.entries.len(), all.forgotten), (PROVOKED_KEPT + 1, 5));
        assert_eq!((all.entries[0].number, all.entries[0].kind), (1, EventKind::Granted));
        assert_eq!(all.entries[1].number, 7);
        for _ in 0..EVENTS_KEPT {
            history.tell(Level::Info, entry(EventKind::Lost, "u"), "lost");
        }
        assert!(history.all().entries.iter().all(|entry| entry.kind != EventKind::Granted));
    }

    #[test]
    fn the_last_events_of_a_ticket_are_found() {
        let history = history();
        for (kind, ticket) in
            [(EventKind::Standing, "t"), (EventKind::Moved, "u"), (EventKind::Elected, "t")]
        {
            history.tell(Level::Info, entry(kind, ticket), "line");
        }
        let kinds = |count| {
            let last = history.last_of_each(count);
            let of_t = &last[&TicketName::new("t").expect("a name")];
            of_t.iter().map(|entry| entry.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(5), [EventKind::Standing, EventKind::Elected]);
        assert_eq!(kinds(1), [EventKind::Elected]);
    }
}
