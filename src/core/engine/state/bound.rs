// SPDX-License-Identifier: GPL-2.0-or-later
//! To whom a member was bound, and until when; and what a ticket that moves by itself waits for
//! (L8, L13).

use super::lease::Promise;
use crate::model::{MemberIndex, MemberSet};
use crate::time::{MonoTime, Span};
use alloc::vec;
use alloc::vec::Vec;

/// To whom this member's word bound it, and until when; brought up to date in every step.
#[derive(Debug, Default)]
pub struct Bound {
    /// Per member: when its word to it last ended. For itself: when its own store said *revoked*
    /// after it may have said *granted*, read or not.
    ended: Vec<Option<MonoTime>>,
    /// Its promise at the end of the last step: to whom, and until when.
    promise: Option<(MemberIndex, MonoTime)>,
    /// Whether its own store could say *granted* at the end of the last step.
    granted: bool,
    /// While grace lasts: when all that an earlier life may have promised has ended at the latest.
    grace: Option<MonoTime>,
    /// When that had ended, once grace is over.
    forgotten: MonoTime,
}

/// The wait of a ticket that moves by itself. It belongs to the ticket: it survives that its
/// leader is elected again, and that the leader loses its lease.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acquire {
    /// The grant is not committed before this instant.
    pub at: Option<MonoTime>,
    /// An administrator ordered the election that was won last.
    pub ordered: bool,
    /// Until then, sites that have not answered the attempt or the win may still object.
    pub hear: Option<MonoTime>,
    /// Who has answered.
    pub answered: MemberSet,
}

impl Bound {
    /// Nothing is known of `members` members.
    pub fn new(members: usize) -> Bound {
        Bound { ended: vec![None; members], ..Bound::default() }
    }

    /// What has ended since the last step is noted.
    pub fn observe(
        &mut self,
        me: MemberIndex,
        now: MonoTime,
        promise: Option<Promise>,
        granted: bool,
        grace: Option<MonoTime>,
    ) {
        let promise = promise.map(|promise| (promise.to(), promise.until()));
        if let Some((to, until)) = self.promise.filter(|(to, _)| promise.map(|p| p.0) != Some(*to))
        {
            self.note_end(to, until.min(now));
        }
        if self.granted && !granted {
            self.note_end(me, now);
        }
        if let (Some(latest), None) = (self.grace, grace) {
            self.forgotten = latest.min(now);
        }
        (self.promise, self.granted, self.grace) = (promise, granted, grace);
    }

    /// Its word to a member ended then.
    fn note_end(&mut self, to: MemberIndex, at: MonoTime) {
        if let Some(ended) = self.ended.get_mut(to.get()) {
            *ended = (*ended).max(Some(at));
        }
    }

    /// Until when, as far as is known, this member was bound to anyone but `but`; not after `now`.
    pub fn to_others(&self, but: MemberIndex, now: MonoTime) -> MonoTime {
        let ended = self.ended.iter().enumerate().filter(|(to, _)| *to != but.get());
        let ended = ended.filter_map(|(_, at)| *at).max().unwrap_or(MonoTime::ZERO);
        let live = self.promise.filter(|(to, _)| *to != but).map_or(ended, |(_, until)| until);
        let forgotten = self.grace.unwrap_or(self.forgotten);
        ended.max(live).max(forgotten).min(now)
    }
}

/// When the word of a voter to anyone else ended, by what its vote states. Clocks differ in their
/// rates; a reference member does not say: now.
pub fn bound_ended(now: MonoTime, unbound_for: Option<Span>) -> MonoTime {
    now.minus(unbound_for.map_or(Span::ZERO, |span| span.divided(100).times(99)))
}

impl Acquire {
    /// The grant is not committed before `at` either, if that is still to come.
    pub fn wait_until(&mut self, at: MonoTime, now: MonoTime) {
        self.at = self.at.max(Some(at)).filter(|at| now < *at);
    }

    /// Nothing is waited for any more.
    pub fn clear(&mut self) {
        (self.at, self.hear) = (None, None);
    }
}
