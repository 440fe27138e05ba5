// SPDX-License-Identifier: GPL-2.0-or-later
//! Grants and revokes by an administrator.

use crate::play::{Stage, FAIL_OVER, LEASE};

/// Granted with all members up, it is known everywhere and renewed.
pub fn grant(stage: &Stage<'_>) {
    let play = stage.started("");
    play.grant(0);
    play.settle(Some(0));
    play.renewed(0);
    play.weather_happens();
    play.ends_with(Some(0));
}

/// Nothing happens for several leases: the holder keeps the ticket all the time.
pub fn held_for_long(stage: &Stage<'_>) {
    let play = stage.granted("");
    play.keeps(0, LEASE * 3);
    play.settle(Some(0));
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost meanwhile");
    play.ends_with(Some(0));
}

/// A site that is not there delays a grant, but does not keep it from happening. When it comes, it
/// follows, and the holder does not notice.
pub fn grant_with_a_site_down(stage: &Stage<'_>) {
    let mut play = stage.set("");
    for member in play.members().filter(|member| *member != 1) {
        play.cluster.members[member].spawn(play.lab);
    }
    for member in play.running() {
        play.cluster.members[member].wait_started();
    }
    play.grant(0);
    play.settle(Some(0));
    play.renewed(0);
    play.cluster.start(1);
    play.settle_within(Some(0), FAIL_OVER);
    play.renewed(0);
    assert_eq!(play.losses(0), 0, "lost when the site came");
    play.ends_with(Some(0));
}

/// The sites are a majority by themselves.
pub fn grant_without_arbitrators(stage: &Stage<'_>) {
    let mut play = stage.set("");
    for site in play.sites() {
        play.cluster.start(site);
    }
    play.grant(0);
    play.settle(Some(0));
    play.renewed(0);
    play.ends_with(Some(0));
}

/// An administrator may sit at any member: `-s` says who shall get it. To revoke it, any site
/// may be asked.
pub fn grant_asked_elsewhere(stage: &Stage<'_>) {
    let play = stage.started("");
    let arbitrator = play.arbitrators().start;
    for (machine, site) in [(1, 0), (arbitrator, 1)] {
        play.grant_from(machine, site);
        play.settle(Some(site));
        play.revoke(1 - site);
        play.settle(None);
    }
    play.grant(0);
    play.ends_with(Some(0));
}

/// What was revoked stays free until it is granted again.
pub fn revoke(stage: &Stage<'_>) {
    let play = stage.granted("");
    play.revoke(0);
    play.settle(None);
    play.stays_free(LEASE + 3);
    play.settle(None);
    play.grant(1);
    play.settle_within(Some(1), FAIL_OVER);
    play.revoke(0);
    play.ends_with(None);
}
