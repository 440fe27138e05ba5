// SPDX-License-Identifier: GPL-2.0-or-later
//! Several configurations on one host, and members whose configurations do not name each other.

use crate::support::{frees, holds, works, ARBITRATOR, NEEDS, POOR, SOON};
use booth_harness::{
    finish, run, setup_ticket, shell, signal, test_name, until, Cluster, Crm, Kind, Lab, Setup,
};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const A_MOMENT: Duration = Duration::from_secs(3);

/// A single site with its configuration in /etc/booth, as an administrator has it.
struct Single<'lab> {
    lab: &'lab Lab,
    name: &'static str,
    crm: Crm,
    daemon: Child,
}

impl<'lab> Single<'lab> {
    /// Starts it, at this port of the lab's first address.
    #[track_caller]
    fn start(lab: &'lab Lab, name: &'static str, port: u16) -> Single<'lab> {
        let address = lab.address(1);
        let ticket = setup_ticket("t1", "");
        let text = format!("port = {port}\nsite = {address}\n{ticket}");
        std::fs::write(format!("/etc/booth/{name}.conf"), text).expect("it is the lab's own");
        let site = lab.dir().join(name);
        let crm = Crm::install(&site);
        let log = std::fs::File::create(site.join("log")).expect("the lab can be written");
        let mut command = Kind::Ours.command(lab, "boothd", Some(&crm.bin()));
        command.args(["daemon", "-S", "-c", name]).stdin(Stdio::null()).stdout(Stdio::null());
        let daemon = command.stderr(log).spawn().expect("started");
        Single { lab, name, crm, daemon }
    }

    /// A client that knows it by its name only.
    fn client(&self, words: &[&str]) -> Command {
        let mut command = Kind::Ours.command(self.lab, "booth", None);
        command.args(words).args(["-c", self.name]);
        command
    }

    #[track_caller]
    fn wait_started(&self) {
        until(SOON, &format!("{} has started", self.name), || {
            let status = finish(&mut self.client(&["status"]), SOON);
            status.stdout.contains("booth_state=started").then_some(())
        });
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.lab.dir().join(self.name).join("log")).unwrap_or_default()
    }
}

impl Drop for Single<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("---- {}\n{}", self.name, self.log());
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Gives the lab an /etc/booth and a /run/booth of its own.
#[track_caller]
fn own_places(lab: &Lab) {
    lab.own(lab.address(1));
    let script = "set -e
        mkdir -p /etc/booth
        mount -t tmpfs -o mode=755 tmpfs /etc/booth
        mount -t tmpfs -o mode=755 tmpfs /run";
    shell(script, &[]);
}

#[test]
fn two_configurations_live_side_by_side() {
    run(test_name!(), NEEDS, |lab| {
        own_places(lab);
        let one = Single::start(lab, "one", 9929);
        let two = Single::start(lab, "two", 9930);
        for (own, other) in [(&one, &two), (&two, &one)] {
            own.wait_started();
            let before = other.crm.calls_of("grant").len();
            finish(&mut own.client(&["grant", "-C"]), SOON * 2).expect_code(0);
            assert!(own.crm.is_granted("t1"));
            assert_eq!(other.crm.calls_of("grant").len(), before, "the other has its own");
        }
        // One is revoked, and one ends: the other one goes on with its own keeper.
        finish(&mut one.client(&["revoke", "-w"]), SOON).expect_code(0);
        signal(one.daemon.id(), "TERM");
        until(SOON, "it is not found any more", || {
            let status = finish(&mut one.client(&["status"]), SOON);
            (status.code == Some(7)).then_some(())
        });
        booth_harness::pass(A_MOMENT * 2);
        assert!(two.crm.is_granted("t1"), "{}", two.log());
        finish(&mut two.client(&["list"]), SOON).expect_code(0);
    });
}

#[test]
fn a_second_configuration_with_the_same_port_says_that_another_daemon_runs() {
    run(test_name!(), NEEDS, |lab| {
        own_places(lab);
        let one = Single::start(lab, "one", 9929);
        one.wait_started();
        let mut two = Single::start(lab, "two", 9929);
        let ended = until(SOON * 3, "it ends", || two.daemon.try_wait().expect("ours"));
        let log = two.log();
        assert_eq!(ended.code(), Some(1), "{log}");
        assert!(log.contains(":9929") && log.contains("another daemon"), "{log}");
        finish(&mut two.client(&["status"]), SOON).expect_code(7);
        one.wait_started();
    });
}

#[test]
fn a_host_that_is_no_member_is_told_so() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        // By -s: it is not in the configuration. Without it: no address of it is here.
        for site in [true, false] {
            let mut command = Kind::Ours.command(lab, "boothd", None);
            command.args(["daemon", "-S", "-c", &cluster.config, "-l"]);
            command.arg(cluster.members[POOR].lock_file());
            if site {
                command.args(["-D", "-s", "192.0.2.99"]);
            } else {
                for index in 0..3 {
                    let address = cluster.address(index).to_string();
                    shell("ip address del \"$1/32\" dev lo", &[&address]);
                }
                // The loopback network would be enough.
                let text = std::fs::read_to_string(&cluster.config).expect("written");
                let text = (1..4).fold(text, |text, host| {
                    let own = lab.address(host).to_string();
                    text.replace(&format!("\"{own}\""), &format!("\"192.0.2.{host}\""))
                });
                let config = lab.write("elsewhere.conf", text, 0o644);
                command = Kind::Ours.command(lab, "boothd", None);
                command.args(["daemon", "-S", "-c", &config]);
            }
            let told = finish(&mut command, SOON * 3).expect_code(1).stderr;
            assert!(told.contains("Cannot find myself in the configuration"), "{told}");
        }
        cluster.members.clear();
    });
}

/// The arbitrator's configuration does not name the second site.
#[test]
fn a_member_that_others_do_not_know_is_refused_with_a_word_and_the_rest_works() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let text = std::fs::read_to_string(&cluster.config).expect("it was written");
        let stranger = format!("site = \"{}\"\n", cluster.address(1));
        assert!(text.contains(&stranger));
        let config = lab.write("short.conf", text.replace(&stranger, ""), 0o644);
        cluster.members[ARBITRATOR].config = config;
        cluster.start_all();
        works(&cluster, POOR);
        holds(&cluster, POOR);
        let address = cluster.address(1).to_string();
        until(SOON, "the arbitrator says who is not known", || {
            let log = cluster.members[ARBITRATOR].log();
            log.lines().any(|line| line.contains(&address)).then_some(())
        });
        booth_harness::pass(A_MOMENT * 2);
        assert!(cluster.crm(POOR).is_granted("t1"), "it is renewed");
        frees(&cluster, POOR);
    });
}
