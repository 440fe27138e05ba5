// SPDX-License-Identifier: GPL-2.0-or-later
//! The engine's thread: takes events from the queues, steps the engine, performs its effects.
//!
//! Nothing here waits but the one wait for something to do. The queues have a quota each per
//! round, so a flood in one cannot starve the others. So has the timer.

use super::asked::Asked;
use super::channels::{Answer, Control, FromClient, Mailbox, ToExecutor};
use super::clients::listing::Steps;
use super::health::Health;
use super::history::{Entry, History};
use super::notify::Notifier;
use super::timer::{Timer, LOOK_EVERY};
pub use super::transport::Transport;
use super::watch::Watch;
use crate::engine::{ClientId, Effect, Engine, Event, EventKind, Held, Note, NoteLevel, Reply};
use crate::model::{MemberIndex, TicketIndex, TicketName};
use crate::sys::poll;
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientRequest, Probe};
use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// What the loop drives: the engine, or a scripted one in tests.
pub trait Machine {
    /// Takes one event and appends what must be done.
    fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>);
    /// How many tickets are held, of how many.
    fn held(&self) -> Held;
}

impl Machine for Engine {
    fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        Engine::step(self, now, event, effects);
    }

    fn held(&self) -> Held {
        Engine::held(self)
    }
}

/// The queues that end here.
pub struct Inbox {
    /// Signals.
    pub control: Receiver<Control>,
    /// Outcomes of children.
    pub results: Receiver<Event>,
    /// Messages of other members.
    pub peers: Receiver<Event>,
    /// Requests of clients.
    pub clients: Receiver<FromClient>,
    /// Probes of other members, and their answers.
    pub probes: Receiver<(MemberIndex, Probe)>,
}

/// What the loop needs besides its machine and its queues.
pub struct Outlets<C> {
    /// The way to the other members.
    pub transport: C,
    /// The alarms.
    pub timer: Timer,
    /// The way to the executor; an arbitrator has none.
    pub executor: Option<Sender<ToExecutor>>,
    /// Wakes the executor, which waits for descriptors, after wishes.
    pub executor_waker: Option<UnixStream>,
    /// Called once, when the store has answered about every ticket for the first time.
    pub started: Box<dyn FnMut() + Send>,
    /// The way to the service manager.
    pub notifier: Notifier,
    /// Counts the steps, apart from those that only list.
    pub steps: Steps,
    /// What the loop has seen of itself, for reports.
    pub health: Health,
    /// What has happened.
    pub history: History,
    /// The names of the tickets, for the history.
    pub names: Vec<TicketName>,
    /// Who can be reached.
    pub watch: Watch,
    /// The clocks.
    pub clock: fn() -> Now,
}

/// Events taken from one queue, and tickets that are due, before the next has its turn.
///
/// They are so small that a round takes far less than the 50 ms within which a client is
/// answered, and so large that looking into every queue costs little.
const CONTROL_QUOTA: usize = 8;
const RESULT_QUOTA: usize = 64;
const DUE_QUOTA: usize = 128;
const PEER_QUOTA: usize = 32;
const CLIENT_QUOTA: usize = 16;
/// Wishes for the executor that may be kept, beyond its queue: load, window, write and handler
/// of each ticket, all of them four times over, and some for attributes. The executor does
/// nothing that waits; if so many pile up it is dead, and a daemon without it must not go on.
const KEPT_PER_TICKET: usize = 16;
const KEPT_BESIDES: usize = 4096;
/// Longer pauses of the loop are logged, since leases may have run out meanwhile.
const LONG_PAUSE: Span = Span::from_secs(2);

/// What a round may take at most, for clients to be answered in time.
const ROUND_GOAL: Span = Span::from_millis(50);

/// What the loop has seen, for tests and for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopStats {
    /// Rounds, that is wake-ups.
    pub rounds: u64,
    /// Steps of the machine, apart from answers to `list` and reports.
    pub steps: u64,
    /// The longest time between waking up and waiting again.
    pub longest_round: Span,
    /// How many rounds took longer than [`ROUND_GOAL`].
    pub slow_rounds: u64,
}

/// The loop.
pub struct EngineLoop<M, C> {
    machine: M,
    outlets: Outlets<C>,
    clients: BTreeMap<ClientId, Asked>,
    /// Wishes that the executor's queue had no room for, in order.
    kept: VecDeque<ToExecutor>,
    kept_max: usize,
    /// Whether the executor has got a wish since it was woken.
    wished: bool,
    /// Events that performing effects has led to.
    inner: VecDeque<Event>,
    /// Tickets about which the store has not answered yet.
    unread: BTreeSet<TicketIndex>,
    announced: bool,
    effects: Vec<Effect>,
    stats: LoopStats,
}

impl<M: Machine, C: Transport> EngineLoop<M, C> {
    /// A loop around a machine that has seen nothing yet. The store is expected to answer about
    /// the first `loads` tickets: all at a site, none at an arbitrator.
    pub fn new(machine: M, outlets: Outlets<C>, loads: usize) -> EngineLoop<M, C> {
        EngineLoop {
            machine,
            outlets,
            clients: BTreeMap::new(),
            kept: VecDeque::new(),
            kept_max: loads.saturating_mul(KEPT_PER_TICKET).saturating_add(KEPT_BESIDES),
            wished: false,
            inner: VecDeque::new(),
            unread: (0..loads).map(TicketIndex::new).collect(),
            announced: false,
            effects: Vec::new(),
            stats: LoopStats::default(),
        }
    }

    /// Runs until it is told to stop. All connections are let go at the end.
    pub fn run(mut self, inbox: &Inbox) -> LoopStats {
        let rings = self.outlets.timer.rings();
        let mut select = Select::new();
        select.recv(&rings);
        select.recv(&inbox.control);
        select.recv(&inbox.results);
        select.recv(&inbox.peers);
        select.recv(&inbox.clients);
        select.recv(&inbox.probes);
        let mut woken = self.now();
        self.step_at(woken, Event::Start);
        self.outlets.notifier.ready(woken.mono);
        self.announce_start();
        loop {
            if self.round(inbox, &rings) {
                return self.stats;
            }
            self.outlets.timer.flush();
            self.ring();
            let waits = self.now();
            self.note_round(waits.mono.since(woken.mono));
            let until = self.wake_at(waits.mono);
            let pause = until.since(waits.mono).as_duration();
            if self.kept.is_empty() {
                // Only that something is ready counts; the round looks what it is.
                let _ = select.ready_timeout(pause);
            } else {
                self.wait_for_executor_too(select.clone(), pause);
            }
            woken = self.now();
            let late = woken.mono.since(until);
            self.outlets.watch.woke(woken.mono, late);
            self.note_pause(late);
        }
    }

    fn now(&self) -> Now {
        (self.outlets.clock)()
    }

    /// Waits for something to come, or for room in the executor's queue.
    fn wait_for_executor_too<'a>(&'a self, mut select: Select<'a>, pause: Duration) {
        if let Some(executor) = &self.outlets.executor {
            select.send(executor);
        }
        let _ = select.ready_timeout(pause);
    }

    /// When the loop has to wake up although nothing comes.
    fn wake_at(&self, now: MonoTime) -> MonoTime {
        let look = now.plus(LOOK_EVERY);
        self.outlets.notifier.next_feed(now).map_or(look, |feed| look.min(feed))
    }

    /// Takes from every queue its quota; true if the daemon shall stop.
    fn round(&mut self, inbox: &Inbox, rings: &Receiver<()>) -> bool {
        self.stats.rounds += 1;
        self.offer_kept();
        let _ = rings.try_recv();
        for _ in 0..CONTROL_QUOTA {
            match inbox.control.try_recv() {
                Ok(Control::Dump) => self.step(Event::Dump),
                Ok(Control::Shutdown) | Err(TryRecvError::Disconnected) => {
                    self.shut_down();
                    return true;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        for event in inbox.results.try_iter().take(RESULT_QUOTA) {
            self.note_load(&event);
            self.step(event);
        }
        self.look_at_time();
        for (from, probe) in inbox.probes.try_iter().take(PEER_QUOTA) {
            let now = self.now();
            self.outlets.watch.probed(now, from, probe, &mut self.outlets.transport);
        }
        for event in inbox.peers.try_iter().take(PEER_QUOTA) {
            self.take_from_peer(event);
        }
        for message in inbox.clients.try_iter().take(CLIENT_QUOTA) {
            self.take_from_client(message);
        }
        false
    }

    /// Steps with the tickets that are due, and feeds the watchdog.
    fn look_at_time(&mut self) {
        let now = self.now();
        for _ in 0..DUE_QUOTA {
            let Some(ticket) = self.outlets.timer.due(now.mono) else { break };
            self.step(Event::Due { ticket });
        }
        if self.outlets.notifier.wants_status(now.mono) {
            let held = self.machine.held();
            self.outlets.notifier.status(now.mono, held);
        }
        self.outlets.notifier.alive(now.mono);
        self.outlets.watch.look(now, &mut self.outlets.transport);
    }

    /// A message of another member, or that some were refused.
    fn take_from_peer(&mut self, event: Event) {
        if let Event::Peer { from, message } = &event {
            let now = self.now();
            if self.outlets.watch.heard(now, *from, message, &mut self.outlets.transport) {
                return;
            }
        }
        self.step(event);
    }

    fn take_from_client(&mut self, message: FromClient) {
        match message {
            FromClient::Request { client, request, from, mailbox } => {
                let (now, history) = (self.now(), &self.outlets.history);
                let asked = Asked::new(now, &request, from, mailbox, history);
                self.clients.insert(client, asked);
                self.step(Event::Client { client, request });
            }
            FromClient::Gone { client } => {
                // A client that has had its last answer is no concern of the engine any more.
                if let Some(asked) = self.clients.remove(&client) {
                    asked.left(self.now(), &self.outlets.history);
                    self.step(Event::ClientGone { client });
                }
            }
        }
    }

    /// Lets the engine note its state, then lets go of the clients.
    fn shut_down(&mut self) {
        self.outlets.notifier.stopping();
        self.step(Event::Shutdown);
        for asked in std::mem::take(&mut self.clients).into_values() {
            let Mailbox { answers, waker } = asked.mailbox;
            drop(answers);
            poll::wake(&waker);
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        self.step_at(now, event);
    }

    /// One step, its effects, and the steps that those lead to.
    fn step_at(&mut self, now: Now, event: Event) {
        let mut next = Some((now, event));
        while let Some((now, event)) = next {
            if !only_asks(&event) {
                self.outlets.steps.count();
                self.stats.steps += 1;
            }
            let mut effects = std::mem::take(&mut self.effects);
            self.machine.step(now, event, &mut effects);
            for effect in effects.drain(..) {
                self.perform(effect);
            }
            // The room is used again, so that a quiet daemon allocates nothing.
            self.effects = effects;
            next = self.inner.pop_front().map(|event| (self.now(), event));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message, resend: _ } => {
                if !self.outlets.transport.send(to, &message) {
                    self.inner.push_back(Event::SendFailed { to });
                }
            }
            Effect::Reply { client, mut reply, last } => {
                self.outlets.watch.complete(self.now(), &mut reply);
                self.name_askers(&mut reply);
                self.answer(client, Answer { reply, last });
            }
            Effect::Arm { ticket, at } => self.outlets.timer.arm(ticket, at),
            Effect::Disarm { ticket } => self.outlets.timer.disarm(ticket),
            Effect::Note(note) => self.write_note(note),
            Effect::Store(wish) => self.wish(ToExecutor::Store(wish)),
            Effect::Job(wish) => self.wish(ToExecutor::Job(wish)),
        }
    }

    /// Adds to a report who asked for what is still to be done.
    fn name_askers(&self, reply: &mut Reply) {
        let Reply::Report(view) = reply else { return };
        for request in view.tickets.iter_mut().flat_map(|ticket| &mut ticket.requests) {
            request.from = self.clients.get(&request.client).and_then(Asked::from);
        }
    }

    /// Hands an answer to the client's connection, or forgets a client that does not read.
    fn answer(&mut self, client: ClientId, answer: Answer) {
        let Some(asked) = self.clients.get(&client) else {
            return;
        };
        let (last, mailbox) = (answer.last, &asked.mailbox);
        if last {
            asked.answered(self.now(), &answer.reply, &self.outlets.history);
        }
        let taken = mailbox.answers.try_send(answer).is_ok();
        let waker = Arc::clone(&mailbox.waker);
        if !taken || last {
            self.clients.remove(&client);
        }
        // Woken last, so that the thread sees all there is to see: answers and a closed queue.
        poll::wake(&waker);
        if !taken && !last {
            log::debug!("a client does not read its answers and is forgotten");
            self.inner.push_back(Event::ClientGone { client });
        }
    }

    /// Hands a wish to the executor, in order; what it has no room for is kept.
    fn wish(&mut self, wish: ToExecutor) {
        if self.outlets.executor.is_none() {
            log::error!("an arbitrator has no ticket store: {wish:?} is dropped");
            return;
        }
        self.kept.push_back(wish);
        self.offer_kept();
        assert!(self.kept.len() <= self.kept_max, "the executor takes what it is asked for");
    }

    fn offer_kept(&mut self) {
        let Some(executor) = &self.outlets.executor else {
            return;
        };
        while let Some(wish) = self.kept.pop_front() {
            match executor.try_send(wish) {
                Ok(()) => self.wished = true,
                Err(TrySendError::Full(wish)) => {
                    self.kept.push_front(wish);
                    return self.ring();
                }
                Err(TrySendError::Disconnected(_)) => {
                    panic!("the executor lives as long as the engine's loop")
                }
            }
        }
    }

    /// Wakes the executor if there is something for it.
    fn ring(&mut self) {
        if let (true, Some(executor_waker)) =
            (std::mem::take(&mut self.wished), &self.outlets.executor_waker)
        {
            poll::wake(executor_waker);
        }
    }

    /// Notes which ticket the store has answered about.
    fn note_load(&mut self, event: &Event) {
        if let Event::CibLoaded { ticket, .. } = event {
            self.unread.remove(ticket);
            self.announce_start();
        }
    }

    /// Says once that the start is over.
    fn announce_start(&mut self) {
        if self.unread.is_empty() && !self.announced {
            self.announced = true;
            (self.outlets.started)();
        }
    }

    fn note_round(&mut self, took: Span) {
        let slow = took > ROUND_GOAL;
        self.stats.longest_round = self.stats.longest_round.max(took);
        self.stats.slow_rounds += u64::from(slow);
        self.outlets.health.note_round(self.stats.steps, took, slow);
    }

    /// Says that the process stood still: it slept far longer than it meant to.
    fn note_pause(&self, late: Span) {
        self.outlets.health.note_pause(late);
        if late >= LONG_PAUSE {
            let secs = late.as_secs();
            log::warn!(
                "stood still for {secs} s (stopped, suspended or starved); leases may be over"
            );
        }
    }

    /// Hands a line of the engine to the log, and what it tells to the history.
    fn write_note(&self, note: Note) {
        let level = match note.level {
            NoteLevel::Error => log::Level::Error,
            NoteLevel::Warning => log::Level::Warn,
            NoteLevel::Info => log::Level::Info,
            NoteLevel::Debug => log::Level::Debug,
        };
        let Some(event) = note.event else {
            log::log!(level, "{}", note.text);
            return;
        };
        let ticket = event.ticket.and_then(|ticket| self.outlets.names.get(ticket.get()).cloned());
        // Without the prefix of a ticket's line: an entry has the same in fields.
        let bare = ticket.as_ref().and_then(|_| note.text.split_once("): "));
        let text = bare.map_or(note.text.as_str(), |(_, text)| text).to_owned();
        let (member, term) = (event.member, event.term);
        let entry = Entry { ticket, member, term, ..Entry::new(self.now(), event.kind, text) };
        // A site without a majority stands again and again.
        let often = event.kind == EventKind::Standing;
        let entry = if often { entry.provoked() } else { entry };
        self.outlets.history.tell(level, entry, &note.text);
    }
}

/// Whether somebody only wants to know how things are.
fn only_asks(event: &Event) -> bool {
    use ClientRequest::{List, Report};
    matches!(event, Event::Client { request: List | Report { .. }, .. })
}
