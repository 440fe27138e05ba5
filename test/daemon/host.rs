// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines that lack something: the user of a site, Pacemaker's tools, a name server that
//! answers.

use crate::support::{pass, texts, wait_until, Daemon, Lab, PATIENCE};
use booth_harness::stranger::is_root_for;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A machine without these things, in namespaces of its own for each command.
struct Machine<'a> {
    lab: &'a Lab,
    passwd: PathBuf,
    /// Commands of a shell that come first.
    before: String,
}

impl<'a> Machine<'a> {
    /// Like this one, but without the user `hacluster`.
    fn without_user(lab: &'a Lab) -> Machine<'a> {
        let passwd = lab.path().join("passwd");
        let all = fs::read_to_string("/etc/passwd").expect("readable");
        let kept: String = all
            .lines()
            .filter(|line| !line.starts_with("hacluster:"))
            .flat_map(|line| [line, "\n"])
            .collect();
        fs::write(&passwd, kept).expect("written");
        fs::set_permissions(&passwd, PermissionsExt::from_mode(0o644)).expect("allowed");
        let before = "mount --bind \"$passwd\" /etc/passwd".to_owned();
        Machine { lab, passwd, before }
    }

    /// Like this one, but without `crm_ticket`.
    fn without_tool(lab: &'a Lab) -> Machine<'a> {
        let before = "for tool in /usr/sbin/crm_ticket /usr/bin/crm_ticket; do
            [ ! -e $tool ] || mount --bind /dev/null $tool
        done";
        Machine { lab, passwd: PathBuf::new(), before: before.to_owned() }
    }

    /// Like this one, with a name server that never answers, if there is one on the loopback
    /// address.
    fn without_answers(lab: &'a Lab) -> Machine<'a> {
        let resolv = lab.path().join("resolv.conf");
        fs::write(&resolv, "nameserver 127.0.0.1\n").expect("written");
        let before = format!("mount --bind {} /etc/resolv.conf", resolv.display());
        Machine { lab, passwd: PathBuf::new(), before }
    }

    /// `boothd ARGS -c CONFIG` there.
    fn boothd(&self, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("set -e\n{}\nexec \"$@\"", self.before);
        command.args(["--mount", "sh", "-c", &script, "sh"]);
        command.arg(self.lab.path().join("boothd")).args(args).arg("-c").arg(self.lab.config());
        command.env("passwd", &self.passwd).env("PATH", self.path());
        for name in ["NOTIFY_SOCKET", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        command
    }

    fn path(&self) -> String {
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.lab.bin().display())
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output: Output = self.boothd(args).output().expect("run");
        let (stdout, stderr) = texts(&output);
        (output.status.code(), stdout, stderr)
    }
}

/// Runs this in a network of its own, where loopback is up and nothing else is.
fn alone(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: takes a number only; the thread's own network is that of its children.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
            assert!(up.expect("run").success());
            body();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Rewrites the configuration: the site is this machine, and has these global lines.
fn configure(lab: &Lab, lines: &str) {
    let text = format!(
        "{lines}\nsite = 127.0.0.1\nsite = 198.51.100.1\narbitrator = 198.51.100.2\n\
                        ticket = \"t1\"\n"
    );
    fs::write(lab.config(), text).expect("written");
}

#[test]
fn root_does_not_stay_root_for_lack_of_a_user() {
    if is_root_for("root_does_not_stay_root_for_lack_of_a_user") {
        alone(without_user);
    }
}

fn without_user() {
    let lab = Lab::new(140);
    let machine = Machine::without_user(&lab);
    let store = format!("ticket-store = {}", lab.path().join("store").display());
    let lock = lab.path().join("1.pid").display().to_string();
    let start = ["daemon", "-S", "-l", &lock];
    configure(&lab, &store);
    let expected = "there is no user \"hacluster\" on this host, as whom boothd runs at a site";
    let remedy = "(\"site-user = root\" if boothd shall stay root)";
    for args in [&start[..], &["daemon", "-l", &lock], &["check"]] {
        let mut child = machine.boothd(args).stderr(std::process::Stdio::piped()).spawn();
        let child = child.as_mut().expect("started");
        let until = Instant::now() + Duration::from_secs(10);
        let code = loop {
            if let Some(status) = child.try_wait().expect("waited for") {
                break status.code();
            }
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it runs, {args:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut stderr)
            .expect("text");
        assert_eq!(code, Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains(expected) && stderr.contains(remedy), "{args:?}: {stderr}");
    }
    // On purpose it may; where the group of a user is not named, it is the user's own.
    for (user, uid) in [("root", 0), ("nobody", 65534)] {
        configure(&lab, &format!("{store}\nsite-user = {user}"));
        let (code, stdout, stderr) = machine.run(&["check"]);
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        let log = lab.path().join("log");
        let mut command = machine.boothd(&start);
        command.stderr(fs::File::create(&log).expect("made"));
        // Of this user alone is the store.
        chown(lab.path().join("store"), Some(uid), None).expect("given");
        let mut daemon = Daemon::adopt(command.spawn().expect("started"), log);
        daemon.says("daemon started");
        assert_eq!(daemon.status_number("Uid"), u64::from(uid));
        daemon.stop();
        fs::remove_dir_all(lab.path().join("lab-127.0.0.1.keeper")).expect("it was there");
    }
}

#[test]
fn a_site_without_pacemakers_tools_is_told_so() {
    if is_root_for("a_site_without_pacemakers_tools_is_told_so") {
        alone(without_tool);
    }
}

fn without_tool() {
    let lab = Lab::new(141);
    let machine = Machine::without_tool(&lab);
    configure(&lab, "site-user = root\nsite-group = root");
    let lock = lab.path().join("1.pid").display().to_string();
    for args in [&["daemon", "-S", "-l", &lock][..], &["check"]] {
        let (code, stdout, stderr) = machine.run(args);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{args:?}: {stderr}");
        let expected = "crm_ticket is not in PATH nor in /usr/sbin:/usr/bin:/sbin:/bin: a site \
                        keeps its tickets in Pacemaker with it; install Pacemaker's command-line \
                        tools, or set ticket-store";
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
    // Who does not need it is not told.
    let text = fs::read_to_string(lab.config()).expect("readable");
    fs::write(lab.config(), format!("ticket-store = /var/lib/booth\n{text}")).expect("written");
    assert_eq!(machine.run(&["check"]).0, Some(0));
    let arbitrator = text.replace("site = 127.0.0.1", "arbitrator = 127.0.0.1");
    fs::write(lab.config(), arbitrator).expect("written");
    assert_eq!(machine.run(&["check"]).0, Some(0));
}

/// The address of a site may be on another node: what this one lacks is said, and is no error.
#[test]
fn a_node_of_a_site_is_looked_at_before_it_has_the_address() {
    if is_root_for("a_node_of_a_site_is_looked_at_before_it_has_the_address") {
        alone(before_the_address);
    }
}

fn before_the_address() {
    let lab = Lab::new(142);
    let mut machine = Machine::without_user(&lab);
    machine.before.push_str("\nip address add 198.51.100.77/24 dev lo");
    lab.use_crm_ticket("#!/bin/sh\n");
    let text = "site = 198.51.100.1\nsite = 192.0.2.1\narbitrator = 192.0.2.2\nticket = t\n";
    fs::write(lab.config(), text).expect("written");
    let (code, stdout, stderr) = machine.run(&["check"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.ends_with(": no errors\n"), "{stdout}");
    let begin = "booth: warning: member 198.51.100.1, if this host is one of its nodes: there is \
                 no user \"hacluster\"";
    let said: Vec<&str> = stderr.lines().filter(|line| !line.contains(".conf: ")).collect();
    assert!(said.len() == 1 && said[0].starts_with(begin), "{stderr}");
    let node = ": this host may be a node of site 198.51.100.1, in whose subnet it is; it has ";
    assert!(stdout.contains(node) && stdout.contains("198.51.100.77"), "{stdout}");
}

/// Agents ask again and again, and have little time.
#[test]
fn status_needs_no_name_server() {
    if is_root_for("status_needs_no_name_server") {
        alone(without_answers);
    }
}

fn without_answers() {
    let lab = Lab::new(143);
    let machine = Machine::without_answers(&lab);
    let _silent = std::net::UdpSocket::bind("127.0.0.1:53").expect("nobody else is here");
    let text = "site = far.example.com\nsite = farther.example.com\narbitrator = 192.0.2.2\n\
                ticket = t\n";
    fs::write(lab.config(), text).expect("written");
    let lock = lab.path().join("1.pid").display().to_string();
    let begun = Instant::now();
    let (code, stdout, stderr) = machine.run(&["status", "-l", &lock]);
    let took = begun.elapsed();
    assert_eq!((code, stdout.as_str()), (Some(7), ""), "{stderr}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    // So silent is it.
    let begun = Instant::now();
    let mut check = machine.boothd(&["check"]).stderr(std::process::Stdio::null()).spawn();
    let check = check.as_mut().expect("started");
    while check.try_wait().expect("waited for").is_none() {
        if begun.elapsed() > Duration::from_secs(4) {
            check.kill().expect("it runs");
            let _ = check.wait();
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("there is somebody who answers, after {:?}", begun.elapsed());
}

#[test]
fn signals_while_names_are_looked_up_end_nothing_but_those_that_shall() {
    if is_root_for("signals_while_names_are_looked_up_end_nothing_but_those_that_shall") {
        alone(signals_meanwhile);
    }
}

fn signals_meanwhile() {
    let lab = Lab::new(154);
    let machine = Machine::without_answers(&lab);
    let silent = std::net::UdpSocket::bind("127.0.0.1:53").expect("nobody else is here");
    silent.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    fs::write(lab.config(), "site = far.example.com\nticket = t\n").expect("written");
    let lock = lab.path().join("1.pid").display().to_string();
    let child = machine.boothd(&["daemon", "-S", "-l", &lock]).spawn().expect("started");
    let mut daemon = Daemon::adopt(child, lab.path().join("none"));
    silent.recv_from(&mut [0; 512]).expect("it asks for the name");
    for signal in [libc::SIGHUP, libc::SIGUSR1] {
        daemon.signal(signal);
        pass(Duration::from_millis(100));
    }
    let (status, took) = daemon.stop();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGTERM));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// A daemon of this lab whose lock file is gone for good, because it may not write beside it.
fn without_lock_file(lab: &Lab) -> Daemon {
    fs::set_permissions(lab.path(), PermissionsExt::from_mode(0o755)).expect("allowed");
    let daemon = lab.start(3);
    fs::remove_file(lab.lock_file(3)).expect("removed");
    daemon.says("the lock file was removed");
    daemon
}

/// Containers have a root who may not look into the processes of others, and every other user may
/// not either.
#[test]
fn a_daemon_without_its_lock_file_is_found_by_everybody() {
    if !is_root_for("a_daemon_without_its_lock_file_is_found_by_everybody") {
        return;
    }
    let lab = Lab::with(144, "arbitrator-user = nobody");
    let mut daemon = without_lock_file(&lab);
    let program = lab.path().join("boothd");
    let few = ["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];
    let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let status = |limits: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(limits).arg(&program).args(["status", "-c"]).arg(lab.config());
        command.arg("-l").arg(lab.lock_file(3)).output().expect("run")
    };
    for limits in [&few[..], &as_nobody, &[]] {
        let output = status(limits);
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{limits:?}: {stderr}");
        let pid = daemon.pid();
        let expected = format!("booth_lockpid={pid} booth_lockfile='");
        assert!(stdout.starts_with(&expected), "{limits:?}: {stdout}");
        let rest = format!("' booth_pid={pid} booth_state=started booth_type=arbitrator ");
        assert!(stdout.contains(&rest), "{limits:?}: {stdout}");
    }
    // One that is stopped cannot say more, but is there.
    daemon.signal(libc::SIGSTOP);
    let (stdout, _) = texts(&status(&few));
    daemon.signal(libc::SIGCONT);
    assert!(stdout.contains(&format!("booth_pid={} booth_state=starting", daemon.pid())));
    daemon.stop();
    assert_eq!(status(&few).status.code(), Some(7));
}

/// Everybody may listen at a name; only who passes for a daemon counts.
#[test]
fn a_stranger_at_the_name_of_a_daemon_is_none() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let lab = Lab::new(145);
    let name = |path: &Path| {
        let path = fs::canonicalize(lab.path()).expect("there").join(path.file_name().expect("it"));
        let name = format!("boothd{}", path.display());
        SocketAddr::from_abstract_name(name).expect("it fits")
    };
    // This test is no boothd.
    let squatter = UnixListener::bind_addr(&name(&lab.lock_file(3))).expect("free");
    assert_eq!(lab.status(3).status.code(), Some(7));
    // It keeps no daemon from starting, nor from being found by its file.
    let mut daemon = lab.start(3);
    assert_eq!(lab.status(3).status.code(), Some(0));
    daemon.stop();
    wait_until("it is over", || lab.status(3).status.code() == Some(7));
    drop(squatter);
    // The name is the daemon's, which is how the others are known to look in the right place.
    let mut daemon = lab.start(3);
    let taken = UnixListener::bind_addr(&name(&lab.lock_file(3)));
    assert!(taken.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse));
    daemon.stop();
}

/// Anybody may ask as often as they like.
#[test]
fn those_who_ask_do_not_keep_the_lock_file_away() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    if !is_root_for("those_who_ask_do_not_keep_the_lock_file_away") {
        return;
    }
    let lab = Lab::with(155, "arbitrator-user = nobody");
    let mut daemon = without_lock_file(&lab);
    let path = fs::canonicalize(lab.path()).expect("there").join("3.pid");
    let name =
        SocketAddr::from_abstract_name(format!("boothd{}", path.display())).expect("it fits");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = UnixStream::connect_addr(&name);
                }
            });
        }
        fs::set_permissions(lab.path(), PermissionsExt::from_mode(0o1777)).expect("allowed");
        let until = Instant::now() + PATIENCE;
        while !path.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(path.exists(), "it is back; the log:\n{}", daemon.log());
    daemon.stop();
}
