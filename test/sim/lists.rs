// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether `booth list` is true (C4). Every member is asked now and then, beside the plan: the
//! question is no part of it, and an engine that is asked does nothing else. One that is stopping
//! answers nobody.
//!
//! - A ticket that is said to be free is not granted in the store of that site; and in none of
//!   another site, unless this one was told that it is free.
//! - Who says that it has a lease says when that ends: not before the end of the window that it
//!   gave its store, by more than the second which is cut off.
//! - A commit is pending only where the site itself is said to have the ticket.

use super::world::World;
use booth_core::engine::{ClientId, Effect, Event, Reply, TicketRow};
use booth_core::model::Holder;
use booth_core::time::Span;
use booth_core::wire::ClientRequest;

/// One step of so many is followed by a question.
const EVERY: u64 = 16;

/// No client of the plan has this number.
const CLIENT: ClientId = ClientId(u64::MAX);

impl World {
    /// Asks a member that has just made a step.
    pub fn look_at_list(&mut self, n: usize) {
        let at_once = self.nodes[n].paused.is_none() && self.decided == self.now;
        if self.steps % EVERY != 0 || self.faithful(n) || !at_once {
            return;
        }
        let node = &mut self.nodes[n];
        let Some(engine) = node.engine.as_mut() else { return };
        let now = node.clocks[node.machine].now(self.now);
        if node.wheel.next().is_some_and(|(at, _)| at <= now.mono) {
            // Another ticket has something to do before.
            return;
        }
        let mut effects = Vec::new();
        engine.step(
            now,
            Event::Client { client: CLIENT, request: ClientRequest::List },
            &mut effects,
        );
        let mut rows = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { client: CLIENT, reply: Reply::Tickets(said), last: true } => {
                    rows.extend(said);
                }
                // What a deadline counted for is over, without any event.
                Effect::Arm { .. } | Effect::Disarm { .. } | Effect::Reply { .. } => {
                    self.perform(n, effect);
                }
                other => self.fail("C4", format!("m{n} is asked for a list, and {other:?}")),
            }
        }
        for row in rows {
            let ticket = self.plan.tickets.iter().position(|spec| spec.name == row.name);
            if let Some(ticket) = ticket {
                self.check_row(n, ticket, &row);
            }
        }
    }

    /// Looks at one line.
    pub fn check_row(&mut self, n: usize, ticket: usize, row: &TicketRow) {
        if row.leader == Holder::Nobody {
            self.check_said_free(n, ticket, "C4");
        }
        let mine = row.leader == Holder::Member(self.ids[n]);
        if row.commit_pending.is_some() && !mine {
            let text = format!("m{n} lists a pending commit of t{ticket}, and {:?}", row.leader);
            self.fail_of(ticket, "C4", text);
        }
        let node = &self.nodes[n];
        let window = node.wished[ticket].0.filter(|_| mine);
        if let (Some(window), Some(expires)) = (window, row.expires) {
            let now = node.clocks[node.machine].now(self.now);
            let early = expires.plus(Span::from_secs(1)) < now.wall_at(window.lease_until);
            if early && now.mono < window.lease_until {
                let text = format!(
                    "m{n} lists t{ticket} as ending at {expires:?}, its window is {window:?}"
                );
                self.fail_of(ticket, "C4", text);
            }
        }
    }
}
