// SPDX-License-Identifier: GPL-2.0-or-later
//! Deliberately wrong engines, one per clause of `RULES.md` or promise of the manual, to prove
//! that the simulator and the tests bite.
//!
//! Only the cargo feature `mutants` can switch a clause off; no release build has it, and without
//! it [`is_on`] is a constant `false` that costs nothing. The simulator, and the table of wrong
//! engines beside the engine's tests, choose the clause for their own thread with `switch_off`.

/// Declares [`Clause`] and its lists; what proves each clause stands where it is declared.
macro_rules! clauses {
    (
        seeds { $($(#[$seeds_doc:meta])* $seeds:ident,)* }
        tests { $($(#[$tests_doc:meta])* $tests:ident,)* }
    ) => {
        /// A rule of `RULES.md`, or a promise of the manual, that a mutant ignores.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Clause {
            $($(#[$seeds_doc])* $seeds,)*
            $($(#[$tests_doc])* $tests,)*
        }

        impl Clause {
            /// Every clause there is.
            pub const ALL: &'static [Clause] =
                &[$(Clause::$seeds,)* $(Clause::$tests,)*];
            /// Those that the simulator's seeds must catch (`test/sim/mutant_table.rs`).
            pub const BY_SEEDS: &'static [Clause] = &[$(Clause::$seeds,)*];
            /// Those that a test of the engine must catch (`engine/tests/wrong.rs`).
            pub const BY_TESTS: &'static [Clause] = &[$(Clause::$tests,)*];
        }
    };
}

clauses! {
    seeds {
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
        /// L5: an acknowledgement counts for the latest send whatever round it echoes.
        L5Round,
        /// L6: no guard time: held, and granted, right up to the end of the lease.
        L6Guard,
        /// L6: votes for and acknowledges others as soon as it gives up, before the revoke has
        /// succeeded.
        L6RevokeFirst,
        /// L7: a win counts as a lease: the grant is written at once, for `E` from the win.
        L7Lease,
        /// L8: an administrative grant never waits.
        L8Wait,
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
        /// L9: the stored `expires` is believed, however far off.
        L9Cap,
        /// L10: the end of the holding is announced before the store says revoked.
        L10RevokeFirst,
        /// L10: a promise is dropped on an announcement of another term.
        L10Term,
        /// L10: a promise is dropped on an announcement of any round.
        L10Round,
        /// L10: a winner does not heed what its voters know to be revoked.
        L10LastWord,
        /// L12: votes count however late they come.
        L12Attempt,
        /// Keeper: a grant begins, and goes on, whatever its window says.
        KeeperWindow,
        /// Keeper: a grant begins beside a revoke that runs.
        KeeperBeside,
        /// Keeper: a revoke is killed when it has run for *g*.
        KeeperPatience,
        /// Keeper: nothing is revoked at the end of a window.
        KeeperRing,
        /// Keeper: what was killed is not waited for.
        KeeperQuiet,
        /// Keeper: a start believes the wall clock, whatever is known.
        KeeperWall,
        /// Keeper: a boothd that takes over is not told what the one before had told.
        KeeperTells,
    }
    tests {
        /// L4(4): the rounds of each life begin at 1.
        L4RandomRounds,
        /// L5: no new renewal begins when the retries of one are used up.
        L5NewRenewal,
        /// L5: only the last send to each member is remembered.
        L5SendsKept,
        /// L6: a lease's grant is written without `expires`.
        L6Expiry,
        /// L6: a first grant that cannot be written is never given up.
        L6FirstGrant,
        /// L6: the outcome of one write counts for whichever is under way.
        L6Serial,
        /// L6: a handler may run an hour beyond the end of the holding.
        L6Handler,
        /// L8: the commit delay of a pending leader ends with its re-election.
        L8CarriedOver,
        /// L9: a candidate, a winner without a lease and a restarted holder answer STATUS, with
        /// nothing left of a lease.
        L9Silent,
        /// L9: a free ticket that names this site as its owner counts as granted here.
        L9FreeTicket,
        /// L9: a restarted holder does not tell its keeper.
        L9TellGuard,
        /// L9: grace lasts for `E` alone, without `g` and `d`.
        L9GraceLength,
        /// L10: the end of a holding is announced once, heard or not.
        L10Resend,
        /// L10: a vote or an attempt ends the announcement of a revoke.
        L10KeepRevoke,
        /// L11: a leader does not heed `TOdt`.
        L11Outdated,
        /// L11: a leader does not heed a vote request with a higher term.
        L11Request,
        /// L11: a vote request of a member that has acknowledged this renewal unsettles.
        L11Acknowledged,
        /// L11: a leader stands again whenever a higher term is heard of, however often.
        L11Once,
        /// L13: the lowest weight stands first.
        L13Weights,
        /// L13: sites of equal weights stand at the same time.
        L13EqualWeights,
        /// L13: `acquire-after` is not waited for after a promise has run out.
        L13AcquireAfter,
        /// L13: the pauses of a candidate that nobody hears double without end.
        L13BackOffCap,
        /// L13: a leader that lost its lease stands again without a pause.
        L13LostLease,
        /// `attr-prereq auto` is never looked at.
        PrereqAuto,
        /// `attr-prereq manual` is never looked at.
        PrereqManual,
        /// `attr-prereq … ne` is taken as `eq`.
        PrereqNotEqual,
        /// A client is not told that its grant takes time.
        ClientToldNothing,
        /// A client that asked for every change is told the first reason only.
        ClientToldOnce,
        /// L14: the claim of a manual ticket is not repeated.
        L14Repeat,
    }
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Clause;
    use core::cell::Cell;

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
