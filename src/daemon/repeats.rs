// SPDX-License-Identifier: GPL-2.0-or-later
//! What goes to and fro: a member is lost and back, a configuration differs and agrees, a store
//! fails and works. As long as there are few changes, each is told at once. Of many only where
//! they have led to is told, now and then, or they would fill the history, and alerts would be lost
//! among them: a line can be bad for days, and two daemons that use one key and one address by
//! mistake never agree.
#![forbid(unsafe_code)]

use super::entry::Entry;
use crate::engine::EventKind;
use crate::model::{MemberIndex, TicketName};
use crate::time::{MonoTime, Span};
use log::Level;
use std::collections::BTreeMap;

/// So many changes of one thing are told at once,
pub(super) const AT_ONCE: u64 = 6;
/// and one more whenever so much time has passed: less than the ten minutes for which clients show
/// that a handler has failed.
pub(super) const ONE_EVERY: Span = Span::from_secs(480);

/// An event on its way to the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) level: Level,
    pub(super) entry: Entry,
    /// What the log says.
    pub(super) line: String,
}

/// All that has changed, by what, of which ticket or member it is.
#[derive(Debug, Default)]
pub(super) struct Repeats(BTreeMap<(EventKind, Option<TicketName>, Option<MemberIndex>), Thing>);

#[derive(Debug, Default)]
struct Thing {
    /// When as little will have been told lately as if nothing had.
    quiet_at: MonoTime,
    /// What was told last.
    told: Option<(EventKind, String)>,
    /// Where the changes have led to, unless that has been told.
    held: Option<Telling>,
    /// How many changes there were since something was told.
    changes: u32,
}

/// The first kind of those between which a thing changes.
fn thing(kind: EventKind) -> Option<EventKind> {
    use EventKind::*;
    match kind {
        MemberLost | MemberBack => Some(MemberLost),
        ConfigDiffers | ConfigAgrees => Some(ConfigDiffers),
        ClockOff | ClockRight => Some(ClockOff),
        NoMajority | MajorityBack => Some(NoMajority),
        StoreFailing | StoreWorking => Some(StoreFailing),
        HandlerFailed => Some(HandlerFailed),
        Granted | Lost | Revoked | Moved | Freed | Standing | Elected | AuthFailed | Refused
        | Asked | Answered | Started => None,
    }
}

impl Repeats {
    /// What is told of this event now.
    pub(super) fn weigh(&mut self, telling: Telling) -> Option<Telling> {
        let Entry { kind, at, member, .. } = telling.entry;
        let Some(what) = thing(kind) else { return Some(telling) };
        let thing = self.0.entry((what, telling.entry.ticket.clone(), member)).or_default();
        thing.changes += 1;
        let text = &telling.entry.text;
        let stands = thing.told.as_ref().is_some_and(|(last, said)| match kind {
            EventKind::HandlerFailed => false,
            // In another way than before, perhaps.
            EventKind::ConfigDiffers => *last == kind && said == text,
            _ => *last == kind,
        });
        thing.held = (!stands).then_some(telling);
        let told = thing.release(at.mono);
        if kind != EventKind::HandlerFailed || told.is_some() {
            return told;
        }
        // Nothing says that a handler has not failed: there is no use in telling it later.
        let telling = thing.held.take()?;
        Some(Telling { entry: telling.entry.provoked(), ..telling })
    }

    /// What has been held back and is told now.
    pub(super) fn settle(&mut self, now: MonoTime) -> Vec<Telling> {
        self.0.values_mut().filter_map(|thing| thing.release(now)).collect()
    }
}

impl Thing {
    fn release(&mut self, now: MonoTime) -> Option<Telling> {
        if self.quiet_at > now.plus(ONE_EVERY.times(AT_ONCE - 1)) {
            return None;
        }
        let mut telling = self.held.take()?;
        self.quiet_at = self.quiet_at.max(now).plus(ONE_EVERY);
        self.told = Some((telling.entry.kind, telling.entry.text.clone()));
        let changes = std::mem::take(&mut self.changes);
        if changes > 1 {
            let more = format!(" ({changes} changes since the last time)");
            telling.entry.text += &more;
            telling.line += &more;
        }
        Some(telling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Now, WallTime};

    fn at(secs: u64) -> Now {
        Now { mono: MonoTime::ZERO.plus(Span::from_secs(secs)), wall: WallTime::from_secs(secs) }
    }

    fn telling(secs: u64, kind: EventKind) -> Telling {
        let entry = Entry::new(at(secs), kind, "text".to_owned());
        Telling { level: Level::Warn, entry, line: "line".to_owned() }
    }

    #[test]
    fn few_changes_are_told_at_once_and_of_many_the_last_in_the_end() {
        let (lost, back) = (EventKind::MemberLost, EventKind::MemberBack);
        for last in [lost, back] {
            let mut repeats = Repeats::default();
            let mut told = Vec::new();
            for secs in 0..3_601 {
                let kind = if secs % 2 == 0 { lost } else { back };
                told.extend(repeats.weigh(telling(secs, kind)));
                told.extend(repeats.settle(at(secs).mono));
            }
            assert!((6..=14).contains(&told.len()), "{} in an hour", told.len());
            assert!(told[..6].iter().all(|told| told.line == "line"), "each for itself");
            assert!(told[7].line.ends_with(" changes since the last time)"), "{:?}", told[7]);
            if last == back {
                told.extend(repeats.weigh(telling(3_602, back)));
            }
            told.extend(repeats.settle(at(5_000).mono));
            assert_eq!(told.last().map(|told| told.entry.kind), Some(last));
            assert_eq!(repeats.settle(at(50_000).mono), [], "once");
            let much_later = repeats.weigh(telling(50_000, if last == lost { back } else { lost }));
            assert!(much_later.is_some(), "at once again");
        }
    }

    #[test]
    fn what_is_only_said_again_of_a_handler_drives_nothing_out_and_waits_for_nothing() {
        let mut repeats = Repeats::default();
        let mut often = 0;
        for secs in 0..100 {
            let told = repeats.weigh(telling(secs, EventKind::HandlerFailed)).expect("told");
            often += u64::from(told.entry.provoked);
        }
        assert_eq!(often, 100 - AT_ONCE);
        assert_eq!(repeats.settle(at(50_000).mono), []);
        let other = repeats.weigh(telling(100, EventKind::NoMajority)).expect("told");
        assert!(!other.entry.provoked, "it is another thing");
    }

    #[test]
    fn a_configuration_that_differs_in_another_way_is_told() {
        let mut repeats = Repeats::default();
        let differs = |secs: u64, text: &str| {
            let mut telling = telling(secs, EventKind::ConfigDiffers);
            text.clone_into(&mut telling.entry.text);
            telling
        };
        assert!(repeats.weigh(differs(1, "expire is 60 s there")).is_some());
        assert!(repeats.weigh(differs(2, "expire is 60 s there")).is_none());
        assert!(repeats.weigh(differs(1_000, "expire is 90 s there")).is_some());
    }
}
