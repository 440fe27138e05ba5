// SPDX-License-Identifier: GPL-2.0-or-later
//! Sites that are lost, and links that are cut.

use crate::play::{Play, Stage, FAIL_OVER, LEASE};
use crate::setting::Shape;
use booth_harness::pass;
use std::time::Duration;

/// The holder dies, another site takes over, and the old one comes back as a follower.
pub fn fail_over(stage: &Stage<'_>) {
    let mut play = stage.granted("");
    play.lose(0);
    let holder = moves(&play, 0);
    play.settle(Some(holder));
    play.cluster.start(0);
    play.settle_within(Some(holder), FAIL_OVER);
    play.renewed(holder);
    play.ends_with(Some(holder));
}

/// A follower dies, the holder stays; the follower comes back and follows.
pub fn site_lost_and_back(stage: &Stage<'_>) {
    let mut play = stage.granted("");
    play.lose(1);
    play.keeps(0, LEASE + 1);
    play.settle(Some(0));
    play.cluster.start(1);
    play.settle_within(Some(0), FAIL_OVER);
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}

/// Waits until another site than `old` has the ticket, and `old` has it no more.
#[track_caller]
fn moves(play: &Play<'_>, old: usize) -> usize {
    let holder = play.taken_by(&play.sites_but(old), FAIL_OVER);
    play.wait(LEASE, "the old holder's CIB is clean", || !play.cluster.crm(old).is_granted("t1"));
    holder
}

/// The holder hears nobody any more: it gives up, another site takes over, and keeps the ticket
/// when all hear each other again.
pub fn holder_cut_off(stage: &Stage<'_>) {
    let play = stage.granted("");
    play.split(&[0]);
    let holder = moves(&play, 0);
    play.renewed(holder);
    play.heal();
    play.settle_within(Some(holder), FAIL_OVER);
    play.renewed(holder);
    play.ends_with(Some(holder));
}

/// The same, but all hear each other again when the lease has just ended or is about to: one site
/// has it then, no matter which.
pub fn holder_cut_off_for_a_lease(stage: &Stage<'_>) {
    let play = stage.granted("");
    play.split(&[0]);
    pass(Duration::from_secs(LEASE));
    play.heal();
    let holder = play.held_for_good(0);
    play.settle_within(Some(holder), FAIL_OVER);
    play.renewed(holder);
    play.ends_with(Some(holder));
}

/// A follower hears nobody any more: the holder does not notice, and the follower follows again.
pub fn follower_cut_off(stage: &Stage<'_>) {
    let play = stage.granted("");
    play.split(&[1]);
    play.keeps(0, LEASE + 3);
    play.heal();
    play.settle_within(Some(0), FAIL_OVER);
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}

/// The arbitrators hear nobody any more: the sites go on as before.
pub fn arbitrators_cut_off(stage: &Stage<'_>) {
    let play = stage.granted("");
    for arbitrator in play.arbitrators() {
        play.split(&[arbitrator]);
    }
    play.keeps(0, LEASE + 3);
    play.heal();
    play.settle_within(Some(0), FAIL_OVER);
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}

/// Two parts that do not hear each other. Of three members, the holder and the arbitrator are
/// one; of five, two sites and an arbitrator are the one without the holder, which get the ticket.
pub fn two_halves(stage: &Stage<'_>) {
    let play = stage.granted("");
    let holder = match play.setting.shape {
        Shape::TwoAndOne => {
            play.split(&[0, 2]);
            play.keeps(0, LEASE + 3);
            assert_eq!(play.losses(0), 0, "lost meanwhile");
            0
        }
        Shape::ThreeAndTwo => {
            play.split(&[0, 3]);
            moves(&play, 0)
        }
    };
    play.heal();
    play.settle_within(Some(holder), FAIL_OVER);
    play.renewed(holder);
    play.ends_with(Some(holder));
}
