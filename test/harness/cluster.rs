// SPDX-License-Identifier: GPL-2.0-or-later
//! Several members with one configuration, and the clients that talk to them.

use super::client::{ask, Answers};
use super::crm::{Change, Crm};
use super::lab::{make_open, Lab};
use super::member::Member;
use super::packet::{member_id, Packet, ANYONE};
use super::process::{finish, Finished};
use super::program::{copy_ours, Kind};
use super::setup::Setup;
use super::wait::until;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

/// No client command of a test takes longer.
pub const CLIENT_LIMIT: Duration = Duration::from_secs(40);
/// Lines of a log that are shown when a test fails.
const TAIL: usize = 60;

/// Several members with one configuration.
pub struct Cluster<'lab> {
    lab: &'lab Lab,
    /// The members: sites, then arbitrators.
    pub members: Vec<Member>,
    /// The configuration file.
    pub config: String,
    /// The shared key.
    pub key: Option<Vec<u8>>,
    sites: usize,
}

impl<'lab> Cluster<'lab> {
    /// Makes the files of a cluster; nothing runs yet.
    #[track_caller]
    pub fn new(lab: &'lab Lab, setup: &Setup) -> Cluster<'lab> {
        let (name, first) = lab.next_cluster();
        let dir = lab.dir().join(&name);
        std::fs::create_dir_all(&dir).expect("the lab can be written");
        make_open(&dir);
        let hosts = (first..).take(setup.members());
        let addresses: Vec<Ipv4Addr> = hosts.map(|host| lab.address(host)).collect();
        for address in &addresses {
            lab.own(*address);
        }
        let key_file =
            setup.key.as_ref().map(|key| lab.write(&format!("{name}/authkey"), key, 0o600));
        let text = setup.text(&addresses, key_file.as_deref());
        let config = lab.write(&format!("{name}/booth.conf"), text, 0o644);
        if setup.kinds.iter().any(|kind| matches!(kind, Kind::OursInRoot | Kind::OursBeside)) {
            copy_ours(lab);
        }
        let members = addresses.iter().enumerate().map(|(index, address)| {
            let dir = dir.join(format!("m{index}"));
            let mut member = Member::new(setup.kinds[index], *address, dir, config.clone());
            member.place = lab.place(*address);
            member
        });
        let members = members.collect();
        Cluster { lab, members, config, key: setup.key.clone(), sites: setup.sites }
    }

    /// The same with every member started.
    #[track_caller]
    pub fn started(lab: &'lab Lab, setup: &Setup) -> Cluster<'lab> {
        let mut cluster = Cluster::new(lab, setup);
        cluster.start_all();
        cluster
    }

    /// Starts every member that does not run, all together.
    #[track_caller]
    pub fn start_all(&mut self) {
        let stopped: Vec<usize> =
            (0..self.members.len()).filter(|index| self.members[*index].pid().is_none()).collect();
        for index in &stopped {
            self.members[*index].spawn(self.lab);
        }
        for index in &stopped {
            self.members[*index].wait_started();
        }
    }

    /// Starts one member.
    #[track_caller]
    pub fn start(&mut self, index: usize) {
        self.members[index].start(self.lab);
    }

    /// Ends one member with SIGKILL.
    #[track_caller]
    pub fn kill(&mut self, index: usize) {
        self.members[index].end("KILL");
    }

    /// Ends one member with SIGTERM.
    #[track_caller]
    pub fn stop(&mut self, index: usize) {
        self.members[index].end("TERM");
    }

    /// The address of a member.
    pub fn address(&self, index: usize) -> Ipv4Addr {
        self.members[index].address
    }

    /// The id of a member.
    pub fn id(&self, index: usize) -> u32 {
        member_id(self.address(index))
    }

    /// The `crm_ticket` of a member.
    pub fn crm(&self, index: usize) -> &Crm {
        &self.members[index].crm
    }

    /// Runs a client of the kind of the member that it asks: the first argument is the
    /// operation, `-c CONFIG -s ADDRESS` follow, then the other arguments.
    #[track_caller]
    pub fn booth(&self, index: usize, arguments: &[&str]) -> Finished {
        self.booth_of(self.members[index].kind, index, arguments)
    }

    /// The same with the client of a given kind.
    #[track_caller]
    pub fn booth_of(&self, kind: Kind, index: usize, arguments: &[&str]) -> Finished {
        finish(&mut self.client(kind, index, arguments), CLIENT_LIMIT)
    }

    /// The command that [`Cluster::booth_of`] runs.
    pub fn client(&self, kind: Kind, index: usize, arguments: &[&str]) -> Command {
        let mut command = kind.command(self.lab, "booth", None);
        let (operation, rest) = arguments.split_first().expect("an operation");
        command.args(operation.split(' ')).args(["-c", &self.config]);
        command.args(["-s", &self.address(index).to_string()]).args(rest);
        command
    }

    /// Runs `geostore ARGUMENTS -c CONFIG -s ADDRESS`; the options come first, as its values
    /// may look like options.
    #[track_caller]
    pub fn geostore(&self, index: usize, operation: &str, arguments: &[&str]) -> Finished {
        let mut command = self.members[index].kind.command(self.lab, "geostore", None);
        command.args([operation, "-c", &self.config, "-s", &self.address(index).to_string()]);
        finish(command.args(arguments), CLIENT_LIMIT)
    }

    /// Asks a member over the wire, with the cluster's key.
    #[track_caller]
    pub fn ask(&self, index: usize, request: &Packet, limit: Duration) -> Answers {
        ask(self.address(index), request, self.key.as_deref(), limit)
    }

    /// A ticket request of a client that belongs to the member that it asks.
    pub fn request(&self, index: usize, cmd: &str, ticket: &str) -> Packet {
        Packet::new(self.id(index), cmd).ticket(ticket, ANYONE, 0, 0)
    }

    /// What `booth list` prints at a member.
    #[track_caller]
    pub fn list(&self, index: usize) -> String {
        self.booth(index, &["list"]).expect_code(0).stdout
    }

    /// What `booth status` says of a member.
    #[track_caller]
    pub fn status(&self, index: usize) -> Finished {
        let member = &self.members[index];
        let mut command = member.kind.command(self.lab, "booth", None);
        command.args(["status", "-c", &member.config, "-l"]).arg(member.lock_file());
        finish(&mut command, CLIENT_LIMIT)
    }

    /// The leader that a member names in `list` for a ticket: an address, `NONE` or `none`.
    #[track_caller]
    pub fn leader(&self, index: usize, ticket: &str) -> String {
        let list = self.list(index);
        let begin = format!("ticket: {ticket}, leader: ");
        let line = list.lines().find_map(|line| line.strip_prefix(begin.as_str()));
        let line = line.unwrap_or_else(|| panic!("no {ticket} in {list:?}"));
        line.split([',', ' ']).next().unwrap_or_default().to_owned()
    }

    /// Waits until the members `who` all name `leader` for the ticket `t1`.
    #[track_caller]
    pub fn wait_leader(&self, who: &[usize], leader: usize, limit: Duration) {
        let wanted = self.address(leader).to_string();
        until(limit, &format!("{who:?} name member {leader} as leader"), || {
            who.iter().all(|index| self.leader(*index, "t1") == wanted).then_some(())
        });
    }

    /// Grants `t1` to a site and waits until its CIB and every listed member say so.
    #[track_caller]
    pub fn grant(&self, index: usize, known_by: &[usize]) {
        self.booth(index, &["grant", "t1"]).expect_code(0);
        until(CLIENT_LIMIT, "the CIB says granted", || {
            self.crm(index).is_granted("t1").then_some(())
        });
        self.wait_leader(known_by, index, Duration::from_secs(5));
    }

    /// The process of the keeper of a site of ours: the oldest, as what it starts looks the same
    /// for a moment. Only in a lab with processes of its own does nobody else have one like it.
    pub fn keeper(&self, index: usize) -> Option<u32> {
        let id = self.id(index).to_string();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_it = |pid: &u32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            words.next() == Some(b"booth-keeper") && words.next() == Some(id.as_bytes())
        };
        pids.filter(is_it).min()
    }

    /// How many of the members are sites.
    pub fn sites(&self) -> usize {
        self.sites
    }

    /// The histories of the ticket in the CIB of every site.
    pub fn histories(&self, ticket: &str) -> Vec<Vec<Change>> {
        (0..self.sites).map(|site| self.crm(site).history(ticket)).collect()
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (index, member) in self.members.iter().enumerate() {
            println!("---- member {index}, {:?}, {}", member.kind, member.address);
            for call in member.crm.calls() {
                println!("{:.3} crm_ticket {}", call.at, call.arguments.join(" "));
            }
            println!("{}", member.log_tail(TAIL));
        }
    }
}
