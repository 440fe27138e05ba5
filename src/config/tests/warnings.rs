// SPDX-License-Identifier: GPL-2.0-or-later
//! What is accepted, but told to a person.

use super::{accepted, warned, with_members, MEMBERS};

#[test]
fn a_comment_behind_a_bare_value_is_cut_off_and_told() {
    let config = accepted(format!("{MEMBERS}ticket = t\nexpire = 700 # about ten minutes\n"));
    assert_eq!(config.tickets[0].spec.expire.as_secs(), 700);
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0].starts_with("/etc/booth/test.conf:5: expire: comment after an unquoted")
    );
}

#[test]
fn what_is_unusual_is_told_with_its_line() {
    let cases = [
        ("\u{feff}# x", "1: the file begins with a byte order mark"),
        ("enable-authfile = yes", "1: enable-authfile has no effect"),
        ("enable-authfile = no\nauthfile = /key", "1: enable-authfile does not disable"),
        ("authfile = ''", "1: authfile is empty: nothing is authenticated"),
        ("authfile = /zero-key", "1: authfile /zero-key: the key begins with a zero byte"),
        ("maxtimeskew = 0", "1: maxtimeskew = 0: packets from any other second are refused"),
        (
            "site = two.example\nsite = 10.0.0.9",
            "1: two.example: the host has several addresses; \
          fd00::7 is used, not 10.0.0.7.",
        ),
        ("site = 10.0.0.9", ": there are 4 members; an odd number is recommended"),
        ("site = fe80::1\nsite=10.0.0.9", "1: fe80::1: a link-local address needs its interface"),
        ("name = a\nname = b", "2: name: given again after line 1; this line counts"),
        ("port = 1\nport = 2", "2: port: given again after line 1; this line counts"),
    ];
    for (lines, start) in cases {
        let warnings = warned(format!("{lines}\n{MEMBERS}ticket = t\n"));
        let start = start.strip_prefix(':').unwrap_or(start);
        assert_eq!(warnings.len(), 1, "{lines}: {warnings:?}");
        assert!(warnings[0].starts_with(start), "{lines}: {warnings:?}");
    }
}

#[test]
fn a_port_behind_members_is_told_unless_it_changes_nothing() {
    let warnings = warned(with_members("port = 7777\nticket = t"));
    assert_eq!(
        warnings,
        ["4: port: 3 of the members above have another port; this line applies only to the \
          members below it"]
    );
    assert_eq!(warned(with_members("port = 9929\nticket = t")), Vec::<String>::new());
}

#[test]
fn what_is_unusual_in_a_ticket_is_told_with_its_line() {
    let cases = [
        ("retries = 010", "5: retries: a number with a leading zero is octal"),
        ("weights = 1,0x10", "5: weights: a number with a leading zero is octal"),
        ("weights = 1,2,3,4", "4: ticket \"t\": there are 4 weights for 3 members"),
        ("expire = 700\nexpire = 800", "6: expire: given again after line 5"),
        ("attr-prereq = auto a eq \"b\"", "5: attr-prereq: the quotes are part"),
        ("before-acquire-handler = ''", "5: before-acquire-handler: empty"),
        ("before-acquire-handler = bin/x", "5: before-acquire-handler: \"bin/x\" does not begin"),
    ];
    for (lines, start) in cases {
        let warnings = warned(with_members(&format!("ticket = t\n{lines}")));
        assert_eq!(warnings.len(), 1, "{lines}: {warnings:?}");
        assert!(warnings[0].starts_with(start), "{lines}: {warnings:?}");
    }
}

#[test]
fn defaults_that_a_later_stanza_replaces_are_not_given_twice() {
    let text = with_members(
        "ticket = __defaults__\nexpire = 700\nticket = __defaults__\nexpire = 800\nticket = t",
    );
    let config = accepted(text);
    assert_eq!(config.tickets[0].spec.expire.as_secs(), 800);
    assert_eq!(config.warnings, [""; 0]);
    let twice = "ticket = __defaults__\nexpire = 700\nexpire = 800\nticket = t";
    assert!(warned(with_members(twice))[0].starts_with("6: expire: given again after line 5"));
}

#[test]
fn two_automatic_sites_without_an_arbitrator_are_warned_of() {
    let two = "site = 10.0.0.1\nsite = 10.0.0.2\n";
    let start = " there are 2 sites and no arbitrator: if one is lost, the other has no majority";
    let warnings = warned(format!("{two}ticket = t\nticket = m\nmode = manual\n"));
    assert!(warnings.len() == 1 && warnings[0].starts_with(start), "{warnings:?}");
    let start = " there are 2 members; an odd number is recommended";
    for text in [
        format!("{two}ticket = m\nmode = manual\n"),
        "site = 10.0.0.1\narbitrator = 10.0.0.2\nticket = t\n".to_owned(),
    ] {
        let warnings = warned(&text);
        assert!(warnings.len() == 1 && warnings[0].starts_with(start), "{text}: {warnings:?}");
    }
}

#[test]
fn files_without_tickets_or_members_are_read() {
    assert_eq!(warned(MEMBERS), [" no ticket is configured"]);
    let nothing = [" no ticket is configured", " no site and no arbitrator is configured"];
    assert_eq!(warned(""), nothing);
    let no_site = [" no site is configured: no ticket can be held"];
    assert_eq!(warned("arbitrator = 10.0.0.1\nticket = t"), no_site);
}
