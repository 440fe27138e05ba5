// SPDX-License-Identifier: GPL-2.0-or-later
//! A site: the nodes of one Pacemaker cluster.

use super::machine::{shell, Machine, Net};
use super::record::note_crash;
use std::path::Path;

/// A site and its cluster.
pub struct Site {
    /// Its nodes.
    pub nodes: Vec<Machine>,
    name: String,
    /// The address of its boothd, which Pacemaker gives to the node that runs it.
    pub address: String,
}

impl Site {
    /// Makes the nodes of a site, with this CIB; nothing runs yet. The nodes are called NAME1,
    /// NAME2 and have the addresses from 10.77.0.`host` on; boothd has the address behind that
    /// of the last possible node.
    #[track_caller]
    pub fn new(net: &Net, below: &Path, name: &str, host: u8, nodes: u8, cib: &str) -> Site {
        // The nodes of a site hang on a switch of its own.
        let script = "ip link add \"s$1\" type bridge && ip link set \"s$1\" up &&
            ip link add \"u$1\" type veth peer name \"d$1\" &&
            ip link set \"u$1\" master br0 up && ip link set \"d$1\" master \"s$1\" up";
        shell(script, &[name]);
        let nodes = (1..=nodes).map(|number| {
            let node = format!("{name}{number}");
            Machine::new(net, below, &node, host + number - 1, &format!("s{name}"))
        });
        let nodes: Vec<Machine> = nodes.collect();
        let corosync = corosync_conf(name, &nodes);
        for node in &nodes {
            node.write("/etc/corosync/corosync.conf", &corosync, 0o644);
            node.write("/var/lib/pacemaker/cib/cib.xml", cib, 0o600);
        }
        Site { nodes, name: name.to_owned(), address: site_address(host) }
    }

    /// Starts all nodes and their cluster, and waits until it is up.
    #[track_caller]
    pub fn boot(&mut self) {
        for node in &mut self.nodes {
            boot_node(node);
        }
        for node in &self.nodes {
            node.wait(60, "Pacemaker is up", "crm_mon -1 | grep -q \"Online:.* $(uname -n) \"");
        }
    }

    /// Ends every process of a node at once.
    #[track_caller]
    pub fn crash(&mut self, index: usize) {
        self.nodes[index].crash();
        note_crash(&self.nodes[index].name);
    }

    /// Starts a node again after a crash.
    #[track_caller]
    pub fn reboot(&mut self, index: usize) {
        boot_node(&mut self.nodes[index]);
    }

    /// The first node.
    pub fn node(&self) -> &Machine {
        &self.nodes[0]
    }

    /// Cuts the site off the network; its nodes still hear each other.
    #[track_caller]
    pub fn cut(&self) {
        shell("ip link set \"u$1\" down", &[&self.name]);
    }

    /// Connects it again.
    #[track_caller]
    pub fn heal(&self) {
        shell("ip link set \"u$1\" up", &[&self.name]);
    }

    /// Waits until boothd answers, and knows that a ticket is free and may be granted.
    #[track_caller]
    pub fn wait_ready(&self, ticket: &str) {
        let up = format!("booth list | grep -qi '^ticket: {ticket}, leader: none$'");
        self.node().wait(60, "boothd answers and is ready", &up);
    }

    /// What the CIB knows about a ticket: the element with its attributes.
    #[track_caller]
    pub fn ticket(&self, ticket: &str) -> String {
        self.node().run(&format!("crm_ticket -t {ticket} -q")).stdout
    }

    /// Whether the CIB says that a ticket is granted here.
    #[track_caller]
    pub fn is_granted(&self, ticket: &str) -> bool {
        self.ticket(ticket).contains(" granted=\"true\"")
    }

    /// Waits until the CIB says that a ticket is granted here, or is not.
    #[track_caller]
    pub fn wait_granted(&self, ticket: &str, granted: bool, seconds: u32) {
        let condition = format!("crm_ticket -t {ticket} -q | grep -q ' granted=\"{granted}\"'");
        self.node().wait(seconds, &format!("{ticket}: granted={granted}"), &condition);
    }
}

/// The address of boothd at the site whose first node is 10.77.0.`host`.
pub fn site_address(host: u8) -> String {
    format!("10.77.0.{}", host + 9)
}

fn boot_node(node: &mut Machine) {
    node.boot();
    // The CIB may be there already; it is Pacemaker's in any case.
    node.ok("chown hacluster:haclient /var/lib/pacemaker/cib/cib.xml
        corosync && { pacemakerd -f >/dev/null 2>&1 & }");
}

/// A cluster's membership. Corosync wants every brace on a line of its own.
fn corosync_conf(name: &str, nodes: &[Machine]) -> String {
    let mut list = String::new();
    for (index, node) in nodes.iter().enumerate() {
        list.push_str(&format!(
            "    node {{\n        ring0_addr: {}\n        name: {}\n        nodeid: {}\n    }}\n",
            node.address,
            node.name,
            index + 1
        ));
    }
    let votes = nodes.len();
    format!(
        "totem {{\n    version: 2\n    cluster_name: {name}\n    transport: knet\n    \
         crypto_cipher: none\n    crypto_hash: none\n}}\n\
         nodelist {{\n{list}}}\n\
         quorum {{\n    provider: corosync_votequorum\n    expected_votes: {votes}\n}}\n\
         logging {{\n    to_logfile: yes\n    logfile: /var/log/corosync.log\n    \
         to_syslog: no\n}}\n"
    )
}
