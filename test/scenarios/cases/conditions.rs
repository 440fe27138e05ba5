// SPDX-License-Identifier: GPL-2.0-or-later
//! Conditions for a ticket: programs that are asked first, and attributes.

use crate::play::{Play, Stage, FAIL_OVER, LEASE};

/// A before-acquire handler that notes for what and where it runs, and fails where told so.
const HANDLER: &str = "#!/bin/sh
printf '%s\\n' \"$BOOTH_TICKET\" >>\"$1/notes.$BOOTH_LOCAL\"
[ ! -e \"$1/fail.$BOOTH_LOCAL\" ]
";

/// The ticket's line for the handler.
fn handler(stage: &Stage<'_>) -> String {
    let file = stage.lab().write("handler", HANDLER, 0o755);
    format!("\tbefore-acquire-handler = {file} {}\n", stage.lab().dir().display())
}

/// What the handler of a site has noted.
fn notes(play: &Play<'_>, site: usize) -> String {
    let name = format!("notes.{}", play.cluster.address(site));
    std::fs::read_to_string(play.lab.dir().join(name)).unwrap_or_default()
}

/// Lets the handler of a site fail from now on, or succeed again.
fn let_fail(play: &Play<'_>, site: usize, fails: bool) {
    let name = format!("fail.{}", play.cluster.address(site));
    if fails {
        play.lab.write(&name, "", 0o666);
    } else {
        std::fs::remove_file(play.lab.dir().join(name)).expect("it was let fail");
    }
}

/// The program is asked where the ticket is granted, and only there.
pub fn external_program_succeeds(stage: &Stage<'_>) {
    let play = stage.granted(&handler(stage));
    assert!(notes(&play, 0).starts_with("t1\n"), "the program was not asked");
    let before = notes(&play, 0);
    play.renewed(0);
    assert!(notes(&play, 0).len() > before.len(), "the program was not asked at a renewal");
    for other in play.sites_but(0) {
        assert_eq!(notes(&play, other), "", "asked at site {other}, too");
    }
    play.ends_with(Some(0));
}

/// Where the program fails nothing is granted; where it fails later, the ticket moves.
pub fn external_program_fails(stage: &Stage<'_>) {
    let play = stage.started(&handler(stage));
    let_fail(&play, 0, true);
    play.wait(LEASE * 2, "the program is asked before a grant", || {
        let told = play.cluster.booth(0, &["grant", "-C", "t1"]);
        assert_ne!(told.code, Some(0), "granted although the program failed: {told:?}");
        !notes(&play, 0).is_empty()
    });
    play.settle_within(None, FAIL_OVER);
    assert!(play.cluster.crm(0).calls_of("grant").is_empty(), "granted for a moment");
    play.grant(1);
    play.settle(Some(1));
    let_fail(&play, 0, false);
    let_fail(&play, 1, true);
    let holder = play.taken_by(&play.sites_but(1), FAIL_OVER);
    play.settle_within(Some(holder), FAIL_OVER);
    play.renewed(holder);
    play.ends_with(Some(holder));
}

/// A condition for both ways to a ticket.
const CONDITIONS: &str = "\tattr-prereq = manual ready eq yes\n\tattr-prereq = auto ready eq yes\n";

/// Sets the attribute at a site and waits until its CIB has it.
fn make_ready(play: &Play<'_>, site: usize) {
    play.cluster.geostore(site, "set", &["-t", "t1", "ready", "yes"]).expect_code(0);
    play.wait(LEASE, "the CIB has the attribute", || {
        let state = play.cluster.crm(site).state("t1");
        state.is_some_and(|state| state.attributes.get("ready").is_some_and(|now| now == "yes"))
    });
}

/// Where the attribute says so, the ticket is granted, and taken over after a loss.
pub fn attribute_condition_is_met(stage: &Stage<'_>) {
    let mut play = stage.started(CONDITIONS);
    for site in play.sites() {
        make_ready(&play, site);
    }
    play.grant(0);
    play.settle(Some(0));
    play.lose(0);
    let holder = play.taken_by(&play.sites_but(0), FAIL_OVER);
    play.settle(Some(holder));
    play.renewed(holder);
    play.ends_with(Some(holder));
}

/// Where it does not say so, the ticket is neither granted nor taken over after a loss.
pub fn attribute_condition_is_not_met(stage: &Stage<'_>) {
    let mut play = stage.started(CONDITIONS);
    let told = play.cluster.booth(0, &["grant", "-C", "t1"]);
    assert_ne!(told.code, Some(0), "granted without the attribute: {told:?}");
    play.settle(None);
    make_ready(&play, 0);
    play.grant(0);
    play.settle(Some(0));
    play.lose(0);
    play.wait(FAIL_OVER, "it is lost", || !play.cluster.crm(0).is_granted("t1"));
    play.stays_free(LEASE + 5);
    play.cluster.start(0);
    // Where the condition is met, it is taken up again.
    assert_eq!(play.taken_by(&[0], FAIL_OVER + LEASE), 0);
    play.settle(Some(0));
    play.ends_with(Some(0));
}
