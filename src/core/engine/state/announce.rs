// SPDX-License-Identifier: GPL-2.0-or-later
//! The announcement that a ticket was given up (L10).

use super::lead::Delivery;
use super::quit::QuitKind;
use crate::model::Term;
use crate::time::MonoTime;

/// The announcement that the ticket was given up (L10).
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    pub kind: AnnounceKind,
    pub term: Term,
    pub delivery: Delivery,
    /// This member's own term when it began.
    pub began: Option<Term>,
    /// It is repeated until then at least.
    pub until: MonoTime,
}

/// What is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceKind {
    /// REVOKE: an administrator took the ticket back.
    Revoke,
    /// VOTE_FOR nobody: somebody else shall take it.
    StepDown,
}

impl AnnounceKind {
    /// What a way of giving up is announced with.
    pub fn of(kind: QuitKind) -> AnnounceKind {
        match kind {
            QuitKind::Revoke => AnnounceKind::Revoke,
            QuitKind::StepDown => AnnounceKind::StepDown,
        }
    }
}
