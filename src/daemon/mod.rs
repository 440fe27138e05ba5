// SPDX-License-Identifier: GPL-2.0-or-later
//! The shell around the engine: threads, sockets, child processes, signals.
//!
//! The threads carry, the engine decides. [`run`] is the whole life of a daemon.

mod address;
pub mod alerts;
mod asked;
mod bonds;
pub mod channels;
pub mod clients;
pub mod descriptors;
pub mod engine_loop;
pub mod entry;
pub mod executor;
pub mod health;
pub mod history;
pub(crate) mod host;
mod journal;
mod limiter;
mod logsink;
pub mod notify;
mod outbox;
mod panics;
mod repeats;
mod reporting;
mod spawn;
mod start_error;
mod starting;
mod text;
mod threads;
pub mod timer;
pub mod transport;
mod udp;
pub mod watch;

use crate::config::Config;
use crate::sys::lockfile::{DaemonState, LockFile, StateLine};
use crate::sys::lockwatch::LockWatch;
use crate::sys::presence::Presence;
use crate::sys::process::{Report, Side};
use crate::sys::signals::{Signals, Wish};
use crate::sys::{accounts, directory, lockfile, lockholder, poll, process, title};
use address::{AddressWatch, Bound};
use clients::places::Bounds;
use limiter::Limiter;
use log::LevelFilter;
use logsink::{LogSink, Target, LOG_LIMIT};
use notify::Notifier;
use start_error::StartError;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use threads::{Blueprint, Threads};

/// What the command line says about a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonOptions {
    /// `-D`, how often: added to the configuration's debug level.
    pub debug: u32,
    /// `-S`: stay in the foreground.
    pub foreground: bool,
    /// `-l`: the lock file; without it [`lockfile::default_path`].
    pub lock_file: Option<PathBuf>,
    /// `-c` as given: the process title names it, since resource agents search for it.
    pub config_given: String,
}

/// How long the main thread rests when it cannot wait.
const REST: Duration = Duration::from_millis(100);
/// That it cannot is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Runs the daemon for the member number `me` (see [`crate::sys::local_addr::find_daemon`]) until
/// it is told to stop. Into the background it returns in the parent as soon as the child is up.
///
/// The exit code is 0 after a clean stop, and in the parent of a daemon that is up; else 1, with
/// the reason on stderr. Must be called before any thread exists.
pub(crate) fn run(mut config: Config, me: usize, options: DaemonOptions) -> ExitCode {
    process::prepare();
    let lock_path = options.lock_file.clone();
    let lock_path = lock_path.unwrap_or_else(|| lockfile::default_path(&config.name));
    make_absolute(&mut config);
    let lock_path = absolute(&lock_path);
    starting::leave_surroundings(host::account_of(&config, config.members[me].member.role));
    let report = if options.foreground {
        Report::nobody()
    } else {
        match process::daemonize() {
            Ok(Side::Parent(start)) => return start.wait(),
            Ok(Side::Daemon(report)) => report,
            Err(error) => return fail(&StartError::Background(error), Target::Stderr),
        }
    };
    let target = log_target(&options);
    match live(&config, me, &options, &lock_path, target, report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, target),
    }
}

/// Says why the daemon does not come up where its start is watched.
fn fail(error: &StartError, target: Target) -> ExitCode {
    let logged = !matches!(error, StartError::Background(_) | StartError::Log(_));
    if !logged || target == Target::Syslog {
        eprintln!("boothd: {error}");
    }
    ExitCode::FAILURE
}

/// Where the log goes.
fn log_target(options: &DaemonOptions) -> Target {
    if !options.foreground {
        Target::Syslog
    } else if std::env::var_os("JOURNAL_STREAM").is_some() {
        Target::Journal
    } else {
        Target::Stderr
    }
}

/// Makes the paths of the configuration independent of the working directory.
fn make_absolute(config: &mut Config) {
    config.path = absolute(&config.path);
    if let crate::config::TicketStore::Directory(path) = &mut config.store {
        *path = absolute(path);
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The daemon's life, from the lock to the end.
fn live(
    config: &Config,
    me: usize,
    options: &DaemonOptions,
    lock_path: &Path,
    target: Target,
    mut report: Report,
) -> Result<(), StartError> {
    let notifier = Notifier::from_environment();
    let titled = title::set("boothd", &title_text(config, me, options));
    let member = &config.members[me].member;
    let ident = format!("boothd-{}", member.role.word());
    // Before there is a lock file, so that no signal can leave one behind, and before any thread,
    // which could take a signal that is to wait.
    let signals = Signals::watch();
    // Before any thread is started, the log's included.
    let realtime = process::enter_realtime();
    let limit = descriptors::raise(member.role == crate::model::MemberRole::Site);
    let sink = LogSink::start(target, &ident, level(config, options)).map_err(StartError::Log)?;
    panics::to_log(sink.clone());
    let outcome = (|| {
        let version = env!("CARGO_PKG_VERSION");
        log::info!("BOOTH {} {version} daemon is starting", member.role.word());
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        if let Err(error) = realtime {
            process::note_refusal("use real-time scheduling", &error);
        }
        let bounds = bounds(limit)?;
        if let Err(error) = titled {
            log::warn!("cannot set the process title: {error}");
        }
        let notifier = notifier
            .inspect_err(|error| log::warn!("cannot reach the service manager: {error}"))
            .unwrap_or_default();
        let signals = signals.map_err(StartError::Thread)?;
        let users = lockholder::Users::of([&config.site_account, &config.arbitrator_account]);
        if options.lock_file.is_some() {
            directory::check(lock_path, &users).map_err(StartError::of_directory(lock_path))?;
        }
        let lock = starting::lock(lock_path, &users, &signals).map_err(StartError::Lock)?;
        let Some(mut lock) = lock else {
            is_over(signals.take(), None);
            return Ok(());
        };
        directory::note_owner(lock_path, &users);
        let ready = Ready { signals: &signals, sink: &sink, notifier, bounds };
        let lived = start_and_serve(config, me, &mut lock, ready, &mut report);
        lock.remove();
        lived
    })();
    if let Err(error) = &outcome {
        log::error!("{error}");
    }
    log::info!("exiting");
    sink.flush(LOG_LIMIT);
    outcome
}

/// How many clients can be served within the limit of open files.
fn bounds(limit: io::Result<descriptors::Limit>) -> Result<Bounds, StartError> {
    match limit {
        Ok(limit) if limit.is_too_low() => Err(StartError::Descriptors(limit)),
        Ok(limit) => {
            limit.note();
            Ok(limit.bounds())
        }
        Err(error) => {
            log::warn!("cannot raise the limit of open files: {error}");
            Ok(Bounds::FULL)
        }
    }
}

/// What a start has got before it takes the lock.
struct Ready<'a> {
    signals: &'a Signals,
    sink: &'a LogSink,
    notifier: Notifier,
    /// How many clients can be served.
    bounds: Bounds,
}

/// From the lock to the sockets, to threads, to the end.
fn start_and_serve(
    config: &Config,
    me: usize,
    lock: &mut LockFile,
    ready: Ready<'_>,
    report: &mut Report,
) -> Result<(), StartError> {
    let Ready { signals, sink, notifier, bounds } = ready;
    host::find_tool(config, config.members[me].member.role).map_err(StartError::Lack)?;
    lock.write(&state_line(config, me, DaemonState::Starting)).map_err(StartError::Lock)?;
    let address = config.members[me].socket_address();
    let bound = address::bind(address, signals).map_err(StartError::Bind)?;
    let Some(Bound { datagrams, listener }) = bound else {
        is_over(signals.take(), None);
        return Ok(());
    };
    // From before the address can go again.
    let watch = AddressWatch::new(address);
    let run_dir = run_dir(lock.path(), config, me);
    process::raise_rights();
    change_user(config, me, lock, &run_dir)?;
    if is_over(signals.take(), None) {
        return Ok(());
    }
    let run_dir = &run_dir;
    let blueprint = Blueprint { config, me, datagrams, listener, run_dir, notifier, bounds };
    let threads = starting::watched(signals, lock, sink, || threads::start(blueprint))?;
    report.up().map_err(StartError::Background)?;
    serve(config, me, lock, signals, watch, &threads);
    threads.stop();
    Ok(())
}

/// Waits for signals, for the end of the start, for somebody who removes the lock file, and for
/// changes of addresses.
fn serve(
    config: &Config,
    me: usize,
    lock: &mut LockFile,
    signals: &Signals,
    addresses: io::Result<AddressWatch>,
    threads: &Threads,
) {
    use std::os::fd::AsFd;
    // Two that start at once may each replace a stranger's file, and the other's.
    let mut watch = LockWatch::new(lock.path());
    watch.look(lock);
    let mut presence = Presence::new(lock.path());
    let mut started = Some(&threads.started);
    let mut troubles = Limiter::new(LOG_EVERY);
    let mut addresses = addresses
        .inspect_err(|error| log::debug!("cannot watch the addresses of this machine: {error}"))
        .ok();
    if let Some(watch) = &mut addresses {
        watch.look();
    }
    // What came during the start.
    if is_over(signals.take(), Some(threads)) {
        return;
    }
    loop {
        // A descriptor that is not there is replaced by one that is waited for anyway.
        let signal = signals.descriptor();
        let start = started.map_or(signal, AsFd::as_fd);
        let file = watch.descriptor().unwrap_or(signal);
        let asked = presence.descriptor().unwrap_or(signal);
        let address = addresses.as_ref().map_or(signal, AddressWatch::descriptor);
        let waited_for = [signal, start, file, asked, address];
        let ready = match poll::wait(waited_for, watch.look_again()) {
            Ok(ready) => ready,
            Err(error) => {
                // What there is to do is looked for now and then instead.
                if let Some(more) = troubles.pass(Instant::now()) {
                    log::error!("cannot wait for signals: {error}; trying again{more}");
                }
                std::thread::sleep(REST);
                [false; 5]
            }
        };
        if is_over(signals.take(), Some(threads)) {
            return;
        }
        if ready[1] && started.take().is_some() {
            note_start(config, me, lock);
        }
        if ready[3] && !ready[0] {
            presence.answer(lock.path(), lock.line());
        }
        if let Some(watch) = addresses.as_mut().filter(|_| ready[4]) {
            watch.look();
        }
        // Not only when all is quiet: those who ask need never be.
        if (ready[2] && !ready[0]) || watch.is_due() {
            watch.look(lock);
        }
    }
}

/// Does what signals ask for; whether that is to stop. Before there are threads, nothing else is
/// of importance.
fn is_over(wishes: Vec<Wish>, threads: Option<&Threads>) -> bool {
    for wish in wishes {
        match (wish, threads) {
            (Wish::Stop(signal), _) => {
                log::info!("caught signal {signal}");
                return true;
            }
            (Wish::Dump, Some(threads)) => threads.dump(),
            (Wish::Child, Some(threads)) => threads.child_exited(),
            (Wish::Reload, _) => log::info!("caught SIGHUP; the configuration stays as it is"),
            (Wish::Dump | Wish::Child, None) => {}
        }
    }
    false
}

/// Says that every ticket has been looked up.
fn note_start(config: &Config, me: usize, lock: &mut LockFile) {
    if let Err(error) = lock.write(&state_line(config, me, DaemonState::Started)) {
        log::warn!("{error}; status goes on to say \"starting\"");
    }
    let member = &config.members[me].member;
    let (role, id) = (member.role.word(), member.id.raw());
    log::info!("BOOTH {role} daemon started, node id is 0x{id:08X} ({id}).");
}

/// Becomes the user that the configuration names, and leaves to it what it needs.
fn change_user(
    config: &Config,
    me: usize,
    lock: &LockFile,
    run_dir: &Path,
) -> Result<(), StartError> {
    let role = config.members[me].member.role;
    let account = host::account_of(config, role);
    let identity = if process::am_root() {
        Some(accounts::look_up(account, role).map_err(StartError::Account)?)
    } else {
        log::debug!("not root: the user stays as it is, whoever the configuration names");
        None
    };
    if role == crate::model::MemberRole::Site {
        directory::make(run_dir, identity)
            .map_err(|error| StartError::RunDir(run_dir.to_owned(), error))?;
    }
    let Some(identity) = identity else {
        return Ok(());
    };
    if let Err(error) = lock.give_to(identity.uid, identity.gid) {
        log::warn!("cannot give the lock file to user {}: {error}", account.user);
    }
    accounts::become_user(account, identity).map_err(StartError::Account)
}

/// Where this site's keeper is found: beside the lock file, one for each site.
fn run_dir(lock_path: &Path, config: &Config, me: usize) -> PathBuf {
    let address = config.members[me].member.address;
    let parent = lock_path.parent().unwrap_or(Path::new("/"));
    parent.join(format!("{}-{address}.keeper", config.name))
}

fn level(config: &Config, options: &DaemonOptions) -> LevelFilter {
    if config.debug.saturating_add(options.debug) > 0 {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    }
}

fn state_line(config: &Config, me: usize, state: DaemonState) -> StateLine {
    let configured = &config.members[me];
    StateLine {
        pid: std::process::id(),
        state,
        role: configured.member.role,
        config_name: config.name.clone(),
        id: configured.member.id,
        address: configured.member.address,
        port: configured.port,
    }
}

/// Reference: `boothd /etc/booth/booth.conf site for [192.0.2.1]:9929`.
fn title_text(config: &Config, me: usize, options: &DaemonOptions) -> String {
    let configured = &config.members[me];
    let path = config.path.display().to_string();
    let role = configured.member.role.word();
    let (address, port) = (configured.member.address, configured.port);
    let title = format!("boothd {path} {role} for [{address}]:{port}");
    if title.contains(&options.config_given) {
        title
    } else {
        format!("{title} ({})", options.config_given)
    }
}

#[cfg(test)]
mod tests;
