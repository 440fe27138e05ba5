// SPDX-License-Identifier: GPL-2.0-or-later
//! Clients that wait for a grant or a revoke.

use crate::engine::event::ClientId;
use crate::model::MemberIndex;
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, WaitCause};
use alloc::vec::Vec;

/// Clients that wait for the grant of one ticket, and as many for its revoke. Half of the places
/// that the daemon has for each: one ticket cannot take them all.
pub const WAITERS_MAX: usize = 32;

/// A client that waits for an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    pub client: ClientId,
    pub options: ClientOptions,
    /// What it was last told that it waits for.
    pub told: Option<WaitCause>,
    /// Whether it was told that the commit is pending.
    pub pending_told: bool,
}

/// What a grant waits for.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    pub cause: WaitCause,
    /// For how long, if that is known.
    pub left: Span,
    /// Whose objection it is, if it is one.
    pub objector: Option<MemberIndex>,
    /// Whether only the commit is pending: who does not wait for it is told, and leaves.
    pub leased: bool,
}

/// An administrator's grant under way.
#[derive(Clone, Debug, Default)]
pub struct GrantJob {
    /// `-F` of a client that waits, or of one that has left while its order stood.
    pub force: bool,
    /// `-F` of a client that has left while its order stood: by itself, or because it was told that
    /// the grant is pending.
    pub force_stays: bool,
    /// Whether the handler has agreed for the next attempt.
    pub probed: bool,
    /// When the next attempt may begin.
    pub next_at: Option<MonoTime>,
    /// When it has failed; set by the first attempt.
    pub deadline: Option<MonoTime>,
    pub waiters: Vec<Waiter>,
}

/// Clients that wait for a revoke.
#[derive(Clone, Debug, Default)]
pub struct Revokers(pub Vec<Waiter>);

impl Revokers {
    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl GrantJob {
    /// A client waits for this grant.
    pub fn join(&mut self, waiter: Waiter) {
        self.force |= waiter.options.immediate;
        self.waiters.push(waiter);
    }
}

impl Waiter {
    /// A client that was told nothing yet.
    pub fn new(client: ClientId, options: ClientOptions) -> Waiter {
        Waiter { client, options, told: None, pending_told: false }
    }

    /// Whether it wants the real outcome, however long it takes.
    pub fn patient(&self) -> bool {
        self.options.wait || self.options.wait_commit
    }
}
