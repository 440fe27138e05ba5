// SPDX-License-Identifier: GPL-2.0-or-later
//! Revokes of the CIB on their way: which are made alone, and which together.
//!
//! A ticket that is revoked for itself is revoked as the reference does it, by a `crm_ticket` of
//! its own. When many come at the same time, because a site lost all of its tickets at once, they
//! are made with one call (`helper/many.rs`): the promise of `RULES.md` counts on *g* for each,
//! however many there are. What cannot be made together, for whatever reason, is made alone.

use crate::daemon::child::{Child, Finished};
use crate::daemon::helper::{self, Order};
use crate::daemon::leases::Slot;
use crate::daemon::slots::{Ending, JobEnd, JobId};
use crate::engine::CibState;
use crate::model::TicketIndex;
use crate::time::{MonoTime, Span};
use std::collections::{BTreeSet, VecDeque};

/// How many revokes are worth a call for all of them.
const TOGETHER_MIN: usize = 8;
/// How many go into one call: its arguments have some fifty bytes for each.
const TOGETHER_MAX: usize = 2000;
/// The most of what the call prints: a number for each.
pub(super) const ANSWER_MAX: usize = 64 * 1024;

/// How many are made alone at once while others can be made together.
const ALONE_FEW: usize = 8;
/// How many are made alone at once when nothing else is possible. Each is a process or two with a
/// few megabytes, and waits more than it works.
const ALONE_MANY: usize = 128;

/// How long none are made together after that has failed.
const PAUSE: Span = Span::from_secs(60);

/// A revoke that the slots have started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) id: JobId,
    pub(super) ticket: TicketIndex,
    pub(super) state: CibState,
}

/// What is to be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A call for all of these.
    Together(Vec<Wanted>),
    /// A call for this one.
    Alone(Wanted),
}

/// A call that runs.
#[derive(Debug)]
struct Together {
    child: Child,
    since: MonoTime,
    wanted: Vec<(Slot, Wanted)>,
    /// Those that were ended by name.
    killed: BTreeSet<JobId>,
}

/// Revokes that have not started, and the call that runs.
#[derive(Debug)]
pub(super) struct Revokes {
    waiting: VecDeque<Wanted>,
    running: Option<Together>,
    /// How long it may run before others do not wait for it any longer.
    slow: Span,
    /// None are made together before this.
    alone_until: MonoTime,
}

impl Revokes {
    /// For tickets of this guard time, the shortest of all.
    pub(super) fn new(guard: Span) -> Revokes {
        let slow = helper::may_hang_after(guard);
        Revokes { waiting: VecDeque::new(), running: None, slow, alone_until: MonoTime::ZERO }
    }

    pub(super) fn push(&mut self, wanted: Wanted) {
        self.waiting.push_back(wanted);
    }

    /// What to start next, with so many running alone. Whatever it says is the caller's then.
    pub(super) fn next(&mut self, now: MonoTime, alone: usize) -> Option<Next> {
        let slow =
            self.running.as_ref().is_some_and(|running| now >= running.since.plus(self.slow));
        let possible = now >= self.alone_until && !slow;
        if possible && self.waiting.len() >= TOGETHER_MIN {
            if self.running.is_some() {
                return None;
            }
            let count = self.waiting.len().min(TOGETHER_MAX);
            return Some(Next::Together(self.waiting.drain(..count).collect()));
        }
        let room = if possible { ALONE_FEW } else { ALONE_MANY };
        if alone >= room {
            return None;
        }
        self.waiting.pop_front().map(Next::Alone)
    }

    /// A call for all of these has been started.
    pub(super) fn started(&mut self, now: MonoTime, child: Child, wanted: Vec<(Slot, Wanted)>) {
        self.running = Some(Together { child, since: now, wanted, killed: BTreeSet::new() });
    }

    /// A call for all of these cannot be made.
    pub(super) fn refused(&mut self, now: MonoTime, wanted: Vec<Wanted>, why: &str) {
        log::warn!(
            "cannot revoke {} tickets in one call: {why}; revoking them one by one",
            wanted.len()
        );
        self.alone_until = now.plus(PAUSE);
        wanted.into_iter().rev().for_each(|wanted| self.waiting.push_front(wanted));
    }

    /// Ends a revoke, if it is here; `Some`: it has ended.
    pub(super) fn end(&mut self, id: JobId) -> Option<JobEnd> {
        let waiting = self.waiting.len();
        self.waiting.retain(|wanted| wanted.id != id);
        if self.waiting.len() < waiting {
            return Some(JobEnd::Killed);
        }
        let running = self.running.as_mut()?;
        if running.wanted.iter().any(|(_, wanted)| wanted.id == id) {
            running.killed.insert(id);
            running.child.end(Ending::Kill);
        }
        None
    }

    /// Finds out what has become of the call that runs.
    pub(super) fn look(&mut self, now: MonoTime, ends: &mut Vec<(JobId, JobEnd)>) {
        let Some(running) = &mut self.running else { return };
        let Some(finished) = running.child.look() else { return };
        let Some(Together { wanted, killed, .. }) = self.running.take() else { return };
        let done = done(&finished);
        if !done.is_empty() {
            log::info!("{} tickets were written as not granted with one call", done.len());
        }
        let mut left = Vec::new();
        for (slot, wanted) in wanted {
            if done.contains(&slot) {
                ends.push((wanted.id, JobEnd::Done));
            } else if killed.contains(&wanted.id) {
                ends.push((wanted.id, JobEnd::Killed));
            } else {
                left.push(wanted);
            }
        }
        if !left.is_empty() {
            let why = finished.said().unwrap_or_else(|| finished.failure());
            self.refused(now, left, &why);
        }
    }

    /// The call that runs.
    pub(super) fn child(&self) -> Option<&Child> {
        self.running.as_ref().map(|running| &running.child)
    }
}

/// What the call says that it has revoked.
fn done(finished: &Finished) -> BTreeSet<Slot> {
    let text = String::from_utf8_lossy(&finished.output);
    // A last line that was cut could be another number.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter_map(|line| line.parse().ok()).map(Slot).collect()
}

/// The orders of a call.
pub(super) fn orders(wanted: &[(Slot, Wanted)]) -> Vec<(Slot, Order)> {
    wanted.iter().map(|(slot, wanted)| (*slot, Order::Write(wanted.state))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CibExpiry;
    use crate::model::{Holder, Term};

    fn wanted(n: usize) -> Wanted {
        let state = CibState {
            granted: false,
            owner: Holder::Nobody,
            term: Term::new(1),
            expires: CibExpiry::Never,
            limit: Span::from_secs(20),
        };
        Wanted { id: JobId(n as u64), ticket: TicketIndex::new(n), state }
    }

    fn waiting(count: usize) -> Revokes {
        let mut revokes = Revokes::new(Span::from_secs(5));
        (0..count).for_each(|n| revokes.push(wanted(n)));
        revokes
    }

    fn at(secs: u64) -> MonoTime {
        MonoTime::ZERO.plus(Span::from_secs(secs))
    }

    #[test]
    fn few_are_made_alone_and_many_together() {
        let mut few = waiting(TOGETHER_MIN - 1);
        for n in 0..TOGETHER_MIN - 1 {
            assert_eq!(few.next(at(0), n), Some(Next::Alone(wanted(n))));
        }
        assert_eq!(few.next(at(0), 0), None);
        let count = TOGETHER_MAX + TOGETHER_MIN;
        let mut many = waiting(count);
        for range in [0..TOGETHER_MAX, TOGETHER_MAX..count] {
            let all = range.map(wanted).collect();
            assert_eq!(many.next(at(0), 0), Some(Next::Together(all)));
        }
    }

    #[test]
    fn after_a_failure_they_are_made_alone_for_a_while_as_many_at_once_as_bear_it() {
        let mut revokes = waiting(1000);
        let Some(Next::Together(all)) = revokes.next(at(100), 0) else { panic!("many") };
        revokes.refused(at(100), all, "it is a test");
        for n in 0..ALONE_MANY {
            assert_eq!(revokes.next(at(100), n), Some(Next::Alone(wanted(n))), "in their order");
        }
        assert_eq!(revokes.next(at(159), ALONE_MANY), None);
        assert!(matches!(revokes.next(at(160), ALONE_MANY), Some(Next::Together(_))));
    }

    #[test]
    fn one_that_waits_can_be_ended() {
        let mut revokes = waiting(2);
        assert_eq!(revokes.end(JobId(0)), Some(JobEnd::Killed));
        assert_eq!(revokes.end(JobId(0)), None);
        assert_eq!(revokes.next(at(0), 0), Some(Next::Alone(wanted(1))));
    }
}
