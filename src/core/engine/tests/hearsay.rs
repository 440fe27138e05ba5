// SPDX-License-Identifier: GPL-2.0-or-later
//! Whom members believe about a manual ticket (L14): after any loss, restart and replay they agree
//! in the end, and with the stores.

use super::bench::{stamp, Bench, SECOND};
use super::cluster::{spec, Cluster, PLAIN};
use crate::engine::{CibTicket, Event};
use crate::model::{Holder, MemberIndex, Term, TicketMode, TicketSpec};
use crate::prng::Prng;
use crate::time::Span;
use crate::wire::{PeerBody, ResultCode};

const MILLI: Span = Span::from_millis(1);

fn manual_spec() -> TicketSpec {
    TicketSpec { mode: TicketMode::Manual, ..spec("T") }
}

/// A reference site's answer has no nonce: it is older than the claim that came before it.
#[test]
fn a_late_answer_of_a_reference_site_does_not_undo_its_claim() {
    for late in [false, true] {
        let mut bench = Bench::new(2, 1, 0, manual_spec());
        bench.start(CibTicket::default());
        // The reference site was asked at the start; its answer (nobody) is slow. It is granted.
        bench.heartbeat(1, 0, stamp(0, false));
        assert_eq!(bench.listed(), bench.id(1));
        if late {
            let body = PeerBody::MyIndex { nonce: 0 };
            bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, body);
        }
        let (client, deeds) = bench.grant(PLAIN);
        assert!(deeds.grants().is_empty(), "late {late}: site 1 holds");
        assert_eq!(deeds.final_answer(client), Some(ResultCode::Overgrant), "late {late}");
    }
}

/// A question that is lost is asked again, whatever happens here meanwhile.
#[test]
fn an_old_claim_is_asked_about_until_it_is_answered() {
    for revokes in [false, true] {
        let mut c = Cluster::new(2, 1, manual_spec());
        c.start_all();
        c.grant(1, PLAIN);
        let sent = c.sent.len();
        c.revoke(1);
        c.crash(1);
        c.start(1);
        c.advance(SECOND);
        // A round of this life of 1 is known to 0.
        c.grant(1, PLAIN);
        c.revoke(1);
        c.advance(SECOND.times(3));
        if revokes {
            c.grant(0, PLAIN);
        }
        // An old claim of the earlier life; the question is lost.
        c.cut = vec![(0, 1)];
        let all = c.sent.clone();
        c.sent.truncate(sent);
        c.again(1, 0, |m| matches!(m.body, PeerBody::Heartbeat { .. }));
        c.sent = all;
        c.advance(MILLI.times(100));
        if revokes {
            let client = c.revoke(0);
            assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
        }
        c.cut.clear();
        c.advance(SECOND.times(7200));
        let listed = c.listed(0);
        let client = c.grant(0, PLAIN);
        assert_eq!(
            c.codes(client).last(),
            Some(&(ResultCode::Success, true)),
            "revokes {revokes}: nobody has it, listed as {listed:?}"
        );
    }
}

/// Arbitrators are asked whom they know until they answer, too.
#[test]
fn an_arbitrator_that_missed_the_revoke_hears_of_it_after_a_restart() {
    for restart in [false, true] {
        let mut c = Cluster::new(2, 1, manual_spec());
        c.start_all();
        c.grant(0, PLAIN);
        assert_eq!(c.listed(2), c.id(0));
        c.isolate(2, true);
        let client = c.revoke(0);
        assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
        if restart {
            c.crash(0);
            c.start(0);
        }
        c.advance(SECOND.times(10));
        c.isolate(2, false);
        c.advance(SECOND.times(7200));
        assert_eq!(c.listed(0), Holder::Nobody);
        assert_eq!(c.listed(2), Holder::Nobody, "restart {restart}");
    }
}

/// Terms of manual tickets mean nothing: they were left when it was an automatic one.
#[test]
fn a_claim_in_a_higher_term_does_not_silence_a_revoke() {
    for higher in [false, true] {
        // Sites 0, 1, 2. The ticket was an automatic one; site 1 was the last to hear of a term.
        let mut c = Cluster::new(3, 0, manual_spec());
        for (node, term) in [(0, 3), (1, if higher { 5 } else { 3 }), (2, 3)] {
            c.nodes[node].store.term = Some(Term::new(term));
            c.nodes[node].store.owner = Some(Holder::Nobody);
        }
        c.start_all();
        c.grant(0, PLAIN);
        assert_eq!(c.listed(2), c.id(0));
        c.isolate(2, true);
        let client = c.revoke(0);
        assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
        c.grant(1, PLAIN);
        assert_eq!(c.granted(), [1]);
        c.advance(SECOND.times(2));
        c.isolate(2, false);
        c.advance(SECOND.times(7200));
        let row = c.row(2);
        let client = c.revoke(1);
        assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
        c.advance(SECOND.times(7200));
        let listed = c.listed(2);
        let client = c.grant(2, PLAIN);
        assert_eq!(
            c.codes(client).last(),
            Some(&(ResultCode::Success, true)),
            "higher {higher}: nobody has it, listed as {listed:?}; before: {:?}",
            row.also_granted
        );
        assert!(row.also_granted.is_empty(), "higher {higher}");
    }
}

/// One thing that happens to a cluster.
fn disturb(c: &mut Cluster, prng: &mut Prng, sites: usize) -> String {
    let n = c.nodes.len();
    let mut below = |most: usize| usize::try_from(prng.below(most as u64)).expect("it is small");
    let (a, b) = (below(n), below(n));
    match below(9) {
        0 | 1 => {
            c.grant(a % sites, PLAIN);
            format!("grant {}", a % sites)
        }
        2 | 3 => {
            let granted = c.granted();
            let at = if granted.is_empty() { a % sites } else { granted[b % granted.len()] };
            c.revoke(at);
            format!("revoke {at}")
        }
        4 => {
            c.crash(a);
            c.start(a);
            format!("restart {a}")
        }
        5 => {
            c.cut.push((a, b));
            format!("cut {a} {b}")
        }
        6 => {
            c.cut.clear();
            "heal".to_owned()
        }
        7 => {
            c.advance(MILLI.times(prng.below(8_000)));
            "time".to_owned()
        }
        _ => {
            let Some(count) = c.sent.len().checked_sub(1) else { return String::new() };
            let (from, to, message) = c.sent[below(count + 1)].clone();
            let text = format!("again {from} {to} {:?}", message.body);
            let from = MemberIndex::new(from).expect("a test has few members");
            c.event(to, Event::Peer { from, message });
            c.settle();
            text
        }
    }
}

/// Grants, revokes, restarts, cuts and replays; then a perfect network for twenty minutes: every
/// member lists what the stores say, and it is quiet.
#[test]
fn members_agree_about_a_manual_ticket_in_the_end() {
    for seed in 0..1_000 {
        let mut prng = Prng::new(seed);
        let (sites, arbitrators) = [(2, 1), (3, 0), (2, 2), (3, 1)][(seed % 4) as usize];
        let mut c = Cluster::new(sites, arbitrators, manual_spec());
        c.start_all();
        let steps = 4 + prng.below(12);
        let done: Vec<String> = (0..steps).map(|_| disturb(&mut c, &mut prng, sites)).collect();
        c.cut.clear();
        let before = c.sent.len();
        c.advance(SECOND.times(1_200));
        let sent = c.sent.len() - before;
        let granted = c.granted();
        let listed: Vec<Holder> = (0..c.nodes.len()).map(|node| c.listed(node)).collect();
        let agreed = match granted[..] {
            [] => listed.iter().all(|leader| *leader == Holder::Nobody),
            [site] => listed.iter().all(|leader| *leader == c.id(site)),
            _ => true,
        };
        assert!(agreed, "seed {seed}: granted at {granted:?}, listed {listed:?}; {done:#?}");
        assert!(sent < 3_000, "seed {seed}: {sent} packets; {done:#?}");
    }
}

/// An arbitrator's answer to the question of an earlier start says nothing of what it knows now:
/// it is asked until it answers this start's.
#[test]
fn an_old_answer_of_an_arbitrator_does_not_end_the_asking() {
    for nonce in [12_345, 0] {
        let mut bench = Bench::new(2, 1, 0, manual_spec());
        bench.start(CibTicket::default());
        bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::MyIndex { nonce });
        let later = bench.advance(SECOND.times(2));
        let asked = later.sent(|body| matches!(body, PeerBody::Status { .. }));
        let again = asked.iter().any(|sent| sent.to == 2);
        assert_eq!(again, nonce != 0, "a reference member returns no nonce");
    }
}
