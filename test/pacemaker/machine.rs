// SPDX-License-Identifier: GPL-2.0-or-later
//! A machine: namespaces, a root directory of its own, a link to the network, a system log.

use booth_harness::{finish, until, Finished, Lab};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// No command of a test takes longer.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// Where a lab keeps its machines: a file system in memory, in the lab's mount namespace only.
const PLACE: &str = "/mnt";
/// The directory that all machines of a lab see as `/shared`.
const SHARED: &str = "/mnt/shared";
/// Lines of a log that are shown when a test fails.
const TAIL: usize = 60;
const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// The network of a lab, 10.77.0.0/24, and what all its machines have installed.
pub struct Net<'lab> {
    lab: &'lab Lab,
    installed: PathBuf,
}

impl<'lab> Net<'lab> {
    /// Prepares the lab: its network, and our booth installed below a directory of its own.
    ///
    /// Panics outside a namespace: nothing else may ever be mounted upon.
    #[track_caller]
    pub fn new(lab: &'lab Lab) -> Net<'lab> {
        assert!(lab.is_inside(), "machines are made only inside a namespace");
        let script = "set -e
            mount -t tmpfs tmpfs /run
            mount -t tmpfs -o mode=755 tmpfs /mnt
            mkdir -m 1777 /mnt/shared
            ip link add br0 type bridge
            ip address add 10.77.0.254/24 dev br0
            ip link set br0 up";
        shell(script, &[]);
        let installed = Path::new(PLACE).join("installed");
        install(&installed);
        Net { lab, installed }
    }

    /// What all machines have installed, to add to before the first one is made.
    pub fn installed(&self) -> &Path {
        &self.installed
    }
}

/// What an administrator does with our source tree, and the agents of the tests.
fn install(into: &Path) {
    let program =
        std::env::var("BOOTH_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_booth").to_owned());
    // Not world-writable as the lab's directory is: it becomes the root directory.
    std::fs::create_dir(into)
        .and_then(|()| std::fs::set_permissions(into, std::fs::Permissions::from_mode(0o755)))
        .expect("the lab can be written");
    let mut make = Command::new("make");
    make.args(["-s", "-C", TOP, "install", "PREFIX=/usr"]).env_remove("MAKEFLAGS");
    make.arg(format!("DESTDIR={}", into.display())).arg(format!("PROGRAM={program}"));
    finish(&mut make, COMMAND_LIMIT).expect_code(0);
    let script = "set -e
        agents=$1/usr/lib/ocf/resource.d
        mkdir \"$agents/booth-test\" \"$agents/debian\"
        cp \"$2/test/pacemaker/fixtures/Recorder\" \"$agents/booth-test\"
        ln -s /opt/debian-booth/usr/lib/ocf/resource.d/pacemaker/booth-site \"$agents/debian\"";
    shell(script, &[&into.display().to_string(), TOP]);
}

/// A machine of a lab.
pub struct Machine {
    /// Its host name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its root directory.
    pub root: PathBuf,
    log: PathBuf,
    /// The program that holds the namespaces, and the first process in them.
    running: Option<(Child, u32)>,
}

impl Machine {
    /// Makes a machine over a root directory; it does not run yet. `host` is the last part of its
    /// address in 10.77.0.0/24, `switch` the bridge to which it is connected.
    #[track_caller]
    pub fn new(net: &Net, below: &Path, name: &str, host: u8, switch: &str) -> Machine {
        let script = "set -e
            cd /mnt
            mkdir -p \"$1/upper\" \"$1/work\" \"$1/root\"
            over=\"lowerdir=$2:$3,upperdir=$1/upper,workdir=$1/work\"
            mount -t overlay overlay -o \"$over\" \"$1/root\"
            mkdir \"$1/root/shared\"
            mount --bind \"$4\" \"$1/root/shared\"
            ip netns add \"$1\"
            ip link add \"v$1\" type veth peer name eth0 netns \"$1\"
            ip link set \"v$1\" master \"$6\" up
            ip -n \"$1\" address add \"$5/24\" dev eth0
            ip -n \"$1\" link set eth0 up";
        let address = format!("10.77.0.{host}");
        let (installed, below) = (net.installed.display(), below.display());
        let (installed, below) = (installed.to_string(), below.to_string());
        shell(script, &[name, &installed, &below, SHARED, &address, switch]);
        let root = Path::new(PLACE).join(name).join("root");
        let log = net.lab.dir().join(format!("{name}.log"));
        keep_system_log(&root.join("dev/log"), &log);
        Machine { name: name.to_owned(), address, root, log, running: None }
    }

    /// Starts the machine: its first process only.
    #[track_caller]
    // It is waited for where the machine is stopped.
    #[allow(clippy::zombie_processes)]
    pub fn boot(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.name);
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name, "unshare", "--mount", "--ipc", "--uts", "--pid"]);
        command.args(["--fork", "--kill-child", "--"]);
        command.arg(Path::new(TOP).join("test/pacemaker/machine-init"));
        command.arg(&self.root).arg(&self.name).current_dir("/").stdin(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let first = until(COMMAND_LIMIT, "the machine has a first process", || {
            let text = std::fs::read_to_string(&children).ok()?;
            text.split_whitespace().next()?.parse().ok()
        });
        self.running = Some((child, first));
        until(COMMAND_LIMIT, "the machine is up", || {
            (self.run("test -e /run/up").code == Some(0)).then_some(())
        });
    }

    /// Ends every process of the machine at once, as a loss of power does. Its files stay.
    #[track_caller]
    pub fn crash(&mut self) {
        let (mut child, first) = self.running.take().expect("the machine runs");
        shell("kill -KILL \"$1\"", &[&first.to_string()]);
        child.wait().expect("the machine ends");
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let (_, first) = self.running.as_ref().expect("the machine runs");
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={first}"));
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wdns=/"]);
        command.args(["--", program]).env_clear().current_dir("/");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC0");
        command
    }

    /// Runs a shell script inside.
    #[track_caller]
    pub fn run(&self, script: &str) -> Finished {
        let ended = finish(self.command("sh").args(["-c", script]), COMMAND_LIMIT);
        // Shown if the test fails.
        println!("{:?} {}# {script}", ended.took, self.name);
        ended
    }

    /// Runs a shell script inside, which has to succeed, and returns what it prints.
    #[track_caller]
    pub fn ok(&self, script: &str) -> String {
        let ended = self.run(script);
        assert_eq!(ended.code, Some(0), "{}: {script}\n{}", self.name, ended.text());
        ended.stdout
    }

    /// Waits until a shell script succeeds, which is tried five times a second.
    ///
    /// Panics with `what` after `seconds`.
    #[track_caller]
    pub fn wait(&self, seconds: u32, what: &str, condition: &str) {
        let script = format!(
            "limit=$(($(date +%s) + {seconds}))
            until {condition}
            do
                [ \"$(date +%s)\" -lt \"$limit\" ] || exit 9
                sleep 0.2
            done >/dev/null 2>&1"
        );
        let limit = Duration::from_secs(u64::from(seconds) + 30);
        let ended = finish(self.command("sh").args(["-c", &script]), limit);
        if ended.code != Some(0) {
            let now = self.run(condition);
            panic!("{}: not within {seconds} s: {what}\n{condition}\n{}", self.name, now.text());
        }
    }

    /// Starts a program inside that goes on; what it prints goes to the machine's log.
    #[track_caller]
    pub fn start(&self, command_line: &str) -> Child {
        let out = File::options().append(true).create(true).open(&self.log);
        let out = out.expect("the lab can be written");
        let err = out.try_clone().expect("a second handle of a file");
        let mut command = self.command("sh");
        command.args(["-c", &format!("exec {command_line}")]);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Writes a file of the machine.
    #[track_caller]
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let file = self.root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().expect("a file is in a directory"))
            .and_then(|()| std::fs::write(&file, text))
            .and_then(|()| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }

    /// What daemons and agents have logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Prints the state and the end of the log, for a test that has failed.
    pub fn show(&self) {
        println!("---- {}", self.name);
        if self.running.is_some() {
            // Without a cluster or a daemon its errors are of interest, too.
            println!("{}", self.run("booth list; crm_mon -1 --include=failures,tickets").text());
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(TAIL)..].join("\n"));
    }
}

/// Stands in for a syslog daemon until the test ends: appends what comes to a file.
fn keep_system_log(socket: &Path, log: &Path) {
    let receiver = UnixDatagram::bind(socket).expect("a new root has no /dev/log");
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))
        .expect("it is the lab's");
    let mut file = File::options().append(true).create(true).open(log).expect("a lab's file");
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length) = receiver.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            // A log that cannot be written is missed by the test that looks for a line in it.
            let _ = writeln!(file, "{}", text.trim_end_matches(['\n', '\0']));
        }
    });
}

/// Runs a shell script of the lab, outside of all machines, that has to succeed.
#[track_caller]
pub fn shell(script: &str, arguments: &[&str]) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).args(arguments);
    finish(&mut command, COMMAND_LIMIT).expect_code(0);
}
