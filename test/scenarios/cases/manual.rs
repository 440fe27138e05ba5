// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets: only administrators move them.

use crate::play::{Stage, LEASE};
use crate::reference;
use booth_harness::pass;

/// Granted, kept without renewals and over the death of its holder, and revoked from elsewhere.
pub fn manual_ticket(stage: &Stage<'_>) {
    let mut play = stage.started("\tmode = manual\n");
    play.grant(0);
    play.settle(Some(0));
    for member in play.members() {
        let list = play.cluster.list(member);
        assert!(list.contains("[manual mode]"), "{member}: {list}");
    }
    let told = play.cluster.booth(1, &["grant", "t1"]);
    assert_ne!(told.code, Some(0), "granted twice without -F: {told:?}");
    play.cluster.kill(0);
    play.keeps(0, LEASE + 3);
    for site in play.sites_but(0) {
        assert!(!play.cluster.crm(site).is_granted("t1"), "site {site} took it over");
    }
    play.settle(Some(0));
    play.cluster.start(0);
    play.settle(Some(0));
    if reference::forgets_early_revokes(play.kind(0)) {
        pass(play.setting.limit(2));
    }
    play.revoke(1);
    play.settle(None);
    play.stays_free(3);
    play.grant(1);
    play.ends_with(Some(1));
}
