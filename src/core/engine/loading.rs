// SPDX-License-Identifier: GPL-2.0-or-later
//! The start of a ticket: its store is read, again and again if that fails, and what it says
//! becomes this member's knowledge.

use super::cx::Cx;
use super::effect::{Effect, JobWish, NoteLevel};
use super::event::{CibLoad, CibTicket};
use super::state::{Known, Loading, Said};
use super::ticket::{Kind, Loaded, Ticket};
use crate::model::Holder;
use crate::time::Span;
use alloc::format;

impl<K: Kind> Ticket<K> {
    /// The process starts: sites read their store, arbitrators ask the other members at once.
    pub fn begin(&mut self, cx: &mut Cx<'_>) {
        self.started = cx.now;
        K::started(self, cx);
        if self.site {
            self.load(cx);
        } else {
            K::begins_without_store(self, cx);
        }
    }

    /// Reads the store.
    fn load(&self, cx: &mut Cx<'_>) {
        let (ticket, limit) = (self.index, self.spec.call_limit());
        cx.effects.push(Effect::Job(JobWish::LoadCib { ticket, limit }));
    }

    /// The answer of the store.
    pub fn handle_loaded(&mut self, cx: &mut Cx<'_>, outcome: CibLoad) {
        let failures = match self.phase.loading() {
            Some(Loading::Reading) => 0,
            Some(Loading::Failed { failures, .. }) => failures,
            Some(Loading::Revoking) | None => return,
        };
        match outcome {
            CibLoad::Failed(why) => {
                let pause = cx.store_pause(failures);
                let text = format!(
                    "cannot read the ticket from the store: {why}; not voting until it works, \
                     next attempt in {pause}"
                );
                let said = (failures + 1).is_power_of_two();
                let level = if said { NoteLevel::Error } else { NoteLevel::Debug };
                self.note(cx, level, &text);
                let retry_at = Some(cx.now.mono.plus(pause));
                let failures = failures + 1;
                self.phase.become_loading(Loading::Failed { retry_at, failures });
                self.tell_store_failure(cx);
            }
            CibLoad::Absent => self.begin_with(cx, CibTicket::default()),
            CibLoad::Loaded(stored) => self.begin_with(cx, stored),
        }
    }

    /// Reads the store again after a failure.
    pub fn load_again(&mut self, cx: &mut Cx<'_>) {
        if let Some(Loading::Failed { failures, .. }) = self.phase.loading() {
            self.phase.become_loading(Loading::Failed { retry_at: None, failures });
            self.load(cx);
        }
    }

    /// What the store said becomes this member's knowledge.
    fn begin_with(&mut self, cx: &mut Cx<'_>, stored: CibTicket) {
        let (owner, foreign) = self.owner_of(cx, &stored);
        self.attrs.load(stored.attrs);
        self.term = stored.term;
        // By the wall clock as it was at the start: it may have been set since.
        let wall = self.started.wall_at(cx.now.mono);
        let left = stored.expires.map_or(Span::ZERO, |at| at.since(wall));
        self.known = Known {
            leader: owner,
            term: stored.term,
            until: cx.now.mono.plus(left.min(self.spec.expire)),
        };
        let term = stored.term.unwrap_or_default();
        self.cib.loaded(Said { granted: stored.granted, owner, term });
        K::loaded(self, cx, Loaded { granted: stored.granted, owner, foreign, left });
    }

    /// The owner that the store names, and whether that is no member of this configuration: it was
    /// renamed or taken out. Such a ticket is free. Nobody waits for a lease of a member that there
    /// is none of, and nobody acquires by itself what an administrator has not granted since; its
    /// term counts (L1).
    fn owner_of(&self, cx: &mut Cx<'_>, stored: &CibTicket) -> (Holder, bool) {
        let owner = stored.owner.unwrap_or_default();
        let Some(id) = owner.member().filter(|id| cx.roster.index_of(*id).is_none()) else {
            return (owner, false);
        };
        let text = format!(
            "the owner in the store, {id}, is no member of this configuration: the ticket counts \
             as free; grant it where it shall be"
        );
        self.note(cx, NoteLevel::Warning, &text);
        (Holder::Nobody, true)
    }
}
