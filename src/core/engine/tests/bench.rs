// SPDX-License-Identifier: GPL-2.0-or-later
//! One member under test. The test plays its store, its handler, its clients and all other
//! members, and sees everything that the member does, with the time.

use super::cluster::{roster, spec, the_ticket};
use super::deeds::ack;
pub use super::deeds::{round, Deeds, Sent};
use crate::engine::{
    CibLoad, CibOutcome, CibTicket, ClientId, Effect, Engine, Event, JobWish, PeerRow,
    ProbeOutcome, Reply, Setup, StoreWish, TicketRow, WriteSerial,
};
use crate::model::{Holder, MemberIndex, Roster, Term, TicketName, TicketSpec};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{
    ClientOptions, ClientRequest, Command, LastKnown, PeerBody, PeerMessage, Reason, ResultCode,
    Round, Stamp,
};

pub const SECOND: Span = Span::from_secs(1);

/// Whether an effect writes a grant, or else a revoke, to the store.
pub fn writes(effect: &Effect, grant: bool) -> bool {
    matches!(effect, Effect::Store(StoreWish::WriteCib { state, .. }) if state.granted == grant)
}

/// More steps than any test takes.
const STEPS_MAX: usize = 10_000;

/// More steps than any member needs for what is due at one instant.
const STALLED_MAX: usize = 100;

/// How everything around a member answers in [`Bench::play`]; `None`, or a member that is not
/// named: not at all.
#[derive(Clone, Debug)]
pub struct World {
    pub grants: Option<CibOutcome>,
    pub revokes: Option<CibOutcome>,
    pub handler: Option<ProbeOutcome>,
    /// Who votes for this member whenever it asks.
    pub votes: Vec<usize>,
    /// Who acknowledges what it sends.
    pub acks: Vec<usize>,
}

impl World {
    /// All is well in a cluster of three, as its first site sees it.
    pub fn kind() -> World {
        World {
            grants: Some(CibOutcome::Written),
            revokes: Some(CibOutcome::Written),
            handler: Some(ProbeOutcome::Success),
            votes: vec![1, 2],
            acks: vec![1, 2],
        }
    }
}

/// One member; its index among the members is `me`.
pub struct Bench {
    engine: Engine,
    pub now: Now,
    pub roster: Roster,
    pub me: usize,
    pub spec: TicketSpec,
    started: MonoTime,
    clients: u64,
    /// Steps in a row in which time stood still.
    stalled: usize,
}

pub fn at(index: usize) -> MemberIndex {
    MemberIndex::new(index).expect("a test has few members")
}

pub fn stamp(round: u32, established: bool) -> Stamp {
    Stamp { round: Round::new(round), established }
}

/// What a store says of a ticket that is granted here until `expires`.
pub fn granted(owner: Holder, term: u32, expires: WallTime) -> CibTicket {
    let (owner, term, expires) = (Some(owner), Some(Term::new(term)), Some(expires));
    CibTicket { granted: true, owner, expires, term, attrs: Vec::new() }
}

impl Bench {
    /// A member that has not started; the ticket is `spec`.
    pub fn new(sites: usize, arbitrators: usize, me: usize, spec: TicketSpec) -> Bench {
        Bench::seeded(sites, arbitrators, me, spec, 5)
    }

    /// The same with another seed for its random choices.
    pub fn seeded(s: usize, arbitrators: usize, me: usize, spec: TicketSpec, seed: u64) -> Bench {
        let roster = roster(s, arbitrators, me);
        let setup = Setup { roster: roster.clone(), tickets: vec![spec.clone()], seed };
        let mono = MonoTime::from_micros(1_000_000_000);
        let now = Now { mono, wall: WallTime::from_secs(1_800_000_000) };
        let engine = Engine::new(setup);
        Bench { engine, now, roster, me, spec, started: mono, clients: 0, stalled: 0 }
    }

    /// Two sites and an arbitrator; this is the first site, out of grace, and nothing is held.
    pub fn three() -> Bench {
        Bench::settled(2, 1, 0, spec("T"))
    }

    /// A member that is out of grace, where nothing is held.
    pub fn settled(sites: usize, arbitrators: usize, me: usize, spec: TicketSpec) -> Bench {
        let mut bench = Bench::new(sites, arbitrators, me, spec);
        bench.start(CibTicket::default());
        bench.past_grace();
        bench
    }

    /// Starts it; its store, if it has one, is read at once.
    pub fn start(&mut self, stored: CibTicket) -> Deeds {
        self.started = self.now.mono;
        let mut deeds = self.event(Event::Start);
        if self.roster.am_site() {
            deeds.0.extend(self.loaded(CibLoad::Loaded(stored)).0);
        }
        deeds
    }

    pub fn loaded(&mut self, outcome: CibLoad) -> Deeds {
        self.event(Event::CibLoaded { ticket: the_ticket(), outcome })
    }

    /// VOTE_FOR this member, with the last that its voter knows: the term, and whether it is free.
    pub fn vote_telling(&mut self, from: usize, term: u32, last: Option<(u32, bool)>) -> Deeds {
        let last = last.map(|(term, free)| LastKnown { term: Term::new(term), free });
        let body = PeerBody::Vote { vouched: true, unbound_for: Some(Span::MAX), last };
        self.hear_valid(from, self.id(0), term, Span::ZERO, body)
    }

    /// Lets the time pass in which it may not vote, and more.
    pub fn past_grace(&mut self) {
        self.advance_to(self.started.plus(self.spec.expire.times(3)).plus(self.spec.patience()));
    }

    pub fn event(&mut self, event: Event) -> Deeds {
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        Deeds(effects.into_iter().map(|effect| (self.now.mono, effect)).collect())
    }

    /// Lets time pass, deadline by deadline.
    pub fn advance(&mut self, span: Span) -> Deeds {
        self.advance_to(self.now.mono.plus(span))
    }

    /// Lets time pass until `end`, deadline by deadline.
    pub fn advance_to(&mut self, end: MonoTime) -> Deeds {
        let mut deeds = Deeds(Vec::new());
        for _ in 0..STEPS_MAX {
            let next = self.engine.deadline_of(the_ticket()).filter(|at| *at <= end);
            let at = next.unwrap_or(end).max(self.now.mono);
            self.stalled = if at > self.now.mono { 0 } else { self.stalled + 1 };
            assert!(self.stalled < STALLED_MAX, "a deadline that has passed stays due");
            self.now = Now { mono: at, wall: self.now.wall.plus(at.since(self.now.mono)) };
            if next.is_none() {
                return deeds;
            }
            deeds.0.extend(self.event(Event::Due { ticket: the_ticket() }).0);
        }
        panic!("the member finds no rest");
    }

    /// Lets time pass until it stands for election, at most so long; returns what it does then.
    pub fn until_it_stands(&mut self, most: Span) -> Deeds {
        let end = self.now.mono.plus(most);
        while self.now.mono < end {
            let next = self.engine.deadline_of(the_ticket()).unwrap_or(end).min(end);
            let deeds = self.advance_to(next.max(self.now.mono));
            if !deeds.requests().is_empty() {
                return deeds;
            }
        }
        panic!("it does not stand within {most}");
    }

    /// Lets time pass, deadline by deadline, while everything around answers at once.
    pub fn play(&mut self, span: Span, world: &World) -> Deeds {
        let end = self.now.mono.plus(span);
        let mut all = Deeds(Vec::new());
        for _ in 0..STEPS_MAX {
            let next = self.engine.deadline_of(the_ticket()).filter(|at| *at <= end);
            let deeds = self.advance_to(next.unwrap_or(end).max(self.now.mono));
            all.0.extend(self.answered(deeds, world).0);
            if next.is_none() {
                return all;
            }
        }
        panic!("the member finds no rest");
    }

    /// Everything around answers `deeds`, and what they lead to; returns all of it.
    pub fn answered(&mut self, deeds: Deeds, world: &World) -> Deeds {
        let mut all = deeds;
        let mut next = 0;
        while let Some((_, effect)) = all.0.get(next).cloned() {
            assert!(next < STEPS_MAX, "the member never stops talking");
            next += 1;
            if let Some(event) = self.answer(effect, world) {
                all.0.extend(self.event(event).0);
            }
        }
        all
    }

    /// What follows an effect.
    fn answer(&self, effect: Effect, world: &World) -> Option<Event> {
        let ticket = the_ticket();
        match effect {
            Effect::Store(StoreWish::WriteCib { serial, state, .. }) => {
                let outcome = if state.granted { &world.grants } else { &world.revokes };
                outcome.clone().map(|outcome| Event::CibWritten { ticket, serial, outcome })
            }
            Effect::Job(JobWish::StartProbe { run, .. }) => {
                let outcome = world.handler.clone();
                outcome.map(|outcome| Event::ProbeDone { ticket, run, outcome })
            }
            Effect::Send { to, message, .. } => {
                let mut reply = message;
                let asks = matches!(reply.body, PeerBody::ReqVote { .. });
                reply.body = if asks {
                    PeerBody::Vote { vouched: true, unbound_for: Some(Span::MAX), last: None }
                } else {
                    ack(reply.body)?
                };
                let willing = if asks { &world.votes } else { &world.acks };
                willing.contains(&to.get()).then_some(Event::Peer { from: to, message: reply })
            }
            _ => None,
        }
    }

    /// The id of a member.
    pub fn id(&self, member: usize) -> Holder {
        Holder::Member(self.roster.member(at(member)).id)
    }

    /// The other members.
    pub fn others(&self) -> Vec<usize> {
        (0..self.roster.len()).filter(|index| *index != self.me).collect()
    }

    /// Another member says something.
    pub fn hear(&mut self, from: usize, leader: Holder, term: u32, body: PeerBody) -> Deeds {
        self.hear_valid(from, leader, term, self.spec.expire, body)
    }

    /// The same, with a validity of its own.
    pub fn hear_valid(
        &mut self,
        from: usize,
        leader: Holder,
        term: u32,
        valid_for: Span,
        body: PeerBody,
    ) -> Deeds {
        let ticket = TicketName::new("T").expect("valid");
        let message = PeerMessage { ticket, leader, term: Term::new(term), valid_for, body };
        self.event(Event::Peer { from: at(from), message })
    }

    pub fn heartbeat(&mut self, from: usize, term: u32, stamp: Stamp) -> Deeds {
        self.hear(from, self.id(from), term, PeerBody::Heartbeat { stamp })
    }

    /// An ordinary vote request of another site for a lost ticket.
    pub fn asked_for_vote(&mut self, from: usize, term: u32) -> Deeds {
        let reason = Reason::TicketLost;
        let body = PeerBody::ReqVote { reason, established: false, force: false, nonce: 0 };
        self.hear_valid(from, self.id(from), term, Span::ZERO, body)
    }

    /// A vote for this member.
    pub fn vote(&mut self, from: usize, term: u32) -> Deeds {
        let me = self.id(self.me);
        self.hear_valid(
            from,
            me,
            term,
            Span::ZERO,
            PeerBody::Vote { vouched: true, unbound_for: Some(Span::MAX), last: None },
        )
    }

    /// REJECTED, of a vote request or a heartbeat.
    pub fn reject(&mut self, from: usize, of: Command, result: ResultCode, term: u32) -> Deeds {
        let body = PeerBody::Rejected { of, result, granted: false };
        self.hear_valid(from, self.id(from), term, Span::ZERO, body)
    }

    /// A member acknowledges what it was sent.
    pub fn ack(&mut self, sent: &Sent) -> Deeds {
        let body = ack(sent.message.body).expect("something to acknowledge");
        self.hear(sent.to, sent.message.leader, sent.message.term.get(), body)
    }

    /// Everyone acknowledges the heartbeats and updates of `deeds`, and what follows.
    pub fn acked_by_all(&mut self, deeds: &Deeds) -> Deeds {
        self.acked_by(&self.others(), deeds)
    }

    /// Some acknowledge the heartbeats and updates of `deeds`, and what follows.
    pub fn acked_by(&mut self, members: &[usize], deeds: &Deeds) -> Deeds {
        let mut open = deeds.heartbeats();
        open.extend(deeds.updates());
        let mut all = Deeds(Vec::new());
        for sent in open.into_iter().filter(|sent| members.contains(&sent.to)) {
            all.0.extend(self.ack(&sent).0);
        }
        all
    }

    /// A client asks for a grant.
    pub fn grant(&mut self, options: ClientOptions) -> (ClientId, Deeds) {
        let ticket = TicketName::new("T").ok();
        self.ask(ClientRequest::Grant { ticket, options })
    }

    /// A client asks for a revoke.
    pub fn revoke(&mut self, options: ClientOptions) -> (ClientId, Deeds) {
        let ticket = TicketName::new("T").ok();
        self.ask(ClientRequest::Revoke { ticket, options })
    }

    /// A client asks for something.
    pub fn ask(&mut self, request: ClientRequest) -> (ClientId, Deeds) {
        self.clients += 1;
        let client = ClientId(self.clients);
        let deeds = self.event(Event::Client { client, request });
        (client, deeds)
    }

    /// The store has done a write, or not.
    pub fn wrote(&mut self, serial: WriteSerial, outcome: CibOutcome) -> Deeds {
        self.event(Event::CibWritten { ticket: the_ticket(), serial, outcome })
    }

    /// The store has done the last write of `deeds`.
    pub fn written(&mut self, deeds: &Deeds) -> Deeds {
        let (serial, _) = *deeds.writes().last().expect("a write");
        self.wrote(serial, CibOutcome::Written)
    }

    /// The handler has answered the last question of `deeds`.
    pub fn probed(&mut self, deeds: &Deeds, outcome: ProbeOutcome) -> Deeds {
        let run = deeds.probes().last().expect("a question to the handler").run;
        self.event(Event::ProbeDone { ticket: the_ticket(), run, outcome })
    }

    /// Everyone votes for the attempt of `deeds`; returns what the winner does.
    pub fn elected(&mut self, deeds: &Deeds) -> Deeds {
        let term = deeds.requests().last().expect("a vote request").message.term.get();
        let mut all = Deeds(Vec::new());
        for member in self.others() {
            all.0.extend(self.vote(member, term).0);
        }
        all
    }

    /// Grants the ticket here with the help of everyone; returns the term.
    pub fn hold(&mut self) -> u32 {
        let (_, stood) = self.grant(ClientOptions::default());
        let term = stood.requests()[0].message.term.get();
        let won = self.elected(&stood);
        let leased = self.acked_by_all(&won);
        let granted = self.written(&leased);
        self.acked_by_all(&granted);
        term
    }

    /// The ticket's line of `booth list`.
    pub fn row(&mut self) -> TicketRow {
        let (_, deeds) = self.ask(ClientRequest::List);
        let rows = deeds.0.into_iter().find_map(|(_, effect)| match effect {
            Effect::Reply { reply: Reply::Tickets(rows), .. } => Some(rows),
            _ => None,
        });
        rows.expect("list is answered at once").remove(0)
    }

    /// The rows of `booth peers`.
    pub fn peer_rows(&mut self) -> Vec<PeerRow> {
        let (_, deeds) = self.ask(ClientRequest::Peers);
        let rows = deeds.0.into_iter().find_map(|(_, effect)| match effect {
            Effect::Reply { reply: Reply::Peers(rows), last: true, .. } => Some(rows),
            _ => None,
        });
        rows.expect("peers is answered at once")
    }

    /// The leader that `booth list` shows.
    pub fn listed(&mut self) -> Holder {
        self.row().leader
    }
}
