// SPDX-License-Identifier: GPL-2.0-or-later
//! The engine's loop around a scripted machine: order, quotas, waking, and full queues.

use super::{roster, ticket, wait_until, watch};
use crate::daemon::channels::{
    Control, FromClient, Mailbox, ToExecutor, CLIENT_QUEUE, CONTROL_QUEUE, PEER_QUEUE, REPLY_QUEUE,
    RESULT_QUEUE,
};
use crate::daemon::clients::listing::Steps;
use crate::daemon::engine_loop::{EngineLoop, Inbox, LoopStats, Machine, Outlets, Transport};
use crate::daemon::health::Health;
use crate::daemon::history::History;
use crate::daemon::notify::Notifier;
use crate::daemon::timer::Timer;
use crate::engine::{CibLoad, ClientId, Effect, Event, Held, JobWish, RejectKind, Reply};
use crate::model::{Holder, MemberIndex, Term, TicketIndex, TicketName};
use crate::sys::{clock, poll};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientRequest, PeerBody, PeerMessage, Probe, ResultCode};
use crossbeam_channel::{bounded, unbounded, Receiver, Sender};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const REPORT: ClientRequest = ClientRequest::Report { history: false };

/// What a scripted machine does with an event.
type Script = Box<dyn FnMut(Now, &Event) -> Vec<Effect> + Send>;

struct Scripted {
    script: Script,
    seen: Sender<Event>,
}

impl Machine for Scripted {
    fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        effects.extend((self.script)(now, &event));
        // A test that has seen enough no longer listens.
        let _ = self.seen.send(event);
    }

    fn held(&self) -> Held {
        Held { here: Some(1), of: 2 }
    }
}

/// Takes messages for the second member only.
struct OneWay(Sender<PeerMessage>);

impl Transport for OneWay {
    fn send(&mut self, to: MemberIndex, message: &PeerMessage) -> bool {
        to.get() == 1 && self.0.send(message.clone()).is_ok()
    }

    fn probe(&mut self, _: MemberIndex, _: &TicketName, _: Probe) {}
}

/// A running loop and all its ends.
struct Rig {
    control: Sender<Control>,
    results: Sender<Event>,
    peers: Sender<Event>,
    clients: Sender<FromClient>,
    seen: Receiver<Event>,
    sent: Receiver<PeerMessage>,
    wishes: Receiver<ToExecutor>,
    started: Receiver<()>,
    thread: JoinHandle<LoopStats>,
}

struct Plan {
    script: Script,
    loads: usize,
    executor_room: usize,
    notifier: Notifier,
    clock: fn() -> Now,
}

impl Default for Plan {
    fn default() -> Plan {
        let script = Box::new(|_: Now, _: &Event| Vec::new());
        let notifier = Notifier::default();
        Plan { script, loads: 0, executor_room: 4, notifier, clock: clock::now }
    }
}

impl Rig {
    fn start(plan: Plan) -> Rig {
        let (control, control_end) = bounded(CONTROL_QUEUE);
        let (results, results_end) = bounded(RESULT_QUEUE);
        let (peers, peers_end) = bounded(PEER_QUEUE);
        let (clients, clients_end) = bounded(CLIENT_QUEUE);
        let (executor, wishes) = bounded(plan.executor_room);
        let (seen_end, seen) = unbounded();
        let (sent_end, sent) = unbounded();
        let (started_end, started) = unbounded();
        let machine = Scripted { script: plan.script, seen: seen_end };
        let outlets = Outlets {
            transport: OneWay(sent_end),
            timer: Timer::start(plan.clock).expect("a thread"),
            executor: Some(executor),
            executor_waker: None,
            started: Box::new(move || started_end.send(()).expect("the test listens")),
            notifier: plan.notifier,
            steps: Steps::default(),
            health: Health::default(),
            history: History::new(roster()),
            names: Vec::new(),
            watch: watch(),
            clock: plan.clock,
        };
        let inbox = Inbox {
            control: control_end,
            results: results_end,
            peers: peers_end,
            clients: clients_end,
            probes: crossbeam_channel::never(),
        };
        let thread =
            std::thread::spawn(move || EngineLoop::new(machine, outlets, plan.loads).run(&inbox));
        Rig { control, results, peers, clients, seen, sent, wishes, started, thread }
    }

    fn next_event(&self) -> Event {
        self.seen.recv_timeout(Duration::from_secs(5)).expect("the loop steps")
    }

    fn stop(self) -> LoopStats {
        self.control.send(Control::Shutdown).expect("the loop runs");
        self.thread.join().expect("the loop ends")
    }

    fn request(&self, number: u64) -> (Receiver<crate::daemon::channels::Answer>, Mailbox) {
        let (answers, answers_end) = bounded(REPLY_QUEUE);
        let (_sleeper, waker) = poll::waker_pair().expect("a pair");
        let mailbox = Mailbox { answers, waker: Arc::new(waker) };
        let client = ClientId(number);
        let request = REPORT;
        let message = FromClient::Request { client, request, from: None, mailbox: mailbox.clone() };
        self.clients.send(message).expect("the loop runs");
        (answers_end, mailbox)
    }
}

fn message() -> PeerMessage {
    PeerMessage {
        ticket: ticket("t1"),
        leader: Holder::Nobody,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        body: PeerBody::Status { nonce: 7 },
    }
}

fn member(number: usize) -> MemberIndex {
    MemberIndex::new(number).expect("a small index")
}

#[test]
fn start_comes_first_and_shutdown_last() {
    let rig = Rig::start(Plan::default());
    assert_eq!(rig.next_event(), Event::Start);
    rig.control.send(Control::Dump).expect("the loop runs");
    assert_eq!(rig.next_event(), Event::Dump);
    let seen = rig.seen.clone();
    rig.stop();
    assert_eq!(seen.try_iter().last(), Some(Event::Shutdown));
}

/// A clock that stands still for the timer's thread, which therefore never rings.
fn deaf_clock() -> Now {
    match std::thread::current().name() {
        Some("timer") => Now { mono: MonoTime::ZERO, wall: clock::wall() },
        _ => clock::now(),
    }
}

/// Arms a ticket at the start, so long after it.
fn arming(after: Span) -> Script {
    Box::new(move |now: Now, event: &Event| match event {
        Event::Start => vec![Effect::Arm { ticket: TicketIndex::new(7), at: now.mono.plus(after) }],
        _ => Vec::new(),
    })
}

const DUE: u64 = 150;

#[test]
fn an_alarm_that_does_not_ring_costs_at_most_the_second_until_the_next_look() {
    let script = arming(Span::from_millis(DUE));
    let begun = clock::mono();
    let rig = Rig::start(Plan { script, clock: deaf_clock, ..Plan::default() });
    assert_eq!(rig.next_event(), Event::Start);
    assert_eq!(rig.next_event(), Event::Due { ticket: TicketIndex::new(7) });
    let after = clock::mono().since(begun);
    assert!(after >= Span::from_millis(DUE) && after < Span::from_secs(3), "{after}");
    let _answers = rig.request(1);
    assert!(matches!(rig.next_event(), Event::Client { .. }), "which does not count");
    let seen = rig.seen.clone();
    assert_eq!(rig.stop().steps, 3, "it is due once: {:?}", seen.try_iter().collect::<Vec<_>>());
}

#[test]
fn a_ticket_that_is_due_has_its_turn_when_anything_wakes_the_loop() {
    let script = arming(Span::from_millis(1));
    let rig = Rig::start(Plan { script, clock: deaf_clock, ..Plan::default() });
    assert_eq!(rig.next_event(), Event::Start);
    let begun = clock::mono();
    wait_until("it is due", || clock::mono() > begun.plus(Span::from_millis(1)));
    rig.control.send(Control::Dump).expect("the loop runs");
    let both = [rig.next_event(), rig.next_event()];
    let due = Event::Due { ticket: TicketIndex::new(7) };
    assert!(both.contains(&due) && both.contains(&Event::Dump), "{both:?}");
    rig.stop();
}

/// A thousand tickets that are due at once have their turns in several rounds, each after the
/// other queues.
#[test]
fn many_tickets_that_are_due_starve_nobody() {
    let script = Box::new(move |now: Now, event: &Event| match event {
        Event::Start => {
            let ticket = TicketIndex::new;
            (0..1_000).map(|t| Effect::Arm { ticket: ticket(t), at: now.mono }).collect()
        }
        Event::Due { ticket } if ticket.get() == 0 => {
            // As slow as an engine that has much to do.
            std::thread::sleep(Duration::from_millis(20));
            Vec::new()
        }
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, ..Plan::default() });
    assert_eq!(rig.next_event(), Event::Start);
    rig.control.send(Control::Dump).expect("the loop runs");
    let seen: Vec<Event> = (0..1_001).map(|_| rig.next_event()).collect();
    let dump = seen.iter().position(|event| *event == Event::Dump).expect("a dump");
    assert!(dump <= 2 * 128, "{dump} tickets before it");
    let due = seen.iter().filter(|event| matches!(event, Event::Due { .. }));
    let expected = (0..1_000).map(|t| Event::Due { ticket: TicketIndex::new(t) });
    assert!(due.eq(expected.collect::<Vec<_>>().iter()), "each once, in order");
    rig.stop();
}

/// A clock that the test sets, in milliseconds after its start. While it stands, no look is due
/// because a second is over: only an alarm can wake the loop.
static SET_MILLIS: AtomicU64 = AtomicU64::new(0);
/// How often the timer's thread has read that clock since it was set.
static TIMER_READS: AtomicU64 = AtomicU64::new(0);

fn set_clock() -> Now {
    if std::thread::current().name() == Some("timer") {
        TIMER_READS.fetch_add(1, Ordering::SeqCst);
    }
    let mono = MonoTime::from_micros(1_000 * (1_000 + SET_MILLIS.load(Ordering::SeqCst)));
    Now { mono, wall: clock::wall() }
}

/// Sets the clock, and waits until the timer's thread, which has an alarm to wait for, has looked
/// whether anything rings then: when it reads the clock again, that look is over.
fn set_clock_to(millis: u64) {
    SET_MILLIS.store(millis, Ordering::SeqCst);
    TIMER_READS.store(0, Ordering::SeqCst);
    wait_until("the timer has looked", || TIMER_READS.load(Ordering::SeqCst) >= 2);
}

#[test]
fn an_alarm_wakes_the_loop_and_a_disarmed_one_does_not() {
    let script = Box::new(|now: Now, event: &Event| match event {
        Event::Start => vec![
            Effect::Arm { ticket: TicketIndex::new(0), at: now.mono.plus(Span::from_millis(30)) },
            Effect::Arm { ticket: TicketIndex::new(1), at: now.mono.plus(Span::from_millis(10)) },
            Effect::Disarm { ticket: TicketIndex::new(1) },
        ],
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, clock: set_clock, ..Plan::default() });
    assert_eq!(rig.next_event(), Event::Start);
    set_clock_to(29);
    // Whoever reads the second of two has seen the end of the first one's round, time included.
    for _ in 0..2 {
        rig.control.send(Control::Dump).expect("the loop runs");
        assert_eq!(rig.next_event(), Event::Dump, "nothing has rung");
    }
    SET_MILLIS.store(30, Ordering::SeqCst);
    let due = Event::Due { ticket: TicketIndex::new(0) };
    assert_eq!(rig.next_event(), due, "the alarm has rung");
    for _ in 0..2 {
        rig.control.send(Control::Dump).expect("the loop runs");
        assert_eq!(rig.next_event(), Event::Dump, "it rings once");
    }
    rig.stop();
}

#[test]
fn an_idle_loop_wakes_once_a_second() {
    let rig = Rig::start(Plan::default());
    assert_eq!(rig.next_event(), Event::Start);
    assert!(rig.seen.recv_timeout(Duration::from_millis(2_500)).is_err(), "nothing happens");
    let stats = rig.stop();
    assert!((3..=5).contains(&stats.rounds), "{stats:?}");
}

#[test]
fn a_message_that_cannot_be_sent_becomes_an_event() {
    let script = Box::new(|_: Now, event: &Event| match event {
        Event::Dump => [2, 1]
            .map(|to| Effect::Send { to: member(to), message: message(), resend: false })
            .to_vec(),
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, ..Plan::default() });
    rig.control.send(Control::Dump).expect("the loop runs");
    assert_eq!(rig.sent.recv_timeout(Duration::from_secs(5)), Ok(message()));
    assert_eq!(rig.next_event(), Event::Start);
    assert_eq!(rig.next_event(), Event::Dump);
    assert_eq!(rig.next_event(), Event::SendFailed { to: member(2) });
    rig.stop();
}

#[test]
fn wishes_keep_their_order_when_the_executor_is_busy() {
    let count = 500;
    let script = Box::new(move |_: Now, event: &Event| match event {
        Event::Start => (0..count)
            .map(|index| {
                Effect::Job(JobWish::LoadCib { ticket: TicketIndex::new(index), limit: Span::ZERO })
            })
            .collect(),
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, executor_room: 2, ..Plan::default() });
    for index in 0..count {
        let wish = rig.wishes.recv_timeout(Duration::from_secs(5)).expect("a wish");
        let expected = JobWish::LoadCib { ticket: TicketIndex::new(index), limit: Span::ZERO };
        assert_eq!(wish, ToExecutor::Job(expected));
    }
    rig.stop();
}

#[test]
fn the_start_is_over_when_the_store_has_answered_about_every_ticket() {
    let rig = Rig::start(Plan { loads: 2, ..Plan::default() });
    let outcomes = [CibLoad::Absent, CibLoad::Failed("no crm_ticket".to_owned())];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        assert!(rig.started.try_recv().is_err());
        let event = Event::CibLoaded { ticket: TicketIndex::new(index), outcome };
        rig.results.send(event).expect("the loop runs");
    }
    assert_eq!(rig.started.recv_timeout(Duration::from_secs(5)), Ok(()));
    let again = Event::CibLoaded { ticket: TicketIndex::new(0), outcome: CibLoad::Absent };
    rig.results.send(again).expect("the loop runs");
    let started = rig.started.clone();
    rig.stop();
    assert!(started.try_recv().is_err(), "it is said once");
    let arbitrator = Rig::start(Plan::default());
    assert_eq!(arbitrator.started.recv_timeout(Duration::from_secs(5)), Ok(()));
    arbitrator.stop();
}

#[test]
fn a_client_that_does_not_read_is_forgotten_and_the_engine_hears_of_it() {
    let script = Box::new(|_: Now, event: &Event| match event {
        Event::Client { client, .. } => {
            let reply = Reply::Result(ResultCode::More);
            vec![Effect::Reply { client: *client, reply, last: false }; REPLY_QUEUE + 1]
        }
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, ..Plan::default() });
    let (answers, mailbox) = rig.request(1);
    drop(mailbox);
    let client = ClientId(1);
    assert_eq!(rig.next_event(), Event::Start);
    assert_eq!(rig.next_event(), Event::Client { client, request: REPORT });
    assert_eq!(rig.next_event(), Event::ClientGone { client });
    assert_eq!(answers.iter().count(), REPLY_QUEUE, "then the channel is closed");
    rig.stop();
}

#[test]
fn a_client_that_left_after_its_last_answer_is_not_mentioned_again() {
    let script = Box::new(|_: Now, event: &Event| match event {
        Event::Client { client, .. } => {
            let reply = Reply::Tickets(Vec::new());
            vec![Effect::Reply { client: *client, reply, last: true }]
        }
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, ..Plan::default() });
    let (answers, _mailbox) = rig.request(1);
    assert!(answers.recv_timeout(Duration::from_secs(5)).expect("an answer").last);
    rig.clients.send(FromClient::Gone { client: ClientId(1) }).expect("the loop runs");
    rig.control.send(Control::Dump).expect("the loop runs");
    wait_until("the dump comes", || rig.clients.is_empty());
    let seen = rig.seen.clone();
    rig.stop();
    let gone = Event::ClientGone { client: ClientId(1) };
    assert!(!seen.try_iter().any(|event| event == gone));
}

#[test]
fn a_flood_of_messages_starves_no_client() {
    let stepped = Arc::new(AtomicU64::new(0));
    let (counter, waited) = (Arc::clone(&stepped), unbounded::<u64>());
    let waits = waited.0.clone();
    let script = Box::new(move |_: Now, event: &Event| match event {
        Event::Client { client, .. } => {
            waits.send(counter.load(Ordering::SeqCst)).expect("the test listens");
            vec![Effect::Reply { client: *client, reply: Reply::Peers(Vec::new()), last: true }]
        }
        Event::PeerRejected { .. } => {
            // As slow as an engine that has much to do.
            std::thread::sleep(Duration::from_micros(100));
            counter.fetch_add(1, Ordering::SeqCst);
            Vec::new()
        }
        _ => Vec::new(),
    });
    let rig = Rig::start(Plan { script, ..Plan::default() });
    let peers = rig.peers.clone();
    let (enough, enough_end) = bounded::<()>(0);
    let flood = std::thread::spawn(move || {
        let event = Event::PeerRejected { from: None, why: RejectKind::Invalid, count: 1 };
        while enough_end.try_recv() != Err(crossbeam_channel::TryRecvError::Disconnected) {
            let _ = peers.send_timeout(event.clone(), Duration::from_millis(10));
        }
    });
    wait_until("the queue is full", || rig.peers.is_full());
    let mut before: Vec<u64> = (0..21)
        .map(|number| {
            let asked = stepped.load(Ordering::SeqCst);
            let (answers, _mailbox) = rig.request(number);
            answers.recv_timeout(Duration::from_secs(5)).expect("an answer");
            waited.1.recv().expect("counted") - asked
        })
        .collect();
    drop(enough);
    flood.join().expect("the flood ends");
    rig.stop();
    // The rest of one round and a whole one, which have 32 messages each. This thread may have
    // been interrupted now and then, so the usual case counts; the queue has 256.
    before.sort_unstable();
    assert!(before[10] <= 3 * 32, "messages before a client's turn: {before:?}");
}

#[test]
fn the_watchdog_is_fed_by_the_loop_and_only_by_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
    let address = path.to_str().expect("a plain path").as_bytes().to_vec();
    let watchdog = Some(Span::from_millis(200));
    let notifier = Notifier::connect(&address, watchdog).expect("connected");
    // A dump makes the scripted machine hang: the watchdog must starve meanwhile.
    let (hangs, hangs_end) = bounded(1);
    let (release, release_end) = bounded::<()>(1);
    let script = Box::new(move |_: Now, event: &Event| {
        if *event == Event::Dump {
            hangs.send(()).expect("the test listens");
            let _ = release_end.recv_timeout(Duration::from_secs(5));
        }
        Vec::new()
    });
    let rig = Rig::start(Plan { script, notifier, ..Plan::default() });
    let read = || {
        let mut buffer = [0u8; 128];
        let len = socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    assert!(read().starts_with("READY=1\n"));
    assert_eq!(read(), "WATCHDOG=1");
    assert_eq!(read(), "WATCHDOG=1");
    rig.control.send(Control::Dump).expect("the loop runs");
    hangs_end.recv_timeout(Duration::from_secs(5)).expect("the machine hangs");
    // What was sent before it; then nothing for three times the watchdog's time.
    let mut buffer = [0u8; 128];
    socket.set_nonblocking(true).expect("settable");
    while socket.recv(&mut buffer).is_ok() {}
    socket.set_nonblocking(false).expect("settable");
    socket.set_read_timeout(Some(Duration::from_millis(600))).expect("settable");
    assert!(socket.recv(&mut buffer).is_err(), "fed by a loop that hangs");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
    release.send(()).expect("the machine waits");
    let goes_on = read();
    assert!(goes_on == "WATCHDOG=1" || goes_on.starts_with("STATUS="), "{goes_on}");
    rig.stop();
}

#[test]
fn the_roster_of_these_tests_is_that_of_the_first_member() {
    assert_eq!(roster().me(), member(0));
}
