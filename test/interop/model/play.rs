// SPDX-License-Identifier: GPL-2.0-or-later
//! One member, twice: the real program, and the model in a time of its own.

use booth::engine::{
    CibLoad, CibTicket, ClientId, Effect, Event, JobWish, ProbeOutcome, StoreWish,
};
use booth::model::{
    Holder, Member, MemberId, MemberRole, Roster, Term, TicketIndex, TicketMode, TicketName,
    TicketSpec,
};
use booth::time::{MonoTime, Now, Span, WallTime};
use booth::wire::{decode_peer, encode_peer, ClientOptions, ClientRequest, TimeUnit};
use booth_harness::{pass, setup_ticket, Cluster, FakeMember, Kind, Lab, Packet, Setup, NOBODY};
use booth_sim::reference::model::Model;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long the real program may take for an answer; it takes milliseconds.
const SOON: Duration = Duration::from_secs(6);

/// What was sent to a scripted member, without what may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    to: usize,
    text: String,
    valid: u32,
    /// How far validities may lie apart, in seconds.
    slack: u32,
}

impl Line {
    fn fits(&self, other: &Line) -> bool {
        let near = self.valid.abs_diff(other.valid) <= self.slack;
        (self.to, &self.text) == (other.to, &other.text) && near
    }
}

/// What was written: granted, owner, term.
type Write = (bool, i64, u32);

/// What the store says before the start.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Granted here.
    pub granted: bool,
    /// The owner: a member's index, or nobody.
    pub owner: Option<usize>,
    /// Its term.
    pub term: u32,
    /// How many seconds it lasts yet; may be negative.
    pub left: i64,
}

/// One member, twice, and two scripted members.
pub struct Play<'lab> {
    cluster: Cluster<'lab>,
    me: usize,
    fakes: Vec<(usize, FakeMember)>,
    model: Model,
    now: Now,
    roster: Roster,
    seen: Vec<Line>,
    writes: Vec<Write>,
    clients: u64,
    slack: u32,
}

fn spec(name: &str) -> TicketSpec {
    TicketSpec {
        name: TicketName::new(name).expect("a plain name"),
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

impl<'lab> Play<'lab> {
    /// The member `me` (0 and 1 are sites, 2 is an arbitrator) starts; the others answer its
    /// first query: nobody has the ticket, term 0.
    #[track_caller]
    pub fn new(lab: &'lab Lab, me: usize) -> Play<'lab> {
        let mut play = Play::cold(lab, me, None);
        for other in play.others() {
            play.say(other, "MIdx", |packet| packet.answering("Stat").ticket("t1", NOBODY, 0, 0));
        }
        play.look();
        play
    }

    /// It starts with something in its store, and has not been answered yet.
    #[track_caller]
    pub fn cold(lab: &'lab Lab, me: usize, found: Option<Found>) -> Play<'lab> {
        let tickets = setup_ticket("t1", "") + &setup_ticket("t2", "");
        let setup = Setup::of(&[Kind::Theirs; 3]).tickets(tickets);
        let mut cluster = Cluster::new(lab, &setup);
        let others: Vec<usize> = (0..3).filter(|m| *m != me).collect();
        let fakes = others.iter().map(|m| (*m, FakeMember::new(cluster.address(*m), None)));
        let fakes: Vec<(usize, FakeMember)> = fakes.collect();
        let member = |m: usize| {
            let address = IpAddr::V4(cluster.address(m));
            let role = if m == 2 { MemberRole::Arbitrator } else { MemberRole::Site };
            Member { id: MemberId::of_address(address), role, address }
        };
        let roster = Roster::new((0..3).map(member).collect(), me).expect("three members");
        let model = Model::new(roster.clone(), vec![spec("t1"), spec("t2")], 7);
        let wall = WallTime::from_secs(1_700_000_000);
        let now = Now { mono: MonoTime::from_micros(1_000_000_000), wall };
        let mut stored = None;
        if let Some(found) = found {
            let owner = found.owner.map_or(-1, |m| i64::from(cluster.id(m)));
            let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let epoch = i64::try_from(epoch.expect("later than 1970").as_secs()).unwrap_or(0);
            cluster.crm(me).put(
                "t1",
                found.granted,
                &[("owner", owner), ("expires", epoch + found.left), ("term", found.term.into())],
            );
            let id = |m: usize| Holder::Member(MemberId::from_raw(cluster.id(m)));
            let expires = wall.as_secs().saturating_add_signed(found.left);
            stored = Some(CibTicket {
                granted: found.granted,
                owner: Some(found.owner.map_or(Holder::Nobody, id)),
                expires: Some(WallTime::from_secs(expires)),
                term: Some(Term::new(found.term)),
                attrs: Vec::new(),
            });
        }
        cluster.members[me].spawn(lab);
        // What the store says lasts by the wall clock, while the real one takes its time to start.
        let slack = if found.is_some() { 4 } else { 1 };
        let (seen, writes) = (Vec::new(), Vec::new());
        let mut play =
            Play { cluster, me, fakes, model, now, roster, seen, writes, clients: 0, slack };
        play.begin(stored);
        play
    }

    /// Both look at their timers, which they do ten times a second.
    pub fn look(&mut self) {
        let looked = Span::from_millis(300);
        let lines = self.advance(looked, false);
        pass(looked.as_duration());
        self.compare(&lines, SOON, "it looks at its timers");
    }

    #[track_caller]
    fn begin(&mut self, stored: Option<CibTicket>) {
        let mut lines = self.step(Event::Start);
        if self.me != 2 {
            let first = stored.map_or(CibLoad::Absent, CibLoad::Loaded);
            for (index, outcome) in [first, CibLoad::Absent].into_iter().enumerate() {
                let ticket = TicketIndex::new(index);
                lines.extend(self.step(Event::CibLoaded { ticket, outcome }));
            }
        }
        let address = self.cluster.address(self.me);
        for (_, fake) in &self.fakes {
            let about = |p: &Packet| p.command() == "Stat" && p.payload().name == "t2";
            // The query about t1 comes first; it stays to be compared.
            let query = fake.receive(address, Duration::from_secs(10), about);
            assert!(query.is_some(), "it starts and asks");
            fake.send(address, &fake.packet("MIdx").answering("Stat").ticket("t2", NOBODY, 0, 0));
        }
        for other in self.others() {
            let from = self.roster.everyone().iter().find(|m| m.get() == other);
            let fake = self.fake(other).packet("MIdx").answering("Stat");
            let message = decode(&fake.ticket("t2", NOBODY, 0, 0));
            let from = from.expect("a member");
            lines.extend(self.step(Event::Peer { from, message }));
        }
        self.seen.extend(lines);
        self.cluster.members[self.me].wait_started();
    }

    fn others(&self) -> Vec<usize> {
        self.fakes.iter().map(|(m, _)| *m).collect()
    }

    fn fake(&self, m: usize) -> &FakeMember {
        let found = self.fakes.iter().find(|(other, _)| *other == m);
        &found.expect("a scripted member").1
    }

    /// The id of a member.
    pub fn id(&self, m: usize) -> u32 {
        self.cluster.id(m)
    }

    fn name(&self, id: u32) -> String {
        let known = (0..3).find(|m| self.cluster.id(*m) == id);
        known.map_or_else(
            || if id == NOBODY { "nobody".into() } else { id.to_string() },
            |m| format!("m{m}"),
        )
    }

    fn line(&self, to: usize, packet: &Packet) -> Option<Line> {
        let payload = packet.payload();
        if payload.name != "t1" {
            return None;
        }
        let code = |number: u32| match number {
            0 => "-".to_owned(),
            number => String::from_utf8_lossy(&number.to_be_bytes()).into_owned(),
        };
        let text = format!(
            "{} req={} reason={} result={} options={} leader={} term={}",
            packet.command(),
            code(packet.request),
            code(packet.reason),
            code(packet.result),
            packet.options,
            self.name(payload.leader),
            payload.term,
        );
        Some(Line { to, text, valid: payload.valid_for, slack: self.slack })
    }

    /// One step of the model; what it sends about t1.
    fn step(&mut self, event: Event) -> Vec<Line> {
        let mut effects = Vec::new();
        self.model.step(self.now, event, &mut effects);
        let mut lines = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => {
                    let bytes = encode_peer(self.roster.my_id(), &message, TimeUnit::Seconds);
                    let packet = Packet::read(&bytes, None).expect("our codec's own bytes");
                    lines.extend(self.line(to.get(), &packet));
                }
                Effect::Store(StoreWish::WriteCib { ticket, state, .. }) if ticket.get() == 0 => {
                    let owner = i64::from(state.owner.raw() as i32);
                    self.writes.push((state.granted, owner, state.term.get()));
                }
                Effect::Job(JobWish::StartProbe { ticket, run, .. }) => {
                    let outcome = ProbeOutcome::Success;
                    lines.extend(self.step(Event::ProbeDone { ticket, run, outcome }));
                }
                _ => {}
            }
        }
        lines
    }

    /// Lets time pass for the model, until it says something if `stop`.
    fn advance(&mut self, span: Span, stop: bool) -> Vec<Line> {
        let end = self.now.mono.plus(span);
        let mut lines = Vec::new();
        while let Some(at) = self.model.next_deadline().filter(|at| *at <= end) {
            let at = at.max(self.now.mono);
            self.now = Now { wall: self.now.wall_at(at), mono: at };
            let ticket = TicketIndex::new(0);
            lines.extend(self.step(Event::Due { ticket }));
            let known = |line: &Line| self.seen.iter().any(|seen| seen.text == line.text);
            if stop && lines.iter().any(|line| !known(line)) {
                return lines;
            }
        }
        self.now = Now { wall: self.now.wall_at(end), mono: end };
        lines
    }

    /// A scripted member says something about t1, and both answer the same.
    #[track_caller]
    pub fn say(&mut self, from: usize, cmd: &str, make: impl FnOnce(Packet) -> Packet) {
        let packet = make(self.fake(from).packet(cmd));
        let mut lines = self.advance(Span::from_millis(5), false);
        let index = self.roster.everyone().iter().find(|m| m.get() == from);
        let message = decode(&packet);
        lines.extend(self.step(Event::Peer { from: index.expect("a member"), message }));
        self.fake(from).send(self.cluster.address(self.me), &packet);
        self.compare(&lines, SOON, &format!("m{from} says {packet:?}"));
    }

    /// The same as both scripted members.
    #[track_caller]
    pub fn both_say(&mut self, cmd: &str, make: impl Fn(Packet) -> Packet) {
        for other in self.others() {
            self.say(other, cmd, &make);
        }
    }

    /// An administrator asks for t1; what he is answered is not compared.
    #[track_caller]
    pub fn order(&mut self, cmd: &str) {
        let name = Some(TicketName::new("t1").expect("a plain name"));
        self.clients += 1;
        let options = ClientOptions::default();
        let request = match cmd {
            "CGnt" => ClientRequest::Grant { ticket: name, options },
            _ => ClientRequest::Revoke { ticket: name, options },
        };
        let lines = self.step(Event::Client { client: ClientId(self.clients), request });
        let address = self.cluster.address(self.me);
        let bytes = self.cluster.request(self.me, cmd, "t1").seal(None);
        // Where no answer is final, the client gives up after a while, or ends with the test.
        std::thread::spawn(move || {
            booth_harness::ask_with(address, &bytes, None, Duration::from_secs(20))
        });
        self.compare(&lines, SOON, cmd);
    }

    /// What was said so far is news again.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// Time passes until something new is said, at most so many seconds in the model.
    #[track_caller]
    pub fn until_it_speaks(&mut self, seconds: u64) {
        let lines = self.advance(Span::from_secs(seconds), true);
        assert!(!lines.is_empty(), "the model says nothing within {seconds} s");
        let limit = Duration::from_secs(seconds) + SOON;
        self.compare(&lines, limit, "time passes");
    }

    /// Nothing new is said for so many seconds.
    #[track_caller]
    pub fn quiet(&mut self, seconds: u64) {
        let lines = self.advance(Span::from_secs(seconds), false);
        pass(Duration::from_secs(seconds));
        self.compare(&lines, SOON, "nothing new is said");
    }

    /// The real one has to say what the model says, and nothing else that is new.
    #[track_caller]
    fn compare(&mut self, lines: &[Line], limit: Duration, what: &str) {
        let mut expected: Vec<Line> = Vec::new();
        for line in lines {
            if !expected.iter().any(|other| other.fits(line)) {
                expected.push(line.clone());
            }
        }
        let known = |line: &Line| self.seen.iter().any(|seen| seen.text == line.text);
        let fresh: Vec<Line> = expected.iter().filter(|line| !known(line)).cloned().collect();
        let address = self.cluster.address(self.me);
        let mut heard: Vec<Line> = Vec::new();
        let begun = Instant::now();
        for (m, fake) in &self.fakes {
            // First all that is new; then an answer about another ticket, which comes behind
            // every answer about this one.
            let mut asked = false;
            loop {
                let missing = fresh
                    .iter()
                    .any(|line| line.to == *m && !heard.iter().any(|other| line.fits(other)));
                if !missing && !asked {
                    let query = fake.packet("Stat").ticket("t2", NOBODY, 0, 0);
                    fake.send(address, &query);
                    asked = true;
                }
                let left = if missing { limit.saturating_sub(begun.elapsed()) } else { SOON };
                let packet = fake.receive(address, left, |_| true);
                let Some(packet) = packet else {
                    let ours: Vec<&Line> = fresh.iter().filter(|line| line.to == *m).collect();
                    panic!("{what}: to m{m} the model says {ours:#?}, the real one {heard:#?}");
                };
                match self.line(*m, &packet) {
                    Some(line) => heard.push(line),
                    None if packet.command() == "MIdx" && asked => break,
                    None => {}
                }
            }
        }
        for line in &heard {
            let wanted = expected.iter().any(|other| other.fits(line)) || known(line);
            assert!(wanted, "{what}: the model says {expected:#?}, the real one also {line:#?}");
        }
        for m in self.others() {
            let order = |lines: &[Line]| -> Vec<String> {
                let mut texts: Vec<String> = Vec::new();
                for line in lines.iter().filter(|line| line.to == m) {
                    if fresh.iter().any(|f| f.fits(line)) && !texts.contains(&line.text) {
                        texts.push(line.text.clone());
                    }
                }
                texts
            };
            assert_eq!(order(&expected), order(&heard), "{what}: the order to m{m}");
        }
        self.seen.extend(expected);
    }

    /// Both have written the same so far.
    #[track_caller]
    pub fn same_writes(&self) {
        let mut wanted = self.writes.clone();
        wanted.dedup();
        let crm = self.cluster.crm(self.me);
        let written = || {
            let mut all: Vec<Write> = Vec::new();
            for change in crm.history("t1").iter().skip(self.put()) {
                let granted = change.granted == Some(true);
                let term = u32::try_from(change.number("term")).unwrap_or(u32::MAX);
                all.push((granted, change.number("owner"), term));
            }
            all.dedup();
            all
        };
        let end = Instant::now() + SOON;
        while written() != wanted && Instant::now() < end {
            pass(Duration::from_millis(20));
        }
        assert_eq!(written(), wanted, "writes of the real one, of the model");
    }

    /// How many entries of the store were there before the start.
    fn put(&self) -> usize {
        0
    }
}

/// What the model hears of a packet.
fn decode(packet: &Packet) -> booth::wire::PeerMessage {
    decode_peer(&packet.bytes(), TimeUnit::Seconds).expect("a packet between members").1
}
