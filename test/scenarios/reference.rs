// SPDX-License-Identifier: GPL-2.0-or-later
//! What the reference is known to do otherwise, or wrong, in these cases, with the reason.
//! Nothing here ever excuses a member of ours.

use booth_harness::Kind;

/// Cases in which a reference site may keep a ticket for longer than its lease.
const KEEPS_TOO_LONG: &[(&str, &str)] = &[
    (
        "holder_cut_off",
        "it counts its lease from when it hears acknowledgements, its followers from the heartbeat",
    ),
    (
        "holder_cut_off_for_a_lease",
        "it counts its lease from when it hears acknowledgements, its followers from the heartbeat",
    ),
    ("two_halves", "an expired holder that is asked for its vote follows without telling its CIB"),
];

/// Why a site that runs `kind` may hold the ticket beside its successor in this case, if it may.
pub fn keeps_too_long(kind: Kind, case: &str) -> Option<&'static str> {
    let known = KEEPS_TOO_LONG.iter().find(|(name, _)| *name == case);
    known.filter(|_| kind == Kind::Theirs).map(|(_, why)| *why)
}

/// Whether this word in `list` says that the ticket is free: the reference does not tell a free
/// ticket from one of which it has heard nothing (`test/QUIRKS.md`, 218).
pub fn lists_as_free(kind: Kind, word: &str) -> bool {
    kind == Kind::Theirs && word == "NONE"
}

/// Whether a site does not write into its CIB that another site holds the ticket, or does not any
/// more: the reference writes so of manual tickets only what happens at the site itself.
pub fn leaves_owner_alone(kind: Kind, case: &str, holds_it: bool) -> bool {
    kind == Kind::Theirs && case == "manual_ticket" && !holds_it
}

/// Whether a holder that was restarted together with the others may lose the ticket. Restarted
/// members of ours help only a holder that proves its lease (`RULES.md` L9), and a restarted
/// reference cannot: it asks for votes like any other. Between restarts there has to be one
/// `expire`, says boothd(8).
pub fn cannot_prove_its_lease(holder: Kind, others: impl IntoIterator<Item = Kind>) -> bool {
    holder == Kind::Theirs && others.into_iter().any(|kind| kind == Kind::Ours)
}

/// Whether a site that has just been restarted keeps a revoke waiting for a minute: the reference
/// puts it off until it has heard the others, and then does not think of it.
pub fn forgets_early_revokes(kind: Kind) -> bool {
    kind == Kind::Theirs
}

#[test]
fn nothing_excuses_ours() {
    for (case, _) in KEEPS_TOO_LONG {
        assert!(keeps_too_long(Kind::Theirs, case).is_some());
        assert!(keeps_too_long(Kind::Ours, case).is_none());
    }
    assert!(!lists_as_free(Kind::Ours, "NONE") && !lists_as_free(Kind::Theirs, "nobody"));
    assert!(!leaves_owner_alone(Kind::Ours, "manual_ticket", false));
    assert!(!cannot_prove_its_lease(Kind::Ours, [Kind::Ours, Kind::Theirs]));
    assert!(!cannot_prove_its_lease(Kind::Theirs, [Kind::Theirs; 4]));
    assert!(!forgets_early_revokes(Kind::Ours));
}
