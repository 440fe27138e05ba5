// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets (`RULES.md` L14): lost, late and repeated packets make no second holder without
//! `-F`, and leave nobody in the belief that somebody holds who does not.

use super::cluster::{spec, Cluster};
use crate::model::{Holder, TicketMode, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, ResultCode};

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
