// SPDX-License-Identifier: GPL-2.0-or-later
//! One site of a test: a directory, a store, and a driver that can be talked to and killed.

use crate::driver;
use crate::process::{lives, named, of_site, parent, signal, until, PATIENCE};
use booth::time::MonoTime;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pacemaker,
    BuiltIn,
}

/// Runs a test for both stores, at the same time: it mostly waits.
pub fn both(test: impl Fn(Kind) + Sync) {
    std::thread::scope(|scope| {
        let kinds = [Kind::Pacemaker, Kind::BuiltIn];
        let tests = kinds.map(|kind| {
            (
                kind,
                scope.spawn({
                    let test = &test;
                    move || test(kind)
                }),
            )
        });
        for (kind, test) in tests {
            assert!(test.join().is_ok(), "it failed for {kind:?}, see above");
        }
    });
}

/// A site: its directory goes, and whatever still runs in it is killed, when it is dropped.
pub struct Site {
    dir: tempfile::TempDir,
    kind: Kind,
    pub tickets: Vec<String>,
    pub handler: String,
    /// *g*.
    pub guard: Duration,
    /// When the window ends that was told last, by ticket.
    told: Told,
}

/// Ends of windows by ticket.
type Told = Arc<Mutex<BTreeMap<usize, MonoTime>>>;

impl Site {
    pub fn new(kind: Kind) -> Site {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["bin", "crm", "run"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        for name in ["crm_ticket", "cibadmin"] {
            let fake = format!("{}/test/fixtures/fake_{name}", env!("CARGO_MANIFEST_DIR"));
            symlink(fake, dir.path().join("bin").join(name)).expect("linked");
        }
        let (tickets, handler) = (vec!["t0".to_owned()], String::new());
        let guard = Duration::from_millis(500);
        Site { dir, kind, tickets, handler, guard, told: Told::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self) -> &str {
        self.dir.path().to_str().expect("a path of plain letters")
    }

    /// What the fake `crm_ticket` shall do.
    pub fn control(&self, lines: &str) {
        let new = self.path("crm/control.new");
        fs::write(&new, lines).expect("written");
        fs::rename(new, self.path("crm/control")).expect("renamed");
    }

    /// Puts another script in the place of `crm_ticket`.
    pub fn script(&self, text: &str) {
        fs::remove_file(self.path("bin/crm_ticket")).expect("removed");
        self.program("bin/crm_ticket", text);
    }

    /// Makes a program of the shell. Another process writes it: whatever other tests start while
    /// this one had it open for writing would have it open, too, and it could not be run.
    pub fn program(&self, name: &str, text: &str) {
        let (source, path) = (self.path("source"), self.path(name));
        fs::write(&source, format!("#!/bin/sh\n{text}\n")).expect("written");
        let mut install = Command::new("install");
        let status = install.args(["-m", "755"]).args([source, path]).status();
        assert!(status.expect("started").success(), "{name} is made");
    }

    /// The calls of the fake `crm_ticket`: process, operation, arguments.
    pub fn calls(&self) -> Vec<(u32, String, Vec<String>)> {
        let text = fs::read_to_string(self.path("crm/argv")).unwrap_or_default();
        let calls = text.lines().map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let args = fields[3..].iter().map(|arg| (*arg).to_owned()).collect();
            (fields[1].parse().expect("a pid"), fields[2].to_owned(), args)
        });
        calls.collect()
    }

    /// Waits for the n-th call of an operation (from 0); its process.
    pub fn call(&self, operation: &str, n: usize) -> u32 {
        let mut found = None;
        until(&format!("crm_ticket is called to {operation} for the {n}-th time"), || {
            let calls = self.calls();
            found = calls.iter().filter(|call| call.1 == operation).nth(n).map(|call| call.0);
            found.is_some()
        });
        found.expect("until has seen it")
    }

    /// What the store says: granted, term, expires. `None`: no such ticket.
    pub fn stored(&self, ticket: usize) -> Option<(bool, u64, u64)> {
        let name = self.tickets[ticket].replace('/', "%2F");
        let text = match self.kind {
            Kind::Pacemaker => {
                let text = fs::read_to_string(self.path(&format!("crm/cib.{name}"))).ok()?;
                let line = text.lines().last()?.to_owned();
                let mut fields = line.split('\t').skip(1);
                let granted = fields.next().expect("a state").to_owned();
                format!("granted=\"{granted}\" {}", fields.next().unwrap_or_default())
            }
            Kind::BuiltIn => {
                let text = fs::read_to_string(self.path(&format!("tickets/{name}"))).ok()?;
                text.lines()
                    .filter_map(|line| line.split_once('='))
                    .map(|(key, value)| format!("{key}=\"{value}\" "))
                    .collect::<Vec<String>>()
                    .concat()
            }
        };
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("{key}=\""))?;
            Some(rest.split('"').next()?.to_owned())
        };
        let number = |key| value(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some((value("granted").as_deref() == Some("true"), number("term"), number("expires")))
    }

    pub fn is_granted(&self, ticket: usize) -> bool {
        self.stored(ticket).is_some_and(|stored| stored.0)
    }

    /// When the store was last written.
    pub fn changed_at(&self, ticket: usize) -> SystemTime {
        let name = &self.tickets[ticket];
        let path = match self.kind {
            Kind::Pacemaker => self.path(&format!("crm/cib.{name}")),
            Kind::BuiltIn => self.path(&format!("tickets/{name}")),
        };
        fs::metadata(path).and_then(|file| file.modified()).expect("there")
    }

    /// Writes to the store behind everybody's back.
    pub fn write(&self, granted: bool, term: u64, expires: u64) {
        self.write_to(0, granted, term, expires);
    }

    /// The same for any ticket.
    pub fn write_to(&self, ticket: usize, granted: bool, term: u64, expires: u64) {
        let name = &self.tickets[ticket];
        match self.kind {
            Kind::Pacemaker => {
                let line =
                    format!("0.0\t{granted}\towner=\"1\" expires=\"{expires}\" term=\"{term}\"\n");
                fs::write(self.path(&format!("crm/cib.{name}")), line).expect("written");
            }
            Kind::BuiltIn => {
                fs::create_dir_all(self.path("tickets")).expect("made");
                let text = format!("granted={granted}\nowner=1\nterm={term}\nexpires={expires}\n");
                fs::write(self.path(&format!("tickets/{name}")), text).expect("written");
            }
        }
    }

    /// The keepers of this site that run. Their children look like them until they have become
    /// another program.
    pub fn keepers(&self) -> Vec<u32> {
        let all = named("booth-keeper", self.text());
        let child = |pid: &u32| parent(*pid).is_some_and(|parent| all.contains(&parent));
        all.iter().copied().filter(|pid| lives(*pid) && !child(pid)).collect()
    }

    /// The only keeper of this site.
    #[track_caller]
    pub fn keeper(&self) -> u32 {
        let all = self.keepers();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }

    /// Waits until another keeper has taken the place of this one; tells which.
    pub fn keeper_after(&self, old: u32) -> u32 {
        let mut new = None;
        until("there is another keeper", || {
            let all = self.keepers();
            new = all.first().copied().filter(|pid| all.len() == 1 && *pid != old);
            new.is_some()
        });
        new.expect("until has seen it")
    }

    /// When the window ends that was told last.
    pub fn hold_until(&self, ticket: usize) -> MonoTime {
        *self.told.lock().expect("nobody panics with it").get(&ticket).expect("it was told")
    }

    /// The byte that says whether a change was begun that may still take effect.
    pub fn mark(&self) -> String {
        fs::read_to_string(self.path("run/in-flight")).unwrap_or_default()
    }

    /// A command that starts a driver.
    pub fn command(&self) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "driver::driver", "--nocapture", "--quiet"])
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env(driver::DIR, self.dir.path())
            .env(driver::TICKETS, self.tickets.join(" "))
            .env(driver::GUARD, self.guard.as_millis().to_string())
            .env(driver::HANDLER, &self.handler)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // What whoever runs the tests has set is no part of them.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"BOOTH_") {
                command.env_remove(name);
            }
        }
        if self.kind == Kind::BuiltIn {
            command.env(driver::STORE, self.path("tickets"));
        }
        command
    }

    /// Starts a driver and waits until it is ready.
    pub fn start(&self) -> Driver {
        self.start_with(&mut self.command())
    }

    /// Starts a driver that need not be ready yet.
    pub fn begin(&self) -> Driver {
        self.begin_with(&mut self.command())
    }

    pub fn begin_with(&self, command: &mut Command) -> Driver {
        Driver::start(command, &self.told)
    }

    pub fn start_with(&self, command: &mut Command) -> Driver {
        let mut driver = self.begin_with(command);
        let said = driver.next();
        assert!(said.starts_with("ready"), "{said}");
        driver.ready_after =
            Duration::from_millis(said["ready ".len()..].parse().expect("a number"));
        driver
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in of_site(self.text()) {
            // SAFETY: the call takes two numbers; the process works for this site alone.
            unsafe { libc::kill(i32::try_from(pid).expect("a pid"), libc::SIGKILL) };
        }
    }
}

/// The ticket of which a driver has told the window, and when that ends.
fn held(said: &str) -> Option<(usize, MonoTime)> {
    let (ticket, at) = said.strip_prefix("held ")?.split_once(' ')?;
    Some((ticket.parse().ok()?, MonoTime::from_micros(at.parse().ok()?)))
}

/// A running driver.
pub struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    pub ready_after: Duration,
}

impl Driver {
    // It is waited for where the driver is dropped.
    #[allow(clippy::zombie_processes)]
    fn start(command: &mut Command, told: &Told) -> Driver {
        let mut child = command.spawn().expect("started");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (put, lines) = channel();
        let told = Arc::clone(told);
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if let Some((_, said)) = line.split_once('@') {
                    if let Some((ticket, at)) = held(said) {
                        told.lock().expect("nobody panics with it").insert(ticket, at);
                    } else if put.send(said.to_owned()).is_err() {
                        return;
                    }
                }
            }
        });
        Driver { child, stdin, lines, ready_after: Duration::ZERO }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&mut self, wish: &str) {
        let stdin = self.stdin.as_mut().expect("it has not been stopped");
        writeln!(stdin, "{wish}").expect("it listens");
    }

    /// Tells that a ticket may be held for so many milliseconds; `g` is 500 ms.
    pub fn hold(&mut self, ticket: usize, term: u32, millis: u64) {
        let (lease, start) = (millis + 600, millis.saturating_sub(1_000));
        let kill = millis.saturating_sub(500);
        self.tell(&format!("hold {ticket} {term} {millis} {lease} {start} {kill}"));
    }

    /// Grants a ticket, and waits until that is written and the keeper knows that the ticket may
    /// be held for so many milliseconds. However slow the machine is, the grant is in time.
    pub fn grant(&mut self, ticket: usize, term: u32, millis: u64) {
        self.hold(ticket, term, 600_000);
        self.tell(&format!("grant {ticket} 1{ticket} {term} 20000"));
        assert_eq!(self.next(), format!("written 1{ticket} Written"));
        self.hold(ticket, term, millis);
        self.all_told();
    }

    /// Waits until everything that was told is on its way to the keeper. There is no handler.
    pub fn all_told(&mut self) {
        // What comes first is done first.
        self.tell("probe 0 1 0 20000");
        assert!(self.next().starts_with("probed 1 Failed"));
    }

    /// The next event.
    pub fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("an event in time")
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("collected");
    }

    pub fn pause(&self) {
        signal(self.id(), libc::SIGSTOP);
    }

    pub fn resume(&self) {
        signal(self.id(), libc::SIGCONT);
    }

    /// A clean stop.
    pub fn stop(mut self) {
        self.stdin = None;
        while self.next() != "stopped" {}
        self.child.wait().expect("collected");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
