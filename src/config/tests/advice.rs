// SPDX-License-Identifier: GPL-2.0-or-later
//! What `booth check` advises.

use super::{accepted, MEMBERS};

fn advice(text: &str) -> Vec<String> {
    accepted(text).advice()
}

const SOUND: &str = "authfile = /key\n";
const TICKET: &str = "ticket = t\nacquire-after = 30\n";

#[test]
fn a_sound_configuration_needs_no_advice() {
    assert_eq!(advice(&format!("{SOUND}{MEMBERS}{TICKET}")), Vec::<String>::new());
    let manual = format!("{SOUND}{MEMBERS}ticket = t\nmode = manual\n");
    assert_eq!(advice(&manual), Vec::<String>::new());
    let loopback = "site = 127.0.0.1\nsite = 127.0.0.2\narbitrator = 127.0.0.3\n";
    assert_eq!(advice(&format!("{SOUND}{loopback}{TICKET}")), Vec::<String>::new());
}

#[test]
fn what_most_clusters_should_have_is_advised() {
    let cases = [
        (format!("{MEMBERS}{TICKET}"), "no authfile: whoever can reach a member can grant"),
        (format!("authfile = ''\n{MEMBERS}{TICKET}"), "no authfile: whoever"),
        (
            format!("{SOUND}site = 10.0.0.1\narbitrator = 10.0.0.2\narbitrator=10.0.0.3\n{TICKET}"),
            "there is only one site: no other can take over a ticket",
        ),
        (
            format!("{SOUND}site = 127.0.0.1\nsite = 10.0.0.2\narbitrator = 10.0.0.3\n{TICKET}"),
            "members on other machines cannot reach a loopback address: 127.0.0.1",
        ),
        (
            format!("{SOUND}site = ::1\nsite = fd00::2\narbitrator = fd00::3\n{TICKET}"),
            "members on other machines cannot reach a loopback address: ::1",
        ),
        (
            format!("{SOUND}site = 10.0.0.1\nsite = fd00::2\narbitrator = 10.0.0.3\n{TICKET}"),
            "members with IPv4 addresses (10.0.0.1, 10.0.0.3) and members with IPv6 addresses \
             (fd00::2) cannot reach each other: use addresses of one kind",
        ),
        (
            format!("{SOUND}{MEMBERS}ticket = a\nticket = b\n{TICKET}"),
            "acquire-after = 0 for ticket \"a\", \"b\": another site may start",
        ),
    ];
    for (text, begin) in cases {
        let advice = advice(&text);
        assert_eq!(advice.len(), 1, "{text}: {advice:?}");
        assert!(advice[0].starts_with(begin), "{text}: {advice:?}");
    }
}

#[test]
fn many_tickets_are_cut() {
    let tickets: String = (0..9).map(|number| format!("ticket = t{number}\n")).collect();
    let advice = advice(&format!("{SOUND}{MEMBERS}{tickets}"));
    assert!(advice[0].contains("\"t7\", ...: another site"), "{advice:?}");
}
