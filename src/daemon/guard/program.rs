// SPDX-License-Identifier: GPL-2.0-or-later
//! The lease guard's process.
//!
//! It sleeps until the nearest end of a window, however often boothd moves it on: then it reads
//! the table and sleeps again, or starts a helper that revokes. It never touches the store
//! itself, so a hung `crm_ticket` or disk cannot hold it up.

use super::{GuardSetup, NAME};
use crate::daemon::child::{self, Child};
use crate::daemon::clock;
use crate::daemon::helper::{self, call::Call};
use crate::daemon::leases::{GuardEntry, LeaseTable, Slot, Verdict};
use crate::daemon::os;
use crate::daemon::slots::Ending;
use crate::time::{MonoTime, Span};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// How many tickets that are due are worth one call for all of them.
const TOGETHER_MIN: usize = 8;

/// How many helpers run at once, when tickets that are due together have to be revoked one by
/// one. Each is a process or two with a few megabytes, and waits more than it works.
const HELPERS_MAX: usize = 128;

/// How long a helper may take at first; each retry gives it twice as long.
const LIMIT_MIN: Span = Span::from_secs(10);
/// How long a helper may take at most.
const LIMIT_MAX: Span = Span::from_secs(120);

/// The pause after a failure at first; it doubles.
const PAUSE_MIN: Span = Span::from_secs(1);
/// The longest pause between attempts.
const PAUSE_MAX: Span = Span::from_secs(30);

/// The program: guards until there is nothing left to guard and no boothd.
pub fn main(args: &[OsString]) -> ExitCode {
    os::set_name(c"booth-lease-grd");
    os::close_inherited();
    let Some(setup) = GuardSetup::parse(args) else {
        eprintln!("this program is started by boothd only");
        return ExitCode::FAILURE;
    };
    match Program::start(setup).and_then(Program::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(Level::Error, &format!("the lease guard ends: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What a helper works on: one ticket of the CIB, or everything that is due in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Ticket(Slot),
    Everything,
}

/// A helper that runs.
struct Helper {
    target: Target,
    child: Child,
    since: MonoTime,
    kill_at: MonoTime,
    /// What it works on, if it is everything that was due.
    covers: BTreeSet<Slot>,
}

/// A target whose last helper failed.
struct Trouble {
    target: Target,
    next_try: MonoTime,
    pause: Span,
    limit: Span,
}

struct Program {
    setup: GuardSetup,
    table: LeaseTable,
    me: GuardEntry,
    /// The other end is boothd; `None`: it is gone.
    boothd: Option<UnixStream>,
    timer: OwnedFd,
    helpers: Vec<Helper>,
    troubles: Vec<Trouble>,
}

/// What a look at the table found.
struct Seen {
    due: Vec<Slot>,
    nearest: Option<MonoTime>,
}

impl Program {
    fn start(setup: GuardSetup) -> io::Result<Program> {
        // A session of its own, so that nobody who ends boothd's session ends the guard.
        os::new_session()?;
        let table = LeaseTable::reopen(io::stdin().as_fd())?;
        let boothd = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
        os::point_to_null(io::stdin().as_fd())?;
        os::point_to_null(io::stdout().as_fd())?;
        let timer = os::boot_timer()?;
        let pid = std::process::id();
        let me = GuardEntry { generation: setup.generation, pid, started: os::start_time(pid) };
        let old = table.guard()?;
        table.set_guard(me)?;
        (&boothd).write_all(b"r")?;
        boothd.set_nonblocking(true)?;
        // From now on this one watches; helpers that the old one has started go on.
        if let Some(old) = old.filter(|old| old.pid != me.pid) {
            os::kill_process(old.pid, old.started);
        }
        let (helpers, troubles) = (Vec::new(), Vec::new());
        Ok(Program { setup, table, me, boothd: Some(boothd), timer, helpers, troubles })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            self.collect();
            if self.table.guard()? != Some(self.me) {
                return Ok(());
            }
            let seen = self.scan()?;
            let now = clock::mono();
            let waits = self.start_helpers(&seen.due, now);
            let idle = seen.due.is_empty() && seen.nearest.is_none() && self.helpers.is_empty();
            if idle && self.boothd.is_none() {
                return Ok(());
            }
            if self.is_hopeless(&seen.due) {
                return Err(io::Error::other("the lease table is removed and the store is gone"));
            }
            let ends = self.helpers.iter().map(|helper| helper.kill_at);
            let wake = ends.chain(waits).chain(seen.nearest).min();
            self.sleep(wake)?;
        }
    }

    /// Whether everything points to a site that has been taken down for good: no boothd, the
    /// lease table removed, nothing left but tickets that could not be revoked again and again
    /// for half a minute. Otherwise it goes on trying for ever.
    fn is_hopeless(&self, due: &[Slot]) -> bool {
        let in_vain = |target: Target| {
            let mut troubles = self.troubles.iter();
            troubles.any(|trouble| trouble.target == target && trouble.pause >= PAUSE_MAX)
        };
        let all = match self.setup.dir {
            Some(_) => in_vain(Target::Everything),
            None => due.iter().all(|slot| in_vain(Target::Ticket(*slot))),
        };
        let gone = self.boothd.is_none() && self.table.is_removed();
        gone && !due.is_empty() && all
    }

    /// Looks at all windows that no guard has dealt with.
    fn scan(&self) -> io::Result<Seen> {
        let (count, _) = self.table.header()?;
        let now = clock::mono();
        let mut seen = Seen { due: Vec::new(), nearest: None };
        for slot in (0..count).map(Slot) {
            let Some(told) = self.table.told(slot)? else { continue };
            let Some(window) = told.window else { continue };
            if self.table.mark(slot)?.is_some_and(|mark| mark.number == told.number) {
                continue;
            }
            if window.hold_until <= now {
                seen.due.push(slot);
            } else if seen.nearest.is_none_or(|nearest| window.hold_until < nearest) {
                seen.nearest = Some(window.hold_until);
            }
        }
        Ok(seen)
    }

    /// What the helpers are to work on, and when that has to be asked again at the latest. Many
    /// tickets of the CIB are revoked with one call, or, if that has just failed, one by one: from
    /// the last, since the daemon begins with the first.
    fn targets(&self, due: &[Slot], now: MonoTime) -> (Vec<Target>, Option<MonoTime>) {
        let everything = Target::Everything;
        if due.is_empty() {
            return (Vec::new(), None);
        }
        if self.setup.dir.is_some() {
            return (vec![everything], None);
        }
        let sweep = self.helpers.iter().find(|helper| helper.target == everything);
        let covered = |slot: &Slot| sweep.is_some_and(|sweep| sweep.covers.contains(slot));
        let alone = due.iter().rev().filter(|slot| !covered(slot));
        let alone: Vec<Target> = alone.copied().map(Target::Ticket).collect();
        let Some(sweep) = sweep else {
            let failed = |t: &Trouble| t.target == everything && t.next_try > now;
            let together = due.len() >= TOGETHER_MIN && !self.troubles.iter().any(failed);
            return (if together { vec![everything] } else { alone }, None);
        };
        let guard = due.iter().filter_map(|slot| self.table.guard_time(*slot).ok()).min();
        let slow_at = sweep.since.plus(helper::may_hang_after(guard.unwrap_or_default()));
        if alone.is_empty() || now >= slow_at {
            return (alone, None);
        }
        (Vec::new(), Some(slow_at))
    }

    /// Starts what is due and not under way. Tells when the next attempt of something that
    /// failed is.
    fn start_helpers(&mut self, due: &[Slot], now: MonoTime) -> Option<MonoTime> {
        let (targets, mut next_try) = self.targets(due, now);
        for target in targets {
            if self.helpers.iter().any(|helper| helper.target == target) {
                continue;
            }
            let trouble = self.troubles.iter().find(|trouble| trouble.target == target);
            if let Some(later) = trouble.map(|trouble| trouble.next_try).filter(|at| *at > now) {
                next_try = Some(next_try.map_or(later, |at| at.min(later)));
                continue;
            }
            if self.helpers.len() >= HELPERS_MAX {
                break;
            }
            let limit = trouble.map_or(LIMIT_MIN, |trouble| trouble.limit);
            match self.start_helper(target) {
                Ok(child) => {
                    let covers = match target {
                        Target::Everything => due.iter().copied().collect(),
                        Target::Ticket(_) => BTreeSet::new(),
                    };
                    let kill_at = now.plus(limit);
                    self.helpers.push(Helper { target, child, since: now, kill_at, covers });
                }
                Err(error) => {
                    self.failed(target, now, &format!("cannot start a helper: {error}"));
                    next_try = Some(now.plus(PAUSE_MIN));
                }
            }
        }
        next_try
    }

    fn start_helper(&self, target: Target) -> io::Result<Child> {
        let (site, config_name) = (self.setup.site, self.setup.config_name.clone());
        let call = match (target, &self.setup.dir) {
            (Target::Ticket(slot), _) => Call::Revoke { slot, site, config_name },
            (Target::Everything, dir) => Call::Sweep { dir: dir.clone(), site, config_name },
        };
        let mut command = Command::new("/proc/self/exe");
        command.arg0(helper::NAME).args(call.to_args()).stdin(self.table.descriptor()?);
        Child::spawn(&mut command, 0)
    }

    /// Collects helpers that have ended and ends those that take too long.
    fn collect(&mut self) {
        let now = clock::mono();
        for mut helper in std::mem::take(&mut self.helpers) {
            if helper.kill_at <= now {
                helper.child.end(Ending::Kill);
                helper.kill_at = now.plus(PAUSE_MIN);
            }
            match helper.child.look() {
                None => self.helpers.push(helper),
                Some(finished) if finished.status.success() => self.succeeded(helper.target),
                Some(finished) => self.failed(helper.target, now, &finished.failure()),
            }
        }
    }

    fn succeeded(&mut self, target: Target) {
        self.troubles.retain(|trouble| trouble.target != target);
        let Target::Ticket(slot) = target else {
            return log(Level::Warning, "revoked tickets whose lease had ended");
        };
        let Ok(Some(name)) = self.table.name(slot) else { return };
        match self.table.mark(slot).ok().flatten().map(|mark| mark.verdict) {
            Some(Verdict::Revoked) => {
                log(Level::Warning, &format!("revoked {name}: its lease had ended"));
            }
            Some(Verdict::Newer) => {
                log(Level::Info, &format!("{name} has been granted anew through another node"));
            }
            Some(Verdict::WasFree) | None => {}
        }
    }

    fn failed(&mut self, target: Target, now: MonoTime, why: &str) {
        let (pause, limit) = match self.troubles.iter().find(|trouble| trouble.target == target) {
            Some(old) => (old.pause.times(2).min(PAUSE_MAX), old.limit.times(2).min(LIMIT_MAX)),
            None => (PAUSE_MIN, LIMIT_MIN.times(2)),
        };
        self.troubles.retain(|trouble| trouble.target != target);
        self.troubles.push(Trouble { target, next_try: now.plus(pause), pause, limit });
        let what = match target {
            Target::Ticket(slot) => match self.table.name(slot) {
                Ok(Some(name)) => name.to_string(),
                Ok(None) | Err(_) => "a ticket".to_owned(),
            },
            Target::Everything => "tickets".to_owned(),
        };
        log(
            Level::Error,
            &format!("cannot revoke {what}, whose lease has ended: {why}; trying again in {pause}"),
        );
    }

    /// Sleeps until something happens or `wake`.
    fn sleep(&mut self, wake: Option<MonoTime>) -> io::Result<()> {
        let looks = self.helpers.iter().any(|helper| helper.child.needs_looks());
        os::set_boot_timer(self.timer.as_fd(), wake.map(MonoTime::as_micros))?;
        let mut descriptors = vec![self.timer.as_fd()];
        descriptors.extend(self.boothd.as_ref().map(AsFd::as_fd));
        descriptors.extend(self.helpers.iter().flat_map(|helper| helper.child.descriptors()));
        let mut ready = Vec::new();
        os::wait_readable(&descriptors, looks.then_some(child::LOOK), &mut ready);
        if self.boothd.is_some() && ready[1] {
            self.hear();
        }
        Ok(())
    }

    /// Takes in what boothd sent, which only says that the table is to be looked at again.
    fn hear(&mut self) {
        let mut buffer = [0u8; 64];
        let heard = self.boothd.as_mut().map(|boothd| boothd.read(&mut buffer));
        match heard {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Some(Ok(len)) if len > 0 => {}
            Some(_) | None => self.boothd = None,
        }
    }
}

/// How much a line matters, as syslog counts it, in the facility *daemon*.
#[derive(Clone, Copy)]
enum Level {
    Error = 27,
    Warning = 28,
    Info = 30,
}

/// A line for the system's log, never waited for: a log that nobody reads must not stop a revoke.
fn log(level: Level, text: &str) {
    let line = format!("<{}>{NAME}[{}]: {text}", level as u8, std::process::id());
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(line.as_bytes(), "/dev/log")
    });
    // There is nowhere else to say it.
    drop(sent);
}
