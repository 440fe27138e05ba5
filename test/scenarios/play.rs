// SPDX-License-Identifier: GPL-2.0-or-later
//! A cluster on which a case is played: what the administrator and the world do to it.

use crate::setting::{Foul, Setting};
use booth_harness::{
    finish, pass, report, run, until, Cluster, Finished, Kind, Lab, Recorder, Switch,
};
use std::process::Command;
use std::time::Duration;

/// `expire`, in seconds.
pub const LEASE: u64 = 10;
/// Seconds within which members tell each other what an administrator did.
pub const SOON: u64 = 8;
/// Seconds after a loss within which another site holds the ticket: the lease, the waits of an
/// election, and `crm_ticket`, all with room for a busy machine.
pub const FAIL_OVER: u64 = 20;
/// Between two looks that start clients.
const PAUSE: Duration = Duration::from_millis(150);
/// No client takes longer.
const CLIENT_LIMIT: Duration = Duration::from_secs(60);

/// A case being played.
pub struct Play<'lab> {
    /// Where.
    pub lab: &'lab Lab,
    /// The name of the case.
    pub case: &'static str,
    /// In which setting.
    pub setting: Setting,
    /// Its members: sites, then arbitrators. Site 0 is granted the ticket first.
    pub cluster: Cluster<'lab>,
    /// Watches the CIBs, from before the first start.
    pub recorder: Option<Recorder>,
    switch: &'lab Switch,
}

/// What a case is given: it makes its own cluster, with the ticket's lines that it needs.
pub struct Stage<'lab> {
    lab: &'lab Lab,
    case: &'static str,
    setting: Setting,
}

impl<'lab> Stage<'lab> {
    /// A cluster of which nothing runs yet, with further lines for the ticket `t1`.
    pub fn set(&self, lines: &str) -> Play<'lab> {
        let (sites, arbitrators) = self.setting.counts();
        let members = u8::try_from(sites + arbitrators).expect("a few members");
        let switch = self.lab.plug(members, 21);
        let cluster = Cluster::new(self.lab, &self.setting.setup(lines));
        let recorder = Some(Recorder::new(&cluster, "t1"));
        let (lab, case, setting) = (self.lab, self.case, self.setting);
        let play = Play { lab, case, setting, cluster, recorder, switch };
        play.heal();
        play
    }

    /// The same, with every member started. Members of ours have to know that the ticket is free:
    /// before, they help nobody but a holder that they know to be one (`RULES.md` L9).
    pub fn started(&self, lines: &str) -> Play<'lab> {
        let mut play = self.set(lines);
        play.cluster.start_all();
        play.settle(None);
        play
    }

    /// The same, with the ticket granted to site 0.
    pub fn granted(&self, lines: &str) -> Play<'lab> {
        let play = self.started(lines);
        play.grant(0);
        play.settle(Some(0));
        play
    }

    /// The lab, for files that the ticket's lines name.
    pub fn lab(&self) -> &'lab Lab {
        self.lab
    }
}

impl Play<'_> {
    /// Plays a case in a lab of its own.
    #[track_caller]
    pub fn perform(name: &str, case: &'static str, setting: Setting, body: fn(&Stage<'_>)) {
        run(name, setting.needs(), |lab| body(&Stage { lab, case, setting }));
    }

    /// All members.
    pub fn members(&self) -> std::ops::Range<usize> {
        0..self.cluster.members.len()
    }

    /// All sites.
    pub fn sites(&self) -> std::ops::Range<usize> {
        0..self.cluster.sites()
    }

    /// All arbitrators.
    pub fn arbitrators(&self) -> std::ops::Range<usize> {
        self.cluster.sites()..self.cluster.members.len()
    }

    /// The sites but this one.
    pub fn sites_but(&self, site: usize) -> Vec<usize> {
        self.sites().filter(|other| *other != site).collect()
    }

    /// The members whose daemon runs.
    pub fn running(&self) -> Vec<usize> {
        self.members().filter(|member| self.cluster.members[*member].runs()).collect()
    }

    /// Waits until this is so, for `seconds` in fair weather.
    #[track_caller]
    pub fn wait(&self, seconds: u64, what: &str, mut is_so: impl FnMut() -> bool) {
        until(self.setting.limit(seconds), what, || {
            let so = is_so();
            if !so {
                pass(PAUSE);
            }
            so.then_some(())
        });
    }

    /// Asks a site for the ticket and waits until its CIB has it.
    #[track_caller]
    pub fn grant(&self, site: usize) {
        self.grant_from(site, site);
    }

    /// The same with the client of another member, on its machine.
    #[track_caller]
    pub fn grant_from(&self, machine: usize, site: usize) {
        self.succeeds(machine, site, &["grant", "-C", "t1"]);
        self.wait(SOON, "the CIB has it", || self.cluster.crm(site).is_granted("t1"));
    }

    /// Revokes the ticket, asking this site, which need not hold it, and waits for the end.
    #[track_caller]
    pub fn revoke(&self, site: usize) {
        self.succeeds(site, site, &["revoke", "-w", "t1"]);
    }

    /// Runs a client that has to succeed. In foul weather votes can be lost for the whole of an
    /// election; then the administrator asks again.
    #[track_caller]
    fn succeeds(&self, machine: usize, site: usize, arguments: &[&str]) {
        if self.setting.foul == Foul::None {
            self.client_at(machine, site, arguments).expect_code(0);
        } else {
            self.wait(LEASE * 3, &arguments.join(" "), || {
                self.client_at(machine, site, arguments).code == Some(0)
            });
        }
    }

    /// Runs a client on the machine of one member, with the program that is installed there.
    #[track_caller]
    pub fn client_at(&self, machine: usize, asked: usize, arguments: &[&str]) -> Finished {
        let member = &self.cluster.members[machine];
        let command = self.cluster.client(member.kind, asked, arguments);
        let place = member.place.as_ref().expect("every member has a place");
        finish(&mut booth_harness::enter(&command, place), CLIENT_LIMIT)
    }

    /// The machine of a site is gone, or at least its daemon: the lease guard of ours sees to
    /// its CIB. The reference has none, so that only a machine that is off gives the ticket up.
    #[track_caller]
    pub fn lose(&mut self, site: usize) {
        self.cluster.kill(site);
        if self.cluster.members[site].kind == Kind::Theirs
            && self.cluster.crm(site).is_granted("t1")
        {
            let revoke = ["-t", "t1", "-r", "--force"];
            self.crm_ticket(site, &revoke);
        }
    }

    /// Runs a site's `crm_ticket`, as its cluster or its administrator does.
    #[track_caller]
    pub fn crm_ticket(&self, site: usize, arguments: &[&str]) {
        let mut command = Command::new(self.cluster.crm(site).bin().join("crm_ticket"));
        finish(command.args(arguments), CLIENT_LIMIT).expect_code(0);
    }

    /// Takes the ticket out of a site's CIB, as if it had never been there.
    #[track_caller]
    pub fn forget_ticket(&self, site: usize) {
        let file = self.cluster.crm(site).dir().join("cib.t1");
        std::fs::remove_file(file).expect("the CIB had the ticket");
    }

    /// Nothing gets through any more between these members and all others.
    pub fn split(&self, apart: &[usize]) {
        for from in apart {
            for to in self.members().filter(|to| !apart.contains(to)) {
                self.switch.set(*from, to, |weather| weather.cut = true);
                self.switch.set(to, *from, |weather| weather.cut = true);
            }
        }
    }

    /// The links are again what the setting says.
    pub fn heal(&self) {
        let weather = self.setting.weather();
        self.switch.set_all(|link| *link = weather);
    }

    /// Waits until the weather has done what the setting says, at least once.
    #[track_caller]
    pub fn weather_happens(&self) {
        self.wait(LEASE * 6, "the weather is seen", || {
            let counts = self.switch.counts();
            match self.setting.foul {
                Foul::Loss => counts.lost > 0,
                Foul::Duplicates => counts.twice > 0,
                Foul::Reordering => counts.overtaken > 0,
                // How late, no counter tells.
                Foul::None | Foul::Delay => counts.came > 0,
            }
        });
    }

    /// Frames that came to the switch from members.
    pub fn traffic(&self) -> u64 {
        self.switch.counts().came
    }

    /// Waits until the holder's lease has been renewed.
    #[track_caller]
    pub fn renewed(&self, site: usize) {
        let end = || Some(self.cluster.crm(site).state("t1")?.number("expires"));
        let first = end().expect("it is granted");
        self.wait(LEASE, "the lease is renewed", || end() > Some(first));
        self.keeps(site, 0);
    }

    /// For `seconds`, the site's CIB has to say *granted* at every look.
    #[track_caller]
    pub fn keeps(&self, site: usize, seconds: u64) {
        let begun = std::time::Instant::now();
        loop {
            assert!(self.cluster.crm(site).is_granted("t1"), "lost after {:?}", begun.elapsed());
            if begun.elapsed() >= Duration::from_secs(seconds) {
                return;
            }
            pass(Duration::from_millis(50));
        }
    }

    /// For `seconds`, no site's CIB may say *granted*.
    #[track_caller]
    pub fn stays_free(&self, seconds: u64) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            let holder = self.sites().find(|site| self.cluster.crm(*site).is_granted("t1"));
            assert_eq!(holder, None, "granted after {:?}", begun.elapsed());
            pass(Duration::from_millis(50));
        }
    }

    /// How often the site's CIB has lost the ticket.
    pub fn losses(&self, site: usize) -> usize {
        let history = self.cluster.crm(site).history("t1");
        let granted: Vec<bool> = history.iter().map(|now| now.granted == Some(true)).collect();
        granted.windows(2).filter(|two| two[0] && !two[1]).count()
    }

    /// Waits until one of these sites holds the ticket, and returns it.
    #[track_caller]
    pub fn taken_by(&self, candidates: &[usize], seconds: u64) -> usize {
        let limit = self.setting.limit(seconds);
        until(limit, &format!("one of the sites {candidates:?} has the ticket"), || {
            candidates.iter().copied().find(|site| self.cluster.crm(*site).is_granted("t1"))
        })
    }

    /// Waits until a site holds the ticket with a lease that ends later than the one that `old` has
    /// or had last, and returns the site.
    #[track_caller]
    pub fn held_for_good(&self, old: usize) -> usize {
        let last = self.cluster.crm(old).state("t1").map(|state| state.number("expires"));
        let renewed = |site: &usize| {
            let state = self.cluster.crm(*site).state("t1");
            state.filter(|now| now.granted == Some(true)).map(|now| now.number("expires")) > last
        };
        until(self.setting.limit(FAIL_OVER + LEASE), "one site has it for good", || {
            self.sites().find(renewed)
        })
    }

    /// A line about this case that is to be seen although it passes.
    pub fn remark(&self, text: &str) {
        report(&format!("{:?}, {}: {text}", self.setting, self.case));
    }
}
