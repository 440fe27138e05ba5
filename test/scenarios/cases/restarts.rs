// SPDX-License-Identifier: GPL-2.0-or-later
//! Daemons that are stopped and started while the ticket is granted.

use crate::play::{Play, Stage, FAIL_OVER, LEASE, SOON};
use crate::reference;
use booth_harness::{pass, setup_ticket, Kind};
use std::time::Duration;

/// Stops a daemon in order, and starts it again.
fn restart(play: &mut Play<'_>, member: usize) {
    play.cluster.stop(member);
    play.cluster.start(member);
}

/// The member comes back within the lease of the holder, member 0, which loses nothing.
#[track_caller]
fn restarts_unnoticed(stage: &Stage<'_>, member: usize) {
    let mut play = stage.granted("");
    restart(&mut play, member);
    play.settle(Some(0));
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}

/// The holder comes back within its lease, and has lost nothing.
pub fn holder_restarts(stage: &Stage<'_>) {
    restarts_unnoticed(stage, 0);
}

/// The holder comes back, and its CIB has never heard of the ticket: it is lost, and one site
/// gets it again, no matter which.
pub fn holder_restarts_without_the_ticket_in_its_cib(stage: &Stage<'_>) {
    let mut play = stage.granted("");
    play.cluster.stop(0);
    play.forget_ticket(0);
    play.cluster.start(0);
    let sites: Vec<usize> = play.sites().collect();
    let holder = play.taken_by(&sites, FAIL_OVER);
    play.settle(Some(holder));
    play.renewed(holder);
    play.ends_with(Some(holder));
}

/// A follower comes back; the holder does not notice.
pub fn follower_restarts(stage: &Stage<'_>) {
    restarts_unnoticed(stage, 1);
}

/// The same, and the follower's CIB has never heard of the ticket.
pub fn follower_restarts_without_the_ticket_in_its_cib(stage: &Stage<'_>) {
    let mut play = stage.granted("");
    play.cluster.stop(1);
    play.forget_ticket(1);
    play.cluster.start(1);
    play.settle_within(Some(0), FAIL_OVER);
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}

/// Members start one after the other: at first, and once more while the ticket is granted.
pub fn slow_start_one_by_one(stage: &Stage<'_>) {
    let mut play = stage.set("");
    for member in play.members() {
        play.cluster.start(member);
    }
    play.settle(None);
    play.grant(0);
    play.settle(Some(0));
    for member in play.members().rev() {
        play.cluster.stop(member);
    }
    for member in play.members() {
        play.cluster.start(member);
        play.wait(SOON, "it answers", || play.cluster.booth(member, &["list"]).code == Some(0));
    }
    taken_up_again(play, 0);
}

/// All of them end at once, and come back together within the lease.
pub fn all_restart_at_once(stage: &Stage<'_>) {
    let mut play = stage.granted("");
    for member in play.members() {
        play.cluster.kill(member);
    }
    play.cluster.start_all();
    taken_up_again(play, 0);
}

/// The same in order, and one site comes later: so many members as can be half and half.
pub fn all_but_one_restart_at_once(stage: &Stage<'_>) {
    let mut play = stage.started("");
    play.grant(1);
    play.settle(Some(1));
    for member in play.members().rev() {
        play.cluster.stop(member);
    }
    for member in play.members().skip(1) {
        play.cluster.members[member].spawn(play.lab);
    }
    for member in play.running() {
        play.cluster.members[member].wait_started();
    }
    pass(Duration::from_secs(LEASE / 2));
    play.cluster.start(0);
    taken_up_again(play, 1);
}

/// All members have been restarted within a lease: the holder has to have the ticket again, and
/// not to have lost it at all if it is ours.
#[track_caller]
fn taken_up_again(play: Play<'_>, holder: usize) {
    let others = play.members().filter(|member| *member != holder);
    if reference::cannot_prove_its_lease(play.kind(holder), others.map(|one| play.kind(one))) {
        // Until its lease has ended it says that it holds the ticket, renewed or not.
        let holder = play.held_for_good(holder);
        play.settle(Some(holder));
        play.ends_with(Some(holder));
    } else {
        play.settle_within(Some(holder), FAIL_OVER);
        play.renewed(holder);
        let theirs = play.kind(holder) == Kind::Theirs;
        assert!(theirs || play.losses(holder) == 0, "lost meanwhile");
        play.ends_with(Some(holder));
    }
}

/// The holder is told to read its configuration anew: SIGHUP, which does no harm, and then a
/// restart, which does it. The reference is only restarted: SIGHUP ends it (`test/QUIRKS.md`, 207).
pub fn reload(stage: &Stage<'_>) {
    let mut play = stage.granted("");
    let mut text = std::fs::read_to_string(&play.cluster.config).expect("it is there");
    text.push_str(&setup_ticket("t2", ""));
    play.cluster.members[0].config = play.lab.write("booth.conf", text, 0o644);
    if play.setting.kind(0) == Kind::Ours {
        play.cluster.members[0].signal("HUP");
        play.wait(SOON, "the signal has come", || play.cluster.members[0].log().contains("SIGHUP"));
        play.settle(Some(0));
    }
    restart(&mut play, 0);
    play.wait(SOON, "it lists the new ticket", || {
        play.cluster.list(0).contains("ticket: t2, leader: ")
    });
    play.settle(Some(0));
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}
