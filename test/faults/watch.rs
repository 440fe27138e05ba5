// SPDX-License-Identifier: GPL-2.0-or-later
//! What every case checks: the times in which the sites' CIBs said *granted*.

use booth_harness::{overlaps, pass, until, Cluster, Need, Setup};
use std::time::{Duration, Instant};

/// What every case needs: root, for namespaces that end all processes with the test.
pub const NEEDS: &[Need] = &[Need::Root];
/// What cases that cut links need.
pub const LINK_NEEDS: &[Need] = &[Need::Root, Need::Nft];
/// The lease of these tests, `expire = 10`.
pub const LEASE: Duration = Duration::from_secs(10);
/// Within this after a loss another site has to hold the ticket: the lease, the wait before an
/// election, the election, and one `crm_ticket`, all with room for a busy machine.
pub const FAIL_OVER: Duration = Duration::from_secs(16);

/// A started cluster of the program under test with `t1` granted to site 0.
#[track_caller]
pub fn holding<'lab>(lab: &'lab booth_harness::Lab, setup: &Setup) -> Cluster<'lab> {
    let cluster = Cluster::started(lab, setup);
    grant(&cluster, 0);
    cluster
}

/// Grants `t1` to a site; all three members know it then. How long a client waits for that on a
/// busy machine is not looked at here.
#[track_caller]
pub fn grant(cluster: &Cluster, site: usize) {
    // Again, if `crm_ticket` was so slow that the first was given up.
    until(LEASE * 4, &format!("site {site} has the ticket"), || {
        drop(cluster.ask(site, &cluster.request(site, "CGnt", "t1"), LEASE));
        cluster.crm(site).is_granted("t1").then_some(())
    });
    cluster.wait_leader(&[0, 1, 2], site, LEASE);
}

/// No two sites' CIBs ever said *granted* together.
#[track_caller]
pub fn never_two(cluster: &Cluster) {
    let histories = cluster.histories("t1");
    let both = overlaps(&histories);
    assert!(both.is_empty(), "granted at two sites: {both:#?}\n{histories:#?}");
}

/// A number in the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Waits until this is so.
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    until(limit, what, || is_so().then_some(()));
}

/// Waits until the site's CIB says *granted*.
#[track_caller]
pub fn wait_granted(cluster: &Cluster, site: usize, limit: Duration) {
    until(limit, &format!("site {site} has the ticket"), || {
        cluster.crm(site).is_granted("t1").then_some(())
    });
}

/// Waits until the site's CIB does not say *granted*.
#[track_caller]
pub fn wait_revoked(cluster: &Cluster, site: usize, limit: Duration) {
    until(limit, &format!("site {site} has the ticket no more"), || {
        (!cluster.crm(site).is_granted("t1")).then_some(())
    });
}

/// For `time`, the site's CIB has to say *granted* at every look, and the other's never.
#[track_caller]
pub fn keeps(cluster: &Cluster, site: usize, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert!(cluster.crm(site).is_granted("t1"), "lost after {:?}", begun.elapsed());
        pass(Duration::from_millis(20));
    }
    never_two(cluster);
}

/// How long the server takes to answer `list`, measured over the wire: no program starts.
#[track_caller]
pub fn list_time(cluster: &Cluster, member: usize) -> Duration {
    let request = cluster.request(member, "CLst", "");
    let limit = Duration::from_secs(5);
    let answers = cluster.ask(member, &request, limit);
    assert_eq!(answers.packets.len(), 1, "member {member} does not answer: {answers:?}");
    answers.packets[0].0
}
