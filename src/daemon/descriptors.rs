// SPDX-License-Identifier: GPL-2.0-or-later
//! How many descriptors the daemon needs, how it gets them, and who gets how many of them where
//! there are fewer.
//!
//! The need is what the bounds add up to: clients (`clients/places.rs`), children, and the
//! daemon's own. The soft limit is raised to it at the start. Where the hard limit is lower,
//! clients have to do with half of what there is, so that they can never take what a renewal needs
//! to call `crm_ticket`.
#![forbid(unsafe_code)]

use super::clients::places::Bounds;
use crate::sys::open_files;
use std::io;

/// What the daemon itself has open, also for a moment: standard input, output and error, log, lock
/// file and its watch, signals, sockets, wakers, files that are read; at a site also the run
/// directory and the way to the keeper.
pub const OWN: usize = 32;
/// Children at once: reads and handlers. What changes the store belongs to the keeper, which has a
/// limit of its own and needs no more.
pub const CHILDREN_MAX: usize = 64 + 128;
/// Descriptors of a child: its end, its output, its errors.
pub const PER_CHILD: usize = 3;
/// What the start of one child takes besides, for a moment: the other ends of its pipes, its
/// input, and the way by which its failure would be told.
const FOR_A_START: usize = 8;

/// The fewest descriptors with which a site works: its own, those that serve clients, and those
/// for one call of `crm_ticket` and for the keeper beside it.
const LEAST_OF_SITE: usize = 64;
/// The same for an arbitrator, which has neither.
const LEAST_OF_ARBITRATOR: usize = 48;

/// The limit of open files of this process, as [`raise`] leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// How many there may be.
    pub files: usize,
    /// How many the bounds need.
    pub needed: usize,
    /// Whether some must be left to children.
    am_site: bool,
}

/// How many descriptors there have to be for all that the bounds allow.
pub const fn needed(am_site: bool) -> usize {
    OWN + for_children(am_site) + Bounds::FULL.connections()
}

/// An arbitrator has no children.
const fn for_children(am_site: bool) -> usize {
    if am_site {
        FOR_A_START + CHILDREN_MAX * PER_CHILD
    } else {
        0
    }
}

impl Limit {
    /// How many clients can be served with it: all, or those to whom what is left beside the
    /// daemon's own descriptors is enough, at a site half of it.
    pub(super) fn bounds(&self) -> Bounds {
        if self.is_enough() {
            return Bounds::FULL;
        }
        let left = self.files.saturating_sub(OWN);
        Bounds::within(if self.am_site { left / 2 } else { left })
    }

    /// How many it takes to work at all.
    pub(super) const fn least(&self) -> usize {
        if self.am_site {
            LEAST_OF_SITE
        } else {
            LEAST_OF_ARBITRATOR
        }
    }

    /// Whether there are too few to work at all: a site could not call `crm_ticket`, and yet
    /// would answer its clients.
    pub(super) const fn is_too_low(&self) -> bool {
        self.files < self.least()
    }

    /// Whether all that the bounds allow is possible.
    const fn is_enough(&self) -> bool {
        self.files >= self.needed
    }

    /// Says in the log what is not possible with it.
    pub(super) fn note(&self) {
        if !self.is_enough() {
            let Limit { files, needed, .. } = self;
            let clients = self.bounds().connections();
            log::warn!(
                "only {files} files can be open at once, and {needed} may be needed; no more \
                 than {clients} clients are served at a time. Raise the hard limit (ulimit -Hn, \
                 or LimitNOFILE of the service)"
            );
        }
    }
}

/// Raises the soft limit of open files to what the bounds need, or to the hard limit if that is
/// lower; see [`open_files::raise`].
///
/// # Errors
/// The kernel refuses; the limit is as it was.
pub(super) fn raise(am_site: bool) -> io::Result<Limit> {
    let needed = needed(am_site);
    Ok(Limit { files: open_files::raise(needed)?, needed, am_site })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Limits;

    #[test]
    fn children_are_as_many_as_the_executor_may_have() {
        let limits = Limits::processes();
        assert_eq!(CHILDREN_MAX, limits.loads.total + limits.probes.total);
    }

    #[test]
    fn with_few_descriptors_clients_leave_half_of_them_to_children() {
        let needed = needed(true);
        for files in 0..needed + 100 {
            let limit = Limit { files, needed, am_site: true };
            let clients = limit.bounds().connections();
            if files >= needed {
                assert_eq!(limit.bounds(), Bounds::FULL);
                assert!(files - OWN - clients >= for_children(true));
            } else if files >= OWN + 2 * Bounds::MIN {
                assert!(clients <= (files - OWN) / 2, "{files}: {clients}");
            } else {
                assert_eq!(clients, Bounds::MIN, "{files}");
            }
        }
    }

    #[test]
    fn what_is_too_low_leaves_no_room_for_a_call_of_the_store() {
        let clients = Bounds::MIN;
        assert!(LEAST_OF_SITE >= OWN + clients + FOR_A_START + PER_CHILD);
        assert!(LEAST_OF_ARBITRATOR >= OWN + clients);
        for (least, am_site) in [(LEAST_OF_SITE, true), (LEAST_OF_ARBITRATOR, false)] {
            let limit = |files| Limit { files, needed: needed(am_site), am_site };
            assert!(limit(least - 1).is_too_low() && !limit(least).is_too_low());
        }
    }

    #[test]
    fn an_arbitrator_needs_less() {
        assert_eq!(needed(false), OWN + Bounds::FULL.connections());
        let limit = Limit { files: OWN + 100, needed: needed(false), am_site: false };
        assert!(limit.bounds().connections() > 90, "there are no children to leave any to");
        assert!(needed(true) < 4_096, "less than is closed where the kernel cannot close all");
    }
}
