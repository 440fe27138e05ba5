// SPDX-License-Identifier: GPL-2.0-or-later
//! A model of one member that runs boothd 1.2: what it was observed to do
//! (`test/reference-behaviour.md`), its faults included.
//!
//! It takes the events and gives the effects of the engine that ships, so that both fit into the
//! same world. `test/interop/model` plays the same packets to it and to the real program.
//!
//! What it leaves out: manual tickets, attributes, `list` and `peers` (answered with an error);
//! the before-acquire handler runs at once, its outcome comes as an event. Unlike the real one it
//! does not abort on a heartbeat in another's name: no member of ours sends one.

mod lead;
mod messages;
mod ticket;

use booth_core::engine::{CibLoad, Effect, Event, ProbeOutcome, Reply};
use booth_core::model::{Roster, TicketIndex, TicketSpec};
use booth_core::prng::Prng;
use booth_core::time::{MonoTime, Now, Span};
use booth_core::wire::{ClientRequest, ResultCode};
use ticket::Ticket;

/// It looks at its timers and children this often.
const LOOK: Span = Span::from_millis(100);

/// One member that runs the reference.
#[derive(Debug)]
pub struct Model {
    roster: Roster,
    tickets: Vec<Ticket>,
    prng: Prng,
    /// When it looks at its timers for the first time; then every [`LOOK`].
    phase: MonoTime,
}

/// What a ticket's code needs of the rest.
struct Cx<'a> {
    now: Now,
    roster: &'a Roster,
    prng: &'a mut Prng,
    effects: &'a mut Vec<Effect>,
}

impl Model {
    /// A process that has not started.
    pub fn new(roster: Roster, tickets: Vec<TicketSpec>, seed: u64) -> Model {
        let ticket = |(index, spec)| Ticket::new(TicketIndex::new(index), spec, roster.len());
        let tickets = tickets.into_iter().enumerate().map(ticket).collect();
        Model { roster, tickets, prng: Prng::new(seed), phase: MonoTime::ZERO }
    }

    /// One event.
    pub fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let Model { roster, tickets, prng, phase } = self;
        let cx = &mut Cx { now, roster, prng, effects };
        match event {
            Event::Start => {
                *phase = now.mono;
                for ticket in tickets {
                    ticket.start(cx);
                }
            }
            Event::CibLoaded { ticket, outcome } => {
                // Every failure is taken for a ticket that does not exist.
                let found = match outcome {
                    CibLoad::Loaded(found) => found,
                    CibLoad::Absent | CibLoad::Failed(_) => Default::default(),
                };
                tickets[ticket.get()].loaded(cx, &found);
            }
            Event::Peer { from, message } => {
                if let Some(ticket) = tickets.iter_mut().find(|t| t.spec.name == message.ticket) {
                    ticket.hears(cx, from, &message);
                }
            }
            Event::ProbeDone { ticket, outcome, .. } => {
                tickets[ticket.get()].probed(cx, outcome == ProbeOutcome::Success);
            }
            Event::Due { .. } => {
                for ticket in tickets {
                    ticket.timer(cx);
                }
            }
            Event::Client { client, request } => match request {
                ClientRequest::Grant { ticket: Some(name), options } => {
                    if let Some(ticket) = tickets.iter_mut().find(|t| t.spec.name == name) {
                        ticket.grant(cx, client, options);
                    }
                }
                ClientRequest::Revoke { ticket: Some(name), .. } => {
                    if let Some(ticket) = tickets.iter_mut().find(|t| t.spec.name == name) {
                        ticket.revoke(cx, client);
                    }
                }
                _ => {
                    let reply = Reply::Result(ResultCode::InvalidArg);
                    cx.effects.push(Effect::Reply { client, reply, last: true });
                }
            },
            Event::ClientGone { client } => {
                for ticket in tickets {
                    ticket.clients.retain(|waiting| waiting.client != client);
                }
            }
            Event::PeerRejected { .. }
            | Event::CibWritten { .. }
            | Event::AttrWritten { .. }
            | Event::SendFailed { .. }
            | Event::Dump
            | Event::Shutdown => {}
        }
    }

    /// When it looks at its timers next, if one will have run out by then.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        let due = self.tickets.iter().filter_map(Ticket::due).min()?;
        let looks = due.since(self.phase).as_micros().div_ceil(LOOK.as_micros());
        Some(self.phase.plus(LOOK.times(looks)))
    }
}
