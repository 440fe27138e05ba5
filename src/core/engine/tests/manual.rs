// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets (`RULES.md` L14): lost, late and repeated packets make no second holder without
//! `-F`, and leave nobody in the belief that somebody holds who does not.

use super::bench::{stamp, Bench};
use super::cluster::{spec, Cluster, FORCED, PLAIN};
use crate::engine::{CibOutcome, CibTicket, ProbeOutcome};
use crate::model::{Holder, TicketMode, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, Reason, ResultCode};

const SECOND: Span = Span::from_secs(1);

fn is_claim(message: &PeerMessage) -> bool {
    matches!(message.body, PeerBody::Heartbeat { .. })
}

fn is_revoke(message: &PeerMessage) -> bool {
    matches!(message.body, PeerBody::Revoke { .. })
}

fn acknowledges(what: Command) -> impl Fn(&PeerMessage) -> bool {
    move |message| matches!(message.body, PeerBody::Ack { of, .. } if of == what)
}

/// Two sites and an arbitrator; the first site holds.
fn held() -> Cluster {
    let spec = TicketSpec { mode: TicketMode::Manual, ..spec("T") };
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.granted(), [0]);
    cluster
}

/// Whether the second site refuses a grant without `-F`, because it knows who holds.
fn refuses(cluster: &mut Cluster) -> bool {
    let client = cluster.grant(1, ClientOptions::default());
    cluster.codes(client) == [(ResultCode::Overgrant, true)]
}

/// The resends of a REVOKE that was lost must not follow the grant after it.
#[test]
fn a_grant_ends_the_announcement_of_the_revoke_before_it() {
    let mut cluster = held();
    cluster.cut = vec![(0, 1)];
    cluster.revoke(0);
    cluster.cut.clear();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(5));
    assert_eq!(cluster.listed(1), cluster.id(0));
    assert!(refuses(&mut cluster));
    assert_eq!(cluster.granted(), [0]);
}

#[test]
fn a_revoke_that_comes_after_the_next_claim_is_old() {
    let mut cluster = held();
    cluster.revoke(0);
    cluster.grant(0, ClientOptions::default());
    cluster.again(0, 1, is_revoke);
    let acked = cluster.sent.last().expect("something was sent");
    assert_eq!((acked.0, acked.1), (1, 0));
    assert!(acknowledges(Command::RevokeTicket)(&acked.2), "so that it is not sent again");
    assert!(refuses(&mut cluster));
}

#[test]
fn a_claim_that_comes_after_the_revoke_is_old() {
    let mut cluster = held();
    cluster.revoke(0);
    assert_eq!(cluster.listed(1), Holder::Nobody);
    cluster.again(0, 1, is_claim);
    assert_eq!(cluster.listed(1), Holder::Nobody);
    let client = cluster.grant(1, ClientOptions::default());
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::Success, true)));
}

/// The acknowledgement of an earlier claim says nothing of this one, which is repeated.
#[test]
fn a_late_acknowledgement_does_not_end_the_claim() {
    let mut cluster = held();
    cluster.revoke(0);
    cluster.cut = vec![(0, 1)];
    cluster.grant(0, ClientOptions::default());
    cluster.again(1, 0, acknowledges(Command::Heartbeat));
    cluster.cut.clear();
    cluster.advance(SECOND.times(2));
    assert!(refuses(&mut cluster));
}

/// The same for REVOKE: the term of a manual ticket stays, and tells nothing.
#[test]
fn a_late_acknowledgement_does_not_end_the_announcement() {
    let mut cluster = held();
    cluster.revoke(0);
    cluster.grant(0, ClientOptions::default());
    cluster.cut = vec![(0, 1)];
    cluster.revoke(0);
    cluster.again(1, 0, acknowledges(Command::RevokeTicket));
    cluster.cut.clear();
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.listed(1), Holder::Nobody);
}

/// A site that was down when the ticket was revoked is told when it starts.
#[test]
fn a_site_that_missed_the_revoke_learns_of_it_at_its_start() {
    let mut cluster = held();
    cluster.crash(1);
    cluster.revoke(0);
    cluster.advance(SECOND.times(20));
    cluster.start(1);
    assert_eq!(cluster.listed(1), Holder::Nobody);
    // But not while the store of the other one still says *granted*.
    cluster.grant(0, ClientOptions::default());
    cluster.crash(1);
    cluster.nodes[0].write = None;
    cluster.revoke(0);
    cluster.start(1);
    assert!(refuses(&mut cluster));
}

fn manual_spec() -> TicketSpec {
    TicketSpec { mode: TicketMode::Manual, ..spec("T") }
}

/// A grant of what is held already hangs and is killed: nothing is given up.
#[test]
fn a_ticket_that_is_granted_again_is_kept_whatever_comes_of_that() {
    manual_regrant(CibOutcome::Killed);
    manual_regrant(CibOutcome::Failed("exit status 1".into()));
}

fn manual_regrant(outcome: CibOutcome) {
    let mut cluster = Cluster::new(2, 1, manual_spec());
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
    cluster.nodes[0].write = Some(outcome);
    let again = cluster.grant(0, PLAIN);
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(30));
    let codes = cluster.codes(again);
    assert_eq!(cluster.granted(), [0], "nobody revoked it; the grant was told {codes:?}");
}

/// A member that has missed the REVOKE hears of it after any time, and after a restart of the site.
#[test]
fn manual_revoke_gets_through_after_a_longer_cut() {
    manual_cut(SECOND.times(60), false);
    manual_cut(SECOND.times(6), true);
    manual_cut(SECOND.times(6), false);
}

fn manual_cut(cut: Span, restart: bool) {
    let mut cluster = Cluster::new(2, 1, manual_spec());
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(cut);
    cluster.isolate(0, false);
    if restart {
        cluster.crash(0);
        cluster.start(0);
    }
    cluster.advance(SECOND.times(3600));
    let there = cluster.revoke(1);
    let here = cluster.revoke(0);
    let listed = cluster.listed(1);
    let grant = cluster.grant(1, PLAIN);
    assert_eq!(
        cluster.codes(grant).last(),
        Some(&(ResultCode::Success, true)),
        "listed as {listed:?}; revoke there: {:?}, here: {:?}",
        cluster.codes(there),
        cluster.codes(here),
    );
}

/// The handler agrees when another site has claimed the ticket: it is not taken without `-F`.
#[test]
fn manual_handler_ends_after_another_site_has_claimed() {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..manual_spec() });
    let (client, asked) = bench.grant(PLAIN);
    bench.advance(SECOND);
    let claimed = bench.heartbeat(1, 0, stamp(77, false));
    bench.written(&claimed);
    assert_eq!(bench.listed(), bench.id(1));
    let deeds = bench.probed(&asked, ProbeOutcome::Success);
    let told = deeds.final_answer(client);
    assert!(deeds.grants().is_empty(), "no -F, and the other site is known to hold; {told:?}");
}

/// A revoke that is answered with success ends a grant that waits for its handler.
#[test]
fn manual_revoke_ends_a_grant_that_waits_for_its_handler() {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..manual_spec() });
    let (_, asked) = bench.grant(PLAIN);
    bench.advance(SECOND);
    let (client, deeds) = bench.revoke(PLAIN);
    let told = deeds.final_answer(client);
    let deeds = bench.probed(&asked, ProbeOutcome::Success);
    assert!(deeds.grants().is_empty(), "granted after a revoke that was told {told:?}");
}

/// L14, an old REVOKE does not make room for another old one.
#[test]
fn two_old_revokes_of_a_manual_ticket_are_ignored() {
    let manual = manual_spec();
    let mut bench = Bench::new(2, 1, 0, manual);
    bench.start(CibTicket::default());
    let other = bench.id(1);
    bench.heartbeat(1, 0, stamp(20, false));
    for round in [17, 18] {
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(round, false) };
        bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, body);
    }
    assert_eq!(bench.listed(), other);
    let (client, deeds) = bench.grant(PLAIN);
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Overgrant));
}

/// A site that has heard nobody since its start does not call the ticket free: another may have
/// been granted meanwhile. It asks until all have answered.
#[test]
fn a_manual_ticket_is_not_called_free_by_who_has_heard_nobody() {
    for stored in [None, Some(Holder::Nobody)] {
        for cut in [true, false] {
            let mut c = Cluster::new(2, 1, manual_spec());
            c.start(1);
            c.start(2);
            c.grant(1, PLAIN);
            assert_eq!(c.granted(), [1]);
            c.isolate(0, cut);
            c.nodes[0].store.owner = stored;
            c.start(0);
            let expected = if cut { ResultCode::SyncFail } else { ResultCode::Redirect };
            let client = c.revoke(0);
            assert_eq!(c.codes(client), [(expected, true)], "cut {cut}, {stored:?} in the store");
            assert_eq!(c.listed(0), if cut { Holder::Unknown } else { c.id(1) });
            c.isolate(0, false);
            c.advance(SECOND.times(2));
            assert_eq!(c.listed(0), c.id(1), "it asks until it is answered");
        }
    }
}

/// A fresh ticket is free as soon as the other sites have said so, at sites and arbitrators.
#[test]
fn a_manual_ticket_that_nobody_holds_is_free_when_all_sites_have_spoken() {
    let mut c = Cluster::new(2, 1, manual_spec());
    c.start(0);
    c.start(2);
    assert_eq!([c.listed(0), c.listed(2)], [Holder::Unknown; 2], "site 1 has not spoken");
    c.start(1);
    c.advance(SECOND.times(2));
    assert_eq!([0, 1, 2].map(|node| c.listed(node)), [Holder::Nobody; 3]);
    let client = c.revoke(0);
    assert_eq!(c.codes(client), [(ResultCode::TicketIdle, true)]);
}

/// A restarted arbitrator asks who holds, and need not wait for the next claim.
#[test]
fn a_restarted_arbitrator_asks_who_holds_a_manual_ticket() {
    let mut cluster = held();
    cluster.crash(2);
    cluster.start(2);
    assert_eq!(cluster.listed(2), cluster.id(0));
}

/// An answer to the question of an earlier start, or a REVOKE or claim of an earlier life of its
/// sender, that comes late says nothing of now.
#[test]
fn a_late_answer_to_an_earlier_start_is_not_believed() {
    for late in [false, true] {
        let mut c = Cluster::new(2, 1, manual_spec());
        c.start_all();
        c.crash(0);
        c.start(0);
        c.crash(0);
        c.grant(1, PLAIN);
        assert_eq!(c.granted(), [1]);
        c.advance(SECOND.times(10));
        c.start(0);
        assert_eq!(c.listed(0), c.id(1));
        if late {
            let free = |m: &PeerMessage| m.leader == Holder::Nobody;
            c.again(1, 0, |m| matches!(m.body, PeerBody::MyIndex { .. }) && free(m));
        }
        let client = c.grant(0, PLAIN);
        assert_eq!(c.codes(client).last(), Some(&(ResultCode::Overgrant, true)), "late {late}");
        assert!(!c.two_holders);
    }
}

#[test]
fn a_revoke_of_an_earlier_life_is_not_believed() {
    for late in [false, true] {
        let mut c = Cluster::new(2, 1, manual_spec());
        c.start_all();
        c.grant(1, PLAIN);
        c.revoke(1);
        c.crash(1);
        c.start(1);
        c.grant(1, PLAIN);
        assert_eq!(c.listed(0), c.id(1));
        if late {
            c.again(1, 0, is_revoke);
        }
        let client = c.grant(0, PLAIN);
        assert_eq!(c.codes(client).last(), Some(&(ResultCode::Overgrant, true)), "late {late}");
    }
}

#[test]
fn a_claim_of_an_earlier_life_is_asked_about() {
    for late in [false, true] {
        let mut c = Cluster::new(2, 1, manual_spec());
        c.start_all();
        c.grant(1, PLAIN);
        let sent = c.sent.len();
        c.revoke(1);
        c.crash(1);
        c.start(1);
        c.grant(1, PLAIN);
        c.revoke(1);
        c.advance(SECOND.times(3));
        assert_eq!(c.listed(0), Holder::Nobody);
        if late {
            let all = c.sent.clone();
            c.sent.truncate(sent);
            c.again(1, 0, is_claim);
            c.sent = all;
        }
        c.advance(SECOND.times(3));
        assert_eq!(c.listed(0), Holder::Nobody, "late {late}: nobody has it");
    }
}

/// What is not believed at once is believed when its sender has answered, also after a restart of
/// it, and when the first answer is lost.
#[test]
fn a_revoke_after_a_restart_of_the_holder_is_believed_when_it_has_answered() {
    for lost in [false, true] {
        let mut c = held();
        // Site 1 hears nothing of the restart.
        c.isolate(1, true);
        c.crash(0);
        c.start(0);
        c.advance(SECOND.times(10));
        c.isolate(1, false);
        if lost {
            c.cut = vec![(0, 2)];
        }
        c.revoke(0);
        c.advance(SECOND);
        c.cut.clear();
        c.advance(SECOND.times(5));
        assert_eq!([1, 2].map(|node| c.listed(node)), [Holder::Nobody; 2], "lost {lost}");
        let client = c.grant(1, PLAIN);
        assert_eq!(c.codes(client).last(), Some(&(ResultCode::Success, true)));
    }
}

/// `revoke` ends a grant with `-F` that waits for its handler, although another site holds.
#[test]
fn a_revoke_ends_a_forced_grant_that_waits_for_its_handler() {
    let spec = TicketSpec { has_handler: true, ..manual_spec() };
    let mut c = Cluster::new(2, 1, spec);
    c.start_all();
    c.grant(1, PLAIN);
    assert_eq!(c.granted(), [1]);
    c.nodes[0].handler = None;
    let grant = c.grant(0, FORCED);
    assert_eq!(c.codes(grant).last().map(|code| code.1), Some(false), "the handler runs");
    let revoke = c.revoke(0);
    assert_eq!(c.codes(revoke), [(ResultCode::Redirect, true)], "the other site holds");
    assert_eq!(c.codes(grant).last(), Some(&(ResultCode::SyncFail, true)));
}
