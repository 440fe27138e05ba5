// SPDX-License-Identifier: GPL-2.0-or-later
//! A configuration on loopback addresses of its own, and the programs run with it.

use crate::server::{Script, Server};
use booth::model::MemberId;
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr::null_mut;
use std::thread;
use std::time::{Duration, Instant};

/// No run of a client in these tests takes longer, unless something hangs.
const RUN_MAX: Duration = Duration::from_secs(30);
/// `timeout` of the tickets: how long a client without `-w` waits, but for its slack.
pub const TICKET_TIMEOUT: Duration = Duration::from_secs(1);

/// Members on 127.30.NET.1 and so on, each with a listener and a free port of its own.
pub struct Lab {
    directory: tempfile::TempDir,
    members: Vec<Member>,
    tickets: Vec<String>,
    global: String,
}

struct Member {
    kind: &'static str,
    address: Ipv4Addr,
    port: u16,
    listener: Option<TcpListener>,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Lab {
    /// Two sites and an arbitrator in 127.30.NET.0, and the ticket `T` of the captures.
    pub fn new(net: u8) -> Lab {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let member = |(host, kind): (u8, &'static str)| {
            let address = Ipv4Addr::new(127, 30, net, host);
            let listener = TcpListener::bind((address, 0)).expect("a free port on loopback");
            let port = listener.local_addr().expect("its address").port();
            Member { kind, address, port, listener: Some(listener) }
        };
        let members = [(1, "site"), (2, "site"), (3, "arbitrator")].map(member).into();
        let lab = Lab { directory, members, tickets: vec!["T".into()], global: String::new() };
        lab.write_config();
        lab
    }

    /// The same with these tickets.
    pub fn with_tickets(mut self, names: &[&str]) -> Lab {
        self.tickets = names.iter().map(|name| (*name).to_owned()).collect();
        self.write_config();
        self
    }

    /// The same with a key.
    pub fn with_key(mut self, key: &[u8]) -> Lab {
        let path = self.directory.path().join("key");
        fs::write(&path, key).expect("the key is written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, private).expect("the key is private");
        self.global = format!("authfile = {}\n", path.display());
        self.write_config();
        self
    }

    fn write_config(&self) {
        let mut text = format!("transport = UDP\n{}", self.global);
        for member in &self.members {
            text += &format!("port = {}\n{} = {}\n", member.port, member.kind, member.address);
        }
        for name in &self.tickets {
            text += &format!("ticket = \"{name}\"\n  expire = 60\n  timeout = 1\n  retries = 3\n");
        }
        fs::write(self.config(), text).expect("the configuration is written");
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("lab.conf")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The address of a member, counted from 1.
    pub fn address(&self, host: usize) -> String {
        self.members[host - 1].address.to_string()
    }

    /// The id of a member, counted from 1.
    pub fn id(&self, host: usize) -> MemberId {
        MemberId::of_address(IpAddr::V4(self.members[host - 1].address))
    }

    /// Lets a member answer by scripts, one for each connection.
    pub fn serve(&mut self, host: usize, scripts: Vec<Script>) -> Server {
        let listener = self.members[host - 1].listener.take().expect("served once");
        Server::start(listener, scripts)
    }

    /// Nobody listens at this member any more.
    pub fn shut(&mut self, host: usize) {
        drop(self.members[host - 1].listener.take());
    }

    /// Runs `booth OPERATION -c CONFIG WORDS`.
    pub fn booth(&self, line: &str) -> Outcome {
        self.run("booth", line)
    }

    /// Runs `geostore OPERATION -c CONFIG WORDS`.
    pub fn geostore(&self, line: &str) -> Outcome {
        self.run("geostore", line)
    }

    /// The same as [`Lab::booth`] with a terminal as its standard output.
    pub fn booth_at_a_terminal(&self, line: &str) -> Outcome {
        finish_at_a_terminal(self.command("booth", line))
    }

    fn run(&self, program: &str, line: &str) -> Outcome {
        finish(self.command(program, line))
    }

    fn command(&self, program: &str, line: &str) -> Command {
        let mut words = line.split(' ');
        let mut command = program_named(program);
        command.arg(words.next().expect("an operation")).arg("-c").arg(self.config()).args(words);
        command
    }
}

/// The program under another name.
pub fn program_named(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_booth"));
    command.arg0(name).env("TZ", "UTC").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a command to its end with a terminal as its standard output, whose lines end in `\r\n`.
pub fn finish_at_a_terminal(mut command: Command) -> Outcome {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: both numbers outlive the call; the other arguments may be null.
    let opened =
        unsafe { libc::openpty(&mut ours, &mut theirs, null_mut(), null_mut(), null_mut()) };
    assert_eq!(opened, 0, "there are terminals");
    // SAFETY: the descriptors are new, and belong to nobody else.
    let (ours, theirs) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    let started = Instant::now();
    let mut child =
        command.stdout(theirs).stderr(Stdio::piped()).spawn().expect("the program starts");
    // It has the other end, which must not be open here.
    drop(command);
    // Its end is told by an error: no more text.
    let stdout = collect(ours);
    let stderr = collect(child.stderr.take().expect("piped"));
    let code = wait(&mut child, started + RUN_MAX);
    let text = |thread: thread::JoinHandle<String>| thread.join().expect("the reader ends");
    Outcome { code, stdout: text(stdout), stderr: text(stderr), took: started.elapsed() }
}

/// Runs a command to its end; kills it and fails if it hangs.
pub fn finish(mut command: Command) -> Outcome {
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let code = wait(&mut child, started + RUN_MAX);
    let text = |thread: thread::JoinHandle<String>| thread.join().expect("the reader ends");
    Outcome { code, stdout: text(stdout), stderr: text(stderr), took: started.elapsed() }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks has no more text.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The exit code; a signal is its negative number.
pub fn wait(child: &mut Child, until: Instant) -> i32 {
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            let signal = std::os::unix::process::ExitStatusExt::signal(&status);
            return status.code().unwrap_or_else(|| -signal.unwrap_or(0));
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("a client hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

impl Outcome {
    /// Checks code, standard output and the sentences on standard error, in their order.
    #[track_caller]
    pub fn is(&self, code: i32, stdout: &str, stderr: &[&str]) {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!((self.code, self.stdout.as_str(), lines.as_slice()), (code, stdout, stderr));
    }
}
