// SPDX-License-Identifier: GPL-2.0-or-later
//! The procedures of boothd(8), section MAINTENANCE, as they stand there: a ticket is held all the
//! time while the key, the tickets and the members change.

use crate::support::{pass, texts, wait_until, Daemon, Lab, PORT};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// `expire` of the ticket: so short that the procedures do not take long.
const EXPIRE: Duration = Duration::from_secs(4);
/// What the manual says to wait for between two members: `expire` and a little more.
const PAUSE: Duration = Duration::from_millis(5000);

/// Members with a file and a ticket store each, as on machines of their own.
struct Cluster {
    lab: Lab,
    running: Vec<(u8, Daemon)>,
}

/// What is in the file of every member.
struct Files<'a> {
    members: &'a [(&'a str, u8)],
    tickets: &'a [&'a str],
    key: &'a str,
}

impl Cluster {
    fn new(net: u8) -> Cluster {
        Cluster { lab: Lab::new(net), running: Vec::new() }
    }

    fn config(&self, member: u8) -> PathBuf {
        self.lab.path().join(format!("{member}.conf"))
    }

    fn store(&self, member: u8) -> PathBuf {
        self.lab.path().join(format!("store-{member}"))
    }

    /// Changes the files of all members; the daemons that run do not notice.
    fn write(&self, text: &Files<'_>) {
        let key = self.lab.path().join("authkey");
        fs::write(&key, text.key).expect("written");
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("allowed");
        for (_, member) in text.members {
            let store = self.store(*member);
            let _ = fs::create_dir(&store);
            fs::set_permissions(&store, Permissions::from_mode(0o777)).expect("allowed");
            let mut lines = format!(
                "authfile = {}\nport = {PORT}\nticket-store = {}\nsite-user = nobody\n",
                key.display(),
                store.display()
            );
            for (kind, number) in text.members {
                lines += &format!("{kind} = {}\n", self.lab.address(*number));
            }
            for ticket in text.tickets {
                lines += &format!(
                    "ticket = {ticket}\nexpire = {}\ntimeout = 300ms\nretries = 3\n",
                    EXPIRE.as_secs()
                );
            }
            fs::write(self.config(*member), lines).expect("written");
        }
    }

    fn command(&self, operation: &str, member: u8) -> Command {
        let mut command = self.lab.booth(&[operation]);
        // The last -c counts.
        command.arg("-c").arg(self.config(member));
        command
    }

    fn start(&mut self, member: u8) {
        let log = self.lab.path().join(format!("{member}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("opened");
        let mut command = self.command("daemon", member);
        command.args(["-D", "-S", "-s"]).arg(self.lab.address(member).to_string());
        command.arg("-l").arg(self.lab.lock_file(member)).stderr(file);
        let daemon = Daemon::adopt(command.spawn().expect("started"), log);
        let up = format!("booth_pid={} booth_state=started", daemon.pid());
        wait_until("the daemon is up", || {
            fs::read_to_string(self.lab.lock_file(member)).is_ok_and(|line| line.contains(&up))
        });
        self.running.push((member, daemon));
    }

    fn stop(&mut self, member: u8) {
        let at = self.running.iter().position(|(number, _)| *number == member).expect("it runs");
        assert!(self.running.remove(at).1.stop().0.success());
    }

    fn restart(&mut self, member: u8) {
        self.stop(member);
        self.start(member);
    }

    fn ask(&self, operation: &str, member: u8, args: &[&str]) -> Output {
        let mut command = self.command(operation, member);
        command.arg("-s").arg(self.lab.address(member).to_string()).args(args);
        command.output().expect("run")
    }

    fn grant(&self, member: u8, ticket: &str) {
        let output = self.ask("grant", member, &["-C", ticket]);
        assert!(output.status.success(), "{:?}", texts(&output));
    }

    fn list(&self, member: u8) -> String {
        texts(&self.ask("list", member, &[])).0
    }

    /// Waits until a member says who has the ticket.
    fn knows(&self, member: u8, ticket: &str, holder: u8) {
        let line = format!("ticket: {ticket}, leader: {},", self.lab.address(holder));
        wait_until(&line, || self.list(member).contains(&line));
    }

    /// Watches that a site holds a ticket all the time.
    fn watch(&self, member: u8, ticket: &str) -> Watch {
        let (file, end) = (self.store(member).join(ticket), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&end);
        let watches = thread::spawn(move || {
            let mut lost = 0;
            while !ended.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&file).unwrap_or_default();
                lost += usize::from(!text.contains("granted=true"));
                pass(Duration::from_millis(5));
            }
            lost
        });
        Watch { end, watches }
    }
}

/// A thread that counts how often a ticket was seen not to be held.
struct Watch {
    end: Arc<AtomicBool>,
    watches: JoinHandle<usize>,
}

impl Watch {
    #[track_caller]
    fn held_all_the_time(self) {
        self.end.store(true, Ordering::Relaxed);
        assert_eq!(self.watches.join().expect("it ends"), 0, "the ticket was given up");
    }
}

const THREE: &[(&str, u8)] = &[("site", 1), ("site", 2), ("arbitrator", 3)];
const OLD: Files<'_> =
    Files { members: THREE, tickets: &["t1"], key: "the first key, long enough" };

/// Three members, of which the first holds `t1`.
fn holding(net: u8) -> (Cluster, Watch) {
    let mut cluster = Cluster::new(net);
    cluster.write(&OLD);
    for member in [3, 2, 1] {
        cluster.start(member);
    }
    cluster.grant(1, "t1");
    let watch = cluster.watch(1, "t1");
    (cluster, watch)
}

#[test]
fn a_key_is_replaced_while_a_ticket_is_held() {
    let (mut cluster, watch) = holding(150);
    cluster.write(&Files { key: "the second key, long enough", ..OLD });
    // Within one renewal: all of them, the holder last.
    for member in [3, 2, 1] {
        cluster.restart(member);
    }
    cluster.knows(2, "t1", 1);
    pass(EXPIRE * 2);
    cluster.knows(3, "t1", 1);
    watch.held_all_the_time();
}

#[test]
fn a_ticket_is_added_and_another_removed_while_one_is_held() {
    let (mut cluster, watch) = holding(151);
    cluster.write(&Files { tickets: &["t1", "t2"], ..OLD });
    for member in [3, 2, 1] {
        cluster.restart(member);
        pass(PAUSE);
    }
    cluster.grant(2, "t2");
    cluster.knows(1, "t2", 2);
    // And away again: revoked first.
    let revoked = cluster.ask("revoke", 1, &["-w", "t2"]);
    assert!(revoked.status.success(), "{:?}", texts(&revoked));
    cluster.write(&OLD);
    for member in [3, 2, 1] {
        cluster.restart(member);
        pass(PAUSE);
    }
    assert!(!cluster.list(1).contains("t2"));
    cluster.knows(2, "t1", 1);
    watch.held_all_the_time();
}

#[test]
fn members_are_added_and_removed_while_a_ticket_is_held() {
    let (mut cluster, watch) = holding(152);
    let four = [THREE, &[("site", 4)]].concat();
    cluster.write(&Files { members: &four, ..OLD });
    cluster.start(4);
    for member in [3, 2, 1] {
        cluster.restart(member);
        pass(PAUSE);
    }
    cluster.knows(4, "t1", 1);
    // Of four members two are no majority: the new one counts.
    let peers = texts(&cluster.ask("peers", 1, &[])).0;
    assert!(peers.contains(&cluster.lab.address(4).to_string()), "{peers}");
    cluster.write(&OLD);
    cluster.stop(4);
    for member in [3, 2, 1] {
        cluster.restart(member);
        pass(PAUSE);
    }
    cluster.knows(2, "t1", 1);
    watch.held_all_the_time();
}

/// Planned maintenance: the ticket moves first, then the site is stopped.
#[test]
fn a_ticket_is_moved_before_its_site_is_stopped() {
    let (mut cluster, watch) = holding(153);
    watch.held_all_the_time();
    let revoked = cluster.ask("revoke", 2, &["-w", "t1"]);
    assert!(revoked.status.success(), "{:?}", texts(&revoked));
    cluster.grant(2, "t1");
    let watch = cluster.watch(2, "t1");
    cluster.stop(1);
    pass(EXPIRE * 2);
    cluster.start(1);
    cluster.knows(1, "t1", 2);
    watch.held_all_the_time();
}
