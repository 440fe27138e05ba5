// SPDX-License-Identifier: GPL-2.0-or-later
//! What the history is told of a ticket: what has changed for people in a step, each change once.
//!
//! The changes are found at the end of each step by comparing, so that no way of losing a ticket
//! can be forgotten. The reason is what the log was told in the same step; where the log was told
//! nothing, it gets a line.

use super::cx::Cx;
use super::effect::{EventKind, NoteEvent, NoteLevel};
use super::state::Outward;
use super::ticket::{Kind, Ticket};
use crate::model::{Holder, MemberIndex};
use alloc::format;
use alloc::string::String;

impl<K: Kind> Ticket<K> {
    /// Tells what has changed for people; at the end of every step.
    pub fn tell_changes(&mut self, cx: &mut Cx<'_>) {
        if self.phase.is_loading() && !self.outward.begun {
            self.tell_store(cx);
            return;
        }
        let now = cx.now.mono;
        let before = self.outward;
        let held = self.holding() && self.cib.granted();
        // Who has just won knows of the last holder until it has a lease itself: that is no news.
        let holder = match K::shown_leader(self, now) {
            Holder::Member(id) if id != self.my_id && self.phase.is_leader() => before.holder,
            holder => holder,
        };
        let since = if holder == before.holder { before.since } else { now };
        self.outward = Outward { begun: true, holder, since, held, ..before };
        if before.begun {
            self.tell_holding(cx, before.held);
            self.tell_holder(cx, before.holder);
        }
        self.tell_store(cx);
        let alone = K::lacks_majority(self, now);
        if core::mem::replace(&mut self.outward.alone, alone) != alone {
            self.tell_majority(cx);
        }
    }

    /// This site holds the ticket now, or does not any more.
    fn tell_holding(&mut self, cx: &mut Cx<'_>, before: bool) {
        match (before, self.outward.held) {
            (false, true) => self.tell(cx, EventKind::Granted, None, "granted here"),
            (true, false) if K::quits_by_revoke(self) => {
                self.tell(cx, EventKind::Revoked, None, "the ticket is revoked");
            }
            (true, false) => {
                cx.figures.losses += 1;
                self.tell(cx, EventKind::Lost, None, "the ticket is given up");
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Another one has the ticket now, or nobody does any more.
    fn tell_holder(&mut self, cx: &mut Cx<'_>, before: Holder) {
        let holder = self.outward.holder;
        let other = |holder: Holder| {
            let id = holder.member().filter(|id| *id != self.my_id)?;
            cx.roster.index_of(id)
        };
        match (other(before), other(holder)) {
            (before, Some(now)) if before != Some(now) => {
                let text = format!("{} has the ticket", cx.name(now));
                self.tell(cx, EventKind::Moved, Some(now), &text);
            }
            (Some(before), None) if holder != Holder::Member(self.my_id) => {
                let text = format!("{} does not have the ticket any more", cx.name(before));
                self.tell(cx, EventKind::Freed, Some(before), &text);
            }
            (Some(_) | None, Some(_) | None) => {}
        }
    }

    /// The store fails, or works again.
    fn tell_store(&mut self, cx: &mut Cx<'_>) {
        let unread = self.phase.loading().is_some_and(|loading| loading.failures() > 0);
        let failing = unread || self.cib.failing_since().is_some();
        match (core::mem::replace(&mut self.outward.failing, failing), failing) {
            (false, true) => self.tell(cx, EventKind::StoreFailing, None, "the store fails"),
            (true, false) => self.tell(cx, EventKind::StoreWorking, None, "the store works again"),
            (false, false) | (true, true) => {}
        }
    }

    /// A renewal has not been acknowledged by a majority in time, or now it has.
    fn tell_majority(&mut self, cx: &mut Cx<'_>) {
        if self.outward.alone {
            let text = format!("no majority: {}", K::who_is_silent(self, cx));
            self.tell(cx, EventKind::NoMajority, None, &text);
        } else if self.outward.held {
            let text = "a majority acknowledges the lease again";
            self.tell(cx, EventKind::MajorityBack, None, text);
        }
    }

    /// Tells one event: by the last log line of this step, or else by one of its own.
    pub fn tell(
        &mut self,
        cx: &mut Cx<'_>,
        kind: EventKind,
        member: Option<MemberIndex>,
        text: &str,
    ) {
        let event = NoteEvent { kind, ticket: Some(self.index), member, term: self.term };
        if !cx.tell_by_last_note(event) {
            self.note(cx, NoteLevel::Info, text);
            cx.tell_by_last_note(event);
        }
    }
}

impl Cx<'_> {
    /// Members by name, each with the time for which it has been silent: `ADDR for 3 s`.
    pub fn silence(&self, of: impl Iterator<Item = (MemberIndex, crate::time::Span)>) -> String {
        let mut text = String::new();
        for (member, silent) in of {
            let and = if text.is_empty() { "" } else { ", " };
            text += &format!("{and}{} for {} s", self.name(member), silent.as_secs());
        }
        text
    }
}
