// SPDX-License-Identifier: GPL-2.0-or-later
//! One member: its files, and its daemon while it runs.

use super::crm::Crm;
use super::lab::{make_open, make_shared, Lab};
use super::packet::member_id;
use super::process::{exit_within, signal};
use super::program::{behind, enter, Kind};
use super::wait::{until, value_within};
use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// Within this a daemon has to be up.
pub const START_LIMIT: Duration = Duration::from_secs(10);
/// Within this a daemon that was told to stop has to be gone.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// One member of a cluster.
pub struct Member {
    /// Whose program runs when it is started the next time.
    pub kind: Kind,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its id.
    pub id: u32,
    /// Its `crm_ticket`; arbitrators have one too, which must stay unused. A member of
    /// [`Kind::OursInRoot`] uses the real one.
    pub crm: Crm,
    /// More environment for the daemon.
    pub environment: Vec<(String, String)>,
    /// Where its lock file is, if not with its other files.
    pub run_dir: Option<PathBuf>,
    /// Lines for a shell that becomes the daemon, such as `ulimit -n 64`.
    pub before: Option<String>,
    /// Its network namespace, if it has one of its own.
    pub place: Option<PathBuf>,
    /// Goes to the background when it is started the next time, and logs to syslog. Only where
    /// it has a network namespace: it has to find its own address.
    pub background: bool,
    /// Its configuration file.
    pub config: String,
    dir: PathBuf,
    process: Option<Process>,
}

impl Member {
    /// Makes the files of a member below `dir`.
    #[track_caller]
    pub fn new(kind: Kind, address: Ipv4Addr, dir: PathBuf, config: String) -> Member {
        std::fs::create_dir_all(&dir).expect("the lab can be written");
        open_for(kind, &dir);
        let crm = Crm::install(&dir);
        Member {
            kind,
            address,
            id: member_id(address),
            crm,
            environment: Vec::new(),
            run_dir: None,
            before: None,
            place: None,
            background: false,
            dir,
            config,
            process: None,
        }
    }

    /// The directory with its lock file and log.
    pub fn dir(&self) -> &PathBuf {
        &self.dir
    }

    /// Its lock file.
    pub fn lock_file(&self) -> PathBuf {
        self.run_dir.as_ref().unwrap_or(&self.dir).join("booth.pid")
    }

    /// Starts the daemon in the foreground, with messages on standard error, or, if it is a
    /// background one, with messages to syslog.
    #[track_caller]
    pub fn spawn(&mut self, lab: &Lab) {
        assert!(self.process.is_none(), "{} runs already", self.address);
        let log = OpenOptions::new().create(true).append(true).open(self.dir.join("log"));
        let log: File = log.expect("the lab can be written");
        let fake = self.crm.bin();
        let path_first = (self.kind != Kind::OursInRoot).then_some(fake.as_path());
        let mut command = self.kind.command(lab, "boothd", path_first);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["daemon", "-c", &self.config, "-l"]).arg(self.lock_file());
        if !self.background {
            command.args(["-D", "-S", "-s", &self.address.to_string()]);
        }
        if let Some(script) = &self.before {
            command = behind(&command, script);
        }
        if let Some(place) = &self.place {
            command = enter(&command, place);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of a file"))
            .stderr(log);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start it: {error}"));
        self.process = Some(Process { child, daemon: None });
    }

    /// From its next start on it is another program.
    pub fn becomes(&mut self, kind: Kind) {
        self.kind = kind;
        open_for(kind, &self.dir);
    }

    /// Starts the daemon and waits until its lock file says that it has started.
    #[track_caller]
    pub fn start(&mut self, lab: &Lab) {
        self.spawn(lab);
        self.wait_started();
    }

    /// Waits until its lock file says that it has started.
    #[track_caller]
    pub fn wait_started(&mut self) {
        if let Err(why) = self.has_started(START_LIMIT) {
            panic!("{}: {why}\n{}", self.address, self.log());
        }
    }

    /// Waits until its lock file says that it has started.
    ///
    /// # Errors
    /// It ended, or did not start within `limit`; why.
    pub fn has_started(&mut self, limit: Duration) -> Result<(), String> {
        let result = value_within(limit, || {
            if self.background {
                self.find_daemon();
            }
            if let Some(status) =
                self.exited().filter(|status| !self.background || !status.success())
            {
                return Some(Err(format!("it ended: {status:?}")));
            }
            let text = std::fs::read_to_string(self.lock_file()).unwrap_or_default();
            let own = self.pid().is_some_and(|pid| text.contains(&format!("booth_pid={pid} ")));
            (own && text.contains("booth_state=started")).then_some(Ok(()))
        });
        result.unwrap_or_else(|| Err(format!("not started within {limit:?}")))
    }

    /// The daemon that goes on when the program that was started has ended with success.
    fn find_daemon(&mut self) {
        let text = std::fs::read_to_string(self.lock_file()).unwrap_or_default();
        let Some(process) = &mut self.process else { return };
        let ready = process.child.try_wait().ok().flatten().is_some_and(|status| status.success());
        let words = text.split([' ', '\n']);
        let pid = words.filter_map(|word| word.strip_prefix("booth_pid=")?.parse().ok()).next();
        process.daemon = pid.filter(|pid| ready && is_alive(*pid));
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let process = self.process.as_ref()?;
        if self.background {
            process.daemon
        } else {
            Some(process.child.id())
        }
    }

    /// Whether it runs; it may have ended by itself.
    pub fn runs(&self) -> bool {
        self.pid().is_some_and(is_alive)
    }

    /// How the program that was started ended, if it did by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.child.try_wait().ok().flatten()
    }

    /// Sends a signal to the daemon.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        signal(self.pid().expect("the daemon was started"), name);
    }

    /// Ends the daemon with a signal and returns how it ended; of one in the background nobody
    /// knows more than that it has ended.
    #[track_caller]
    pub fn end(&mut self, name: &str) -> ExitStatus {
        self.signal(name);
        self.wait_end(STOP_LIMIT)
    }

    /// Waits until the daemon ends by itself.
    #[track_caller]
    pub fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("the daemon was started");
        let ended = exit_within(&mut process.child, limit).filter(|_| {
            process
                .daemon
                .is_none_or(|pid| value_within(limit, || (!is_alive(pid)).then_some(())).is_some())
        });
        ended.unwrap_or_else(|| {
            drop(process);
            panic!("{} did not end within {limit:?}\n{}", self.address, self.log());
        })
    }

    /// Ends with SIGKILL whatever was started with its lock file, in whatever state it is.
    #[track_caller]
    pub fn wipe(&mut self) {
        self.process = None;
        until(STOP_LIMIT, "all its processes have ended", || {
            let left = self.processes();
            left.iter().for_each(|pid| signal(*pid, "KILL"));
            left.is_empty().then_some(())
        });
    }

    /// The processes whose arguments name its lock file. A starting daemon is one, too. Outside
    /// a namespace there may be others, so there are none.
    pub fn processes(&self) -> Vec<u32> {
        let Some(_) = self.place else { return Vec::new() };
        let lock = self.lock_file().display().to_string();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_its = |pid: &u32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            words.any(|word| word == lock.as_bytes()) && is_alive(*pid)
        };
        pids.filter(is_its).collect()
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last `count` lines that it has written.
    pub fn log_tail(&self, count: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// The reference removes its lock file, which stays root's, as the user that it becomes; ours does
/// not trust a directory where that can be done.
fn open_for(kind: Kind, dir: &Path) {
    match kind {
        Kind::Theirs => make_open(dir),
        Kind::Ours | Kind::OursInRoot | Kind::OursBeside => make_shared(dir),
    }
}

/// What was started, and the daemon that it left in the background.
struct Process {
    child: Child,
    daemon: Option<u32>,
}

/// Whether a process is there and has not ended. Its first thread may have, while others still
/// have its sockets open.
fn is_alive(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process does not end before it goes on; killed ones do at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(pid) = self.daemon.filter(|pid| is_alive(*pid)) {
            signal(pid, "KILL");
        }
    }
}
