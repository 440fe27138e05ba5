// SPDX-License-Identifier: GPL-2.0-or-later
//! One member: its files, and its daemon while it runs.

use super::crm::Crm;
use super::lab::{make_open, Lab};
use super::packet::member_id;
use super::process::{exit_within, signal};
use super::program::Kind;
use super::wait::until;
use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::path::PathBuf;
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
    dir: PathBuf,
    config: String,
    process: Option<Child>,
}

impl Member {
    /// Makes the files of a member below `dir`.
    #[track_caller]
    pub fn new(kind: Kind, address: Ipv4Addr, dir: PathBuf, config: String) -> Member {
        std::fs::create_dir_all(&dir).expect("the lab can be written");
        make_open(&dir);
        let crm = Crm::install(&dir);
        Member {
            kind,
            address,
            id: member_id(address),
            crm,
            environment: Vec::new(),
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
        self.dir.join("booth.pid")
    }

    /// Starts the daemon in the foreground, with messages on standard error.
    #[track_caller]
    pub fn spawn(&mut self, lab: &Lab) {
        assert!(self.process.is_none(), "{} runs already", self.address);
        let log = OpenOptions::new().create(true).append(true).open(self.dir.join("log"));
        let log: File = log.expect("the lab can be written");
        let fake = self.crm.bin();
        let path_first = (self.kind != Kind::OursInRoot).then_some(fake.as_path());
        let mut command = self.kind.command(lab, "boothd", path_first);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .args(["daemon", "-D", "-S", "-c", &self.config, "-s", &self.address.to_string()])
            .arg("-l")
            .arg(self.lock_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of a file"))
            .stderr(log);
        let child = command.spawn();
        self.process = Some(child.unwrap_or_else(|error| panic!("cannot start it: {error}")));
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
        let what = format!("{} has started", self.address);
        until(START_LIMIT, &what, || {
            if let Some(status) = self.exited() {
                panic!("{} ended: {status:?}\n{}", self.address, self.log());
            }
            let text = std::fs::read_to_string(self.lock_file()).unwrap_or_default();
            let own = self.pid().is_some_and(|pid| text.contains(&format!("booth_pid={pid} ")));
            (own && text.contains("booth_state=started")).then_some(())
        });
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// How it ended, if it did by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().ok().flatten()
    }

    /// Sends a signal to the daemon.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        signal(self.pid().expect("the daemon was started"), name);
    }

    /// Ends the daemon with a signal and returns how it ended.
    #[track_caller]
    pub fn end(&mut self, name: &str) -> ExitStatus {
        self.signal(name);
        self.wait_end(STOP_LIMIT)
    }

    /// Waits until the daemon ends by itself.
    #[track_caller]
    pub fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self.process.take().expect("the daemon was started");
        exit_within(&mut child, limit).unwrap_or_else(|| {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{} did not end within {limit:?}\n{}", self.address, self.log());
        })
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

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // A stopped process does not end before it goes on; killed ones do at once.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
