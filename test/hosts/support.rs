// SPDX-License-Identifier: GPL-2.0-or-later
//! What every case asks: has the daemon ended with a reason, or does it work?

use booth_harness::{signal, until, Cluster, Lab, Need, Setup};
use std::path::PathBuf;
use std::time::Duration;

/// What every case needs: root, for namespaces in which the host can be spoilt.
pub const NEEDS: &[Need] = &[Need::Root];
/// What takes no longer than this on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);
/// A grant may have to wait until a member that has just started votes: a lease and a bit.
pub const GRANTED: Duration = Duration::from_secs(40);
/// The site whose host is spoilt.
pub const POOR: usize = 0;
/// The arbitrator of [`Setup::usual`].
pub const ARBITRATOR: usize = 2;

/// What has become of a daemon that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is up, and does what a member does.
    Works,
    /// It has ended, and said this.
    Ended(String),
}

impl Fate {
    /// Whether it works.
    pub fn is_alive(&self) -> bool {
        *self == Fate::Works
    }

    /// What it has said before it ended. Panics if it works.
    #[track_caller]
    pub fn said(self) -> String {
        match self {
            Fate::Ended(said) => said,
            Fate::Works => panic!("it works, and must not"),
        }
    }
}

/// Starts a member, and waits until it is up or has ended.
///
/// Panics if it does neither, if it is up and does not work, or if it ended in another way than
/// with an exit code and a last word that has one of `reasons` in it, or if something of it is
/// left.
#[track_caller]
pub fn fate(lab: &Lab, cluster: &mut Cluster, index: usize, reasons: &[&str]) -> Fate {
    let before = cluster.members[index].log().len();
    cluster.members[index].spawn(lab);
    if cluster.members[index].has_started(SOON).is_ok() {
        works(cluster, index);
        return Fate::Works;
    }
    // Panics if it goes on, neither up nor gone.
    let status = cluster.members[index].wait_end(SOON);
    let said = cluster.members[index].log()[before..].to_owned();
    assert!(status.code().is_some_and(|code| code != 0) || said.contains("memory"), "{status:?}");
    let is_told = reasons.iter().any(|reason| said.contains(reason));
    assert!(is_told, "ended with {status:?} and none of {reasons:?} in:\n{said}");
    leaves_nothing(cluster, index);
    Fate::Ended(said)
}

/// Nothing of an ended member is left: neither a lock nor, after a while, a keeper.
#[track_caller]
pub fn leaves_nothing(cluster: &Cluster, index: usize) {
    let status = cluster.status(index);
    assert_eq!(status.code, Some(7), "{status:?}");
    until(SOON * 2, "its keeper ends", || (keepers(cluster, index) == 0).then_some(()));
}

/// How many keepers of a site there are.
pub fn keepers(cluster: &Cluster, index: usize) -> usize {
    let id = cluster.id(index).to_string();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_it = |path: PathBuf| {
        let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.next() == Some(b"booth-keeper") && words.next() == Some(id.as_bytes())
    };
    entries.filter(|entry| is_it(entry.path())).count()
}

/// A daemon that is up does what a member does: it is found and it answers; a site is granted
/// `t1`, has that in its store, and gives it back.
#[track_caller]
pub fn works(cluster: &Cluster, index: usize) {
    answers(cluster, index);
    if index < cluster.sites() {
        holds(cluster, index);
        frees(cluster, index);
    }
    assert!(cluster.members[index].runs(), "{}", cluster.members[index].log_tail(20));
}

/// It is found on its host, and tells a client of the ticket.
#[track_caller]
pub fn answers(cluster: &Cluster, index: usize) {
    let found = cluster.status(index).expect_code(0).stdout;
    assert!(found.contains("booth_state=started"), "{found}");
    let list = cluster.list(index);
    assert!(list.starts_with("ticket: "), "{list}");
}

/// The site is granted `t1`, and its store says so.
#[track_caller]
pub fn holds(cluster: &Cluster, index: usize) {
    until(GRANTED, &format!("site {index} is granted the ticket"), || {
        cluster.booth(index, &["grant", "t1"]);
        granted(cluster, index).then_some(())
    });
}

/// The site gives the ticket back, and its store says so.
#[track_caller]
pub fn frees(cluster: &Cluster, index: usize) {
    cluster.booth(index, &["revoke", "-w", "t1"]).expect_code(0);
    assert!(!granted(cluster, index), "{}", cluster.members[index].log_tail(20));
}

/// Whether the store of the site says that it has `t1`: the built-in one if it has one, or else
/// the CIB.
pub fn granted(cluster: &Cluster, index: usize) -> bool {
    match std::fs::read_to_string(tickets(cluster, index).join("t1")) {
        Ok(text) => text.lines().any(|line| line == "granted=true"),
        Err(_) => cluster.crm(index).is_granted("t1"),
    }
}

/// The directory of a site's built-in store.
pub fn tickets(cluster: &Cluster, index: usize) -> PathBuf {
    cluster.members[index].dir().join("tickets")
}

/// The usual cluster, with all members started but this one.
#[track_caller]
pub fn all_but(lab: &Lab, poor: usize) -> Cluster<'_> {
    let mut cluster = Cluster::new(lab, &Setup::usual());
    for index in (0..3).filter(|index| *index != poor) {
        cluster.members[index].spawn(lab);
    }
    for index in (0..3).filter(|index| *index != poor) {
        cluster.members[index].wait_started();
    }
    cluster
}

/// Gives a site of a cluster that has not started the built-in store.
#[track_caller]
pub fn use_directory(lab: &Lab, cluster: &mut Cluster, index: usize) {
    let dir = tickets(cluster, index);
    std::fs::create_dir(&dir).expect("the lab can be written");
    booth_harness::make_open(&dir);
    let common = std::fs::read_to_string(&cluster.config).expect("it was written");
    let text = format!("ticket-store = {}\n{common}", dir.display());
    cluster.members[index].config = lab.write(&format!("site{index}.conf"), text, 0o644);
}

/// Stops a member and its keeper, so that the next start finds nothing of this one.
#[track_caller]
pub fn clear_away(cluster: &mut Cluster, index: usize) {
    if cluster.members[index].pid().is_some() {
        let status = cluster.members[index].end("TERM");
        assert_eq!(status.code(), Some(0), "{}", cluster.members[index].log_tail(20));
    }
    until(SOON, "its keeper is gone", || {
        let keeper = cluster.keeper(index);
        keeper.into_iter().for_each(|pid| signal(pid, "KILL"));
        keeper.is_none().then_some(())
    });
}
