// SPDX-License-Identifier: GPL-2.0-or-later
//! What a keeper that lived through a restart of boothd tells the next one.

use super::verdict::Grant;
use crate::engine::{CibLoad, HoldWindow};
use crate::model::Term;
use crate::time::{Now, WallTime};

/// What a keeper knows of a ticket when a new boothd takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The window of the previous boothd; `None`: there is none, or it is not known.
    pub window: Option<HoldWindow>,
    /// The newest grant that was begun on this node, or read at a start.
    pub grant: Option<Grant>,
}

impl Before {
    /// Corrects an answer of the store for boothd.
    ///
    /// A grant that this keeper knows ends when its window said, by the boot-time clock, which
    /// nobody can set; so `expires` is corrected. Only a grant from elsewhere (another node of the
    /// site) is judged by the wall clock. `started` is both clocks as they were when the engine
    /// started, which computes from then (L9).
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
