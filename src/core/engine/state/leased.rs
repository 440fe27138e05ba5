// SPDX-License-Identifier: GPL-2.0-or-later
//! What a ticket with a lease has besides what every ticket has.

use super::bound::{Acquire, Bound};
use super::differs::Differs;
use super::grace::Grace;
use super::heard::Heard;
use super::known::{Unleased, Vote};
use super::lead::Lead;
use super::lease::Promise;
use super::objections::Objections;
use super::stand::Stand;
use super::verified::Verified;
use crate::model::{MemberSet, Roster, Term};
use crate::time::MonoTime;
use alloc::vec;
use alloc::vec::Vec;

/// What a ticket with a lease has besides what every ticket has.
#[derive(Debug)]
pub struct Leased {
    /// The highest term used, voted in, accepted, heard of in a reply or read (L1).
    pub seen: Option<Term>,
    /// The highest term in which it voted for or accepted another (L4(2)).
    pub floor: Option<Term>,
    /// The vote in the highest term voted in.
    pub vote: Option<Vote>,
    /// Its word to another member.
    pub promise: Option<Promise>,
    /// Per member: the highest term whose end it announced (L4(3)).
    pub ended: Vec<Option<Term>>,
    /// The last that others have said of the ticket.
    pub heard: Heard,
    /// Members whose last message that could carry a mark of `RULES.md` had one.
    pub marking: MemberSet,
    /// Whose `expire` is another one.
    pub differs: Differs,
    /// The highest term in which another member was said to lead, whether or not that was believed.
    pub rumour: Option<Term>,
    /// The lead of the last term won, as long as it lasts.
    pub lead: Option<Lead>,
    /// What a restarted holder may still count on (L9): the end of its old lease at most.
    pub inherited: Option<MonoTime>,
    pub grace: Option<Grace>,
    /// Who is known to lead while grace lasts.
    pub verified: Verified,
    /// When this site stands, if nothing comes between.
    pub stand: Option<Stand>,
    /// Attempts in a row that no majority has answered.
    pub unheard: u32,
    /// Who answered the last attempt that failed.
    pub answered_last: MemberSet,
    /// The end of a commit delay whose leader lost its lease: it belongs to the ticket (L8).
    pub commit_not_before: Option<MonoTime>,
    /// To whom its word bound it, and until when.
    pub bound_to: Bound,
    /// What a ticket that moves by itself waits for before it is granted.
    pub acquire: Acquire,
    /// The ticket was free when this site won it, and it has not been granted since.
    pub won_free: bool,
    /// In which term this site knew a holder, or a revoke, when it won.
    pub won_over: Option<Term>,
    /// The last win that it gave up without a lease.
    pub unleased: Option<Unleased>,
    /// The terms that this site won last in this life, the newest at the end.
    pub wins: Vec<Term>,
    /// Sites whose store may say *granted*.
    pub objections: Objections,
    /// An administrator has revoked a win that has no lease yet.
    pub revoke_wanted: bool,
}

impl Leased {
    /// Nothing is known yet.
    pub fn at_start(roster: &Roster) -> Leased {
        Leased {
            seen: None,
            floor: None,
            vote: None,
            promise: None,
            ended: vec![None; roster.len()],
            heard: Heard::default(),
            marking: MemberSet::EMPTY,
            differs: Differs::default(),
            rumour: None,
            lead: None,
            inherited: None,
            grace: None,
            verified: Verified::new(roster.len()),
            stand: None,
            unheard: 0,
            answered_last: MemberSet::EMPTY,
            commit_not_before: None,
            bound_to: Bound::new(roster.len()),
            acquire: Acquire::default(),
            won_free: false,
            won_over: None,
            unleased: None,
            wins: Vec::new(),
            objections: Objections::none(roster.len()),
            revoke_wanted: false,
        }
    }
}
