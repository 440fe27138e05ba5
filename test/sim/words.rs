// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages, events and effects as short text, for transcripts.

use super::world::World;
use booth_core::engine::{CibOutcome, Effect, Event, HoldWindow, JobWish, Reply, StoreWish};
use booth_core::model::{Holder, MemberRole};
use booth_core::time::MonoTime;
use booth_core::wire::{PeerBody, PeerMessage, Stamp};

impl World {
    /// The member's name in traces.
    pub fn name(&self, n: usize) -> String {
        let role = match self.plan.roles[n] {
            MemberRole::Site => "site",
            MemberRole::Arbitrator => "arb",
        };
        format!("{role}-{n}")
    }

    /// Adds a line to the history, if somebody wants to read it.
    pub fn trace(&mut self, text: impl FnOnce(&World) -> String) {
        if self.history.traced() {
            let text = text(self);
            self.history.line(self.now, || text);
        }
    }

    /// A holder by the member's name.
    pub fn who(&self, holder: Holder) -> String {
        match holder {
            Holder::Unknown => "unknown".into(),
            Holder::Nobody => "nobody".into(),
            Holder::Member(id) => {
                self.index_of(id).map_or_else(|| "a stranger".into(), |n| self.name(n))
            }
        }
    }

    /// A message between members.
    pub fn say(&self, message: &PeerMessage) -> String {
        let marks = |established: bool| if established { " established" } else { "" };
        let stamped = |name: &str, stamp: Stamp| {
            let round = stamp.round.map_or("none".into(), |round| round.get().to_string());
            format!("{name} round={round}{}", marks(stamp.established))
        };
        let body = match message.body {
            PeerBody::Status { nonce } => format!("Stat nonce={nonce}"),
            PeerBody::MyIndex { nonce } => format!("MIdx nonce={nonce}"),
            PeerBody::ReqVote { reason, established, force, nonce } => {
                let force = if force { " force" } else { "" };
                format!("RVot {reason:?}{}{force} nonce={nonce}", marks(established))
            }
            PeerBody::Vote { vouched, unbound_for, last } => {
                let last = last.map_or(String::new(), |last| {
                    format!(" {}={}", if last.free { "free" } else { "led" }, last.term)
                });
                format!("VtFr vouched={vouched} unbound={unbound_for:?}{last}")
            }
            PeerBody::StepDown { reason, stamp } => {
                stamped(&format!("VtFr-nobody {reason:?}"), stamp)
            }
            PeerBody::Heartbeat { stamp } => stamped("HrtB", stamp),
            PeerBody::Update { stamp } => stamped("UpdE", stamp),
            PeerBody::Revoke { reason, stamp } => stamped(&format!("Revk {reason:?}"), stamp),
            PeerBody::Ack { of, round } => {
                let round = round.map_or("none".into(), |round| round.get().to_string());
                format!("Ack of={of:?} round={round}")
            }
            PeerBody::Rejected { of, result, granted } => {
                format!("RJC! of={of:?} {result:?} granted={granted}")
            }
        };
        let (ticket, leader) = (&message.ticket, self.who(message.leader));
        format!("{ticket} {body} term={} leader={leader} valid={}", message.term, message.valid_for)
    }

    /// An event of a member.
    pub fn tell(&self, event: &Event) -> String {
        match event {
            Event::Peer { from, message } => {
                format!("{}: {}", self.name(from.get()), self.say(message))
            }
            Event::CibLoaded { ticket, outcome } => {
                format!("t{} loaded: {outcome:?}", ticket.get())
            }
            Event::CibWritten { ticket, serial, outcome } => {
                let outcome = match outcome {
                    CibOutcome::Failed(_) => "Failed".into(),
                    CibOutcome::Written
                    | CibOutcome::TooLate
                    | CibOutcome::Superseded
                    | CibOutcome::Killed => format!("{outcome:?}"),
                };
                format!("t{} write {}: {outcome}", ticket.get(), serial.0)
            }
            Event::Due { ticket } => format!("t{} is due", ticket.get()),
            Event::ProbeDone { ticket, run, outcome } => {
                format!("t{} probe {}: {outcome:?}", ticket.get(), run.0)
            }
            Event::Start
            | Event::PeerRejected { .. }
            | Event::Client { .. }
            | Event::ClientGone { .. }
            | Event::AttrWritten { .. }
            | Event::SendFailed { .. }
            | Event::Dump
            | Event::Shutdown => format!("{event:?}"),
        }
    }

    /// What a member wants of its store, handlers or guard.
    pub fn wish(&self, n: usize, effect: &Effect) -> String {
        match effect {
            Effect::Store(StoreWish::WriteCib { ticket, serial, state }) => {
                let what = if state.granted { "grant" } else { "revoke" };
                format!(
                    "wants t{} {what} (write {}) owner={} term={} expires={:?}",
                    ticket.get(),
                    serial.0,
                    self.who(state.owner),
                    state.term,
                    state.expires,
                )
            }
            Effect::Job(JobWish::LoadCib { ticket, .. }) => {
                format!("wants t{} loaded", ticket.get())
            }
            Effect::Store(StoreWish::Hold { ticket, window: None, term }) => {
                format!("holds t{} no more, term={term}", ticket.get())
            }
            Effect::Store(StoreWish::Hold { ticket, window: Some(window), term }) => {
                format!("may hold t{} {} term={term}", ticket.get(), self.window(n, window))
            }
            Effect::Send { .. }
            | Effect::Reply { .. }
            | Effect::Arm { .. }
            | Effect::Disarm { .. }
            | Effect::Store(StoreWish::WriteAttr { .. })
            | Effect::Job(JobWish::StartProbe { .. })
            | Effect::Job(JobWish::StopProbe { .. })
            | Effect::Note(_) => format!("wants {effect:?}"),
        }
    }

    /// A window in true time.
    fn window(&self, n: usize, window: &HoldWindow) -> String {
        let at = |mono: MonoTime| super::history::stamp(self.nodes[n].clock().when(mono));
        format!("until {} (lease {})", at(window.hold_until), at(window.lease_until))
    }

    /// An answer to a client.
    pub fn answer(&self, reply: &Reply) -> String {
        match reply {
            Reply::Ticket(answer) => format!(
                "{:?} leader={} term={} cause={:?}",
                answer.result,
                self.who(answer.leader),
                answer.term,
                answer.cause,
            ),
            Reply::Tickets(_)
            | Reply::Peers(_)
            | Reply::Report(_)
            | Reply::Result(_)
            | Reply::Attr(_)
            | Reply::Attrs(_) => format!("{reply:?}"),
        }
    }
}
