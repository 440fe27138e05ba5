// SPDX-License-Identifier: GPL-2.0-or-later
//! How often each fault and each kind of world really happened: a fault that is in the tables but
//! never takes place proves nothing.

use super::plan::{Plan, Trouble};
use booth_core::model::{MemberRole, TicketMode};
use std::collections::BTreeMap;

/// Everything that is counted; a long run has none of them at zero (`main.rs`).
const ALL: [&str; 103] = [
    "world: 2 members",
    "world: 3 members",
    "world: 4 members",
    "world: 5 members",
    "world: 6 members",
    "world: 7 members",
    "world: 9 members",
    "world: 10 to 16 members",
    "world: no arbitrator",
    "world: 1 ticket",
    "world: 2 tickets",
    "world: 3 tickets",
    "world: 4 tickets",
    "world: manual ticket",
    "world: handler",
    "world: weights",
    "world: keys",
    "world: clock rates 0.5 % apart",
    "world: wall clocks apart",
    "datagram: lost",
    "datagram: doubled",
    "datagram: late",
    "datagram: late by more than a lease",
    "datagram: damaged",
    "datagram: cut off",
    "datagram: on a far link",
    "datagram: clogged",
    "read: slow",
    "read: fails",
    "read: hangs",
    "grant: slow",
    "grant: fails",
    "grant: hangs",
    "grant: hangs, then takes effect",
    "grant: says done, does nothing",
    "grant: says failed, takes effect",
    "revoke: slow",
    "revoke: fails",
    "revoke: hangs",
    "revoke: hangs, then takes effect",
    "revoke: says failed, takes effect",
    "store: a killed call takes effect",
    "handler: fails",
    "handler: hangs",
    "handler: slow",
    "timer: late",
    "process: ends",
    "process: is asked to end",
    "process: starts on the other machine",
    "process: starts on a machine that knows nothing of it",
    "process: is stopped",
    "machine: dies with its guard",
    "machine: dies with the store",
    "machine: died, granted until boothd revoked",
    "wall clock: set while boothd runs",
    "old datagrams repeated",
    "garbage",
    "administrator: grants",
    "administrator: revokes",
    "administrator: overrides",
    "administrator: changes a mind",
    "administrator: leaves",
    "administrator: attribute",
    "prereq: auto, holds",
    "prereq: manual, holds",
    "store at the start: granted, expired",
    "store at the start: granted",
    "store at the start: owned by nobody",
    "store at the start: owner not known",
    "store at the start: owner is no member",
    "store at the start: owned by a member",
    "store: loses a ticket while boothd runs",
    "store: loses a ticket while boothd is down",
    "world: attr-prereq",
    "store: hangs for long",
    "store: fails for long",
    "store: is slow for long",
    "store: misstates its revokes for long",
    "members: expire differs",
    "members: other times differ",
    "members: one lacks a ticket",
    "members: expire is raised",
    "members: expire is lowered safely",
    "members: expire is lowered at once",
    "loop: overloaded",
    "loop: a datagram finds no room",
    "queue: slow",
    "queue: a report crosses a wish",
    "guard: revokes",
    "guard: retires",
    "keeper: is taken over",
    "keeper: goes when it is not needed",
    "keeper: a killed process is there for long",
    "keeper: is killed while boothd lives",
    "keeper: is killed while boothd is down or stopped",
    "keeper: is stopped while boothd lives",
    "keeper: is stopped while boothd is down or stopped",
    "keeper: is replaced by a boothd that lives",
    "keeper: is killed with something under way",
    "wall clock: set while boothd is down, and the keeper knows",
    "revoke: slow for long, and succeeds",
    "read: waits until the store is quiet",
    "read: is put right by what the keeper knows",
];

/// What happened how often.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// Something happened.
    pub fn note(&mut self, what: &'static str) {
        debug_assert!(ALL.contains(&what), "{what} is not in the list");
        *self.0.entry(what).or_insert(0) += 1;
    }

    /// A run with this plan begins.
    pub fn begin(&mut self, plan: &Plan) {
        self.note(match plan.members() {
            2 => "world: 2 members",
            3 => "world: 3 members",
            4 => "world: 4 members",
            5 => "world: 5 members",
            6 => "world: 6 members",
            7 => "world: 7 members",
            8 | 9 => "world: 9 members",
            _ => "world: 10 to 16 members",
        });
        self.note(match plan.tickets.len() {
            1 => "world: 1 ticket",
            2 => "world: 2 tickets",
            3 => "world: 3 tickets",
            _ => "world: 4 tickets",
        });
        let rates = |pick: fn(i64, i64) -> i64| {
            plan.clocks.iter().flatten().map(|clock| clock.ppm).reduce(pick).unwrap_or(0)
        };
        let manual = |mode| mode == TicketMode::Manual;
        let of_tickets = [
            ("world: manual ticket", plan.tickets.iter().any(|spec| manual(spec.mode))),
            ("world: handler", plan.tickets.iter().any(|spec| spec.has_handler)),
            ("world: weights", plan.tickets.iter().any(|spec| !spec.weights.is_empty())),
            ("world: no arbitrator", !plan.roles.contains(&MemberRole::Arbitrator)),
            ("world: attr-prereq", plan.worlds.rules),
            ("world: keys", plan.keyed),
            ("world: clock rates 0.5 % apart", rates(i64::max) - rates(i64::min) >= 4_900),
            ("world: wall clocks apart", plan.clocks.iter().flatten().any(|c| c.wall != 0)),
        ];
        for (what, _) in of_tickets.into_iter().filter(|(_, is)| *is) {
            self.note(what);
        }
    }

    /// A disturbance of the plan takes place.
    pub fn trouble(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::WallJump { .. } => self.note("wall clock: set while boothd runs"),
            Trouble::Replay { .. } => self.note("old datagrams repeated"),
            Trouble::Attribute { .. } => self.note("administrator: attribute"),
            Trouble::Garbage { .. } => self.note("garbage"),
            Trouble::Configure { .. }
            | Trouble::Sick { .. }
            | Trouble::Keeper { .. }
            | Trouble::Lose { .. }
            | Trouble::Busy { .. }
            | Trouble::Crash { .. }
            | Trouble::MachineDies { .. }
            | Trouble::Pause { .. }
            | Trouble::Cut { .. }
            | Trouble::Split { .. }
            | Trouble::Only { .. }
            | Trouble::Clog { .. }
            | Trouble::Admin { .. }
            | Trouble::Aim(_) => {}
        }
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Coverage) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_insert(0) += count;
        }
    }

    /// What never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        ALL.into_iter().filter(|what| !self.0.contains_key(what)).collect()
    }

    /// Everything with its count, a few a line.
    pub fn text(&self) -> String {
        let count = |what: &str| self.0.get(what).copied().unwrap_or(0);
        let all: Vec<String> = ALL.iter().map(|what| format!("{what} {}", count(what))).collect();
        all.chunks(4).map(|line| line.join("; ")).collect::<Vec<_>>().join("\n")
    }
}
