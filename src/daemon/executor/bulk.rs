// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading all tickets in one call at the start, where the store can (P20).
//!
//! What it finds is believed, since it is the same element that a call for one ticket prints.
//! A ticket that it does not find, and every ticket if it fails, is asked for alone: that alone
//! tells an absent ticket from one that could not be read.

use super::ExecutorConfig;
use crate::config::TicketStore;
use crate::daemon::child::{Child, Finished};
use crate::daemon::helper::store;
use crate::engine::{CibLoad, CibTicket};
use crate::keeper;
use crate::model::TicketIndex;
use crate::pacemaker;
use crate::slots::JobId;
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
        match self {
            Bulk::Known(tickets, _) => {
                tickets.remove(name);
            }
            Bulk::Untried | Bulk::Running(..) | Bulk::Over => {}
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
        let good = finished.filter(|finished| finished.status.success() && !finished.cut);
        let tickets = good.and_then(|finished| match config.store {
            TicketStore::Pacemaker => {
                let answer = String::from_utf8_lossy(&finished.output);
                let good = |(name, read): (String, pacemaker::Read)| Some((name, read.ok()?));
                let all = pacemaker::read_all(&answer).ok();
                all.map(|all| all.into_iter().filter_map(good).collect())
            }
            TicketStore::Directory(_) => {
                let names = config.tickets.iter().map(|ticket| ticket.name.to_string());
                let known = names.zip(read_lines(finished)).filter_map(|(name, load)| match load {
                    CibLoad::Loaded(ticket) => Some((name, ticket)),
                    CibLoad::Absent | CibLoad::Failed(_) => None,
                });
                Some(known.collect())
            }
        });
        if let Some(tickets) = tickets {
            *self = Bulk::Known(tickets, now.plus(FRESH));
        }
        (Some(child), waiting)
    }
}

/// What the helper of the built-in store says of each ticket, at least of one.
pub(super) fn read_lines(finished: &Finished) -> Vec<CibLoad> {
    let text = String::from_utf8_lossy(&finished.output);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let load = |line| match store::answer(line) {
        Some(keeper::JobEnd::Looked(load)) => load,
        _ => CibLoad::Failed("it answered a read like a change".to_owned()),
    };
    let mut loads: Vec<CibLoad> = whole.lines().map(load).collect();
    if loads.is_empty() {
        let why = finished.said().unwrap_or_else(|| finished.failure());
        loads.push(CibLoad::Failed(why));
    }
    loads
}
