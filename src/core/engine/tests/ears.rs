// SPDX-License-Identifier: GPL-2.0-or-later
//! Members that only some hear, or that hear only some, and slow links: each beside a schedule in
//! which it costs little.

use super::cluster::{spec, Cluster};
use crate::model::TicketSpec;
use crate::time::Span;
use crate::wire::ClientOptions;

const MILLI: Span = Span::from_millis(1);
const SECOND: Span = Span::from_secs(1);

fn roomy() -> TicketSpec {
    let mut spec = spec("T");
    spec.expire = SECOND.times(60);
    spec.renewal = SECOND.times(30);
    spec
}

/// Two sites and an arbitrator, held by the first site; then every packet takes so long.
fn held_over_slow_links(delay: Span) -> Cluster {
    let mut cluster = Cluster::new(2, 1, roomy());
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.granted(), [0]);
    cluster.delay = delay;
    for from in 0..3 {
        cluster.slow.extend((0..3).filter(|to| *to != from).map(|to| (from, to)));
    }
    cluster.advance(SECOND.times(600));
    cluster
}

/// Control of the next one: a round trip of seven seconds.
#[test]
fn slow_packets_cost_nothing() {
    let cluster = held_over_slow_links(MILLI.times(3_500));
    assert_eq!(cluster.nodes[0].turned.len(), 1);
    assert_eq!(cluster.granted(), [0]);
}

/// L5: an ACK counts for the send whose round it returns, and a lease of a minute is worth
/// renewing after nine seconds.
#[test]
fn slow_packets_unseat_no_healthy_holder() {
    let cluster = held_over_slow_links(MILLI.times(4_500));
    assert_eq!(cluster.nodes[0].turned.len(), 1);
    assert_eq!(cluster.granted(), [0]);
}

/// Site 2 holds the ticket, and dies.
fn held_and_lost(cluster: &mut Cluster) {
    cluster.start_all();
    cluster.grant(2, ClientOptions::default());
    assert_eq!(cluster.granted(), [2]);
    cluster.advance(SECOND.times(10));
    cluster.crash(2);
    cluster.nodes[2].store = Default::default();
}

/// Seven members. Site 2 holds and dies. Site 1 and arbitrators 4 to 6 are a majority whose members
/// hear each other and everyone. Site 0, with this `timeout`, hears only arbitrator 3, which hears
/// and is heard by everyone but the majority.
fn deaf_pair(deaf: Span, healthy: Span) -> Cluster {
    let mut cluster = Cluster::new(3, 4, roomy());
    for spec in &mut cluster.specs {
        spec.timeout = healthy;
    }
    cluster.specs[0].timeout = deaf;
    held_and_lost(&mut cluster);
    for from in [1, 4, 5, 6] {
        cluster.cut.extend([(from, 0), (from, 3)]);
    }
    cluster.advance(SECOND.times(600));
    cluster
}

fn terms(cluster: &Cluster) -> String {
    format!("{:?}", cluster.nodes[1].log.iter().rev().take(4).collect::<Vec<_>>())
}

/// Control: the deaf one is no faster.
#[test]
fn a_deaf_member_with_a_confidant_costs_little() {
    for timeout in [SECOND, SECOND.times(3)] {
        let cluster = deaf_pair(timeout, timeout);
        assert_eq!(cluster.granted(), [1], "{}", terms(&cluster));
    }
}

/// L13: a deaf member cannot keep the others' votes.
#[test]
fn a_faster_deaf_member_with_a_confidant_keeps_nobody_from_standing() {
    let cluster = deaf_pair(SECOND, SECOND.times(3));
    assert!(!cluster.two_holders);
    assert_eq!(cluster.granted(), [1], "{}", terms(&cluster));
}

/// Site 0 and the arbitrators hear each other. The third site held and has died; site 1 hears all
/// that `deaf_to` does not name, but is heard by arbitrator 3 only.
fn half_heard(arbitrators: usize, deaf_to: &[usize], fast: Span, slow: Span) -> Cluster {
    let mut cluster = Cluster::new(3, arbitrators, roomy());
    for spec in &mut cluster.specs {
        spec.timeout = slow;
        spec.weights = vec![0, 10, 20];
    }
    cluster.specs[1].timeout = fast;
    held_and_lost(&mut cluster);
    let others = (0..3 + arbitrators).filter(|other| ![1, 3].contains(other));
    cluster.cut.extend(others.map(|other| (1, other)));
    cluster.cut.extend(deaf_to.iter().map(|other| (*other, 1)));
    cluster.advance(SECOND.times(1_200));
    cluster
}

/// Control: the half-heard site is no faster.
#[test]
fn a_site_that_only_one_voter_hears_costs_little() {
    for deaf_to in [&[][..], &[3][..]] {
        let cluster = half_heard(2, deaf_to, SECOND.times(3), SECOND.times(3));
        assert_eq!(cluster.granted(), [0], "{deaf_to:?}");
    }
}

/// L1, L13: five members, of which three hear each other. A site that one of them hears stands so
/// often that each attempt of the only site among the three comes in a term that is used up.
#[test]
fn a_faster_site_that_one_voter_hears_keeps_no_ticket_lost() {
    let cluster = half_heard(2, &[], SECOND, SECOND.times(3));
    assert!(!cluster.two_holders);
    assert_eq!(cluster.granted(), [0]);
}

/// Control: it does not hear that one voter, and backs off.
#[test]
fn a_faster_site_that_does_not_hear_its_voter_costs_little() {
    let cluster = half_heard(2, &[3], SECOND, SECOND.times(3));
    assert!(!cluster.two_holders);
    assert_eq!(cluster.granted(), [0]);
}
