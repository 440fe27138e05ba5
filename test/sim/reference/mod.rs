// SPDX-License-Identifier: GPL-2.0-or-later
//! Mixed clusters: members that speak as the C reference does, beside ours.
//!
//! Two manners. [`Manner::Rules`]: the engine that ships behind the reference's wire format (no
//! rounds, marks or nonces, neither sent nor read), so it behaves as `RULES.md` requires of a
//! member that cannot say more. [`Manner::Faithful`]: a model of what boothd 1.2 was observed to
//! do, its faults included.

pub mod blame;
pub mod brain;
pub mod model;

use super::choice::mix;
use super::clock::True;
use super::runner::Settings;
use super::world::World;
use booth_core::model::MemberRole;
use booth_core::wire::{PeerBody, PeerMessage, Stamp};

/// How a member behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// It is ours.
    #[default]
    Ours,
    /// The reference's wire format, the rules of `RULES.md`.
    Rules,
    /// The reference as it is.
    Faithful,
}

/// Who the members of a run are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// All are ours.
    #[default]
    None,
    /// Some, by the seed, are of this manner; at least one is, and at least one is ours.
    Some(Manner),
    /// The arbitrators are of this manner (the last site if there is none).
    Arbitrators(Manner),
    /// The first site is of this manner.
    OneSite(Manner),
    /// All sites are of this manner (all but the last if there is no arbitrator).
    Sites(Manner),
    /// All members are of this manner.
    All(Manner),
}

impl Mix {
    /// The manner of each member.
    pub fn cast(self, seed: u64, roles: &[MemberRole]) -> Vec<Manner> {
        let count = roles.len();
        let sites = roles.iter().filter(|role| **role == MemberRole::Site).count();
        let (manner, chosen): (Manner, u16) = match self {
            Mix::None => (Manner::Ours, 0),
            Mix::Some(manner) => (manner, some_of(seed, count)),
            Mix::Arbitrators(manner) if sites == count => (manner, 1 << (sites - 1)),
            Mix::Arbitrators(manner) => (manner, bits(sites..count)),
            Mix::OneSite(manner) => (manner, 1),
            Mix::Sites(manner) if sites == count => (manner, bits(0..count - 1)),
            Mix::Sites(manner) => (manner, bits(0..sites)),
            Mix::All(manner) => (manner, bits(0..count)),
        };
        (0..count).map(|m| if (chosen >> m) & 1 == 1 { manner } else { Manner::Ours }).collect()
    }
}

fn bits(members: std::ops::Range<usize>) -> u16 {
    members.fold(0, |set, m| set | (1 << m))
}

/// Some members, neither none nor all.
fn some_of(seed: u64, count: usize) -> u16 {
    let all = bits(0..count);
    let mut roll = mix(seed ^ 0x6D69_7865);
    loop {
        // Half of the rolls are neither empty nor full, also with two members.
        let chosen = u16::try_from(roll & u64::from(all)).unwrap_or(1);
        if chosen != 0 && chosen != all {
            return chosen;
        }
        roll = mix(roll);
    }
}

/// A kind of mixed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reference members that keep the rules, whose packets come in time or never.
    Rules,
    /// The same, but their packets may be late or come again.
    RulesLate,
    /// The reference as it is.
    Faithful,
    /// The reference as it is at the arbitrators (at the last site if there is none).
    Arbitrators,
    /// The reference as it is at the first site.
    OneSite,
    /// The reference as it is at the sites (all but the last if there is no arbitrator).
    Sites,
    /// The reference as it is at every member, for comparison.
    All,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 7] = [
        Mode::Rules,
        Mode::RulesLate,
        Mode::Faithful,
        Mode::Arbitrators,
        Mode::OneSite,
        Mode::Sites,
        Mode::All,
    ];

    /// Where the reference as it is can stand; everywhere first.
    pub const POSITIONS: [Mode; 5] =
        [Mode::All, Mode::Sites, Mode::OneSite, Mode::Faithful, Mode::Arbitrators];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Rules => "rules",
            Mode::RulesLate => "rules-late",
            Mode::Faithful => "faithful",
            Mode::Arbitrators => "arbitrators",
            Mode::OneSite => "one-site",
            Mode::Sites => "sites",
            Mode::All => "all",
        }
    }

    /// The mode with this name.
    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The settings of a run.
    pub fn settings(self) -> Settings {
        let (mix, prompt) = match self {
            Mode::Rules => (Mix::Some(Manner::Rules), true),
            Mode::RulesLate => (Mix::Some(Manner::Rules), false),
            Mode::Faithful => (Mix::Some(Manner::Faithful), true),
            Mode::Arbitrators => (Mix::Arbitrators(Manner::Faithful), true),
            Mode::OneSite => (Mix::OneSite(Manner::Faithful), true),
            Mode::Sites => (Mix::Sites(Manner::Faithful), true),
            Mode::All => (Mix::All(Manner::Faithful), true),
        };
        Settings { mix, prompt, ..Settings::default() }
    }
}

/// What is left of a message in the reference's wire format: every field that it leaves empty is.
pub fn plain(message: &PeerMessage) -> PeerMessage {
    let stamp = Stamp::default();
    let body = match message.body {
        PeerBody::Status { .. } => PeerBody::Status { nonce: 0 },
        PeerBody::MyIndex { .. } => PeerBody::MyIndex { nonce: 0 },
        PeerBody::ReqVote { reason, .. } => {
            PeerBody::ReqVote { reason, established: false, force: false, nonce: 0 }
        }
        PeerBody::Vote { .. } => PeerBody::Vote { vouched: false, unbound_for: None, last: None },
        PeerBody::StepDown { reason, .. } => PeerBody::StepDown { reason, stamp },
        PeerBody::Heartbeat { .. } => PeerBody::Heartbeat { stamp },
        PeerBody::Update { .. } => PeerBody::Update { stamp },
        PeerBody::Revoke { reason, .. } => PeerBody::Revoke { reason, stamp },
        PeerBody::Ack { of, .. } => PeerBody::Ack { of, round: None },
        PeerBody::Rejected { of, result, .. } => PeerBody::Rejected { of, result, granted: false },
    };
    PeerMessage { body, ..message.clone() }
}

impl World {
    /// Whether some member runs the model.
    pub fn faithful_among(&self) -> bool {
        self.manners.contains(&Manner::Faithful)
    }

    /// Whether a datagram from or to a reference member has been under way for too long to be
    /// told from a fresh one: such a member's packets carry no round, so the promise in mixed
    /// clusters ends where they are late by more than `timeout * (retries + 1)` (RULES.md, L5).
    /// Where they are let through all the same (`rules-late`), that is remembered.
    pub fn reference_lost(&mut self, from: usize, to: usize, sent: True) -> bool {
        let plain = |m: usize| self.manners[m] != Manner::Ours;
        let patience = self.plan.tickets.iter().map(|spec| spec.patience().as_micros()).min();
        let late = (plain(from) || plain(to)) && self.now - sent > patience.unwrap_or(0);
        if late && !self.prompt {
            self.checks.blame.late_at = Some(self.now);
        }
        self.prompt && late
    }

    /// Whether such a datagram has come within the last two of the longest leases.
    pub fn reference_was_late(&self) -> bool {
        let longest = self.plan.tickets.iter().map(|spec| spec.expire.as_micros()).max();
        let two = longest.unwrap_or(0) * 2;
        self.checks.blame.late_at.is_some_and(|at| self.now <= at + two)
    }
}
