// SPDX-License-Identifier: GPL-2.0-or-later
//! The members of one transcript: engines, stores, the messages that are under way, and the
//! commands that move them.

use super::hand::Hand;
use super::words;
use booth_core::engine::{
    CibLoad, CibOutcome, CibState, CibTicket, ClientId, Effect, Engine, Event, JobWish, NoteLevel,
    ProbeOutcome, Reply, Setup, StoreWish,
};
use booth_core::keeper::{expires_of, is_late};
use booth_core::model::{
    Holder, Member, MemberId, MemberIndex, MemberRole, Roster, TicketIndex, TicketMode, TicketName,
    TicketSpec,
};
use booth_core::time::{MonoTime, Now, Span, WallTime};
use booth_core::wire::{ClientOptions, ClientRequest, PeerMessage};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

/// Messages that one `deliver` may lead to: members that talk without end are a failure.
const DELIVERIES_MAX: usize = 1_000;

/// The only ticket may be due.
pub fn due() -> Event {
    Event::Due { ticket: TicketIndex::new(0) }
}

/// What a store or a handler does when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Temper {
    #[default]
    Works,
    Fails,
    Hangs,
}

#[derive(Debug)]
pub struct Node {
    pub name: String,
    role: MemberRole,
    engine: Option<Engine>,
    pub store: CibTicket,
    /// Words of its own for the ticket.
    config: Vec<String>,
    pub hand: Hand,
    store_temper: Temper,
    handler_temper: Temper,
}

/// Everything that a transcript has set up.
#[derive(Debug)]
pub struct Lab {
    pub nodes: Vec<Node>,
    pub spec: Option<TicketSpec>,
    flying: VecDeque<(usize, usize, PeerMessage)>,
    pub now: Now,
    pub base: Now,
    /// Stores and messages wait for commands.
    pub by_hand: bool,
    /// All messages between two members, in their order.
    pub sent: HashMap<(usize, usize), Vec<PeerMessage>>,
    /// The number of the last one that was passed on.
    pub passed: HashMap<(usize, usize), usize>,
    /// Links that are cut, as (from, to).
    cut: HashSet<(usize, usize)>,
    /// Messages are not shown.
    hushed: bool,
    clients: u64,
    started: u64,
    output: Vec<String>,
}

impl Default for Lab {
    fn default() -> Lab {
        let mono = MonoTime::from_micros(1_000_000_000);
        let now = Now { mono, wall: WallTime::from_secs(1_800_000_000) };
        Lab {
            nodes: Vec::new(),
            spec: None,
            flying: VecDeque::new(),
            now,
            base: now,
            by_hand: false,
            sent: HashMap::new(),
            passed: HashMap::new(),
            cut: HashSet::new(),
            hushed: false,
            clients: 0,
            started: 0,
            output: Vec::new(),
        }
    }
}

/// A time such as `10s`, `500ms` or `20us`.
fn span(text: &str) -> Span {
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) = found.expect("a unit");
    Span::from_micros(number.parse::<u64>().expect("a number") * factor)
}

/// A ticket with short times, changed by the words of its line.
fn ticket(words: &[&str]) -> TicketSpec {
    let mut spec = TicketSpec {
        name: TicketName::new(words[0]).expect("a ticket name"),
        mode: TicketMode::Automatic,
        expire: Span::from_secs(10),
        acquire_after: Span::ZERO,
        timeout: Span::from_secs(1),
        retries: 3,
        renewal: Span::from_secs(5),
        weights: Vec::new(),
        rules: Vec::new(),
        has_handler: false,
    };
    change(&mut spec, &words[1..]);
    spec
}

/// Changes a ticket by these words.
fn change(spec: &mut TicketSpec, words: &[&str]) {
    for word in words {
        match word.split_once('=') {
            Some(("expire", value)) => spec.expire = span(value),
            Some(("acquire-after", value)) => spec.acquire_after = span(value),
            Some(("timeout", value)) => spec.timeout = span(value),
            Some(("retries", value)) => spec.retries = value.parse().expect("a number"),
            Some(("renewal", value)) => spec.renewal = span(value),
            None if *word == "handler" => spec.has_handler = true,
            None if *word == "manual" => spec.mode = TicketMode::Manual,
            Some(_) | None => panic!("unknown word of a ticket: {word}"),
        }
    }
}

impl Lab {
    /// Carries out one line.
    pub fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["members", ref names @ ..] => self.nodes = names.iter().map(|n| node(n)).collect(),
            ["ticket", ref rest @ ..] => self.spec = Some(ticket(rest)),
            ["configure", name, ref rest @ ..] => {
                let index = self.index(name);
                self.nodes[index].config = rest.iter().map(|word| (*word).to_owned()).collect();
            }
            ["start", "all"] => (0..self.nodes.len()).for_each(|index| self.start(index, None)),
            ["start", name] => self.start(self.index(name), None),
            ["start", name, seed] => {
                let seed = seed.strip_prefix("seed=").and_then(|seed| seed.parse().ok());
                self.start(self.index(name), Some(seed.expect("a number as seed")));
            }
            ["crash", name] => {
                let index = self.index(name);
                self.nodes[index].engine = None;
                self.nodes[index].hand.stopped = false;
                self.nodes[index].hand.reading = None;
            }
            ["client", name, verb, ref options @ ..] => self.client(name, verb, options),
            ["deliver"] => self.deliver(|_, _| true),
            ["deliver", name] => {
                let index = self.index(name);
                self.deliver(|_, to| to == index);
            }
            ["drop"] => self.flying.clear(),
            ["drop", name] => {
                let index = self.index(name);
                self.flying.retain(|(from, to, _)| *from != index && *to != index);
            }
            ["cut", ref names @ ..] => self.cut(names, true),
            ["mend", ref names @ ..] => self.cut(names, false),
            ["advance", time] => self.advance(span(time)),
            ["run", time] => self.run(span(time)),
            ["store", name, temper] => {
                let index = self.index(name);
                self.nodes[index].store_temper = parse_temper(temper);
            }
            ["lose", name] => {
                let index = self.index(name);
                self.nodes[index].store = CibTicket::default();
            }
            ["handler", name, temper] => {
                let index = self.index(name);
                self.nodes[index].handler_temper = parse_temper(temper);
            }
            ["show"] => self.show(),
            _ => assert!(self.by_hand(&words), "unknown command: {line}"),
        }
    }

    /// What the members have said and done since the last call.
    pub fn take_output(&mut self) -> Vec<String> {
        std::mem::take(&mut self.output)
    }

    pub fn index(&self, name: &str) -> usize {
        self.nodes.iter().position(|node| node.name == name).expect("a member of this name")
    }

    fn holder(&self, holder: Holder) -> String {
        match holder {
            Holder::Unknown => "NONE".to_owned(),
            Holder::Nobody => "none".to_owned(),
            Holder::Member(id) => {
                let index = (0..self.nodes.len()).find(|index| member(*index).0 == id);
                self.nodes[index.expect("a member")].name.clone()
            }
        }
    }

    /// The ticket as a member is configured with it.
    fn ticket_of(&self, index: usize) -> TicketSpec {
        let mut spec = self.spec.clone().expect("a ticket comes before a start");
        let words: Vec<&str> = self.nodes[index].config.iter().map(String::as_str).collect();
        change(&mut spec, &words);
        spec
    }

    fn start(&mut self, index: usize, seed: Option<u64>) {
        self.started += 1;
        let seed = seed.unwrap_or(self.started);
        let members = self.nodes.iter().enumerate().map(|(index, node)| {
            let (id, address) = member(index);
            Member { id, role: node.role, address }
        });
        let roster = Roster::new(members.collect(), index).expect("a small cluster");
        let tickets = vec![self.ticket_of(index)];
        self.nodes[index].engine = Some(Engine::new(Setup { roster, tickets, seed }));
        self.event(index, Event::Start);
    }

    fn client(&mut self, name: &str, verb: &str, words: &[&str]) {
        let options = ClientOptions {
            immediate: words.contains(&"-F"),
            wait: words.contains(&"-w"),
            wait_commit: words.contains(&"-C"),
            explain: words.contains(&"explain"),
        };
        let ticket = Some(self.spec.as_ref().expect("a ticket").name.clone());
        let request = match verb {
            "grant" => ClientRequest::Grant { ticket, options },
            "revoke" => ClientRequest::Revoke { ticket, options },
            _ => panic!("unknown request: {verb}"),
        };
        self.clients += 1;
        let client = ClientId(self.clients);
        self.event(self.index(name), Event::Client { client, request });
    }

    fn deliver(&mut self, wanted: impl Fn(usize, usize) -> bool) {
        for _ in 0..DELIVERIES_MAX {
            let next = self.flying.iter().position(|(from, to, _)| wanted(*from, *to));
            let Some((from, to, message)) = next.and_then(|at| self.flying.remove(at)) else {
                return;
            };
            let from = MemberIndex::new(from).expect("a small cluster");
            self.event(to, Event::Peer { from, message });
        }
        panic!("the members never stop talking");
    }

    /// Cuts, or mends, the links between one member and others (all of them if none is named).
    fn cut(&mut self, names: &[&str], cut: bool) {
        let one = self.index(names[0]);
        let others: Vec<usize> = match &names[1..] {
            [] => (0..self.nodes.len()).filter(|index| *index != one).collect(),
            names => names.iter().map(|name| self.index(name)).collect(),
        };
        for link in others.iter().flat_map(|other| [(one, *other), (*other, one)]) {
            if cut {
                self.cut.insert(link);
            } else {
                self.cut.remove(&link);
            }
        }
        self.flying.retain(|(from, to, _)| !self.cut.contains(&(*from, *to)));
    }

    /// Time passes, and messages are delivered at once, without being shown.
    fn run(&mut self, time: Span) {
        let end = self.now.mono.plus(time);
        self.hushed = true;
        self.deliver(|_, _| true);
        loop {
            let at = self.next_tick().filter(|at| *at <= end).unwrap_or(end);
            let over = at == end;
            self.advance(at.since(self.now.mono));
            self.deliver(|_, _| true);
            if over {
                break;
            }
        }
        self.hushed = false;
    }

    /// When the next timer of a member rings.
    fn next_tick(&self) -> Option<MonoTime> {
        let due = |(index, node): (usize, &Node)| {
            let engine = node.engine.as_ref().filter(|_| !node.hand.stopped)?;
            engine.deadline_of(TicketIndex::new(0)).map(|at| self.when(index, at))
        };
        self.nodes.iter().enumerate().filter_map(due).min()
    }

    fn advance(&mut self, time: Span) {
        let end = self.now.mono.plus(time);
        loop {
            let next = self.next_tick().filter(|at| *at <= end);
            let at = next.unwrap_or(end).max(self.now.mono);
            let wall = self.now.wall.plus(at.since(self.now.mono));
            self.now = Now { mono: at, wall };
            if next.is_none() {
                return;
            }
            (0..self.nodes.len()).for_each(|index| self.event(index, due()));
        }
    }

    pub fn event(&mut self, index: usize, event: Event) {
        let mut effects = Vec::new();
        let now = self.clock(index);
        let idle = self.nodes[index].hand.stopped && matches!(event, Event::Due { .. });
        let Some(engine) = self.nodes[index].engine.as_mut().filter(|_| !idle) else { return };
        engine.step(now, event, &mut effects);
        effects.into_iter().for_each(|effect| self.perform(index, effect));
    }

    fn perform(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message, resend } => {
                if !self.hushed {
                    let said = words::message(&message, |holder| self.holder(holder));
                    let again = if resend { " again" } else { "" };
                    self.say(index, &format!("-> {}: {said}{again}", self.nodes[to.get()].name));
                }
                self.sent.entry((index, to.get())).or_default().push(message.clone());
                if !self.by_hand && !self.cut.contains(&(index, to.get())) {
                    self.flying.push_back((index, to.get(), message));
                }
            }
            Effect::Reply { reply: Reply::Tickets(rows), .. } => {
                for row in rows {
                    let said = words::row(&row, |holder| self.holder(holder));
                    self.say(index, &format!("lists {said}"));
                }
            }
            Effect::Reply { client, reply, last } => {
                let said = words::reply(&reply, last);
                self.say(index, &format!("answers client {}: {said}", client.0));
            }
            Effect::Job(JobWish::LoadCib { ticket, .. }) if self.by_hand => {
                self.nodes[index].hand.reading = Some(ticket);
            }
            Effect::Job(JobWish::LoadCib { ticket, .. }) => self.load(index, ticket),
            Effect::Store(StoreWish::WriteCib { ticket, serial, state }) => {
                let said = words::write(&state, |holder| self.holder(holder));
                self.say(index, &format!("store: {said}"));
                if self.by_hand {
                    self.asks_to_write(index, serial, state);
                } else if let Some(outcome) = self.write(index, state) {
                    self.event(index, Event::CibWritten { ticket, serial, outcome });
                }
            }
            Effect::Job(JobWish::StartProbe { ticket, run, .. }) => {
                self.say(index, "asks its handler");
                let outcome = match self.nodes[index].handler_temper {
                    Temper::Works => ProbeOutcome::Success,
                    Temper::Fails => ProbeOutcome::Failed("exit status 1".to_owned()),
                    Temper::Hangs => return,
                };
                self.event(index, Event::ProbeDone { ticket, run, outcome });
            }
            Effect::Note(note) if note.level <= NoteLevel::Info => {
                let level = format!("{:?}", note.level).to_lowercase();
                self.say(index, &format!("{level}: {}", note.text));
            }
            Effect::Store(StoreWish::Hold { window, .. }) => self.nodes[index].hand.window = window,
            Effect::Arm { .. }
            | Effect::Disarm { .. }
            | Effect::Store(StoreWish::WriteAttr { .. })
            | Effect::Job(JobWish::StopProbe { .. })
            | Effect::Note(_) => {}
        }
    }

    fn load(&mut self, index: usize, ticket: TicketIndex) {
        let outcome = match self.nodes[index].store_temper {
            Temper::Works => CibLoad::Loaded(self.nodes[index].store.clone()),
            Temper::Fails => CibLoad::Failed("exit status 1".to_owned()),
            Temper::Hangs => return,
        };
        self.event(index, Event::CibLoaded { ticket, outcome });
    }

    /// What the daemon writes is what was asked for: `expires` too, and a lease's grant only while
    /// its window lasts.
    fn write(&mut self, index: usize, state: CibState) -> Option<CibOutcome> {
        let (window, now) = (self.nodes[index].hand.window, self.clock(index));
        if is_late(&state, window.as_ref(), now.mono) {
            return Some(CibOutcome::TooLate);
        }
        let secs = expires_of(&state, window.as_ref(), now);
        let node = &mut self.nodes[index];
        match node.store_temper {
            Temper::Works => {
                let attrs = std::mem::take(&mut node.store.attrs);
                node.store = CibTicket {
                    granted: state.granted,
                    owner: Some(state.owner),
                    expires: Some(WallTime::from_secs(secs)),
                    term: Some(state.term),
                    attrs,
                };
                Some(CibOutcome::Written)
            }
            Temper::Fails => Some(CibOutcome::Failed("exit status 1".to_owned())),
            Temper::Hangs => None,
        }
    }

    /// What every member lists and every store says.
    fn show(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].engine.is_none() {
                self.say(index, "is down");
            }
            self.clients += 1;
            let client = ClientId(self.clients);
            self.event(index, Event::Client { client, request: ClientRequest::List });
            if let Some(said) = self.store_says(index) {
                self.say(index, &said);
            }
        }
    }

    /// What stands in a store, and how long before (-) or after (+) now it expires; nothing if
    /// the ticket was never there.
    fn store_says(&self, index: usize) -> Option<String> {
        let CibTicket { granted, owner, expires, term, .. } = &self.nodes[index].store;
        let what = if *granted { "granted" } else { "revoked" };
        let (owner, term) = (self.holder((*owner)?), (*term)?);
        let (at, now) = ((*expires)?.as_micros(), self.clock(index).wall.as_micros());
        let sign = if at < now { '-' } else { '+' };
        let expires = match at {
            0 => "0".to_owned(),
            at => format!("{sign}{}", Span::from_micros(at.abs_diff(now))),
        };
        Some(format!("has it {what} in its store: owner={owner} term={term} expires={expires}"))
    }

    pub fn say(&mut self, index: usize, what: &str) {
        let since = self.now.mono.since(MonoTime::from_micros(1_000_000_000)).as_millis();
        let line =
            format!("{:>3}.{:03} {} {what}", since / 1_000, since % 1_000, self.nodes[index].name);
        self.output.push(line);
    }
}

fn parse_temper(word: &str) -> Temper {
    match word {
        "works" => Temper::Works,
        "fails" => Temper::Fails,
        "hangs" => Temper::Hangs,
        _ => panic!("a store or handler works, fails or hangs: {word}"),
    }
}

fn node(name: &str) -> Node {
    let role = if name.starts_with("arb") { MemberRole::Arbitrator } else { MemberRole::Site };
    Node {
        name: name.to_owned(),
        role,
        engine: None,
        store: CibTicket::default(),
        config: Vec::new(),
        hand: Hand::default(),
        store_temper: Temper::Works,
        handler_temper: Temper::Works,
    }
}

pub fn member(index: usize) -> (MemberId, IpAddr) {
    let last = u8::try_from(index + 1).expect("a small cluster");
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    (MemberId::of_address(address), address)
}

/// Runs a transcript, without comparing what it says; how many stores have the ticket at its end.
pub fn holders_at_the_end(transcript: &str) -> usize {
    let mut lab = Lab::default();
    let mut said = Vec::new();
    let is_command = |line: &&str| !line.is_empty() && *line != "----" && !line.starts_with('#');
    for command in transcript.lines().filter(is_command) {
        lab.command(command);
        said = lab.take_output();
    }
    said.iter().filter(|line| line.contains("has it granted in its store")).count()
}
