// SPDX-License-Identifier: GPL-2.0-or-later
//! Starts the daemon's threads in the right order and stops them within a bounded time.

use super::alerts::{self, Alerts, Origin};
use super::bonds::{Birth, Bonds, ClientBonds};
use super::channels::{
    Control, FromClient, ToExecutor, CLIENT_QUEUE, CONTROL_QUEUE, EXECUTOR_QUEUE, PEER_QUEUE,
    PROBE_QUEUE, RESULT_QUEUE,
};
use super::clients::listing::Steps;
use super::clients::places::Bounds;
use super::clients::{GatewaySetup, Server};
use super::engine_loop::{EngineLoop, Inbox, Outlets};
use super::entry::Entry;
use super::executor::{self, ExecutorConfig};
use super::health::Health;
use super::history::History;
use super::notify::Notifier;
use super::outbox::{Outbox, Post};
use super::reporting::Reporter;
use super::spawn::{spawn, Ended};
use super::start_error::StartError;
use super::timer::Timer;
use super::udp::{Gate, Receiver as Datagrams};
use super::watch::Watch;
use crate::auth::{Key, Opener, ReplayGuard, Sealer};
use crate::config::{Config, ConfiguredMember};
use crate::engine::{Engine, Event, EventKind, Setup};
use crate::model::{MemberId, MemberIndex, Roster, TicketName};
use crate::reach::Reach;
use crate::sys::{clock, poll};
use crate::wire::{Life, Probe, TimeUnit};
use crossbeam_channel::{bounded, Receiver, Sender};
use log::Level;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the engine's loop may take to see that it shall stop: its rounds take far less.
const ENGINE_LIMIT: Duration = Duration::from_millis(500);
/// How long a running write and the ending of handlers may take.
const EXECUTOR_LIMIT: Duration = Duration::from_millis(1_800);
/// How long the other threads may take, which only have to wake up.
const OTHERS_LIMIT: Duration = Duration::from_millis(300);

/// What the threads are made from.
pub(super) struct Blueprint<'a> {
    /// The configuration.
    pub(super) config: &'a Config,
    /// Which member this is.
    pub(super) me: usize,
    /// The bound socket for datagrams.
    pub(super) datagrams: UdpSocket,
    /// The listening socket.
    pub(super) listener: TcpListener,
    /// Where a site's keeper is found.
    pub(super) run_dir: &'a Path,
    /// The way to the service manager.
    pub(super) notifier: Notifier,
    /// How many clients are served at a time.
    pub(super) bounds: Bounds,
}

/// The running threads, as the main thread sees them.
pub(super) struct Threads {
    /// Becomes readable when every ticket has been looked up.
    pub(super) started: UnixStream,
    control: Sender<Control>,
    engine: Ended,
    executor: Option<Executor>,
    datagrams: Stoppable,
    clients: Server,
}

struct Executor {
    wishes: Sender<ToExecutor>,
    waker: UnixStream,
    ended: Ended,
}

/// A thread that ends when it is woken.
struct Stoppable {
    stop: UnixStream,
    ended: Ended,
}

/// What several threads need to know.
struct Common {
    roster: Roster,
    ids: Vec<MemberId>,
    key: Option<Key>,
    unit: TimeUnit,
    birth: Birth,
    bonds: Arc<Bonds>,
    /// Counts what the engine does.
    steps: Steps,
    health: Health,
    history: History,
}

impl Common {
    /// Begins a life.
    fn new(config: &Config, me: usize) -> io::Result<Common> {
        let ids = config.members.iter().map(|configured| configured.member.id).collect();
        let (roster, key, unit) = (config.roster(me), config.key.clone(), config.unit);
        let life = Life::from_random(seed()?);
        let birth = Birth { life, at: clock::now() };
        let bonds = Arc::new(Bonds::new(&roster, Sealer::new(key.clone()), life));
        let origin = Origin { cluster: config.name.clone(), roster: roster.clone() };
        let (directory, helper) = (Path::new(alerts::DIRECTORY), Path::new("/proc/self/exe"));
        let alerts = Alerts::start(directory, alerts::LIMIT, Some(helper), origin)?;
        let history = History::new(roster.clone()).with_alerts(Some(alerts));
        let (steps, health) = (Steps::default(), Health::default());
        Ok(Common { roster, ids, key, unit, birth, bonds, steps, health, history })
    }

    fn opener(&self, config: &Config) -> Opener {
        Opener::new(self.key.clone(), config.max_skew)
    }

    fn reporter(&self, config: &Config) -> Reporter {
        let (health, history) = (self.health.clone(), self.history.clone());
        Reporter::new(config, self.roster.me().get(), self.birth.at.mono, health, history)
    }

    fn guard(&self, config: &Config) -> ReplayGuard {
        ReplayGuard::new(self.ids.iter().copied(), config.max_skew)
    }
}

/// Starts everything. The executor first: without a keeper nothing may be granted.
pub(super) fn start(blueprint: Blueprint<'_>) -> Result<Threads, StartError> {
    let Blueprint { config, me, run_dir, .. } = blueprint;
    let common = Common::new(config, me).map_err(StartError::Thread)?;
    let (results, results_end) = bounded(RESULT_QUEUE);
    let executor = if common.roster.am_site() {
        Some(start_executor(ExecutorConfig::new(config, me, run_dir), results.clone())?)
    } else {
        None
    };
    let text = format!("version {} has started", env!("CARGO_PKG_VERSION"));
    let entry = Entry::new(common.birth.at, EventKind::Started, text.clone());
    common.history.tell(Level::Info, entry, &text);
    start_others(blueprint, &common, executor, (results, results_end)).map_err(StartError::Thread)
}

fn start_others(
    blueprint: Blueprint<'_>,
    common: &Common,
    executor: Option<Executor>,
    (results, results_end): (Sender<Event>, Receiver<Event>),
) -> io::Result<Threads> {
    let Blueprint { config, datagrams, listener, notifier, bounds, .. } = blueprint;
    let (control, control_end) = bounded(CONTROL_QUEUE);
    let (peers, peers_end) = bounded(PEER_QUEUE);
    let (clients, clients_end) = bounded(CLIENT_QUEUE);
    let (probes, probes_end) = bounded(PROBE_QUEUE);
    let inbox = Inbox {
        control: control_end,
        results: results_end,
        peers: peers_end,
        clients: clients_end,
        probes: probes_end,
    };
    let datagrams = Arc::new(datagrams);
    let addresses: Vec<SocketAddr> =
        config.members.iter().map(ConfiguredMember::socket_address).collect();
    let post = Arc::new(Post::new(Arc::clone(&datagrams), &addresses));
    let bonds = Arc::clone(&common.bonds);
    let outbox = Outbox::new(Arc::clone(&post), common.roster.clone(), bonds, common.unit);
    // No queue is closed under the loop, which keeps a sending end of each.
    let senders = (results, peers.clone(), clients.clone(), probes.clone());
    let datagrams = start_datagrams(config, common, datagrams, post, (peers, probes))?;
    let clients = start_server(config, common, (listener, bounds), clients)?;
    let port = executor.as_ref().map(Executor::port).transpose()?;
    let (started, waker) = poll::waker_pair()?;
    let engine = make_engine(config, common, outbox, port, notifier, waker)?;
    let engine = spawn("engine", move || {
        let stats = engine.run(&inbox);
        drop(senders);
        let (rounds, steps, longest) = (stats.rounds, stats.steps, stats.longest_round);
        log::debug!("the engine made {steps} steps in {rounds} rounds, the longest of {longest}");
    })?;
    Ok(Threads { started, control, engine, executor, datagrams, clients })
}

fn start_executor(config: ExecutorConfig, results: Sender<Event>) -> Result<Executor, StartError> {
    let (wishes, wishes_end) = bounded(EXECUTOR_QUEUE);
    let (sleeper, waker) = poll::waker_pair().map_err(StartError::Thread)?;
    let ended = executor::spawn(config, (wishes_end, sleeper), results);
    let ended = ended.map_err(StartError::Executor)?;
    Ok(Executor { wishes, waker, ended })
}

impl Executor {
    /// The engine's way to it.
    fn port(&self) -> io::Result<(Sender<ToExecutor>, UnixStream)> {
        Ok((self.wishes.clone(), self.waker.try_clone()?))
    }
}

fn start_datagrams(
    config: &Config,
    common: &Common,
    socket: Arc<UdpSocket>,
    post: Arc<Post>,
    queues: (Sender<Event>, Sender<(MemberIndex, Probe)>),
) -> io::Result<Stoppable> {
    let (opener, guard) = (common.opener(config), common.guard(config));
    let (roster, bonds) = (common.roster.clone(), Arc::clone(&common.bonds));
    let (health, history) = (common.health.clone(), common.history.clone());
    let gate = Gate { roster, opener, guard, bonds, unit: common.unit, health, history };
    let receiver = Datagrams::new(socket, post, gate, queues, clock::now);
    let (sleeper, stop) = poll::waker_pair()?;
    let ended = spawn("udp-recv", move || receiver.run(&sleeper))?;
    Ok(Stoppable { stop, ended })
}

fn start_server(
    config: &Config,
    common: &Common,
    (listener, bounds): (TcpListener, Bounds),
    queue: Sender<FromClient>,
) -> io::Result<Server> {
    let sealer = Sealer::new(common.key.clone());
    let (me, max_skew) = (common.roster.my_id(), config.max_skew);
    let setup = GatewaySetup {
        roster: common.roster.clone(),
        opener: common.opener(config),
        bonds: ClientBonds::new(&sealer, me, common.birth, max_skew),
        has_key: common.key.is_some(),
        sealer,
        unit: common.unit,
        queue,
        steps: common.steps.clone(),
        reporter: common.reporter(config),
        clock: clock::now,
    };
    Server::start(listener, setup, common.guard(config), bounds)
}

fn make_engine(
    config: &Config,
    common: &Common,
    outbox: Outbox,
    port: Option<(Sender<ToExecutor>, UnixStream)>,
    notifier: Notifier,
    waker: UnixStream,
) -> io::Result<EngineLoop<Engine, Outbox>> {
    let setup = Setup {
        roster: common.roster.clone(),
        tickets: config.tickets.iter().map(|ticket| ticket.spec.clone()).collect(),
        seed: seed()?,
    };
    let names: Vec<TicketName> = setup.tickets.iter().map(|ticket| ticket.name.clone()).collect();
    let (roster, digest) = (common.roster.clone(), config.digest());
    let reach = Reach::new(roster.clone(), names.clone(), digest, seed()?, clock::mono());
    let watch = Watch::new(roster, reach, common.health.clone(), common.history.clone());
    let loads = if port.is_some() { setup.tickets.len() } else { 0 };
    let (executor, executor_waker) = port.unzip();
    let outlets = Outlets {
        transport: outbox,
        timer: Timer::start(clock::now)?,
        executor,
        executor_waker,
        started: Box::new(move || poll::wake(&waker)),
        notifier,
        steps: common.steps.clone(),
        health: common.health.clone(),
        history: common.history.clone(),
        names,
        watch,
        clock: clock::now,
    };
    Ok(EngineLoop::new(Engine::new(setup), outlets, loads))
}

/// A seed that nobody can guess.
fn seed() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Threads {
    /// Has the state of every ticket logged.
    pub(super) fn dump(&self) {
        // If so many wait already, one more would say the same.
        let _ = self.control.try_send(Control::Dump);
    }

    /// Tells the executor that a child has ended. If its queue is full it is awake anyway.
    pub(super) fn child_exited(&self) {
        if let Some(executor) = &self.executor {
            let _ = executor.wishes.try_send(ToExecutor::ChildExited);
            poll::wake(&executor.waker);
        }
    }

    /// Stops everything in under two seconds, unless a write to the cluster hangs.
    pub(super) fn stop(self) {
        self.clients.stop();
        poll::wake(&self.datagrams.stop);
        let told = self.control.send_timeout(Control::Shutdown, ENGINE_LIMIT).is_ok();
        if !told || !self.engine.wait(ENGINE_LIMIT) {
            log::warn!("the engine does not stop; ending without it");
        }
        if let Some(executor) = self.executor {
            stop_executor(executor);
        }
        let ended =
            [self.datagrams.ended.wait(OTHERS_LIMIT), self.clients.ended.wait(OTHERS_LIMIT)];
        if ended.contains(&false) {
            log::debug!("ending although a thread is still busy");
        }
    }
}

/// Stops the executor, or goes on without it if it takes too long.
fn stop_executor(executor: Executor) {
    // If the queue is full of wishes, the closed channel behind them says the same.
    let _ = executor.wishes.send_timeout(ToExecutor::Stop, OTHERS_LIMIT);
    drop(executor.wishes);
    poll::wake(&executor.waker);
    if !executor.ended.wait(EXECUTOR_LIMIT) {
        log::warn!("a child does not end; ending without it");
    }
}
