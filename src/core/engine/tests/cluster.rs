// SPDX-License-Identifier: GPL-2.0-or-later
//! A few engines on a perfect network with stores that obey at once: for rules that show only
//! between members. Faults are the simulator's business (`test/sim`).

use crate::engine::{
    AttrChange, CibExpiry, CibLoad, CibOutcome, CibState, CibTicket, ClientId, Effect, Engine,
    Event, HoldWindow, JobWish, ProbeOutcome, Reply, Setup, StoreWish, TicketRow, WriteSerial,
};
use crate::model::{
    Holder, Member, MemberId, MemberIndex, MemberRole, Roster, TicketIndex, TicketMode, TicketName,
    TicketSpec,
};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{ClientOptions, ClientRequest, PeerMessage, ResultCode};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

/// What a client asks for that waits no longer than it has to.
pub const PLAIN: ClientOptions =
    ClientOptions { immediate: false, wait: false, wait_commit: false, explain: false };
/// What one asks for that waits for the outcome, and hears why it waits.
pub const PATIENT: ClientOptions =
    ClientOptions { immediate: false, wait: true, wait_commit: true, explain: true };

/// `-F` of one that waits no longer than it has to.
pub const FORCED: ClientOptions =
    ClientOptions { immediate: true, wait: false, wait_commit: false, explain: false };

/// A call of the store's tool that fails.
pub fn failing() -> Option<CibOutcome> {
    Some(CibOutcome::Failed("exit status 1".into()))
}

/// A ticket with short times: `E` 10 s, `τ` 1 s, three retries.
pub fn spec(name: &str) -> TicketSpec {
    TicketSpec {
        name: TicketName::new(name).expect("a test's ticket name is valid"),
        mode: TicketMode::Automatic,
        expire: Span::from_secs(10),
        acquire_after: Span::ZERO,
        timeout: Span::from_secs(1),
        retries: 3,
        renewal: Span::from_secs(5),
        weights: Vec::new(),
        rules: Vec::new(),
        has_handler: false,
    }
}

/// A roster of `sites` sites and `arbitrators` arbitrators, seen by member `me`.
pub fn roster(sites: usize, arbitrators: usize, me: usize) -> Roster {
    let member = |index: usize| {
        let last = u8::try_from(index + 1).expect("a test has few members");
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        let role = if index < sites { MemberRole::Site } else { MemberRole::Arbitrator };
        Member { id: MemberId::of_address(address), role, address }
    };
    Roster::new((0..sites + arbitrators).map(member).collect(), me).expect("addresses differ")
}

/// One member with its store.
pub struct Node {
    pub engine: Option<Engine>,
    pub store: CibTicket,
    /// What a handler answers; `None`: it hangs.
    pub handler: Option<ProbeOutcome>,
    /// What a write does; `None`: it hangs.
    pub write: Option<CibOutcome>,
    pub writes: Vec<CibState>,
    /// The window that its engine has told last.
    pub told: Option<HoldWindow>,
    /// Whether the store cannot be read.
    pub unreadable: bool,
    /// The write that hangs.
    hung: Option<(WriteSerial, CibState)>,
    /// How often a window was told, its end included.
    pub tellings: usize,
    /// The lines of its log.
    pub log: Vec<String>,
    /// When the store began to say *granted* or *revoked*, in turn.
    pub turned: Vec<(MonoTime, bool)>,
}

/// Several members and the time.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub now: Now,
    pub replies: Vec<(ClientId, Reply, bool)>,
    /// Two stores have said *granted* at the same time.
    pub two_holders: bool,
    sites: usize,
    /// What each member is configured with when it starts.
    pub specs: Vec<TicketSpec>,
    flying: VecDeque<(usize, usize, PeerMessage)>,
    /// Everything that was ever sent, lost or not, as (from, to, message).
    pub sent: Vec<(usize, usize, PeerMessage)>,
    seed: u64,
    clients: u64,
    /// Links that are cut, as (from, to).
    pub cut: Vec<(usize, usize)>,
    /// Links that take a while, as (from, to), and how long.
    pub slow: Vec<(usize, usize)>,
    pub delay: Span,
    parked: Vec<(MonoTime, usize, usize, PeerMessage)>,
}

impl Cluster {
    /// Members that have not started.
    pub fn new(sites: usize, arbitrators: usize, spec: TicketSpec) -> Cluster {
        let node = |_| Node {
            engine: None,
            store: CibTicket::default(),
            handler: Some(ProbeOutcome::Success),
            write: Some(CibOutcome::Written),
            writes: Vec::new(),
            told: None,
            unreadable: false,
            hung: None,
            tellings: 0,
            log: Vec::new(),
            turned: Vec::new(),
        };
        let start = MonoTime::from_micros(1_000_000_000);
        Cluster {
            nodes: (0..sites + arbitrators).map(node).collect(),
            now: Now { mono: start, wall: WallTime::from_secs(1_800_000_000) },
            replies: Vec::new(),
            two_holders: false,
            sites,
            specs: vec![spec; sites + arbitrators],
            flying: VecDeque::new(),
            sent: Vec::new(),
            seed: 1,
            clients: 0,
            cut: Vec::new(),
            slow: Vec::new(),
            delay: Span::ZERO,
            parked: Vec::new(),
        }
    }

    /// Starts a member with an empty memory.
    pub fn start(&mut self, node: usize) {
        self.seed += 1;
        let arbitrators = self.nodes.len() - self.sites;
        let roster = roster(self.sites, arbitrators, node);
        let setup = Setup { roster, tickets: vec![self.specs[node].clone()], seed: self.seed };
        self.nodes[node].engine = Some(Engine::new(setup));
        self.event(node, Event::Start);
        self.settle();
    }

    /// Gives a member another `expire`, and half of it as `renewal-freq`, from its next start on.
    pub fn configure(&mut self, node: usize, expire: Span) {
        let spec = &mut self.specs[node];
        spec.expire = expire;
        spec.renewal = expire.divided(2);
    }

    /// Starts all members.
    pub fn start_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
    }

    /// Ends a member's life.
    pub fn crash(&mut self, node: usize) {
        self.nodes[node].engine = None;
        self.nodes[node].told = None;
    }

    /// Gives one event to a member and performs its effects.
    pub fn event(&mut self, node: usize, event: Event) {
        let now = self.now;
        let mut effects = Vec::new();
        let Some(engine) = &mut self.nodes[node].engine else { return };
        engine.step(now, event, &mut effects);
        for effect in effects {
            self.perform(node, effect);
        }
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message, .. } => {
                self.sent.push((node, to.get(), message.clone()));
                if self.slow.contains(&(node, to.get())) && !self.cut.contains(&(node, to.get())) {
                    self.parked.push((self.now.mono.plus(self.delay), node, to.get(), message));
                } else if !self.cut.contains(&(node, to.get())) {
                    self.flying.push_back((node, to.get(), message));
                }
            }
            Effect::Reply { client, reply, last } => self.replies.push((client, reply, last)),
            Effect::Job(JobWish::LoadCib { ticket, .. }) => {
                let outcome = match self.nodes[node].unreadable {
                    true => CibLoad::Failed("exit status 1".into()),
                    false => CibLoad::Loaded(self.nodes[node].store.clone()),
                };
                self.event(node, Event::CibLoaded { ticket, outcome });
            }
            Effect::Store(StoreWish::WriteCib { ticket, serial, state }) => {
                self.nodes[node].writes.push(state);
                let Some(outcome) = self.write(node, state) else {
                    self.nodes[node].hung = Some((serial, state));
                    return;
                };
                self.two_holders |= self.granted().len() > 1;
                self.event(node, Event::CibWritten { ticket, serial, outcome });
            }
            Effect::Job(JobWish::StartProbe { ticket, run, .. }) => {
                if let Some(outcome) = self.nodes[node].handler.clone() {
                    self.event(node, Event::ProbeDone { ticket, run, outcome });
                }
            }
            Effect::Store(StoreWish::WriteAttr { ticket, serial, change, .. }) => {
                let attrs = &mut self.nodes[node].store.attrs;
                let (AttrChange::Set(name, _) | AttrChange::Delete(name)) = &change;
                attrs.retain(|(known, _)| known != name);
                if let AttrChange::Set(name, value) = change {
                    attrs.push((name, value));
                }
                let outcome = CibOutcome::Written;
                self.event(node, Event::AttrWritten { ticket, serial, outcome });
            }
            Effect::Arm { .. } | Effect::Disarm { .. } | Effect::Job(JobWish::StopProbe { .. }) => {
            }
            Effect::Store(StoreWish::Hold { window, .. }) => {
                self.nodes[node].told = window;
                self.nodes[node].tellings += 1;
            }
            Effect::Note(note) => self.nodes[node].log.push(note.text),
        }
    }

    /// A store that works writes what it was asked for, in the way of the shell: a lease's grant
    /// only inside the window that was told, with the window's end as `expires`, in whole seconds.
    fn write(&mut self, node: usize, state: CibState) -> Option<CibOutcome> {
        let now = self.now;
        let Node { told, write, store, turned, .. } = &mut self.nodes[node];
        if write.clone()? != CibOutcome::Written {
            return write.clone();
        }
        let expires = match state.expires {
            CibExpiry::Never => WallTime::EPOCH,
            CibExpiry::At(wall) => wall,
            CibExpiry::Lease => {
                let window = told.expect("a grant comes after its window");
                if state.granted && now.mono >= window.start_before {
                    return Some(CibOutcome::TooLate);
                }
                now.wall_at(window.lease_until)
            }
        };
        if store.granted != state.granted {
            turned.push((now.mono, state.granted));
        }
        store.granted = state.granted;
        store.owner = Some(state.owner);
        store.expires = Some(WallTime::from_secs(expires.as_secs()));
        store.term = Some(state.term);
        Some(CibOutcome::Written)
    }

    /// A message that was sent before comes (again): the last one like this.
    pub fn again(&mut self, from: usize, to: usize, like: impl Fn(&PeerMessage) -> bool) {
        let wanted = |sent: &&(usize, usize, PeerMessage)| (sent.0, sent.1) == (from, to);
        let found = self.sent.iter().rev().filter(wanted).find(|sent| like(&sent.2));
        let message = found.expect("such a message was sent").2.clone();
        let from = MemberIndex::new(from).expect("a test has few members");
        self.event(to, Event::Peer { from, message });
        self.settle();
    }

    /// The newest write that hangs ends well, and later ones work.
    pub fn release(&mut self, node: usize) {
        self.nodes[node].write = Some(CibOutcome::Written);
        let Some((serial, state)) = self.nodes[node].hung.take() else { return };
        self.write(node, state);
        let (ticket, outcome) = (the_ticket(), CibOutcome::Written);
        self.event(node, Event::CibWritten { ticket, serial, outcome });
        self.settle();
    }

    /// The write that hangs.
    pub fn hung_write(&mut self, node: usize) -> (WriteSerial, CibState) {
        self.nodes[node].hung.take().expect("a write hangs")
    }

    /// The store does one write that hung; later ones hang as before.
    pub fn obey(&mut self, node: usize, serial: WriteSerial, state: CibState) {
        let before = self.nodes[node].write.replace(CibOutcome::Written);
        self.write(node, state);
        self.nodes[node].write = before;
        let (ticket, outcome) = (the_ticket(), CibOutcome::Written);
        self.event(node, Event::CibWritten { ticket, serial, outcome });
        self.settle();
    }

    /// Whether a line of a member's log contains this.
    pub fn logged(&self, node: usize, what: &str) -> bool {
        self.nodes[node].log.iter().any(|line| line.contains(what))
    }

    /// Delivers everything that is under way.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some((from, to, message)) = self.flying.pop_front() else { return };
            let from = MemberIndex::new(from).expect("a test has few members");
            self.event(to, Event::Peer { from, message });
        }
        panic!("the members never stop talking");
    }

    /// Delivers the next `count` messages that are under way.
    pub fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let Some((from, to, message)) = self.flying.pop_front() else { return };
            let from = MemberIndex::new(from).expect("a test has few members");
            self.event(to, Event::Peer { from, message });
        }
    }

    /// What is under way is lost.
    pub fn lose(&mut self, like: impl Fn(usize, usize) -> bool) {
        self.flying.retain(|(from, to, _)| !like(*from, *to));
    }

    /// A client's request, nothing delivered yet.
    pub fn ask_only(&mut self, node: usize, request: ClientRequest) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        self.event(node, Event::Client { client, request });
        client
    }

    /// Lets time pass, deadline by deadline.
    pub fn advance(&mut self, span: Span) {
        let end = self.now.mono.plus(span);
        let mut stalled = 0;
        loop {
            let next = self
                .nodes
                .iter()
                .filter_map(|node| node.engine.as_ref()?.deadline_of(the_ticket()))
                .chain(self.parked.iter().map(|parked| parked.0))
                .min()
                .filter(|at| *at <= end);
            let at = next.unwrap_or(end).max(self.now.mono);
            stalled = if at > self.now.mono { 0 } else { stalled + 1 };
            assert!(stalled < 100, "a deadline that has passed stays due");
            self.now = Now { mono: at, wall: self.now.wall.plus(at.since(self.now.mono)) };
            if next.is_none() {
                return;
            }
            let (due, rest) = std::mem::take(&mut self.parked).into_iter().partition(|p| p.0 <= at);
            self.parked = rest;
            let due: Vec<(MonoTime, usize, usize, PeerMessage)> = due;
            self.flying.extend(due.into_iter().map(|(_, from, to, message)| (from, to, message)));
            for node in 0..self.nodes.len() {
                self.event(node, Event::Due { ticket: the_ticket() });
            }
            self.settle();
        }
    }

    /// A client asks a member to grant the ticket.
    pub fn grant(&mut self, node: usize, options: ClientOptions) -> ClientId {
        let ticket = Some(self.specs[node].name.clone());
        self.ask(node, ClientRequest::Grant { ticket, options })
    }

    /// A client asks a member to revoke the ticket.
    pub fn revoke(&mut self, node: usize) -> ClientId {
        self.revoke_with(node, PLAIN)
    }

    /// The same with other options.
    pub fn revoke_with(&mut self, node: usize, options: ClientOptions) -> ClientId {
        let ticket = Some(self.specs[node].name.clone());
        self.ask(node, ClientRequest::Revoke { ticket, options })
    }

    /// A client's request.
    pub fn ask(&mut self, node: usize, request: ClientRequest) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        self.event(node, Event::Client { client, request });
        self.settle();
        client
    }

    /// The result codes that a client was given.
    pub fn codes(&self, client: ClientId) -> Vec<(ResultCode, bool)> {
        let mine = self.replies.iter().filter(|(to, ..)| *to == client);
        mine.map(|(_, reply, last)| (reply.result(), *last)).collect()
    }

    /// Which stores say *granted*.
    pub fn granted(&self) -> Vec<usize> {
        let is = |index: &usize| self.nodes[*index].store.granted;
        (0..self.nodes.len()).filter(is).collect()
    }

    /// What a member's list shows as leader.
    pub fn listed(&mut self, node: usize) -> Holder {
        self.row(node).leader
    }

    /// A member's line of list.
    pub fn row(&mut self, node: usize) -> TicketRow {
        let client = self.ask(node, ClientRequest::List);
        let found = self.replies.iter().find(|(to, ..)| *to == client);
        match found {
            Some((_, Reply::Tickets(rows), _)) => rows[0].clone(),
            _ => panic!("list is answered at once"),
        }
    }

    /// Cuts every link of a member, both ways, or joins them again.
    pub fn isolate(&mut self, node: usize, alone: bool) {
        self.cut.retain(|(from, to)| *from != node && *to != node);
        if alone {
            let others = (0..self.nodes.len()).filter(|other| *other != node);
            self.cut.extend(others.flat_map(|other| [(node, other), (other, node)]));
        }
    }

    /// The id of a member.
    pub fn id(&self, node: usize) -> Holder {
        let roster = roster(self.sites, self.nodes.len() - self.sites, 0);
        let index = MemberIndex::new(node).expect("a test has few members");
        Holder::Member(roster.member(index).id)
    }
}

/// The only ticket of these tests.
pub fn the_ticket() -> TicketIndex {
    TicketIndex::new(0)
}
