// SPDX-License-Identifier: GPL-2.0-or-later
//! Deliberately wrong engines, one per clause of `lease.md`, to prove that the simulator bites.
//!
//! Only the cargo feature `mutants` can switch a clause off; no release build has it, and without
//! it [`is_on`] is a constant `false` that costs nothing. The simulator chooses the clause for
//! its own thread with `switch_off`.

/// A clause of `lease.md` that a mutant ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clause {
    /// L1: an attempt uses this member's own term again instead of a strictly higher one.
    L1FreshTerm,
    /// L2: a member votes for a second candidate in one term.
    L2OneVote,
    /// L3: a vote is given to another despite a live promise, lease or grant.
    L3LivePromise,
    /// L3: a member gives its own vote, by standing, despite a live promise to another.
    L3OwnVote,
    /// L4: a promise ends after half of `E`.
    L4PromiseLength,
    /// L4(1): a heartbeat is accepted despite a live promise to another.
    L4LivePromise,
    /// L4(4): under a live promise, a heartbeat of any round is accepted.
    L4Round,
    /// L5: the lease counts from the arrival of acknowledgements.
    L5SendTime,
    /// L5: rounds begin at 1 in each life instead of at a random number.
    L5RandomRound,
    /// L5: an acknowledgement counts for the latest send whatever round it echoes.
    L5Round,
    /// L5: a lease that has ended without a grant binds nobody, but a late acknowledgement
    /// revives it.
    L5Revive,
    /// L6: no guard time: held, and granted, right up to the end of the lease.
    L6Guard,
    /// L6: votes for and acknowledges others as soon as it gives up, before the revoke has
    /// succeeded.
    L6RevokeFirst,
    /// L7: a win counts as a lease: the grant is written at once, for `E` from the win.
    L7Lease,
    /// L8: an administrative grant never waits.
    L8Wait,
    /// L6: the outcome of any write counts for the one that is under way.
    L6WriteSerial,
    /// L9: a store that has not been read counts as free.
    L9Unread,
    /// L9: no grace at all.
    L9Grace,
    /// L9: no grace: a starting member votes at once for anybody.
    L9GraceVote,
    /// L9: no grace: a starting member accepts any heartbeat at once.
    L9GraceAck,
    /// L9: no grace: a starting site stands at once.
    L9GraceStand,
    /// L9: any answer to any STATUS counts, whatever its nonce.
    L9Nonce,
    /// L9: a candidate, a winner without a lease and a restarted holder answer STATUS, with
    /// nothing left of a lease.
    L9Silent,
    /// L9: the stored `expires` is believed, however far off.
    L9Cap,
    /// L9: a restarted holder does not tell its lease guard until when it holds.
    L9TellGuard,
    /// L10: the end of the holding is announced before the store says revoked.
    L10RevokeFirst,
    /// L10: a promise is dropped on an announcement of another term.
    L10Term,
    /// L10: a promise is dropped on an announcement of any round.
    L10Round,
    /// L12: votes count however late they come.
    L12Attempt,
}

impl Clause {
    /// Every clause there is.
    pub const ALL: [Clause; 29] = [
        Clause::L1FreshTerm,
        Clause::L2OneVote,
        Clause::L3LivePromise,
        Clause::L3OwnVote,
        Clause::L4PromiseLength,
        Clause::L4LivePromise,
        Clause::L4Round,
        Clause::L5SendTime,
        Clause::L5RandomRound,
        Clause::L5Round,
        Clause::L5Revive,
        Clause::L6Guard,
        Clause::L6RevokeFirst,
        Clause::L7Lease,
        Clause::L8Wait,
        Clause::L6WriteSerial,
        Clause::L9Unread,
        Clause::L9Grace,
        Clause::L9GraceVote,
        Clause::L9GraceAck,
        Clause::L9GraceStand,
        Clause::L9Nonce,
        Clause::L9Silent,
        Clause::L9Cap,
        Clause::L9TellGuard,
        Clause::L10RevokeFirst,
        Clause::L10Term,
        Clause::L10Round,
        Clause::L12Attempt,
    ];
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Clause;
    use std::cell::Cell;

    thread_local! {
        static OFF: Cell<Option<Clause>> = const { Cell::new(None) };
    }

    /// Whether the engines of this thread ignore the clause.
    pub fn is_on(clause: Clause) -> bool {
        OFF.with(|off| off.get() == Some(clause))
    }

    /// Whether the engines of this thread ignore any clause.
    pub fn any() -> bool {
        OFF.with(|off| off.get().is_some())
    }

    /// Makes the engines of this thread ignore the clause from now on; `None`: keep them all.
    pub fn switch_off(clause: Option<Clause>) {
        OFF.with(|off| off.set(clause));
    }
}

#[cfg(feature = "mutants")]
pub use switch::{any, is_on, switch_off};

/// Whether the engines of this thread ignore the clause: never in a release build.
#[cfg(not(feature = "mutants"))]
pub const fn is_on(_clause: Clause) -> bool {
    false
}

/// Whether the engines of this thread ignore any clause: never in a release build.
#[cfg(not(feature = "mutants"))]
pub const fn any() -> bool {
    false
}
