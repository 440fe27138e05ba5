// SPDX-License-Identifier: GPL-2.0-or-later
//! A running loop around the real engine, with neighbours that misbehave from a seed.

use booth::daemon::channels::{
    Control, FromClient, Mailbox, ToExecutor, CLIENT_QUEUE, CONTROL_QUEUE, EXECUTOR_QUEUE,
    PEER_QUEUE, REPLY_QUEUE, RESULT_QUEUE,
};
use booth::daemon::clients::listing::Steps;
use booth::daemon::engine_loop::{EngineLoop, Inbox, LoopStats, Outlets, Transport};
use booth::daemon::health::Health;
use booth::daemon::history::History;
use booth::daemon::notify::Notifier;
use booth::daemon::timer::Timer;
use booth::daemon::watch::Watch;
use booth::engine::{
    CibLoad, CibOutcome, ClientId, Engine, Event, JobWish, ProbeOutcome, Setup, StoreWish,
};
use booth::model::{
    Holder, Member, MemberId, MemberIndex, MemberRole, Roster, Term, TicketMode, TicketName,
    TicketSpec,
};
use booth::prng::Prng;
use booth::reach::Reach;
use booth::sys::{clock, poll};
use booth::time::Span;
use booth::wire::{
    ClientOptions, ClientRequest, Command, PeerBody, PeerMessage, Probe, Reason, ResultCode, Stamp,
};
use crossbeam_channel::{bounded, Receiver, Sender};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many tickets the engine has.
const TICKETS: usize = 50;

/// How an executor of these tests behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// It answers after a random delay, and fails now and then.
    Slow,
    /// It takes nothing from its queue.
    Stuck,
}

pub fn ticket(index: usize) -> TicketName {
    TicketName::new(&format!("t{index}")).expect("a ticket name")
}

fn setup(seed: u64) -> Setup {
    let members = (1..=3u8).map(|last| {
        let address = IpAddr::from([10, 9, 8, last]);
        let role = if last == 3 { MemberRole::Arbitrator } else { MemberRole::Site };
        Member { id: MemberId::of_address(address), role, address }
    });
    let spec = |index| TicketSpec {
        name: ticket(index),
        mode: if index % 5 == 4 { TicketMode::Manual } else { TicketMode::Automatic },
        expire: Span::from_secs(2),
        acquire_after: Span::ZERO,
        timeout: Span::from_millis(100),
        retries: 3,
        renewal: Span::from_millis(700),
        weights: Vec::new(),
        rules: Vec::new(),
        has_handler: index % 3 == 0,
    };
    let roster = Roster::new(members.collect(), 0).expect("three members make a roster");
    Setup { roster, tickets: (0..TICKETS).map(spec).collect(), seed }
}

/// A network that delivers nothing and refuses to take a tenth of all messages: what comes in is
/// the flood's.
struct BadNetwork(Prng);

impl Transport for BadNetwork {
    fn send(&mut self, _: MemberIndex, _: &PeerMessage) -> bool {
        self.0.below(10) > 0
    }

    fn probe(&mut self, _: MemberIndex, _: &TicketName, _: Probe) {}
}

/// What happened at the loop's outside.
#[derive(Debug, Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub answers: AtomicU64,
    pub peers_dropped: AtomicU64,
    pub wishes: AtomicU64,
}

/// A running loop and its neighbours.
pub struct Rig {
    control: Sender<Control>,
    engine: JoinHandle<LoopStats>,
    neighbours: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    pub counts: Arc<Counts>,
}

/// Nobody is probed: the test is too short for that.
fn watch(seed: u64) -> Watch {
    let roster = setup(seed).roster;
    let (health, history) = (Health::default(), History::new(roster.clone()));
    let reach = Reach::new(roster.clone(), Vec::new(), 1, seed, clock::mono());
    Watch::new(roster, reach, health, history)
}

impl Rig {
    /// Starts a loop, its executor, four clients without manners and two floods of messages.
    pub fn start(seed: u64, temper: Temper) -> Rig {
        let (control, control_end) = bounded(CONTROL_QUEUE);
        let (results, results_end) = bounded(RESULT_QUEUE);
        let (peers, peers_end) = bounded(PEER_QUEUE);
        let (clients, clients_end) = bounded(CLIENT_QUEUE);
        let (wishes, wishes_end) = bounded(EXECUTOR_QUEUE);
        let over = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let mut neighbours = Vec::new();
        let common = || Neighbour { over: Arc::clone(&over), counts: Arc::clone(&counts) };
        for number in 0..4 {
            let (me, queue) = (common(), clients.clone());
            let random = Prng::new(seed ^ (100 + number));
            neighbours.push(std::thread::spawn(move || me.ask(&queue, random, number)));
        }
        for number in 0..2 {
            let (me, queue) = (common(), peers.clone());
            let random = Prng::new(seed ^ (200 + number));
            neighbours.push(std::thread::spawn(move || me.flood(&queue, random)));
        }
        let (me, random) = (common(), Prng::new(seed ^ 300));
        neighbours
            .push(std::thread::spawn(move || me.execute(temper, &wishes_end, &results, random)));
        let outlets = Outlets {
            transport: BadNetwork(Prng::new(seed ^ 400)),
            timer: Timer::start(clock::now).expect("a thread"),
            executor: Some(wishes),
            executor_waker: None,
            started: Box::new(|| {}),
            notifier: Notifier::default(),
            steps: Steps::default(),
            health: Health::default(),
            history: History::new(setup(seed).roster),
            names: Vec::new(),
            watch: watch(seed),
            clock: clock::now,
        };
        let inbox = Inbox {
            control: control_end,
            results: results_end,
            peers: peers_end,
            clients: clients_end,
            probes: crossbeam_channel::never(),
        };
        let engine = std::thread::spawn(move || {
            EngineLoop::new(Engine::new(setup(seed)), outlets, TICKETS).run(&inbox)
        });
        Rig { control, engine, neighbours, over, counts }
    }

    /// Stops the loop while everybody goes on; then the others. Gives what the loop has seen, and
    /// how long it took to stop.
    pub fn stop(self) -> (LoopStats, Duration) {
        let begun = Instant::now();
        self.control.send(Control::Shutdown).expect("the loop runs");
        let stats = self.engine.join().expect("the loop ends");
        let took = begun.elapsed();
        self.over.store(true, Ordering::SeqCst);
        for neighbour in self.neighbours {
            neighbour.join().expect("a neighbour ends");
        }
        (stats, took)
    }
}

/// What every neighbour has.
struct Neighbour {
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Neighbour {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Asks for anything, reads answers or not, leaves early or not.
    fn ask(&self, queue: &Sender<FromClient>, mut random: Prng, number: u64) {
        let (_sleeper, waker) = poll::waker_pair().expect("a pair");
        let waker = Arc::new(waker);
        let mut kept = Vec::new();
        for count in 0u64.. {
            if !self.goes_on() {
                return;
            }
            let client = ClientId(count * 4 + number);
            let (answers, answers_end) = bounded(REPLY_QUEUE);
            let mailbox = Mailbox { answers, waker: Arc::clone(&waker) };
            let request = any_request(&mut random);
            let message = FromClient::Request { client, request, from: None, mailbox };
            if queue.send_timeout(message, Duration::from_millis(50)).is_err() {
                continue;
            }
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            match random.below(4) {
                0 => {
                    let _ =
                        queue.send_timeout(FromClient::Gone { client }, Duration::from_millis(50));
                }
                // Never reads: the queue fills up, and the loop has to forget it.
                1 => kept.push(answers_end),
                _ => {
                    let answer = answers_end.recv_timeout(Duration::from_millis(5));
                    self.counts.answers.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
                }
            }
            if kept.len() > 1_000 {
                kept.clear();
            }
        }
    }

    /// Sends messages of both other members as fast as it can.
    fn flood(&self, queue: &Sender<Event>, mut random: Prng) {
        while self.goes_on() {
            let from = MemberIndex::new(1 + index_below(&mut random, 2)).expect("a small index");
            let message = any_message(&mut random);
            if queue.try_send(Event::Peer { from, message }).is_err() {
                self.counts.peers_dropped.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    /// Carries out wishes, or does not.
    fn execute(
        &self,
        temper: Temper,
        wishes: &Receiver<ToExecutor>,
        results: &Sender<Event>,
        mut random: Prng,
    ) {
        while self.goes_on() {
            if temper == Temper::Stuck {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let Ok(wish) = wishes.recv_timeout(Duration::from_millis(10)) else {
                continue;
            };
            self.counts.wishes.fetch_add(1, Ordering::Relaxed);
            if random.below(20) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            if let Some(event) = outcome(wish, &mut random) {
                let _ = results.send_timeout(event, Duration::from_millis(100));
            }
        }
    }
}

fn index_below(random: &mut Prng, bound: u64) -> usize {
    usize::try_from(random.below(bound)).expect("a small number")
}

/// What a store and a handler of any temper answer.
fn outcome(wish: ToExecutor, random: &mut Prng) -> Option<Event> {
    let cib = |random: &mut Prng| match random.below(5) {
        0 => CibOutcome::Failed("no quorum".to_owned()),
        1 => CibOutcome::Killed,
        _ => CibOutcome::Written,
    };
    match wish {
        ToExecutor::Job(JobWish::LoadCib { ticket, .. }) => {
            let failed = random.below(3) == 0;
            let outcome = if failed { CibLoad::Failed("busy".to_owned()) } else { CibLoad::Absent };
            Some(Event::CibLoaded { ticket, outcome })
        }
        ToExecutor::Store(StoreWish::WriteCib { ticket, serial, .. }) => {
            Some(Event::CibWritten { ticket, serial, outcome: cib(random) })
        }
        ToExecutor::Store(StoreWish::WriteAttr { ticket, serial, .. }) => {
            Some(Event::AttrWritten { ticket, serial, outcome: cib(random) })
        }
        ToExecutor::Job(JobWish::StartProbe { ticket, run, .. }) => {
            let failed = random.below(4) == 0;
            let outcome = if failed { ProbeOutcome::TimedOut } else { ProbeOutcome::Success };
            Some(Event::ProbeDone { ticket, run, outcome })
        }
        ToExecutor::Store(StoreWish::Hold { .. })
        | ToExecutor::Job(JobWish::StopProbe { .. })
        | ToExecutor::ChildExited
        | ToExecutor::Stop => None,
    }
}

fn any_request(random: &mut Prng) -> ClientRequest {
    let ticket = Some(ticket(index_below(random, TICKETS as u64 + 1)));
    let options = ClientOptions {
        immediate: random.below(2) == 0,
        wait: random.below(2) == 0,
        wait_commit: random.below(2) == 0,
        explain: random.below(2) == 0,
    };
    match random.below(7) {
        0 => ClientRequest::List,
        1 => ClientRequest::Peers,
        2 => ClientRequest::Revoke { ticket, options },
        3 => ClientRequest::AttrList { ticket },
        4 => ClientRequest::Report { history: random.below(2) == 0 },
        _ => ClientRequest::Grant { ticket, options },
    }
}

fn any_message(random: &mut Prng) -> PeerMessage {
    let ids = setup(0).roster;
    let sender = MemberIndex::new(1 + index_below(random, 2)).expect("a small index");
    let leader = match random.below(3) {
        0 => Holder::Nobody,
        1 => Holder::Member(ids.my_id()),
        _ => Holder::Member(ids.member(sender).id),
    };
    let stamp = Stamp {
        round: booth::wire::Round::new(1 + index_of_round(random)),
        established: random.below(2) == 0,
    };
    let body = match random.below(8) {
        0 => PeerBody::Status { nonce: 7 },
        1 => PeerBody::MyIndex { nonce: 0 },
        2 => PeerBody::ReqVote { reason: Reason::Admin, established: false, force: true, nonce: 0 },
        3 => PeerBody::Vote { vouched: true, unbound_for: Some(Span::ZERO), last: None },
        4 => PeerBody::Heartbeat { stamp },
        5 => PeerBody::Update { stamp },
        6 => PeerBody::Ack { of: Command::Heartbeat, round: stamp.round },
        _ => PeerBody::Rejected {
            of: Command::ReqVote,
            result: ResultCode::TermStillValid,
            granted: false,
        },
    };
    PeerMessage {
        ticket: ticket_of(random),
        leader,
        term: Term::new(u32::try_from(random.below(20)).expect("a small number")),
        valid_for: Span::from_secs(random.below(3)),
        body,
    }
}

fn index_of_round(random: &mut Prng) -> u32 {
    u32::try_from(random.below(50)).expect("a small number")
}

fn ticket_of(random: &mut Prng) -> TicketName {
    ticket(index_below(random, TICKETS as u64))
}
