// SPDX-License-Identifier: GPL-2.0-or-later
//! A cluster whose members have IPv6 addresses: elections and renewals over UDP, clients and a
//! redirect over TCP.

use booth_harness::{
    finish, make_open, make_shared, run, shell, test_name, under_test, until, value_within, Crm,
    Finished, Kind, Lab, Need,
};
use std::process::{Child, Stdio};
use std::time::Duration;

const ADDRESSES: [&str; 3] = ["fd00:b007::1", "fd00:b007::2", "fd00:b007::3"];
const SOON: Duration = Duration::from_secs(8);

/// The members; they end with the test, and with its namespace at the latest.
struct Cluster<'lab> {
    lab: &'lab Lab,
    config: String,
    processes: Vec<Child>,
    sites: Vec<Crm>,
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Starts two sites and an arbitrator, each with an address of its own on the loopback device.
fn start(lab: &Lab) -> Cluster<'_> {
    for address in ADDRESSES {
        shell("ip -6 addr add \"$1/128\" dev lo nodad", &[address]);
    }
    let [a, b, c] = ADDRESSES;
    let times = "expire = 10\ntimeout = 1\nretries = 3\nrenewal-freq = 5\n";
    let members = format!("site = \"{a}\"\nsite = \"{b}\"\narbitrator = \"{c}\"\n");
    let text = format!("transport = UDP\nport = 9929\n{members}ticket = \"t1\"\n{times}");
    let config = lab.write("ipv6.conf", text, 0o644);
    let mut cluster = Cluster { lab, config, processes: Vec::new(), sites: Vec::new() };
    let mut locks = Vec::new();
    for (number, address) in ADDRESSES.iter().enumerate() {
        let dir = lab.dir().join(format!("six{number}"));
        let crm = Crm::install(&dir);
        match under_test() {
            Kind::Theirs => make_open(&dir),
            Kind::Ours | Kind::OursInRoot | Kind::OursBeside => make_shared(&dir),
        }
        let log = std::fs::File::create(dir.join("log")).expect("the lab can be written");
        let lock = dir.join("booth.pid");
        let mut command = under_test().command(lab, "boothd", Some(&crm.bin()));
        command.args(["daemon", "-D", "-S", "-c", &cluster.config, "-s", address, "-l"]).arg(&lock);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        cluster.processes.push(command.spawn().expect("started"));
        cluster.sites.push(crm);
        locks.push((lock, dir.join("log")));
    }
    for ((lock, log), address) in locks.iter().zip(ADDRESSES) {
        let up = until(SOON, &format!("{address} has started"), || {
            let line = std::fs::read_to_string(lock).unwrap_or_default();
            line.contains("booth_state=started").then_some(line)
        });
        let own = format!("booth_addr_string='{address}'");
        assert!(up.contains(&own), "{up}\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
    cluster
}

impl Cluster<'_> {
    /// Runs a client that asks a member.
    fn booth(&self, member: usize, arguments: &[&str]) -> Finished {
        let mut command = under_test().command(self.lab, "booth", None);
        let (operation, rest) = arguments.split_first().expect("an operation");
        command.args([*operation, "-c", &self.config, "-s", ADDRESSES[member]]).args(rest);
        finish(&mut command, SOON * 2)
    }

    /// Waits until all members name this leader.
    fn wait_leader(&self, leader: &str) {
        let wanted = format!("ticket: t1, leader: {leader}");
        let mut last = Vec::new();
        let named = value_within(SOON, || {
            last = (0..3).map(|n| self.booth(n, &["list"])).collect::<Vec<_>>();
            last.iter().all(|list| list.stdout.to_lowercase().contains(&wanted)).then_some(())
        });
        assert!(named.is_some(), "not within {SOON:?}: {wanted}: {last:#?}");
    }
}

#[test]
fn members_and_clients_speak_over_ipv6() {
    let needs: &[Need] = match under_test() {
        Kind::Ours => &[Need::Root],
        kind @ (Kind::Theirs | Kind::OursInRoot | Kind::OursBeside) => Need::of(kind),
    };
    run(test_name!(), needs, |lab| {
        let cluster = start(lab);
        cluster.wait_leader("none");
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        until(SOON, "the CIB says granted", || cluster.sites[0].is_granted("t1").then_some(()));
        cluster.wait_leader(ADDRESSES[0]);
        // It is renewed, which needs the others' answers.
        let expires = |crm: &Crm| crm.state("t1").expect("it is granted").number("expires");
        let first = expires(&cluster.sites[0]);
        until(SOON, "the lease is renewed", || (expires(&cluster.sites[0]) > first).then_some(()));
        let peers = cluster.booth(2, &["peers"]).expect_code(0).stdout;
        assert!(ADDRESSES[..2].iter().all(|address| peers.contains(address)), "{peers}");
        // The other site sends the client on to the holder.
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        until(SOON, "the CIB says revoked", || (!cluster.sites[0].is_granted("t1")).then_some(()));
        cluster.wait_leader("none");
    });
}
