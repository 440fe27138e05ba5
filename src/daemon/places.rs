// SPDX-License-Identifier: GPL-2.0-or-later
//! How many clients of which kind are served at once.
//!
//! A request whose answer may be long in coming has a place of its own kind while it waits, so
//! that those of one kind cannot use up the places of another, and none of them the places of
//! those that are answered at once. Who has no place, `connection` and `tcp` decide.
#![forbid(unsafe_code)]

use crate::wire::ClientRequest;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Clients that send their request or take their answer: far more than a cluster has
/// administrators and agents, and each needs its place for milliseconds.
pub const SERVED_MAX: usize = 64;
/// Clients that wait for a grant: a script that grants all tickets at once has dozens of them.
pub const GRANTS_MAX: usize = 64;
/// Clients that wait for a revoke; as many, for the same reason.
pub const REVOKES_MAX: usize = 64;
/// Clients that wait for a change of an attribute: agents at all sites, of several tickets.
pub const CHANGES_MAX: usize = 64;
/// Clients that have their answer and may still send: the tail of the reference's requests comes
/// with the request, or right behind it.
pub const LEAVING_MAX: usize = 16;
/// The most connections at once that want something.
pub const CONNECTIONS_MAX: usize = SERVED_MAX + GRANTS_MAX + REVOKES_MAX + CHANGES_MAX;

/// Descriptors of a client that waits: its connection, and the two ends that wake its thread.
const WAITING_COST: usize = 3;
/// The acceptor may have one more connection in its hand.
const IN_HAND: usize = 1;
/// With fewer places for requests than this, a silent client could not be told from a last one.
const SERVED_MIN: usize = 2;

/// What a request may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// A grant: votes, older leases, the CIB.
    Grant,
    /// A revoke: the CIB.
    Revoke,
    /// A change of an attribute: the CIB.
    Change,
}

impl Wait {
    /// All of them.
    pub const ALL: [Wait; 3] = [Wait::Grant, Wait::Revoke, Wait::Change];

    /// What this request may wait for; `None`: the engine answers it at once.
    pub fn of(request: &ClientRequest) -> Option<Wait> {
        match request {
            ClientRequest::Grant { .. } => Some(Wait::Grant),
            ClientRequest::Revoke { .. } => Some(Wait::Revoke),
            ClientRequest::AttrSet { .. } | ClientRequest::AttrDelete { .. } => Some(Wait::Change),
            ClientRequest::List
            | ClientRequest::Peers
            | ClientRequest::AttrGet { .. }
            | ClientRequest::AttrList { .. } => None,
        }
    }

    /// What the log says when one more than there are places for wants to wait.
    pub const fn crowd(self) -> &'static str {
        match self {
            Wait::Grant => "so many clients wait for grants that another one is refused",
            Wait::Revoke => {
                "so many clients wait for revokes that another one is not told its outcome"
            }
            Wait::Change => {
                "so many clients wait for changes of attributes that another one is refused"
            }
        }
    }

    const fn index(self) -> usize {
        match self {
            Wait::Grant => 0,
            Wait::Revoke => 1,
            Wait::Change => 2,
        }
    }
}

/// The most clients of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// That send their request or take their answer.
    pub served: usize,
    /// That wait, by [`Wait`].
    waiting: [usize; 3],
    /// That have been answered by the acceptor, and not been closed yet.
    pub leaving: usize,
}

impl Bounds {
    /// Where there are descriptors enough.
    pub const FULL: Bounds = Bounds {
        served: SERVED_MAX,
        waiting: [GRANTS_MAX, REVOKES_MAX, CHANGES_MAX],
        leaving: LEAVING_MAX,
    };

    /// What so many descriptors allow: of each kind the same part of [`Bounds::FULL`], and at
    /// least what it takes to serve anybody, which is [`Bounds::MIN_DESCRIPTORS`].
    pub fn within(descriptors: usize) -> Bounds {
        let full = Bounds::FULL;
        let part = |max: usize| max.saturating_mul(descriptors) / full.descriptors();
        let waiting = full.waiting.map(|max| part(max).clamp(1, max));
        let leaving = part(full.leaving).min(full.leaving);
        let rest = IN_HAND + leaving + WAITING_COST * waiting.iter().sum::<usize>();
        let served = descriptors.saturating_sub(rest).clamp(SERVED_MIN, full.served);
        Bounds { served, waiting, leaving }
    }

    /// The fewest descriptors with which clients are served: one waits for each kind of thing.
    pub const MIN_DESCRIPTORS: usize = IN_HAND + SERVED_MIN + 3 * WAITING_COST;

    /// How many may wait for this.
    pub const fn waiting(&self, wait: Wait) -> usize {
        self.waiting[wait.index()]
    }

    /// How many connections there can be.
    pub const fn connections(&self) -> usize {
        self.served + self.waiting[0] + self.waiting[1] + self.waiting[2]
    }

    /// How many descriptors these clients need.
    pub const fn descriptors(&self) -> usize {
        let waiting = self.waiting[0] + self.waiting[1] + self.waiting[2];
        IN_HAND + self.leaving + self.served + WAITING_COST * waiting
    }
}

/// Who waits.
#[derive(Debug)]
pub struct Places {
    bounds: Bounds,
    waiting: [AtomicUsize; 3],
}

impl Places {
    /// Nobody waits.
    pub const fn new(bounds: Bounds) -> Places {
        Places { bounds, waiting: [const { AtomicUsize::new(0) }; 3] }
    }

    /// Takes a place; false if there is none.
    pub fn take(&self, wait: Wait) -> bool {
        let max = self.bounds.waiting(wait);
        let more = |waiting: usize| (waiting < max).then_some(waiting + 1);
        let place = &self.waiting[wait.index()];
        place.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Gives back a place that was taken.
    pub fn leave(&self, wait: Wait) {
        self.waiting[wait.index()].fetch_sub(1, Ordering::SeqCst);
    }

    /// How many threads there may be now: one for each client that waits, and those that serve.
    pub fn threads_max(&self) -> usize {
        let waiting = self.waiting.iter().map(|place| place.load(Ordering::SeqCst)).sum::<usize>();
        self.bounds.served + waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_few_descriptors_there_are_each_kind_has_a_place_and_nothing_goes_beyond() {
        for descriptors in 0..2_000 {
            let bounds = Bounds::within(descriptors);
            assert!(bounds.served >= SERVED_MIN && bounds.served <= SERVED_MAX);
            for wait in Wait::ALL {
                let places = bounds.waiting(wait);
                assert!(places >= 1 && places <= Bounds::FULL.waiting(wait), "{bounds:?}");
            }
            let needed = bounds.descriptors();
            assert!(
                needed <= descriptors.max(Bounds::MIN_DESCRIPTORS),
                "{descriptors}: {bounds:?}"
            );
        }
        assert_eq!(Bounds::within(Bounds::FULL.descriptors()), Bounds::FULL);
        assert_eq!(Bounds::FULL.connections(), CONNECTIONS_MAX);
    }

    #[test]
    fn the_places_of_one_kind_are_no_places_of_another() {
        let places = Places::new(Bounds::within(0));
        assert_eq!(places.threads_max(), SERVED_MIN);
        assert!(places.take(Wait::Grant));
        assert!(!places.take(Wait::Grant));
        assert!(places.take(Wait::Revoke) && places.take(Wait::Change));
        assert_eq!(places.threads_max(), SERVED_MIN + 3);
        places.leave(Wait::Grant);
        assert!(places.take(Wait::Grant));
    }
}
