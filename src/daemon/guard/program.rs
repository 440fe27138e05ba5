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

impl Target {
    fn includes(self, slot: Slot) -> bool {
        match self {
            Target::Ticket(ticket) => ticket == slot,
            Target::Everything => true,
        }
    }
}

/// A window that has ended and that no guard has dealt with: of which ticket, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ended {
    slot: Slot,
    number: u64,
}

/// A helper that runs.
struct Helper {
    target: Target,
    child: Child,
    since: MonoTime,
    kill_at: MonoTime,
    /// What it works on: of its target, what was due when it was started.
    covers: BTreeSet<Ended>,
}

/// A target whose last helper failed.
struct Trouble {
    target: Target,
    /// What that one worked on. What has ended since does not wait for the next try.
    about: BTreeSet<Ended>,
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
    due: Vec<Ended>,
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
    fn is_hopeless(&self, due: &[Ended]) -> bool {
        let in_vain = |target: Target| {
            let mut troubles = self.troubles.iter();
            troubles.any(|trouble| trouble.target == target && trouble.pause >= PAUSE_MAX)
        };
        let all = match self.setup.dir {
            Some(_) => in_vain(Target::Everything),
            None => due.iter().all(|ended| in_vain(Target::Ticket(ended.slot))),
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
                seen.due.push(Ended { slot, number: told.number });
            } else if seen.nearest.is_none_or(|nearest| window.hold_until < nearest) {
                seen.nearest = Some(window.hold_until);
            }
        }
        Ok(seen)
    }

    /// What the helpers are to work on, and when that has to be asked again at the latest. Many
    /// tickets of the CIB are revoked with one call, or, if that has just failed, one by one: from
    /// the last, since the daemon begins with the first.
    fn targets(&self, due: &[Ended], now: MonoTime) -> (Vec<Target>, Option<MonoTime>) {
        let everything = Target::Everything;
        if due.is_empty() {
            return (Vec::new(), None);
        }
        if self.setup.dir.is_some() {
            return (vec![everything], None);
        }
        let sweep = self.helpers.iter().find(|helper| helper.target == everything);
        let covered = |ended: &Ended| sweep.is_some_and(|sweep| sweep.covers.contains(ended));
        let alone = due.iter().rev().filter(|ended| !covered(ended));
        let alone: Vec<Target> = alone.map(|ended| Target::Ticket(ended.slot)).collect();
        let Some(sweep) = sweep else {
            let failed = |t: &Trouble| t.target == everything && t.next_try > now;
            let together = due.len() >= TOGETHER_MIN && !self.troubles.iter().any(failed);
            return (if together { vec![everything] } else { alone }, None);
        };
        let guard = due.iter().filter_map(|ended| self.table.guard_time(ended.slot).ok()).min();
        let slow_at = sweep.since.plus(helper::may_hang_after(guard.unwrap_or_default()));
        if alone.is_empty() || now >= slow_at {
            return (alone, None);
        }
        (Vec::new(), Some(slow_at))
    }

    /// Until when a target waits because it has failed. Only for what it has failed with: another
    /// ticket, and a later window of the same one, have their own *g*.
    fn waits(&self, target: Target, due: &BTreeSet<Ended>, now: MonoTime) -> Option<MonoTime> {
        let trouble = self.troubles.iter().find(|trouble| trouble.target == target)?;
        (trouble.next_try > now && due.is_subset(&trouble.about)).then_some(trouble.next_try)
    }

    /// Starts what is due and not under way. Tells when the next attempt of something that
    /// failed is.
    fn start_helpers(&mut self, due: &[Ended], now: MonoTime) -> Option<MonoTime> {
        let (targets, mut next_try) = self.targets(due, now);
        for target in targets {
            if self.helpers.iter().any(|helper| helper.target == target) {
                continue;
            }
            let covers = due.iter().copied().filter(|ended| target.includes(ended.slot)).collect();
            if let Some(later) = self.waits(target, &covers, now) {
                next_try = Some(next_try.map_or(later, |at| at.min(later)));
                continue;
            }
            if self.helpers.len() >= HELPERS_MAX {
                break;
            }
            let trouble = self.troubles.iter().find(|trouble| trouble.target == target);
            let limit = trouble.map_or(LIMIT_MIN, |trouble| trouble.limit);
            match self.start_helper(target) {
                Ok(child) => {
                    let kill_at = now.plus(limit);
                    self.helpers.push(Helper { target, child, since: now, kill_at, covers });
                }
                Err(error) => {
                    self.failed(target, covers, now, &format!("cannot start a helper: {error}"));
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
                Some(finished) => {
                    self.failed(helper.target, helper.covers, now, &finished.failure());
                }
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

    fn failed(&mut self, target: Target, about: BTreeSet<Ended>, now: MonoTime, why: &str) {
        let old = self.troubles.iter().find(|trouble| trouble.target == target);
        let limit = old.map_or(LIMIT_MIN, |old| old.limit).times(2).min(LIMIT_MAX);
        let pause = match old {
            Some(old) if about.is_subset(&old.about) => old.pause.times(2).min(PAUSE_MAX),
            Some(_) | None => PAUSE_MIN,
        };
        self.troubles.retain(|trouble| trouble.target != target);
        let next_try = now.plus(pause);
        self.troubles.push(Trouble { target, about, next_try, pause, limit });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MemberId, TicketName};

    /// The guard of a site with these tickets, without a boothd.
    fn program(dir: &tempfile::TempDir, tickets: &[&str]) -> Program {
        let ticket = |name: &&str| (TicketName::new(name).expect("good"), Span::from_secs(5));
        let tickets: Vec<_> = tickets.iter().map(ticket).collect();
        let opened = LeaseTable::open(&dir.path().join("table"), &tickets).expect("made");
        let setup = GuardSetup {
            dir: None,
            config_name: "some".to_owned(),
            site: MemberId::from_raw(42),
            generation: opened.generation,
        };
        Program {
            setup,
            me: GuardEntry { generation: opened.generation, pid: 1, started: 1 },
            table: opened.table,
            boothd: None,
            timer: os::boot_timer().expect("made"),
            helpers: Vec::new(),
            troubles: Vec::new(),
        }
    }

    fn ended(slot: u32, number: u64) -> Ended {
        Ended { slot: Slot(slot), number }
    }

    fn at(secs: u64) -> MonoTime {
        MonoTime::ZERO.plus(Span::from_secs(secs))
    }

    /// Otherwise a store that needs longer than that would never be revoked.
    #[test]
    fn a_helper_that_fails_is_followed_by_one_that_may_take_twice_as_long() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut program = program(&dir, &["t"]);
        let (target, about) = (Target::Ticket(Slot(0)), BTreeSet::from([ended(0, 1)]));
        for (limit, pause) in [(20, 1), (40, 2), (80, 4), (120, 8), (120, 16), (120, 30)] {
            program.failed(target, about.clone(), at(0), "it is a test");
            let [Trouble { limit: next, pause: wait, .. }] = &program.troubles[..] else {
                panic!("one ticket, one trouble")
            };
            assert_eq!((*next, *wait), (Span::from_secs(limit), Span::from_secs(pause)));
            assert_eq!(program.waits(target, &about, at(0)), Some(at(pause)));
            assert_eq!(program.waits(target, &about, at(pause)), None);
        }
        program.succeeded(target);
        assert!(program.troubles.is_empty(), "it begins anew");
    }

    #[test]
    fn the_guard_wakes_for_the_first_of_several_next_tries() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut program = program(&dir, &["t", "u", "v"]);
        let due = [ended(0, 1), ended(1, 1), ended(2, 1)];
        for (slot, failures) in [(0, 2), (1, 1), (2, 3)] {
            let (target, about) = (Target::Ticket(Slot(slot)), BTreeSet::from([ended(slot, 1)]));
            (0..failures)
                .for_each(|_| program.failed(target, about.clone(), at(0), "it is a test"));
        }
        assert_eq!(program.start_helpers(&due, at(0)), Some(at(1)));
    }

    #[test]
    fn what_has_ended_since_a_failure_does_not_wait_for_the_next_try() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut program = program(&dir, &["t", "u"]);
        for (target, since) in [
            (Target::Ticket(Slot(0)), ended(0, 2)),
            (Target::Everything, ended(0, 2)),
            (Target::Everything, ended(1, 1)),
        ] {
            program.troubles.clear();
            let failed = BTreeSet::from([ended(0, 1)]);
            (0..3).for_each(|_| program.failed(target, failed.clone(), at(0), "it is a test"));
            assert_eq!(program.waits(target, &failed, at(0)), Some(at(4)));
            let all = BTreeSet::from([ended(0, 1), since]);
            assert_eq!(program.waits(target, &all, at(0)), None, "{target:?}, {since:?}");
            program.failed(target, all.clone(), at(0), "it is a test");
            assert_eq!(program.waits(target, &all, at(0)), Some(at(1)), "{target:?}, {since:?}");
            assert_eq!(program.waits(target, &failed, at(0)), Some(at(1)), "part of it");
        }
    }
}
