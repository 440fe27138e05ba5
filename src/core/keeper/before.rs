// SPDX-License-Identifier: GPL-2.0-or-later
//! What a keeper that lived through a restart of boothd tells the next one.

use super::Grant;
use crate::engine::{CibLoad, HoldWindow};
use crate::model::Term;
use crate::time::{Now, WallTime};

/// What a keeper knows of a ticket when a new boothd takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Until when it may be held: what the last boothd was allowed to. `None`: nothing is known.
    pub window: Option<HoldWindow>,
    /// The newest grant that was begun here, or read at a start.
    pub grant: Option<Grant>,
}

impl Before {
    /// What a boothd may believe of an answer of the store.
    ///
    /// A grant that this keeper knows lasts as long as the window said, by the clock that goes on
    /// while a machine sleeps and that nobody sets: `expires` is put right accordingly. Only what
    /// the store has from elsewhere (another node of the site) is judged by the wall clock.
    /// `started`: both clocks as they were when the engine started, which counts from then (L9).
    pub fn correct(&self, load: CibLoad, started: Now) -> CibLoad {
        let CibLoad::Loaded(mut stored) = load else { return load };
        if let (true, Some(window), Some(grant)) = (stored.granted, self.window, self.grant) {
            let term = stored.term.unwrap_or(Term::ZERO);
            let expires = stored.expires.map_or(0, WallTime::as_secs);
            if (Grant { term, expires }) <= grant {
                stored.expires =
                    Some(WallTime::from_secs(started.wall_at(window.lease_until).as_secs()));
            }
        }
        CibLoad::Loaded(stored)
    }
}
