// SPDX-License-Identifier: GPL-2.0-or-later
//! A ticket of either kind, as the engine keeps it, and the order of a step.

use super::cx::Cx;
use super::state::{Leased, Manual};
use super::ticket::{Kind, Ticket};
use crate::model::{Roster, TicketIndex, TicketMode, TicketSpec};
use crate::prng::Prng;
use crate::time::MonoTime;
use alloc::boxed::Box;

/// A ticket of either kind.
#[derive(Debug)]
pub(super) enum AnyTicket {
    /// With a lease.
    Leased(Box<Ticket<Leased>>),
    /// Without one: administrators grant and revoke (L14).
    Manual(Box<Ticket<Manual>>),
}

/// Does the same with a ticket of either kind: `either!(ticket, t => t.holding())`. Without a
/// ticket it is an act for [`AnyTicket::step`]: `either!(|t, cx| t.begin(cx))`.
macro_rules! either {
    (|$t:ident, $cx:pat_param| $same:expr) => {
        |ticket: &mut AnyTicket, $cx: &mut Cx<'_>| either!(ticket, $t => $same)
    };
    ($ticket:expr, $t:ident => $same:expr) => {
        match $ticket {
            AnyTicket::Leased($t) => $same,
            AnyTicket::Manual($t) => $same,
        }
    };
}
pub(super) use either;

impl AnyTicket {
    /// A ticket of which nothing is known yet.
    pub fn new(index: TicketIndex, spec: TicketSpec, roster: &Roster, prng: &mut Prng) -> Self {
        match spec.mode {
            TicketMode::Manual => {
                AnyTicket::Manual(Box::new(Ticket::new(index, spec, roster, prng)))
            }
            TicketMode::Automatic => {
                AnyTicket::Leased(Box::new(Ticket::new(index, spec, roster, prng)))
            }
        }
    }

    /// The ticket, if it is one with a lease.
    pub fn leased(&self) -> Option<&Ticket<Leased>> {
        match self {
            AnyTicket::Leased(ticket) => Some(ticket),
            AnyTicket::Manual(_) => None,
        }
    }

    /// The ticket, if it is one with a lease.
    pub fn leased_mut(&mut self) -> Option<&mut Ticket<Leased>> {
        match self {
            AnyTicket::Leased(ticket) => Some(ticket),
            AnyTicket::Manual(_) => None,
        }
    }

    /// Whether this site holds the ticket, or is granting it.
    pub fn holding(&self) -> bool {
        either!(self, t => t.holding())
    }

    /// The first instant for which the ticket waits.
    pub fn nearest(&self) -> Option<MonoTime> {
        either!(self, t => t.nearest())
    }

    /// One step: what has ended by now ends, then `act`, then what is due, then what every step
    /// ends with. Returns the first instant for which the ticket waits after it.
    pub fn step(
        &mut self,
        cx: &mut Cx<'_>,
        act: impl FnOnce(&mut AnyTicket, &mut Cx<'_>),
    ) -> Option<MonoTime> {
        either!(self, t => Kind::fold(t, cx));
        act(self, cx);
        either!(self, t => {
            t.run_due(cx);
            Kind::end_step(t, cx);
            if !cx.asked {
                t.tell_changes(cx);
            }
            let nearest = t.nearest();
            t.check_invariants(cx, nearest);
            nearest
        })
    }
}
