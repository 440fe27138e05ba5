// SPDX-License-Identifier: GPL-2.0-or-later
//! A ticket that is being given up (L6, L10).

use crate::model::Term;
use crate::time::MonoTime;

/// A ticket that is being given up.
#[derive(Clone, Copy, Debug)]
pub struct Quit {
    pub kind: QuitKind,
    /// The term whose end is announced; `None`: nothing was led, nothing is announced.
    pub term: Option<Term>,
    /// The term in which this site had the ticket when it began: it may have been elected again
    /// since.
    pub since: Option<Term>,
    /// When this site may stand again.
    pub stand_at: Option<MonoTime>,
    /// Whether the log says that the lease goes on meanwhile.
    pub told: bool,
    /// The lease has ended meanwhile, so that another site may have won.
    pub lapsed: bool,
    /// An administrator has ordered it.
    pub ordered: bool,
    /// Nobody had the ticket: the grant that made this site win it has failed.
    pub free: bool,
    /// It was a step-down before an administrator ordered a revoke.
    pub stepped_down: bool,
}

impl Quit {
    /// Whether an administrator's revoke frees nothing if the lease ends before the store obeys.
    pub fn is_taken_back(&self) -> bool {
        self.kind == QuitKind::Revoke && self.ordered && !self.free
    }
}

/// Why a ticket is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuitKind {
    /// An administrator revoked it.
    Revoke,
    /// Somebody else shall take it.
    StepDown,
}
