// SPDX-License-Identifier: GPL-2.0-or-later
//! Addresses that come and go, and those that need their interface, in a network namespace.

use crate::support::{pass, texts, wait_until, Daemon, Lab};
use booth_harness::stranger::is_root_for;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A network of its own; a process keeps it, and ends with it.
struct Net(Child);

impl Net {
    /// With these commands for `ip`.
    fn new(commands: &[&str]) -> Net {
        let mut keep = Command::new("unshare");
        keep.args(["--net", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let net = Net(keep.spawn().expect("started"));
        let own = fs::read_link("/proc/self/ns/net").expect("readable");
        wait_until("there is a network", || {
            fs::read_link(net.path()).is_ok_and(|there| there != own)
        });
        net.ip("link set lo up");
        for command in commands {
            net.ip(command);
        }
        net
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// `ip ARGUMENTS` there.
    fn ip(&self, arguments: &str) {
        let mut command = Command::new("ip");
        let output = self.inside(command.args(arguments.split(' '))).output().expect("run");
        assert!(output.status.success(), "ip {arguments}: {:?}", texts(&output));
    }

    /// A command that runs there.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net={}", self.path())).arg("--");
        inside.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// A member that runs there, named by its address.
    fn start(&self, lab: &Lab, address: &str, lock: &Path) -> Daemon {
        let mut command = lab.booth(&["daemon", "-D", "-S", "-s", address, "-l"]);
        let log = lock.with_extension("log");
        let file = File::create(&log).expect("created");
        let child = self.inside(command.arg(lock)).stderr(file).spawn().expect("started");
        let daemon = Daemon::adopt(child, log);
        daemon.says("daemon started");
        daemon
    }

    /// A client at the member with this address.
    fn client(&self, lab: &Lab, args: &[&str], address: &str) -> Output {
        let mut command = lab.booth(args);
        self.inside(command.arg("-s").arg(address)).output().expect("run")
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has the members of the lab at other addresses.
fn readdress(lab: &Lab, net: u8, addresses: [&str; 3]) {
    let mut config = fs::read_to_string(lab.config()).expect("readable");
    for (number, address) in (1..).zip(addresses) {
        config = config.replace(&format!("127.20.{net}.{number}\n"), &format!("{address}\n"));
    }
    let times = "expire = 8\ntimeout = 1\nretries = 3\nrenewal-freq = 5\n";
    let config = config.replace("expire = 60\ntimeout = 3\nretries = 3\n", times);
    fs::write(lab.config(), config).expect("written");
}

const OURS: &str = "site-user = root\nsite-group = root\narbitrator-user = root\n\
                    arbitrator-group = root";

#[test]
fn an_address_that_goes_is_missed_once_and_served_again_when_it_is_back() {
    let name = "addresses::an_address_that_goes_is_missed_once_and_served_again_when_it_is_back";
    if !is_root_for(name) {
        return;
    }
    let families = [
        (210, ["10.77.0.1", "10.77.0.2", "10.77.0.3"], 32, ""),
        (211, ["fd00:77::1", "fd00:77::2", "fd00:77::3"], 128, " nodad"),
    ];
    for (number, addresses, bits, more) in families {
        let lab = Lab::with(number, OURS);
        readdress(&lab, number, addresses);
        let add = addresses.map(|address| format!("addr add {address}/{bits} dev lo{more}"));
        let net = Net::new(&add.each_ref().map(String::as_str));
        let mut site = net.start(&lab, addresses[0], &lab.lock_file(1));
        let mut arbitrator = net.start(&lab, addresses[2], &lab.lock_file(3));
        let granted = net.client(&lab, &["grant", "-C"], addresses[0]);
        assert!(granted.status.success(), "{:?}", texts(&granted));
        net.ip(&format!("addr del {}/{bits} dev lo", addresses[0]));
        site.says(&format!("WARN: this machine no longer has the address {} ", addresses[0]));
        // Long enough for renewals, and for the end of the lease.
        pass(Duration::from_secs(9));
        assert!(site.log().matches("cannot send").count() <= 2, "{}", site.log());
        assert!(!net.client(&lab, &["list"], addresses[0]).status.success());
        net.ip(&add[0]);
        site.says(&format!("info: this machine has the address {} again", addresses[0]));
        let list = net.client(&lab, &["list"], addresses[0]);
        assert!(list.status.success(), "{:?}", texts(&list));
        wait_until("it holds the ticket again", || {
            let _ = net.client(&lab, &["grant", "-C"], addresses[0]);
            let list = net.client(&lab, &["list"], addresses[2]);
            texts(&list).0.contains(&format!("leader: {},", addresses[0]))
        });
        site.stop();
        arbitrator.stop();
    }
}

#[test]
fn members_with_link_local_addresses_speak_with_each_other() {
    let name = "addresses::members_with_link_local_addresses_speak_with_each_other";
    if !is_root_for(name) {
        return;
    }
    let addresses = ["fe80::77:1%booth0", "fe80::77:2%booth0", "fe80::77:3%booth0"];
    let lab = Lab::with(212, OURS);
    readdress(&lab, 212, addresses);
    let add = [1, 2, 3].map(|n| format!("addr add fe80::77:{n}/64 dev booth0 nodad"));
    let [a, b, c] = add.each_ref().map(String::as_str);
    let net = Net::new(&["link add name booth0 type bridge", "link set booth0 up", a, b, c]);
    let mut site = net.start(&lab, addresses[0], &lab.lock_file(1));
    let mut arbitrator = net.start(&lab, addresses[2], &lab.lock_file(3));
    let granted = net.client(&lab, &["grant", "-C"], addresses[0]);
    assert!(granted.status.success(), "{:?}\n{}", texts(&granted), site.log());
    let list = net.client(&lab, &["list"], addresses[2]);
    let (stdout, stderr) = texts(&list);
    assert!(stdout.contains("leader: fe80::77:1,"), "{stdout}{stderr}");
    let line = fs::read_to_string(lab.lock_file(1)).expect("readable");
    // As the reference writes it, without the interface.
    assert!(line.contains("booth_addr_string='fe80::77:1' "), "{line}");
    site.stop();
    arbitrator.stop();
}

#[test]
fn a_link_local_address_of_another_interface_is_refused_with_words() {
    let name = "addresses::a_link_local_address_of_another_interface_is_refused_with_words";
    if !is_root_for(name) {
        return;
    }
    let lab = Lab::with(213, OURS);
    readdress(&lab, 213, ["fe80::77:1%booth1", "fe80::77:2%booth1", "fe80::77:3%booth1"]);
    let net = Net::new(&[
        "link add name booth0 type bridge",
        "link add name booth1 type bridge",
        "link set booth0 up",
        "link set booth1 up",
        "addr add fe80::77:1/64 dev booth0 nodad",
    ]);
    let mut command = lab.booth(&["daemon", "-S", "-l"]);
    let output = net.inside(command.arg(lab.lock_file(1))).output().expect("run");
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("fe80::77:1 is on another interface"), "{stderr}");
}

#[test]
fn an_address_that_is_still_checked_for_duplicates_is_waited_for() {
    let name = "addresses::an_address_that_is_still_checked_for_duplicates_is_waited_for";
    if !is_root_for(name) {
        return;
    }
    let lab = Lab::with(214, OURS);
    let addresses = ["fd00:77::1", "fd00:77::2", "fd00:77::3"];
    readdress(&lab, 214, addresses);
    let net = Net::new(&[
        "link add name booth0 type veth peer name booth1",
        "link set booth0 up",
        "link set booth1 up",
        "addr add fd00:77::3/64 dev booth0",
    ]);
    let mut daemon = net.start(&lab, addresses[2], &lab.lock_file(3));
    assert!(daemon.log().contains("WARN: cannot bind [fd00:77::3]:"), "{}", daemon.log());
    daemon.stop();
}

/// The sockets are bound to the interface that is gone, whatever it is called.
#[test]
fn a_link_local_address_on_an_interface_that_was_made_anew_is_told_with_the_way_out() {
    let name = "addresses::a_link_local_address_on_an_interface_that_was_made_anew_is_told_with_\
                the_way_out";
    if !is_root_for(name) {
        return;
    }
    let addresses = ["fe80::77:1%booth0", "fe80::77:2%booth0", "fe80::77:3%booth0"];
    let lab = Lab::with(215, OURS);
    readdress(&lab, 215, addresses);
    let make = ["link add name booth0 type bridge", "link set booth0 up"];
    let add = "addr add fe80::77:1/64 dev booth0 nodad";
    let net = Net::new(&[make[0], make[1], add]);
    let mut site = net.start(&lab, addresses[0], &lab.lock_file(1));
    net.ip("link del booth0");
    site.says("WARN: this machine no longer has the address fe80::77:1 ");
    [make[0], make[1], add].into_iter().for_each(|command| net.ip(command));
    site.says("on another interface than the one of the start");
    assert!(!site.log().contains("fe80::77:1 again"), "{}", site.log());
    assert!(!net.client(&lab, &["list"], addresses[0]).status.success());
    site.stop();
    let mut site = net.start(&lab, addresses[0], &lab.lock_file(1));
    let list = net.client(&lab, &["list"], addresses[0]);
    assert!(list.status.success(), "{:?}", texts(&list));
    // Where it is on a second interface, too, it has not moved.
    net.ip("link add name booth1 type bridge");
    net.ip("link set booth1 up");
    net.ip("addr add fe80::77:1/64 dev booth1 nodad");
    net.ip("addr del fe80::77:1/64 dev booth0");
    site.says("on another interface than the one of the start");
    net.ip(add);
    site.says("info: this machine has the address fe80::77:1 again");
    site.stop();
}
