// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading all tickets in one call at the start, where the store can (P20).
//!
//! What it finds is believed, since it is the same element that a call for one ticket prints.
//! A ticket that it does not find, and every ticket if it fails, is asked for alone: that alone
//! tells an absent ticket from one that could not be read.

use super::config::ExecutorConfig;
use crate::engine::CibTicket;
use crate::model::TicketIndex;
use crate::slots::JobId;
use crate::store::child::{Child, Finished};
use crate::time::{MonoTime, Span};
use std::collections::BTreeMap;

/// How many tickets make one call for all worth while.
pub(super) const TICKETS_MIN: usize = 4;
/// How long the call may take; then the tickets are asked for one by one.
pub(super) const LIMIT: Span = Span::from_secs(2);
/// How long an answer is of use.
const FRESH: Span = Span::from_secs(10);

/// Reads that wait for the call.
pub(super) type Waiting = Vec<(JobId, TicketIndex)>;

/// The one call, and what is known from it.
#[derive(Debug)]
pub(super) enum Bulk {
    /// It has not been made.
    Untried,
    /// It runs; these reads wait for it.
    Running(Box<Child>, Waiting, MonoTime),
    /// Its answer, until when it is of use. A ticket is taken out when it is used or changed.
    Known(BTreeMap<String, CibTicket>, MonoTime),
    /// It is over.
    Over,
}

impl Bulk {
    /// What the call found out about a ticket, once.
    pub(super) fn take(&mut self, name: &str, now: MonoTime) -> Option<CibTicket> {
        match self {
            Bulk::Known(tickets, until) if now < *until => tickets.remove(name),
            Bulk::Known(..) => {
                *self = Bulk::Over;
                None
            }
            Bulk::Untried | Bulk::Running(..) | Bulk::Over => None,
        }
    }

    /// The ticket is about to be changed: what was found out about it is old.
    pub(super) fn forget(&mut self, name: &str) {
        if let Bulk::Known(tickets, _) = self {
            tickets.remove(name);
        }
    }

    /// The call has ended, or has been given up (`None`). Tells its process, and which reads
    /// waited for it.
    pub(super) fn finish(
        &mut self,
        config: &ExecutorConfig,
        finished: Option<&Finished>,
        now: MonoTime,
    ) -> (Option<Box<Child>>, Waiting) {
        let Bulk::Running(child, waiting, _) = std::mem::replace(self, Bulk::Over) else {
            return (None, Waiting::new());
        };
        let names = config.tickets.iter().map(|ticket| &ticket.name);
        let tickets = finished.map(|finished| config.reader().all(names, finished));
        *self = Bulk::Known(tickets.unwrap_or_default(), now.plus(FRESH));
        (Some(child), waiting)
    }
}
