// SPDX-License-Identifier: GPL-2.0-or-later
//! One engine and a world that does what the bytes say: other members say anything, clients ask
//! anything, the store and handlers end in any way, in rising time. The engine asserts its own
//! invariants; what leaves it is checked by `engine_checks`.
//!
//! The world keeps the shell's part of the contract: one answer for each write, none that was
//! not asked for.

use super::engine_checks::Checks;
use super::roundtrip::request;
use super::source::Source;
use booth::engine::{
    AttrChange, CibLoad, CibOutcome, CibTicket, ClientId, Effect, Engine, Event, JobWish,
    ProbeOutcome, ProbeRun, RejectKind, Setup, StoreWish, WriteSerial,
};
use booth::model::{
    Holder, Member, MemberId, MemberIndex, MemberRole, Roster, TicketIndex, TicketMode, TicketName,
    TicketSpec,
};
use booth::time::{MonoTime, Now, Span, WallTime};
use booth::wheel::Wheel;
use booth::wire::{ClientRequest, Command, PeerBody, PeerMessage, Stamp};

/// Events of one run: enough for a few renewals, elections and grants.
const EVENTS_MAX: usize = 400;
/// Sent messages that can be answered.
const SENT_MAX: usize = 8;

pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut world = World::new(&mut source);
    world.step(Event::Start);
    for _ in 0..EVENTS_MAX {
        if source.is_empty() {
            break;
        }
        world.turn(&mut source);
    }
    // Whatever happened, time alone brings it to rest: deadlines end, and nothing is armed in
    // the past for ever.
    for _ in 0..50 {
        let Some((at, _)) = world.wheel.next() else { break };
        world.now.mono = world.now.mono.max(at);
        world.ring();
    }
    world.step(Event::Dump);
    world.step(Event::Shutdown);
}

struct World {
    engine: Engine,
    wheel: Wheel,
    roster: Roster,
    tickets: Vec<TicketName>,
    now: Now,
    checks: Checks,
    sent: Vec<(MemberIndex, PeerMessage)>,
    loads: Vec<TicketIndex>,
    writes: Vec<(TicketIndex, WriteSerial, bool)>,
    attrs: Vec<(TicketIndex, WriteSerial)>,
    probes: Vec<(TicketIndex, ProbeRun)>,
    clients: u64,
    /// `BOOTH_FUZZ_TRACE` is set: every event and effect goes to standard error.
    trace: bool,
}

impl World {
    fn new(source: &mut Source<'_>) -> World {
        let count = 2 + source.below(4);
        let members: Vec<Member> = (0..count).map(|index| member(index, source.flag())).collect();
        let roster = Roster::new(members, source.below(count)).expect("the members differ");
        let specs: Vec<TicketSpec> =
            (0..1 + source.below(2)).map(|index| spec(index, count, source)).collect();
        let tickets = specs.iter().map(|spec| spec.name.clone()).collect();
        let manual = (0..specs.len()).filter(|index| specs[*index].mode == TicketMode::Manual);
        let checks = Checks::new(roster.clone(), manual.map(TicketIndex::new).collect());
        let setup =
            Setup { roster: roster.clone(), tickets: specs, seed: u64::from(source.byte()) };
        let start = Now {
            mono: MonoTime::from_micros(1_000_000_000),
            wall: WallTime::from_secs(1_800_000_000),
        };
        World {
            engine: Engine::new(setup),
            wheel: Wheel::new(),
            checks,
            roster,
            tickets,
            now: start,
            sent: Vec::new(),
            loads: Vec::new(),
            writes: Vec::new(),
            attrs: Vec::new(),
            probes: Vec::new(),
            clients: 0,
            trace: std::env::var_os("BOOTH_FUZZ_TRACE").is_some(),
        }
    }

    /// One thing happens.
    fn turn(&mut self, source: &mut Source<'_>) {
        let choice = source.below(16);
        self.pass_time(source);
        match choice {
            0..=2 => self.answer_sent(source),
            3..=5 => self.say_anything(source),
            6 | 7 => self.ask(source),
            8 | 9 => self.end_write(source),
            10 => self.end_load(source),
            11 => self.end_probe(source),
            12 => self.end_attr(source),
            13 => self.step(Event::ClientGone { client: ClientId(u64::from(source.byte())) }),
            14 => {
                let why = [
                    RejectKind::Auth,
                    RejectKind::Malformed,
                    RejectKind::Invalid,
                    RejectKind::Overflow,
                ];
                let from = Some(self.peer(source).1);
                let (why, count) = (source.pick(&why), u32::from(source.byte()));
                self.step(Event::PeerRejected { from, why, count });
            }
            _ => {
                let to = self.peer(source).0;
                self.step(Event::SendFailed { to });
            }
        }
    }

    /// Time goes on: not at all, to the next deadline, or by up to two minutes. The wall clock
    /// may jump.
    fn pass_time(&mut self, source: &mut Source<'_>) {
        let before = self.now.mono;
        match source.below(8) {
            0 | 1 => {}
            2 | 3 => {
                let next = self.wheel.next().map_or(before, |(at, _)| at);
                self.now.mono = before.max(next);
            }
            4 | 5 => self.now.mono = before.plus(source.span(200)),
            6 => self.now.mono = before.plus(source.span(3_000)),
            _ => self.now.mono = before.plus(source.span(120_000)),
        }
        self.now.wall = self.now.wall.plus(self.now.mono.since(before));
        if source.byte() == 255 {
            self.now.wall = WallTime::from_secs(u64::from(source.u32()));
        }
        self.ring();
    }

    /// Every ticket that is due has its turn, once: none is due again.
    fn ring(&mut self) {
        for _ in 0..self.tickets.len() {
            let Some((_, ticket)) = self.wheel.ring(self.now.mono) else { return };
            self.step(Event::Due { ticket });
        }
        assert!(self.wheel.ring(self.now.mono).is_none(), "no ticket is left due");
    }

    /// Another member and its id.
    fn peer(&self, source: &mut Source<'_>) -> (MemberIndex, MemberId) {
        let peers: Vec<MemberIndex> = self.roster.peers().iter().collect();
        let peer = source.pick(&peers);
        (peer, self.roster.member(peer).id)
    }

    /// A plausible answer to something that was sent, possibly long ago.
    fn answer_sent(&mut self, source: &mut Source<'_>) {
        if self.sent.is_empty() {
            return self.say_anything(source);
        }
        let at = source.below(self.sent.len());
        let (from, asked) = self.sent[at].clone();
        let acknowledge = |of, stamp: Stamp| PeerBody::Ack { of, round: stamp.round };
        let body = match asked.body {
            PeerBody::Status { nonce } => PeerBody::MyIndex { nonce },
            PeerBody::ReqVote { .. } => source.vote(),
            PeerBody::Heartbeat { stamp } => acknowledge(Command::Heartbeat, stamp),
            PeerBody::Update { stamp } => acknowledge(Command::Update, stamp),
            PeerBody::Revoke { stamp, .. } => acknowledge(Command::RevokeTicket, stamp),
            PeerBody::StepDown { stamp, .. } => acknowledge(Command::VoteFor, stamp),
            PeerBody::MyIndex { .. }
            | PeerBody::Vote { .. }
            | PeerBody::Ack { .. }
            | PeerBody::Rejected { .. } => return self.say_anything(source),
        };
        self.step(Event::Peer { from, message: PeerMessage { body, ..asked } });
    }

    fn say_anything(&mut self, source: &mut Source<'_>) {
        let (from, _) = self.peer(source);
        let ids: Vec<MemberId> =
            self.roster.everyone().iter().map(|member| self.roster.member(member).id).collect();
        let (body, leader) = source.body(&ids);
        let ticket = match source.byte() {
            255 => source.ticket(),
            byte => self.tickets[usize::from(byte) % self.tickets.len()].clone(),
        };
        let (term, valid_for) = (source.term(), source.span(30_000));
        let message = PeerMessage { ticket, leader, term, valid_for, body };
        self.step(Event::Peer { from, message });
    }

    fn ask(&mut self, source: &mut Source<'_>) {
        let mut request = request(source);
        let known = self.tickets[source.below(self.tickets.len())].clone();
        match &mut request {
            ClientRequest::List | ClientRequest::Peers | ClientRequest::Report { .. } => {}
            ClientRequest::Grant { ticket, .. }
            | ClientRequest::Revoke { ticket, .. }
            | ClientRequest::AttrSet { ticket, .. }
            | ClientRequest::AttrGet { ticket, .. }
            | ClientRequest::AttrDelete { ticket, .. }
            | ClientRequest::AttrList { ticket } => {
                if source.byte() != 255 {
                    *ticket = Some(known);
                }
            }
        }
        self.clients += 1;
        let client = ClientId(self.clients);
        self.checks.asked(client);
        self.step(Event::Client { client, request });
    }

    fn end_write(&mut self, source: &mut Source<'_>) {
        if self.writes.is_empty() {
            return;
        }
        let (ticket, serial, granted) = self.writes.remove(source.below(self.writes.len()));
        let newer = self.writes.iter().any(|(other, later, _)| *other == ticket && *later > serial);
        let outcome = match source.below(8) {
            0 => CibOutcome::Failed("it failed".to_owned()),
            1 => CibOutcome::Killed,
            2 if granted => CibOutcome::TooLate,
            3 if newer => CibOutcome::Superseded,
            _ => CibOutcome::Written,
        };
        self.step(Event::CibWritten { ticket, serial, outcome });
    }

    fn end_load(&mut self, source: &mut Source<'_>) {
        if self.loads.is_empty() {
            return;
        }
        let ticket = self.loads.remove(source.below(self.loads.len()));
        let outcome = match source.below(4) {
            0 => CibLoad::Failed("it failed".to_owned()),
            1 => CibLoad::Absent,
            _ => {
                let (_, id) = self.peer(source);
                let owners = [Holder::Unknown, Holder::Nobody, Holder::Member(id)];
                let mine = Holder::Member(self.roster.my_id());
                let owner = if source.flag() { mine } else { source.pick(&owners) };
                let ahead = source.span(20_000);
                let expires = self.now.wall.minus(Span::from_secs(5)).plus(ahead);
                CibLoad::Loaded(CibTicket {
                    granted: source.flag(),
                    owner: Some(owner),
                    expires: source.flag().then_some(expires),
                    term: source.flag().then(|| source.term()),
                    attrs: Vec::new(),
                })
            }
        };
        self.step(Event::CibLoaded { ticket, outcome });
    }

    fn end_probe(&mut self, source: &mut Source<'_>) {
        if self.probes.is_empty() {
            return;
        }
        let (ticket, run) = self.probes.remove(source.below(self.probes.len()));
        let outcome = match source.below(4) {
            0 => ProbeOutcome::Failed("no".to_owned()),
            1 => ProbeOutcome::TimedOut,
            _ => ProbeOutcome::Success,
        };
        self.step(Event::ProbeDone { ticket, run, outcome });
    }

    fn end_attr(&mut self, source: &mut Source<'_>) {
        if self.attrs.is_empty() {
            return;
        }
        let (ticket, serial) = self.attrs.remove(source.below(self.attrs.len()));
        let outcome = match source.below(3) {
            0 => CibOutcome::Failed("it failed".to_owned()),
            _ => CibOutcome::Written,
        };
        self.step(Event::AttrWritten { ticket, serial, outcome });
    }

    /// One step of the engine; its effects are checked and remembered.
    fn step(&mut self, event: Event) {
        let mut effects = Vec::new();
        if self.trace {
            eprintln!("{} {event:?}", self.now.mono.as_micros());
        }
        self.engine.step(self.now, event, &mut effects);
        if self.trace {
            effects.iter().for_each(|effect| eprintln!("    {effect:?}"));
        }
        self.checks.check(self.now, &effects);
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => {
                    if self.sent.len() == SENT_MAX {
                        self.sent.remove(0);
                    }
                    self.sent.push((to, message));
                }
                Effect::Job(JobWish::LoadCib { ticket, .. }) => self.loads.push(ticket),
                Effect::Store(StoreWish::WriteCib { ticket, serial, state }) => {
                    self.writes.push((ticket, serial, state.granted));
                }
                Effect::Store(StoreWish::WriteAttr { ticket, serial, change, .. }) => {
                    assert!(matches!(change, AttrChange::Set(..) | AttrChange::Delete(_)));
                    self.attrs.push((ticket, serial));
                }
                Effect::Job(JobWish::StartProbe { ticket, run, .. }) => {
                    self.probes.push((ticket, run))
                }
                Effect::Job(JobWish::StopProbe { ticket, run }) => {
                    self.probes.retain(|probe| *probe != (ticket, run));
                }
                Effect::Arm { ticket, at } => self.wheel.arm(ticket, at),
                Effect::Disarm { ticket } => {
                    self.wheel.disarm(ticket);
                }
                Effect::Reply { .. } | Effect::Store(StoreWish::Hold { .. }) | Effect::Note(_) => {}
            }
        }
    }
}

fn member(index: usize, site: bool) -> Member {
    let last = u8::try_from(index + 1).expect("few members");
    let address = std::net::IpAddr::from([192, 0, 2, last]);
    let role = if site { MemberRole::Site } else { MemberRole::Arbitrator };
    Member { id: MemberId::of_address(address), role, address }
}

fn spec(index: usize, members: usize, source: &mut Source<'_>) -> TicketSpec {
    let manual = source.below(4) == 3;
    TicketSpec {
        name: TicketName::new(&format!("t{index}")).expect("a ticket name"),
        mode: if manual { TicketMode::Manual } else { TicketMode::Automatic },
        expire: Span::from_secs(10),
        acquire_after: source.pick(&[Span::ZERO, Span::from_secs(2)]),
        timeout: Span::from_secs(1),
        retries: 3,
        renewal: Span::from_secs(5),
        weights: (0..members).map(|_| i32::from(source.byte())).collect(),
        rules: Vec::new(),
        has_handler: source.below(4) == 3,
    }
}
