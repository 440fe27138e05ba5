// SPDX-License-Identifier: GPL-2.0-or-later
//! A geo-cluster: two sites, `a` and `b`, and an arbitrator.

use super::cib;
use super::machine::{shell, Machine, Net};
use super::record;
use super::site::{site_address, Site};
use booth_harness::{finish, run_for, Finished, Lab, Need};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// What a test of this layer needs.
const NEEDS: &[Need] = &[Need::Root, Need::ClusterRoot("cluster")];
/// The same with a site of Debian 12.
const NEEDS_OLDER: &[Need] =
    &[Need::Root, Need::ClusterRoot("cluster"), Need::ClusterRoot("older")];
/// Last part of the address of the first node of each site, and of the arbitrator.
const HOSTS: [u8; 2] = [10, 30];
const ARBITRATOR: u8 = 50;
/// `expire` of the ticket in most of these tests, in seconds.
pub const EXPIRE: u32 = 20;
/// The same where boothd has to be back within a lease, however slow the machine.
pub const LONG_EXPIRE: u32 = 45;
/// `renewal-freq` of the ticket, in seconds.
pub const RENEWAL: u32 = 10;
/// `acquire-after` of the ticket in these tests, in seconds.
pub const ACQUIRE_AFTER: u32 = 5;

/// A test that runs longer is ended. Most of it is waiting for leases, and for Pacemaker.
pub const LIMIT: Duration = Duration::from_secs(300);

/// The directory of a root that `make-root` has made.
pub fn root_directory(name: &str) -> PathBuf {
    let roots = std::env::var_os("BOOTH_ROOTS");
    roots.map_or_else(|| PathBuf::from("/var/cache/booth-roots"), PathBuf::from).join(name)
}

/// Runs a test with a geo-cluster as `plan` describes it, all of it up.
#[track_caller]
pub fn with_geo(name: &str, plan: &Plan, body: impl FnOnce(&mut Geo)) {
    let needs = if plan.roots.contains(&"older") { NEEDS_OLDER } else { NEEDS };
    run_for(name, needs, LIMIT, |lab| {
        let mut geo = Geo::new(lab, plan);
        if plan.bare {
            geo.boot_clusters();
        } else {
            geo.boot();
        }
        body(&mut geo);
    });
}

/// What a geo-cluster is to look like. The ticket is `t`; `rsc` depends on it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The root directory of each site's machines, see `make-root`.
    pub roots: [&'static str; 2],
    /// Nodes of each site.
    pub nodes: [u8; 2],
    /// The agent that runs boothd at each site.
    pub agents: [&'static str; 2],
    /// `expire` of the ticket, in seconds.
    pub expire: u32,
    /// Further lines for the ticket in the configuration.
    pub ticket: String,
    /// Further resources of each site.
    pub resources: [String; 2],
    /// Further constraints, the same at both sites.
    pub constraints: String,
    /// How long `rsc` takes to stop, in seconds.
    pub stop: u32,
    /// Whether nothing of booth is configured: neither a file nor a resource is there.
    pub bare: bool,
}

impl Plan {
    /// One node a site, our agent.
    pub fn usual() -> Plan {
        Plan {
            roots: ["cluster"; 2],
            nodes: [1, 1],
            agents: ["pacemaker:booth-site"; 2],
            expire: EXPIRE,
            ticket: String::new(),
            resources: [String::new(), String::new()],
            constraints: String::new(),
            stop: 1,
            bare: false,
        }
    }

    /// Two clusters without anything in them.
    pub fn bare() -> Plan {
        Plan { bare: true, ..Plan::usual() }
    }

    /// The configuration of booth, the same for all members.
    fn config(&self) -> String {
        let mut text = "authfile = /etc/booth/authkey\n".to_owned();
        for host in HOSTS {
            text.push_str(&format!("site = {}\n", site_address(host)));
        }
        text.push_str(&format!("arbitrator = 10.77.0.{ARBITRATOR}\n"));
        text.push_str(&format!(
            "ticket = \"t\"\n  expire = {}\n  renewal-freq = {RENEWAL}\n  \
             acquire-after = {ACQUIRE_AFTER}\n  timeout = 1\n  retries = 3\n{}",
            self.expire, self.ticket
        ));
        text
    }

    /// The CIB of a site.
    fn cib(&self, site: usize) -> String {
        if self.bare {
            return cib::whole("", "");
        }
        let booth = cib::booth(self.agents[site], &site_address(HOSTS[site]), "booth");
        let resources = format!("{booth}{}{}", cib::service(self.stop), self.resources[site]);
        let constraints = format!("{}{}", cib::under_ticket("rsc", "t"), self.constraints);
        cib::whole(&resources, &constraints)
    }
}

/// A geo-cluster.
pub struct Geo {
    /// The sites.
    pub sites: [Site; 2],
    /// The arbitrator's machine.
    pub arbitrator: Machine,
    arbitrator_daemon: Option<Child>,
}

impl Geo {
    /// Makes all machines, with a configuration and a key; nothing runs yet.
    #[track_caller]
    pub fn new(lab: &Lab, plan: &Plan) -> Geo {
        let net = Net::new(lab);
        if !plan.bare {
            let etc = net.installed().join("etc/booth");
            std::fs::write(etc.join("booth.conf"), plan.config()).expect("the lab can be written");
            make_key(net.installed(), &etc.join("authkey"));
        }
        let site = |index: usize, name: &str| {
            let below = root_directory(plan.roots[index]);
            Site::new(&net, &below, name, HOSTS[index], plan.nodes[index], &plan.cib(index))
        };
        let sites = [site(0, "a"), site(1, "b")];
        let below = root_directory("cluster");
        let arbitrator = Machine::new(&net, &below, "arb", ARBITRATOR, "br0");
        Geo { sites, arbitrator, arbitrator_daemon: None }
    }

    /// Starts both clusters and the arbitrator's machine, without its boothd.
    #[track_caller]
    pub fn boot_clusters(&mut self) {
        std::thread::scope(|scope| {
            for site in &mut self.sites {
                scope.spawn(|| site.boot());
            }
        });
        self.arbitrator.boot();
    }

    /// Starts everything, and waits until every member is ready to grant.
    #[track_caller]
    pub fn boot(&mut self) {
        self.boot_clusters();
        self.start_arbitrator();
        for site in &self.sites {
            site.wait_ready("t");
        }
    }

    /// Copies the configuration of site `a` to all others, as pcs and crmsh do through daemons
    /// of their own or ssh.
    #[track_caller]
    pub fn distribute(&self) {
        let from = self.sites[0].node().root.join("etc/booth").display().to_string();
        for other in [self.sites[1].node(), &self.arbitrator] {
            let to = other.root.join("etc").display().to_string();
            shell("cp -a \"$1\" \"$2\"", &[&from, &to]);
        }
    }

    /// Runs what the unit of the arbitrator says.
    #[track_caller]
    pub fn start_arbitrator(&mut self) {
        let unit = "/usr/lib/systemd/system/booth-arbitrator.service";
        let line = self.arbitrator.ok(&format!("sed -n 's/^ExecStart=//p' {unit}"));
        // ExecStartPre= of the unit.
        self.arbitrator.ok("mkdir -p -m 755 /run/booth");
        self.arbitrator_daemon = Some(self.arbitrator.start(line.trim_end()));
        self.arbitrator.wait(20, "the arbitrator answers", "booth list");
    }

    /// Runs `booth` at a site.
    #[track_caller]
    pub fn booth(&self, site: usize, arguments: &str) -> Finished {
        self.sites[site].node().run(&format!("booth {arguments}"))
    }

    /// Grants the ticket to a site, and waits until its resource runs on the node.
    #[track_caller]
    pub fn grant(&self, site: usize, node: &str) {
        self.booth(site, "grant -C t").expect_code(0);
        record::wait_running("rsc", &[node], 20);
        assert!(self.sites[site].is_granted("t"));
    }

    /// Fails if both CIBs say that the ticket is granted.
    #[track_caller]
    pub fn assert_held_once(&self) {
        let held = [0, 1].map(|site| self.sites[site].is_granted("t"));
        assert_ne!(held, [true, true], "both sites hold the ticket");
    }
}

impl Drop for Geo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "---- record\n{}",
                std::fs::read_to_string("/mnt/shared/record").unwrap_or_default()
            );
            for machine in self.sites.iter().flat_map(|site| &site.nodes) {
                machine.show();
            }
            self.arbitrator.show();
        }
        // The lab's namespaces end everything else.
        if let Some(mut daemon) = self.arbitrator_daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Makes a key with the program that is installed for that.
fn make_key(installed: &Path, file: &Path) {
    let mut command = std::process::Command::new(installed.join("usr/sbin/booth-keygen"));
    command.arg(file);
    finish(&mut command, Duration::from_secs(10)).expect_code(0);
}
