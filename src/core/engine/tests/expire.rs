// SPDX-License-Identifier: GPL-2.0-or-later
//! Members that disagree about `expire` (`RULES.md` L4, L5, L9): never two holders, whoever
//! restarts, and how `expire` is raised and lowered.

use super::cluster::{spec, Cluster};
use crate::engine::Remark;
use crate::model::{MemberIndex, MemberSet};
use crate::time::Span;
use crate::wire::ClientOptions;

const SECOND: Span = Span::from_secs(1);
const SHORT: Span = Span::from_secs(10);
const LONG: Span = Span::from_secs(100);

/// Two sites and an arbitrator with these values of `expire`, all up, granted to the first site.
fn granted(expires: [Span; 3]) -> Cluster {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    for (node, expire) in expires.into_iter().enumerate() {
        cluster.configure(node, expire);
    }
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.granted(), [0]);
    cluster
}

fn restart(cluster: &mut Cluster, node: usize, expire: Span) {
    cluster.crash(node);
    cluster.configure(node, expire);
    cluster.start(node);
}

/// Issue 8, 11: a holder with 100 s among members with 10 s, cut off, used to hold for 90 s more
/// while another site was granted after ten.
#[test]
fn a_holder_with_a_longer_expire_holds_no_longer_than_the_others_promise() {
    for expires in [[LONG, SHORT, SHORT], [SHORT, LONG, SHORT], [LONG, SHORT, LONG]] {
        let mut cluster = granted([SHORT; 3]);
        restart(&mut cluster, 0, expires[0]);
        cluster.advance(SECOND.times(20));
        for (node, expire) in expires.into_iter().enumerate().skip(1) {
            restart(&mut cluster, node, expire);
        }
        cluster.advance(SECOND.times(20));
        for node in 0..2 {
            cluster.isolate(node, true);
            cluster.advance(SECOND.times(130));
            cluster.isolate(node, false);
            cluster.advance(SECOND.times(130));
        }
        assert!(!cluster.two_holders, "{expires:?}");
        assert!(cluster.granted().len() == 1, "held in the end {expires:?}");
    }
}

/// What a member has promised beyond its own `expire`, its next life does not know of: a leader
/// must not count on it. The other site has not heard the leader for long, and the arbitrator, on
/// whose word the lease lasts, restarts when the leader is cut off.
#[test]
fn a_promise_that_outlives_the_grace_of_a_restart_counts_for_no_lease() {
    let thirty = SECOND.times(30);
    let mut cluster = granted([thirty, thirty, SHORT]);
    restart(&mut cluster, 1, SHORT);
    cluster.advance(SECOND.times(5));
    restart(&mut cluster, 0, thirty);
    cluster.cut = vec![(0, 1), (1, 0)];
    cluster.advance(SECOND.times(60));
    cluster.isolate(0, true);
    cluster.crash(2);
    cluster.start(2);
    cluster.advance(SECOND.times(40));
    assert!(!cluster.two_holders);
    assert_eq!(cluster.granted(), [1], "taken over");
}

/// A lease that the others cut short is renewed as much more often, and keeps back as much less.
#[test]
fn a_holder_with_a_longer_expire_renews_as_often_as_the_others_need() {
    let mut cluster = granted([LONG, SHORT, SHORT]);
    let before = cluster.nodes[0].writes.len();
    cluster.advance(SECOND.times(300));
    assert_eq!(cluster.granted(), [0]);
    let writes = &cluster.nodes[0].writes[before..];
    assert!(writes.iter().all(|state| state.granted), "never revoked");
    assert!((59..=61).contains(&writes.len()), "{} renewals in 60 times 5 s", writes.len());
}

/// So it does when the only other member with as long an `expire` is not heard any more.
#[test]
fn a_holder_keeps_its_ticket_when_only_members_with_a_shorter_expire_are_left() {
    let mut cluster = granted([LONG, LONG, LONG.divided(2)]);
    let renewals = |cluster: &mut Cluster| {
        let before = cluster.nodes[0].writes.len();
        cluster.advance(LONG.times(10));
        assert_eq!(cluster.granted(), [0]);
        let writes = &cluster.nodes[0].writes[before..];
        assert!(writes.iter().all(|state| state.granted), "never revoked");
        writes.len()
    };
    let all = renewals(&mut cluster);
    cluster.crash(1);
    let left = renewals(&mut cluster);
    // The first of them still waits for as long as the site's word allowed.
    assert!((2 * all - 2..=2 * all).contains(&left), "{all} renewals, then {left}");
}

/// A holder with a shorter `expire` than the others is not affected by theirs.
#[test]
fn a_holder_with_a_shorter_expire_renews_as_it_is_configured() {
    let mut cluster = granted([SHORT, LONG, LONG]);
    let before = cluster.nodes[0].writes.len();
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
    assert_eq!(cluster.nodes[0].writes.len() - before, 20);
}

/// The difference is shown at both ends while it lasts.
#[test]
fn list_shows_whose_expire_differs() {
    let thirty = SECOND.times(30);
    let shown = |members: &[usize]| {
        let index = |node: &usize| MemberIndex::new(*node).expect("a test has few members");
        vec![Remark::ExpireDiffers(members.iter().map(index).collect::<MemberSet>())]
    };
    let mut cluster = granted([thirty; 3]);
    assert_eq!(cluster.row(0).remarks, []);
    restart(&mut cluster, 2, thirty.times(2));
    cluster.advance(thirty);
    assert_eq!(cluster.row(0).remarks, shown(&[2]));
    assert_eq!(cluster.row(1).remarks, []);
    assert_eq!(cluster.row(2).remarks, shown(&[0]));
    restart(&mut cluster, 0, thirty.times(2));
    cluster.advance(thirty);
    assert_eq!(cluster.row(0).remarks, shown(&[1]));
    assert_eq!(cluster.row(1).remarks, shown(&[0]));
    assert_eq!(cluster.row(2).remarks, []);
    restart(&mut cluster, 1, thirty.times(2));
    cluster.advance(thirty);
    assert!((0..3).all(|node| cluster.row(node).remarks.is_empty()));
    assert_eq!(cluster.granted(), [0], "and the holder has kept the ticket");
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// From which restart to which the first site, which holds at first, is cut off.
const CUTS: [(usize, usize); 6] = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];

/// Changes `expire` member by member, in this order, each stopped for `pause`. The first site is
/// cut off right before the first restart of `cut`, until long after its second one. Who holds is
/// restarted without a pause if `spare`. Says whether there were two holders.
fn change(expires: (Span, Span), order: [usize; 3], pause: Span, spare: bool) -> bool {
    let (from, to) = expires;
    CUTS.into_iter().any(|(first, last)| {
        let mut cluster = granted([from; 3]);
        cluster.advance(from);
        for (step, node) in order.into_iter().enumerate() {
            if step == first {
                cluster.isolate(0, true);
            }
            let holds = cluster.nodes[node].store.granted;
            cluster.crash(node);
            if !(spare && holds) {
                cluster.advance(pause);
            }
            cluster.configure(node, to);
            cluster.start(node);
            if step == last {
                cluster.advance(LONG.times(2));
                cluster.isolate(0, false);
            }
        }
        cluster.advance(LONG.times(3));
        cluster.two_holders
    })
}

/// Raising `expire` is safe in any order, without pauses.
#[test]
fn expire_is_raised_in_any_order() {
    for order in ORDERS {
        assert!(!change((SHORT, LONG), order, Span::ZERO, false), "{order:?}");
    }
}

/// Lowering it is safe in any order if a member that does not hold the ticket stays down for the
/// old `expire` before it is started with the new one.
#[test]
fn expire_is_lowered_in_any_order_with_pauses() {
    for order in ORDERS {
        assert!(!change((LONG, SHORT), order, LONG, true), "{order:?}");
    }
}

/// And why the pause is needed: what the members have promised for 100 s, they have forgotten
/// after a restart, and wait for ten only.
#[test]
fn lowering_expire_without_pauses_makes_two_holders() {
    let breaks = |order: &[usize; 3]| change((LONG, SHORT), *order, Span::ZERO, false);
    let unsafe_orders: Vec<[usize; 3]> = ORDERS.into_iter().filter(breaks).collect();
    assert_eq!(unsafe_orders, [[1, 2, 0], [2, 1, 0]]);
}
