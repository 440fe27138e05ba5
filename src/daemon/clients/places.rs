// SPDX-License-Identifier: GPL-2.0-or-later
//! How many clients of which kind are served at once.
//!
//! A request whose answer may be long in coming has a place of its own kind while it waits, so
//! that those of one kind cannot use up the places of another, and none of them the places of
//! those that are answered at once. Who has no place, `connection` decides.
#![forbid(unsafe_code)]

use crate::wire::ClientRequest;
use std::sync::Arc;

/// Clients that send their request, take their answer or are about to leave: far more than a
/// cluster has administrators and agents, and each needs its place for milliseconds.
pub const SERVED_MAX: usize = 64;
/// Clients that wait for a grant: a script that grants all tickets at once has dozens of them.
pub const GRANTS_MAX: usize = 64;
/// Clients that wait for a revoke; as many, for the same reason.
pub const REVOKES_MAX: usize = 64;
/// Clients that wait for a change of an attribute: agents at all sites, of several tickets.
pub const CHANGES_MAX: usize = 64;
/// The most connections at once.
pub const CONNECTIONS_MAX: usize = SERVED_MAX + GRANTS_MAX + REVOKES_MAX + CHANGES_MAX;

/// With fewer places for requests than this, a silent client could not be told from a last one.
const SERVED_MIN: usize = 2;

/// What a request may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// A grant: votes, older leases, the CIB.
    Grant,
    /// A revoke: the CIB.
    Revoke,
    /// A change of an attribute: the CIB.
    Change,
}

impl Wait {
    /// All of them.
    #[cfg(test)]
    const ALL: [Wait; 3] = [Wait::Grant, Wait::Revoke, Wait::Change];

    /// What this request may wait for; `None`: the engine answers it at once.
    pub(super) fn of(request: &ClientRequest) -> Option<Wait> {
        match request {
            ClientRequest::Grant { .. } => Some(Wait::Grant),
            ClientRequest::Revoke { .. } => Some(Wait::Revoke),
            ClientRequest::AttrSet { .. } | ClientRequest::AttrDelete { .. } => Some(Wait::Change),
            ClientRequest::List
            | ClientRequest::Peers
            | ClientRequest::Report { .. }
            | ClientRequest::AttrGet { .. }
            | ClientRequest::AttrList { .. } => None,
        }
    }

    /// What the log says when one more than there are places for wants to wait.
    pub(super) const fn crowd(self) -> &'static str {
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
}

/// The most clients of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// That send their request, take their answer or are about to leave.
    pub served: usize,
    /// That wait, by [`Wait`].
    waiting: [usize; 3],
}

impl Bounds {
    /// Where there are descriptors enough.
    pub(crate) const FULL: Bounds =
        Bounds { served: SERVED_MAX, waiting: [GRANTS_MAX, REVOKES_MAX, CHANGES_MAX] };

    /// What so many descriptors allow, one for each connection: of each kind the same part of
    /// [`Bounds::FULL`], and at least what it takes to serve anybody.
    pub(crate) fn within(descriptors: usize) -> Bounds {
        let full = Bounds::FULL;
        let part = |max: usize| max.saturating_mul(descriptors) / full.connections();
        let waiting = full.waiting.map(|max| part(max).clamp(1, max));
        let rest = descriptors.saturating_sub(waiting.iter().sum());
        Bounds { served: rest.clamp(SERVED_MIN, full.served), waiting }
    }

    /// The fewest clients that are served: one waits for each kind of thing.
    #[cfg(test)]
    pub(crate) const MIN: usize = SERVED_MIN + 3;

    /// How many may wait for this.
    const fn waiting(&self, wait: Wait) -> usize {
        self.waiting[wait as usize]
    }

    /// How many connections there can be, each of which needs one descriptor.
    pub(crate) const fn connections(&self) -> usize {
        self.served + self.waiting[0] + self.waiting[1] + self.waiting[2]
    }
}

/// Who waits.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    /// Of each kind one more than waits.
    kinds: [Place; 3],
}

/// A place where a client waits; it is free again when this is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Arc<()>);

impl Places {
    /// Nobody waits.
    pub(super) fn new(bounds: Bounds) -> Places {
        Places { bounds, kinds: Default::default() }
    }

    /// Takes a place; `None`: there is none.
    pub(super) fn take(&self, wait: Wait) -> Option<Place> {
        let kind = &self.kinds[wait as usize];
        (waiting(kind) < self.bounds.waiting(wait)).then(|| kind.clone())
    }

    /// Whether another connection has room, of so many that there are.
    pub(super) fn has_room_beside(&self, connections: usize) -> bool {
        connections < self.bounds.served + self.kinds.iter().map(waiting).sum::<usize>()
    }
}

/// How many places of this kind are taken.
fn waiting(kind: &Place) -> usize {
    Arc::strong_count(&kind.0) - 1
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
            let needed = bounds.connections();
            assert!(needed <= descriptors.max(Bounds::MIN), "{descriptors}: {bounds:?}");
        }
        assert_eq!(Bounds::within(CONNECTIONS_MAX), Bounds::FULL);
        assert_eq!(Bounds::FULL.connections(), CONNECTIONS_MAX);
    }

    #[test]
    fn the_places_of_one_kind_are_no_places_of_another() {
        let places = Places::new(Bounds::within(0));
        let has_room = |connections| places.has_room_beside(connections);
        assert!(has_room(SERVED_MIN - 1) && !has_room(SERVED_MIN));
        let granted = places.take(Wait::Grant).expect("a place");
        assert!(places.take(Wait::Grant).is_none());
        let others = [Wait::Revoke, Wait::Change].map(|wait| places.take(wait).expect("a place"));
        assert!(has_room(SERVED_MIN + 2) && !has_room(SERVED_MIN + 3));
        drop(granted);
        assert!(!has_room(SERVED_MIN + 2));
        assert!(places.take(Wait::Grant).is_some());
        drop(others);
    }
}
