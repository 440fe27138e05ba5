// SPDX-License-Identifier: GPL-2.0-or-later
//! What `RULES.md` promises beyond one holder at a time, with real processes: the resources' time,
//! members that differ, a store that lost the ticket, true answers, giving up, objections.

use crate::watch::{
    holding, keeps, never_two, wait_granted, wait_revoked, wait_until, FAIL_OVER, LEASE,
    LINK_NEEDS, NEEDS,
};
use booth_harness::{pass, run_for, setup_ticket as ticket, test_name, Cluster, Links, Setup};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(5);
/// `acquire-after` of the tickets that have one.
const AFTER: Duration = Duration::from_secs(10);

fn with_acquire_after() -> Setup {
    Setup::usual().tickets(ticket("t1", "\tacquire-after = 10\n"))
}

/// The site is cut off from all other members.
fn cut_off(cluster: &Cluster, links: &Links, site: usize) {
    for other in (0..3).filter(|other| *other != site) {
        links.cut(cluster.address(site), cluster.address(other));
    }
}

/// For `time`, the site's CIB never says *granted*.
fn stays_without(cluster: &Cluster, site: usize, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert!(!cluster.crm(site).is_granted("t1"), "granted after {:?}", begun.elapsed());
        pass(Duration::from_millis(20));
    }
}

/// L8: the other site has stood for election, in vain, before the holder was lost.
#[test]
fn acquire_after_is_kept_after_attempts_in_vain() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &with_acquire_after());
        let links = Links::new(lab);
        links.cut(cluster.address(0), cluster.address(1));
        keeps(&cluster, 0, LEASE + AFTER + SOON);
        cut_off(&cluster, &links, 0);
        wait_granted(&cluster, 1, LEASE + AFTER + FAIL_OVER);
        let revoked = cluster.crm(0).history("t1").into_iter().rev();
        let revoked = revoked.take_while(|change| change.granted == Some(false)).last();
        let granted = cluster.crm(1).history("t1").into_iter();
        let granted = granted.rev().take_while(|change| change.granted == Some(true)).last();
        let between = granted.expect("granted here").at - revoked.expect("revoked there").at;
        assert!(between >= AFTER.as_secs_f64(), "granted {between} s after the revoke");
    });
}

/// L4, L5: the holder is restarted with three times the `expire` of the others, which promise what
/// its packets state.
#[test]
fn a_holder_with_a_longer_expire_than_the_others_is_the_only_one() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        let text = std::fs::read_to_string(&cluster.config).expect("it was written");
        let longer = text.replace("expire = 10\n", "expire = 30\n");
        assert_ne!(text, longer);
        cluster.kill(0);
        cluster.members[0].config = lab.write("longer.conf", longer, 0o644);
        cluster.start(0);
        wait_until(FAIL_OVER, "it has renewed", || cluster.crm(0).calls_of("grant").len() >= 2);
        let links = Links::new(lab);
        cut_off(&cluster, &links, 0);
        wait_granted(&cluster, 1, LEASE * 3 + FAIL_OVER);
        never_two(&cluster);
    });
}

/// L9: its CIB has lost the ticket, and the others are promised to nobody but itself.
#[test]
fn a_holder_whose_store_has_lost_the_ticket_stands_at_once() {
    run_for(test_name!(), NEEDS, LIMIT, |lab| {
        let mut cluster = holding(lab, &Setup::usual());
        // Right after a renewal, so that the promises have most of their time before them.
        let before = cluster.crm(0).calls_of("grant").len();
        wait_until(LEASE, "a renewal", || cluster.crm(0).calls_of("grant").len() > before);
        cluster.kill(0);
        cluster.crm(0).control("query exit 105");
        cluster.crm(0).forget_calls();
        cluster.start(0);
        wait_until(SOON, "it is granted again", || !cluster.crm(0).calls_of("grant").is_empty());
        cluster.crm(0).control("");
        keeps(&cluster, 0, SOON);
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        wait_revoked(&cluster, 0, SOON);
    });
}

/// A revoke is not called a success where nobody can say that no other site has the ticket.
#[test]
fn a_revoke_at_a_site_that_has_lost_the_ticket_fails() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        cut_off(&cluster, &links, 0);
        wait_revoked(&cluster, 0, LEASE + SOON);
        // What was kept back of the lease is over, too.
        pass(Duration::from_secs(2));
        let told = cluster.booth(0, &["revoke", "t1"]).expect_code(1);
        assert!(!told.stderr.contains("succeeded"), "{told:?}");
        wait_granted(&cluster, 1, FAIL_OVER);
        never_two(&cluster);
    });
}

/// L10: the revoke fails for longer than the lease, and the lease goes on.
#[test]
fn a_holder_that_cannot_revoke_keeps_its_lease() {
    run_for(test_name!(), NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &Setup::usual());
        cluster.crm(0).control("revoke exit 1");
        cluster.booth(0, &["revoke", "t1"]).expect_code(1);
        keeps(&cluster, 0, LEASE * 2 + SOON);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        cluster.crm(0).control("");
        wait_revoked(&cluster, 0, SOON);
        stays_without(&cluster, 1, LEASE + SOON);
    });
}

/// L3: an ex-holder whose revoke hangs is heard again before the other site stands.
#[test]
fn whoever_may_still_be_granted_is_listened_to() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let cluster = holding(lab, &with_acquire_after());
        let links = Links::new(lab);
        cluster.crm(0).control("revoke hang");
        cut_off(&cluster, &links, 0);
        pass(LEASE + Duration::from_secs(3));
        links.heal();
        stays_without(&cluster, 1, LEASE + AFTER + SOON);
        assert!(cluster.crm(0).is_granted("t1"), "its revoke hangs");
        cluster.crm(0).control("");
        wait_revoked(&cluster, 0, LEASE);
        wait_until(LEASE * 2 + AFTER + FAIL_OVER, "somebody has it again", || {
            (0..2).any(|site| cluster.crm(site).is_granted("t1"))
        });
        never_two(&cluster);
    });
}

/// L14: the other site does not hear of a revoke, but of the grant right after it: the revoke is
/// not repeated to it.
#[test]
fn a_grant_takes_back_a_revoke_that_is_still_being_said() {
    run_for(test_name!(), LINK_NEEDS, LIMIT, |lab| {
        let tickets = ticket("t1", "\tmode = manual\n");
        let cluster = Cluster::started(lab, &Setup::usual().tickets(tickets));
        let links = Links::new(lab);
        let holder = cluster.address(0).to_string();
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        wait_until(SOON, "the other site knows", || cluster.leader(1, "t1") == holder);
        links.cut_one_way(cluster.address(0), cluster.address(1));
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        links.heal();
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        // So long a revoke is repeated.
        let begun = Instant::now();
        while begun.elapsed() < LEASE + SOON {
            assert_eq!(cluster.leader(1, "t1"), holder, "after {:?}", begun.elapsed());
            pass(Duration::from_millis(100));
        }
        let told = cluster.booth(1, &["grant", "t1"]).expect_code(1);
        assert!(!cluster.crm(1).is_granted("t1"), "{told:?}");
        never_two(&cluster);
    });
}
