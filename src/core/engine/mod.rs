// SPDX-License-Identifier: GPL-2.0-or-later
//! The pure core: decides which site holds each ticket (`RULES.md`).
//!
//! [`Engine::step`] is the only way in which state changes. No clock, no I/O, no threads, no
//! randomness but a seeded generator: the same events give the same effects, byte for byte.
//!
//! Order of a step: what has ended by now ends (promises, leases, holdings); then the event is
//! looked at; then what is due is done; then a site that is owed a plan to stand gets one, the
//! shell's timer is told if the ticket waits for another instant, and its invariants are checked.
//! Tickets are independent of each other: a step touches the event's ticket, and a renewal also
//! those whose own renewal is nearly due.

mod announce;
mod any;
mod attrs;
mod backing;
mod bound;
mod claims;
mod client;
mod commit;
mod cx;
mod deadline;
mod deadlines;
mod differs;
mod effect;
mod election;
mod event;
mod giving_up;
mod grace;
mod grant;
mod leased;
mod loading;
mod manual;
mod objection;
mod peer;
mod probe;
mod quit;
mod renewal;
mod report;
mod requests;
mod rows;
mod standing;
mod state;
mod telling;
#[cfg(test)]
mod tests;
mod ticket;
mod told;
mod verified;
mod view;
mod writes;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
pub use deadline::DeadlineKind;
pub use effect::{
    AttrChange, CibExpiry, CibState, Effect, EventKind, JobWish, Note, NoteEvent, NoteLevel,
    StoreWish,
};
pub use event::{
    CibLoad, CibOutcome, CibTicket, ClientId, Event, HoldWindow, ProbeOutcome, ProbeRun,
    RejectKind, WriteSerial,
};
pub use report::{
    AttrRow, CommitView, Figures, Held, LeaseView, MemberView, PeerCounters, PeerRow, PeerView,
    PromiseView, Remark, Reply, RequestView, Stage, StoreView, TicketRow, TicketView, Times,
    TIME_BOUNDS,
};

use crate::model::{Holder, MemberId, MemberIndex, Roster, TicketIndex, TicketName, TicketSpec};
use crate::prng::Prng;
use crate::time::{MonoTime, Now};
use crate::wire::{ClientRequest, PeerMessage, ResultCode, TicketAnswer};
use alloc::collections::{BTreeMap, BTreeSet};
use any::{either, AnyTicket};
use cx::{Cx, PeerBook, Serials};
use ticket::Kind;

/// What an engine is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The members, and which of them this is.
    pub roster: Roster,
    /// The tickets in configuration order.
    pub tickets: Vec<TicketSpec>,
    /// The seed of every random choice; the daemon takes it from the kernel.
    pub seed: u64,
}

/// All tickets of one member.
#[derive(Debug)]
pub struct Engine {
    roster: Roster,
    tickets: Vec<AnyTicket>,
    names: BTreeMap<TicketName, TicketIndex>,
    prng: Prng,
    books: Vec<PeerBook>,
    serials: Serials,
    clients: BTreeMap<ClientId, TicketIndex>,
    figures: Figures,
    /// Whether this step only answers a question about all tickets.
    asked: bool,
    held: usize,
    last: MonoTime,
    stopped: bool,
}

impl Engine {
    /// An engine that has seen nothing yet; the first event must be [`Event::Start`].
    pub fn new(setup: Setup) -> Engine {
        let Setup { roster, tickets, seed } = setup;
        let mut prng = Prng::new(seed);
        let tickets: Vec<AnyTicket> = tickets
            .into_iter()
            .enumerate()
            .map(|(index, spec)| AnyTicket::new(TicketIndex::new(index), spec, &roster, &mut prng))
            .collect();
        let names =
            tickets.iter().map(|t| either!(t, t => (t.spec.name.clone(), t.index))).collect();
        Engine {
            names,
            prng,
            books: vec![PeerBook::default(); roster.len()],
            serials: Serials::default(),
            clients: BTreeMap::new(),
            figures: Figures::default(),
            asked: false,
            held: 0,
            last: MonoTime::ZERO,
            stopped: false,
            roster,
            tickets,
        }
    }

    /// Takes one event and appends what must be done to `effects`, in order.
    ///
    /// `now.mono` must not be before that of the previous step.
    pub fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        assert!(now.mono >= self.last, "time does not run backwards");
        self.asked = matches!(
            event,
            Event::Client { request: ClientRequest::List | ClientRequest::Report { .. }, .. }
        );
        self.last = now.mono;
        if self.stopped {
            return;
        }
        match event {
            Event::Start => {
                for index in 0..self.tickets.len() {
                    self.with(now, effects, TicketIndex::new(index), either!(|t, cx| t.begin(cx)));
                }
            }
            Event::Peer { from, message } => self.peer(now, effects, from, &message),
            Event::PeerRejected { from, why, count } => self.count_rejected(from, why, count),
            Event::Client { client, request } => self.client(now, effects, client, request),
            Event::ClientGone { client } => {
                if let Some(ticket) = self.clients.remove(&client) {
                    self.with(now, effects, ticket, either!(|t, _| t.client_gone(client)));
                }
            }
            Event::Due { ticket } => self.due(now, effects, ticket),
            Event::CibLoaded { ticket, outcome } => {
                self.with(now, effects, ticket, either!(|t, cx| t.handle_loaded(cx, outcome)));
            }
            Event::CibWritten { ticket, serial, outcome } => {
                let act = either!(|t, cx| t.handle_written(cx, serial, outcome));
                self.with(now, effects, ticket, act);
            }
            Event::AttrWritten { ticket, serial, outcome } => {
                let act = either!(|t, cx| t.handle_attr_written(cx, serial, outcome));
                self.with(now, effects, ticket, act);
            }
            Event::ProbeDone { ticket, run, outcome } => {
                self.with(now, effects, ticket, either!(|t, cx| t.handle_probed(cx, run, outcome)));
            }
            Event::SendFailed { to } => {
                if let Some(book) = self.books.get_mut(to.get()) {
                    book.counters.sent_errors += 1;
                }
            }
            Event::Dump => self.dump(now, effects),
            Event::Shutdown => {
                self.stopped = true;
                let text = match self.held() {
                    Held { here: Some(held), of } => {
                        format!("stopping; {held} of {of} tickets are held here")
                    }
                    Held { here: None, .. } => "stopping".to_owned(),
                };
                effects.push(Effect::Note(Note { level: NoteLevel::Info, text, event: None }));
            }
        }
    }

    /// What a ticket waits for: the instant for which the last [`Effect::Arm`] asked. It is
    /// computed from the ticket's state. `None`: for nothing.
    pub fn deadline_of(&self, ticket: TicketIndex) -> Option<MonoTime> {
        self.tickets.get(ticket.get()).and_then(AnyTicket::nearest)
    }

    /// How many tickets this site holds or is granting, of how many.
    pub fn held(&self) -> Held {
        Held { here: self.roster.am_site().then_some(self.held), of: self.tickets.len() }
    }

    /// Runs `act` for one ticket, in the order of a step.
    fn with(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
        index: TicketIndex,
        act: impl FnOnce(&mut AnyTicket, &mut Cx<'_>),
    ) {
        let tickets = self.tickets.len();
        let Some(ticket) = self.tickets.get_mut(index.get()) else { return };
        let mut cx = Cx {
            now,
            tickets,
            roster: &self.roster,
            prng: &mut self.prng,
            effects,
            books: &mut self.books,
            serials: &mut self.serials,
            clients: &mut self.clients,
            figures: &mut self.figures,
            asked: self.asked,
            said: None,
        };
        let (held_before, told) = (ticket.holding(), ticket.nearest());
        let nearest = ticket.step(&mut cx, act);
        if nearest != told {
            effects.push(match nearest {
                Some(at) => Effect::Arm { ticket: index, at },
                None => Effect::Disarm { ticket: index },
            });
        }
        match (held_before, ticket.holding()) {
            (false, true) => self.held += 1,
            (true, false) => self.held -= 1,
            (false, false) | (true, true) => {}
        }
    }

    /// The ticket's alarm has rung, and is set no more.
    fn due(&mut self, now: Now, effects: &mut Vec<Effect>, ticket: TicketIndex) {
        let Some(at) = self.deadline_of(ticket) else { return };
        if at > now.mono {
            // It rang early.
            effects.push(Effect::Arm { ticket, at });
            return;
        }
        let due = self.tickets[ticket.get()].leased();
        // One that asks its handler first sends nothing yet, so nothing can go out with it.
        let renews = due.is_some_and(|t| t.renews_at().is_some() && !t.asks_before_renewal());
        self.with(now, effects, ticket, |_, _| {});
        if renews {
            self.renew_early(now, effects);
        }
    }

    /// Begins the renewals that are nearly due, together with the one that has just begun.
    fn renew_early(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let leased = self.tickets.iter().filter_map(AnyTicket::leased);
        let near = leased.filter_map(|t| Some((t.renews_by(now.mono)?, t.index)));
        let near: BTreeSet<(MonoTime, TicketIndex)> = near.collect();
        for (_, ticket) in near.into_iter().take(renewal::TOGETHER_MAX) {
            self.with(now, effects, ticket, |t, cx| {
                // Its lease may have ended at the beginning of this step.
                if let Some(t) = t.leased_mut().filter(|t| t.renews_by(cx.now.mono).is_some()) {
                    t.start_renewal(cx);
                }
            });
        }
    }

    /// A message of another member.
    fn peer(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
        from: MemberIndex,
        message: &PeerMessage,
    ) {
        if from == self.roster.me() || from.get() >= self.roster.len() {
            return;
        }
        let book = &mut self.books[from.get()];
        book.last_recv = Some(now.mono);
        book.counters.received += 1;
        let leader_known = match message.leader {
            Holder::Member(id) => self.roster.index_of(id).is_some(),
            Holder::Nobody => true,
            Holder::Unknown => false,
        };
        let ticket = self.names.get(&message.ticket).copied();
        let (Some(ticket), true) = (ticket, leader_known) else {
            let invalid = &mut self.books[from.get()].counters.invalid;
            *invalid += 1;
            // One for each ticket that this member lacks, every few seconds, would fill the log.
            let level = match invalid.is_power_of_two() {
                true => NoteLevel::Warning,
                false => NoteLevel::Debug,
            };
            let what = if leader_known { "an unknown ticket" } else { "an unknown leader" };
            let text = format!(
                "dropped a message of {} about {what} ({})",
                self.roster.member(from).address,
                message.ticket
            );
            effects.push(Effect::Note(Note { level, text, event: None }));
            return;
        };
        let mut sane = true;
        self.with(now, effects, ticket, |t, cx| {
            sane = either!(t, t => Kind::handle_peer(t, cx, from, message));
        });
        if !sane {
            self.books[from.get()].counters.invalid += 1;
        }
    }

    /// Counts a datagram that was not let in.
    fn count_rejected(&mut self, from: Option<MemberId>, why: RejectKind, count: u32) {
        let Some(index) = from.and_then(|id| self.roster.index_of(id)) else { return };
        let counters = &mut self.books[index.get()].counters;
        match why {
            RejectKind::Auth => counters.auth_failures += u64::from(count),
            RejectKind::Invalid => counters.invalid += u64::from(count),
            RejectKind::Malformed | RejectKind::Overflow => {
                counters.recv_errors += u64::from(count);
            }
        }
    }

    /// A client's request.
    fn client(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
        client: ClientId,
        request: ClientRequest,
    ) {
        let wanted = match &request {
            ClientRequest::List => {
                self.list(now, effects, client);
                return;
            }
            ClientRequest::Peers => {
                self.peers(now, effects, client);
                return;
            }
            ClientRequest::Report { history } => {
                self.report(now, effects, client, *history);
                return;
            }
            ClientRequest::Grant { ticket, .. }
            | ClientRequest::Revoke { ticket, .. }
            | ClientRequest::AttrSet { ticket, .. }
            | ClientRequest::AttrGet { ticket, .. }
            | ClientRequest::AttrDelete { ticket, .. }
            | ClientRequest::AttrList { ticket } => {
                ticket.as_ref().and_then(|name| self.names.get(name)).copied()
            }
        };
        let Some(ticket) = wanted else {
            let reply = no_such_ticket(&request);
            effects.push(Effect::Reply { client, reply, last: true });
            return;
        };
        self.with(now, effects, ticket, either!(|t, cx| t.handle_client(cx, client, request)));
    }
}

/// The answer to a request about a ticket that does not exist.
fn no_such_ticket(request: &ClientRequest) -> Reply {
    match request {
        ClientRequest::Grant { .. } | ClientRequest::Revoke { .. } => Reply::Ticket(TicketAnswer {
            result: ResultCode::InvalidArg,
            ticket: None,
            leader: Holder::Unknown,
            term: crate::model::Term::ZERO,
            valid_for: crate::time::Span::ZERO,
            cause: None,
        }),
        ClientRequest::List
        | ClientRequest::Peers
        | ClientRequest::Report { .. }
        | ClientRequest::AttrSet { .. }
        | ClientRequest::AttrGet { .. }
        | ClientRequest::AttrDelete { .. }
        | ClientRequest::AttrList { .. } => Reply::Result(ResultCode::InvalidArg),
    }
}
