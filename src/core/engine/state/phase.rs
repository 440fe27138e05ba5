// SPDX-License-Identifier: GPL-2.0-or-later
//! The stage of a ticket at this member. Only the `become_` functions here change it.

use super::attempt::Attempt;
use crate::time::MonoTime;

/// The stage of a ticket at this member.
#[derive(Debug)]
pub struct Phase(Stage);

#[derive(Debug)]
enum Stage {
    Loading(Loading),
    Follower,
    Candidate(Attempt),
    Leader,
}

/// How far the start of a site has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    /// The store is being read.
    Reading,
    /// Reading failed so often in a row; it is tried again at this instant, or (`None`) just now.
    Failed { retry_at: Option<MonoTime>, failures: u32 },
    /// It said that a lease which has ended is granted here: that is being revoked.
    Revoking,
}

impl Loading {
    /// How often in a row reading has failed.
    pub fn failures(self) -> u32 {
        match self {
            Loading::Failed { failures, .. } => failures,
            Loading::Reading | Loading::Revoking => 0,
        }
    }
}

impl Phase {
    /// A site has not read its store yet (L9); an arbitrator has none.
    pub fn at_start(site: bool) -> Phase {
        Phase(if site { Stage::Loading(Loading::Reading) } else { Stage::Follower })
    }

    /// The store is read again, later, or cannot be used yet.
    pub fn become_loading(&mut self, loading: Loading) {
        self.0 = Stage::Loading(loading);
    }

    /// Follows a leader, or nobody. Returns the attempt that this ends, if one was under way.
    pub fn become_follower(&mut self) -> Option<Attempt> {
        match core::mem::replace(&mut self.0, Stage::Follower) {
            Stage::Candidate(attempt) => Some(attempt),
            Stage::Loading(_) | Stage::Follower | Stage::Leader => None,
        }
    }

    /// A candidate becomes a follower; `None`: it is none. Returns its attempt.
    pub fn end_attempt(&mut self) -> Option<Attempt> {
        if self.is_candidate() {
            self.become_follower()
        } else {
            None
        }
    }

    /// Stands for election.
    pub fn become_candidate(&mut self, attempt: Attempt) {
        self.0 = Stage::Candidate(attempt);
    }

    /// Has won the term of its lead, or claims a manual ticket.
    pub fn become_leader(&mut self) {
        self.0 = Stage::Leader;
    }

    /// Whether this is a site that has not read its store, or not yet revoked what it found there
    /// (L9).
    pub fn is_loading(&self) -> bool {
        self.loading().is_some()
    }

    pub fn loading(&self) -> Option<Loading> {
        match self.0 {
            Stage::Loading(loading) => Some(loading),
            Stage::Follower | Stage::Candidate(_) | Stage::Leader => None,
        }
    }

    pub fn is_follower(&self) -> bool {
        matches!(self.0, Stage::Follower)
    }

    pub fn is_candidate(&self) -> bool {
        self.attempt().is_some()
    }

    pub fn is_leader(&self) -> bool {
        matches!(self.0, Stage::Leader)
    }

    /// The attempt of a candidate.
    pub fn attempt(&self) -> Option<&Attempt> {
        match &self.0 {
            Stage::Candidate(attempt) => Some(attempt),
            Stage::Loading(_) | Stage::Follower | Stage::Leader => None,
        }
    }

    pub fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match &mut self.0 {
            Stage::Candidate(attempt) => Some(attempt),
            Stage::Loading(_) | Stage::Follower | Stage::Leader => None,
        }
    }

    /// The four letters that people know from the reference's log.
    pub fn word(&self) -> &'static str {
        match self.0 {
            Stage::Loading(_) => "Init",
            Stage::Follower => "Fllw",
            Stage::Candidate(_) => "Cndi",
            Stage::Leader => "Lead",
        }
    }
}
