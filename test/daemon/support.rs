// SPDX-License-Identifier: GPL-2.0-or-later
//! A directory, a configuration and daemons in it. Everything ends with the test.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The port of all daemons of these tests; their addresses differ.
pub const PORT: u16 = 9971;
/// Nothing in these tests takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Whether this machine has the user as whom sites run unless they are told otherwise.
fn has_default_user() -> bool {
    let found = Command::new("getent").args(["passwd", "hacluster"]).stdout(Stdio::null()).status();
    found.expect("run").success()
}

/// Three members on the loopback network `127.20.NET.0`: two sites and an arbitrator.
pub struct Lab {
    dir: tempfile::TempDir,
    net: u8,
}

impl Lab {
    /// A lab with one ticket and the built-in store. `net` is the test's own.
    pub fn new(net: u8) -> Lab {
        Lab::with(net, "")
    }

    /// A lab whose configuration has more global lines.
    pub fn with(net: u8, more: &str) -> Lab {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().join("store");
        fs::create_dir(&store).expect("made");
        // Whoever the daemon becomes must be able to work here, and nobody can touch what is
        // others' beside its lock file.
        for (path, mode) in [(dir.path(), 0o1777), (&store, 0o777)] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(path, open).expect("allowed");
        }
        for name in ["boothd", "geostore"] {
            symlink(env!("CARGO_BIN_EXE_booth"), dir.path().join(name)).expect("linked");
        }
        let lab = Lab { dir, net };
        let [a, b, c] = [1, 2, 3].map(|number| lab.address(number));
        let more = if more.contains("site-user") || has_default_user() {
            more.to_owned()
        } else {
            // As a person would, where there is no Pacemaker.
            format!("site-user = nobody\n{more}")
        };
        let text = format!(
            "port = {PORT}\nticket-store = {}\n{more}\nsite = {a}\nsite = {b}\narbitrator = {c}\n\
             ticket = \"t1\"\nexpire = 60\ntimeout = 3\nretries = 3\n",
            store.display()
        );
        fs::write(lab.config(), text).expect("written");
        lab
    }

    /// Gives the sites a Pacemaker whose `crm_ticket` is this script, in the folder `bin` of the
    /// lab, instead of the built-in store.
    pub fn use_crm_ticket(&self, script: &str) {
        let config = fs::read_to_string(self.config()).expect("readable");
        let pacemaker = config.lines().filter(|line| !line.starts_with("ticket-store"));
        let text = pacemaker.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(self.config(), text).expect("written");
        let bin = self.bin();
        fs::create_dir(&bin).expect("made");
        let tool = bin.join("crm_ticket");
        fs::write(&tool, script).expect("written");
        for path in [&bin, &tool] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            fs::set_permissions(path, open).expect("allowed");
        }
    }

    /// Where [`Lab::use_crm_ticket`] puts it.
    pub fn bin(&self) -> PathBuf {
        self.path().join("bin")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("lab.conf")
    }

    /// The address of member 1, 2 (sites) or 3 (arbitrator).
    pub fn address(&self, member: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 20, self.net, member)
    }

    pub fn lock_file(&self, member: u8) -> PathBuf {
        self.path().join(format!("{member}.pid"))
    }

    /// `boothd OPERATION -c CONFIG ARGS`.
    pub fn booth(&self, args: &[&str]) -> Command {
        self.program("boothd", args)
    }

    /// `geostore OPERATION -c CONFIG ARGS`.
    pub fn geostore(&self, args: &[&str]) -> Command {
        self.program("geostore", args)
    }

    fn program(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.path().join(name));
        let (operation, rest) = args.split_first().expect("an operation");
        command.arg(operation).arg("-c").arg(self.config()).args(rest).stdin(Stdio::null());
        let path = std::env::var("PATH").expect("set");
        command.env("PATH", format!("{}:{path}", self.bin().display())).env("TZ", "UTC0");
        // Whoever runs these tests may be a service itself.
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        command
    }

    /// The command that starts a member in the foreground.
    pub fn daemon(&self, member: u8) -> Command {
        let mut command = self.booth(&["daemon", "-D", "-S", "-s"]);
        command.arg(self.address(member).to_string()).arg("-l").arg(self.lock_file(member));
        command
    }

    /// The same with another program.
    pub fn daemon_of(&self, program: &Path, member: u8) -> Command {
        let (address, lock) = (self.address(member).to_string(), self.lock_file(member));
        let mut command = Command::new(program);
        command.args(["daemon", "-D", "-S", "-s"]).arg(address).arg("-l").arg(lock);
        command.arg("-c").arg(self.config()).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// A member in the foreground, whose start is not waited for; its log goes into a file.
    pub fn start_unawaited(&self, member: u8) -> Daemon {
        let log = self.path().join(format!("{member}.log"));
        let file = File::create(&log).expect("created");
        let child = self.daemon(member).stderr(file).spawn().expect("started");
        Daemon { child, log }
    }

    /// A member in the foreground that is up; its log goes into a file.
    pub fn start(&self, member: u8) -> Daemon {
        let daemon = self.start_unawaited(member);
        // Not the line that a killed one may have left.
        let up = format!("booth_pid={} booth_state=started", daemon.pid());
        let until = Instant::now() + PATIENCE;
        loop {
            let line = fs::read_to_string(self.lock_file(member)).unwrap_or_default();
            if line.contains(&up) {
                return daemon;
            }
            assert!(Instant::now() < until, "up in time: {line:?}; it says {}", daemon.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// The output of a client at a member.
    pub fn client(&self, args: &[&str], member: u8) -> Output {
        let address = self.address(member).to_string();
        self.booth(args).arg("-s").arg(address).output().expect("run")
    }

    /// `booth status` for a member's lock file.
    pub fn status(&self, member: u8) -> Output {
        self.booth(&["status", "-l"]).arg(self.lock_file(member)).output().expect("run")
    }
}

/// A daemon in the foreground. It is killed if the test ends without stopping it.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Takes over a daemon that was started by hand.
    pub fn adopt(child: Child, log: PathBuf) -> Daemon {
        Daemon { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log has this text.
    pub fn says(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < until, "it says \"{text}\"; its log:\n{}", self.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        send_signal(self.pid(), signal);
    }

    /// Waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("waited for") {
                return status;
            }
            assert!(Instant::now() < until, "the daemon ends; its log:\n{}", self.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// Stops the daemon; gives its exit status and how long that took.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(libc::SIGTERM);
        (self.end(), begun.elapsed())
    }

    /// A number of `/proc/PID/status`, kB where it is memory.
    pub fn status_number(&self, key: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("alive");
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a known key");
        let number = line.trim_start_matches(':').split_whitespace().next();
        number.and_then(|number| number.parse().ok()).expect("a number")
    }

    /// How many descriptors are open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("alive").count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already waited for: there is nothing to kill, and the pid may be somebody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The process id in a state line.
pub fn pid_of(line: &str) -> u32 {
    let number = line.strip_prefix("booth_pid=").and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).expect("a state line")
}

/// Ends a daemon of the background when the test does.
pub struct Ended(pub u32);

impl Drop for Ended {
    fn drop(&mut self) {
        if fs::metadata(format!("/proc/{}", self.0)).is_ok() {
            send_signal(self.0, libc::SIGKILL);
        }
    }
}

/// Sends a signal to a process that this test has started.
pub fn send_signal(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the process is there");
}

/// Lets time pass in which nothing is to happen.
pub fn pass(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        sleep(Duration::from_millis(10));
    }
}

/// Waits until the condition holds, for at most [`PATIENCE`].
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what} in time");
        sleep(Duration::from_millis(2));
    }
}

/// Both outputs of a command as text.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
