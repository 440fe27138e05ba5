// SPDX-License-Identifier: GPL-2.0-or-later
//! The end of a ticket's window: what the store says then, and what is owed.

use super::{Line, Look};
use crate::engine::{CibTicket, NoteLevel};
use crate::keeper::cx::Cx;
use crate::keeper::message::Output;
use crate::keeper::verdict::{verdict, Decision};
use alloc::format;

impl Line {
    /// The end of the window: the store must say *revoked* (L6).
    pub(super) fn ring(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Some(window) = self.window.filter(|_| self.armed && !self.rung) else { return };
        if now < window.hold_until {
            return;
        }
        if self.owed.is_owed() {
            self.rung = true;
            self.owed.again(now);
            return;
        }
        let stored = match &mut self.look {
            Look::Wanted(until) if now < *until && self.change.is_none() => return,
            Look::Running(_, until) if now < *until => return,
            Look::Running(job, _) => {
                cx.unwanted.push(*job);
                None
            }
            Look::Known(stored) => stored.take(),
            Look::None | Look::Wanted(_) => None,
        };
        self.rung = true;
        self.decide(stored.as_ref(), cx);
    }

    /// A revoke has failed so far, and the store was read again. If it has a newer grant by now,
    /// the revoke is no longer owed.
    pub(super) fn reconsider(&mut self, cx: &mut Cx<'_>) {
        if !self.looks_again {
            return;
        }
        let stored = match &mut self.look {
            Look::None => return,
            Look::Wanted(until) | Look::Running(_, until) if cx.now.mono < *until => return,
            Look::Running(job, _) => {
                cx.unwanted.push(*job);
                None
            }
            Look::Wanted(_) => None,
            Look::Known(stored) => stored.take(),
        };
        (self.look, self.looks_again) = (Look::None, false);
        let Some(stored) = stored.filter(|_| !self.owed.is_asked()) else { return };
        if !self.armed && !stored.granted && !self.owed.is_running() {
            // It need not be written once more: no grant of this node is in flight.
            self.found = false;
            return self.owed.disarm();
        }
        match verdict(cx.site, self.term, self.grant, Some(&stored)) {
            Decision::Retire => {
                cx.unwanted.extend(self.owed.cancel(cx.now.mono));
                self.retire(cx);
            }
            Decision::Revoke(values) if self.armed => self.owed.change_values(values),
            // What boothd has wished, and wishes again.
            Decision::Revoke(_) => {}
        }
    }

    fn retire(&mut self, cx: &mut Cx<'_>) {
        (self.armed, self.found) = (false, false);
        let text = format!("{} has been granted anew through another node", self.name);
        cx.out.push(Output::Note(NoteLevel::Info, self.place, text));
    }

    /// Owes the revoke of a window that has ended, unless the store has a newer grant.
    pub(super) fn decide(&mut self, stored: Option<&CibTicket>, cx: &mut Cx<'_>) {
        match verdict(cx.site, self.term, self.grant, stored) {
            Decision::Retire => self.retire(cx),
            Decision::Revoke(values) => {
                self.owed.owe(cx.now.mono, self.guard, None, values);
                self.owed.again(cx.now.mono);
            }
        }
    }
}
