// SPDX-License-Identifier: GPL-2.0-or-later
//! What a manual ticket has besides what every ticket has (L14).

use super::lease::ROUND_WINDOW;
use crate::model::{MemberIndex, MemberSet};
use crate::time::{MonoTime, Span};
use crate::wire::Round;
use alloc::collections::BTreeMap;

/// A question to a member: whether it holds the ticket, or whom it knows.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What the answer returns.
    pub nonce: u32,
    /// The packet that made the question necessary, if one did.
    pub about: Option<Doubt>,
}

/// A claim or REVOKE that may come from another life of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Doubt {
    /// A claim; else a REVOKE.
    pub claims: bool,
    pub round: Round,
}

/// How old a claim or REVOKE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Newer than anything that was accepted from its sender.
    New,
    /// The newest that was accepted, or older: it says nothing new.
    Old,
    /// From another life of its sender than what was accepted, or the first that is heard of it:
    /// an earlier life or a later one.
    Unclear,
}

/// How often a site repeats that it holds a manual ticket; and that the ticket was revoked, to
/// those who have not heard of it.
pub const REPEAT: Span = Span::from_secs(60);

/// What a manual ticket has besides what every ticket has.
#[derive(Clone, Debug, Default)]
pub struct Manual {
    /// Sites that claim the ticket, this one included.
    pub claims: MemberSet,
    /// Who has not acknowledged this site's claim.
    pub unacked: MemberSet,
    /// How often the claim, or STATUS, was sent again.
    pub tries: u32,
    /// Whether the next claim goes to everyone again.
    pub resting: bool,
    /// When the claim is sent again: to those who have not acknowledged it, or to everyone; or,
    /// at a site without one, STATUS to the sites that have not answered.
    pub say_at: Option<MonoTime>,
    /// Sites that have answered a STATUS of this life, or claimed or revoked in it.
    pub spoken: MemberSet,
    /// Sites that were asked because they asked, since all silent ones were asked last.
    pub asked: MemberSet,
    /// Per member: the STATUS that it has not answered.
    pub questions: BTreeMap<MemberIndex, Question>,
    /// Per member: the round of the newest claim or REVOKE that was accepted from it.
    pub heard: BTreeMap<MemberIndex, Round>,
    /// Members that have claimed or revoked something in this life.
    pub said: MemberSet,
}

impl Manual {
    /// How old a claim or REVOKE of a member is. A reference peer numbers nothing: it is new.
    pub fn age(&self, from: MemberIndex, round: Option<Round>) -> Age {
        let Some(round) = round else { return Age::New };
        let Some(last) = self.heard.get(&from) else { return Age::Unclear };
        match round.distance_from(*last) {
            ahead if ahead.abs() > ROUND_WINDOW => Age::Unclear,
            ahead if ahead > 0 => Age::New,
            _ => Age::Old,
        }
    }
}
