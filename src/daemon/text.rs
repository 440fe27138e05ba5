// SPDX-License-Identifier: GPL-2.0-or-later
//! The texts that clients print: `booth list`, `booth peers`, `geostore list` and `get`.
//!
//! Scripts split these lines (P14, P15, P16), so every byte of them is an interface. Times are
//! local, in the form `%F %T`.

use crate::engine::{AttrRow, Held, PeerRow, Remark, TicketRow};
use crate::model::{AttrValue, Holder, Member, MemberIndex, Roster};
use crate::sys::clock::LocalTime;
use crate::time::WallTime;

/// The answer to `booth list`: a line for each ticket, then the warnings.
pub(super) fn tickets(rows: &[TicketRow], roster: &Roster) -> String {
    let mut text = String::with_capacity(rows.len() * 64);
    for row in rows {
        ticket_line(&mut text, row, roster);
    }
    for row in rows.iter().filter(|row| row.also_granted.len() > 1) {
        let sites: Vec<String> =
            row.also_granted.iter().map(|site| roster.member(*site).address.to_string()).collect();
        let sites = sites.join(", ");
        // Reference: each warning follows an empty line.
        text += &format!(
            "\nWARNING: The ticket {} is granted to multiple sites: {sites}. \
             Revoke the ticket from the faulty sites.\n",
            row.name
        );
    }
    text
}

/// One ticket's line: the fields of the reference, byte for byte, and then what it does not have,
/// as a field of its own.
///
/// Hawk splits the line at commas, takes from each field what stands behind `ticket:`, `leader:`,
/// `expires:` or `commit:`, and stops with an error at a field that has none of these. So the
/// name of our field ends in `ticket:`, which Hawk forgets at the end of the line, and nothing in
/// it looks like another field.
fn ticket_line(text: &mut String, row: &TicketRow, roster: &Roster) {
    *text += &format!("ticket: {}, leader: ", row.name);
    match row.leader {
        Holder::Unknown => text.push_str("NONE"),
        Holder::Nobody => text.push_str("none"),
        Holder::Member(id) => match roster.index_of(id) {
            Some(index) => *text += &format!("{}", roster.member(index).address),
            // The engine lets no such leader in; shown as not known all the same.
            None => text.push_str("NONE"),
        },
    }
    if row.leader.member().is_some() {
        match row.expires {
            Some(expires) => *text += &format!(", expires: {}", LocalTime::of(expires)),
            None => text.push_str(", expires: INF"),
        }
    }
    if let Some(until) = row.commit_pending {
        *text += &format!(" (commit pending until {})", LocalTime::of(until));
    }
    if row.manual {
        text.push_str(" [manual mode]");
    }
    for (n, row_remark) in row.remarks.iter().enumerate() {
        text.push_str(if n == 0 { ", note on ticket: " } else { "; " });
        text.push_str(&remark(*row_remark, roster));
    }
    text.push('\n');
}

/// One of our own remarks.
fn remark(remark: Remark, roster: &Roster) -> String {
    let address = |member| roster.member(member).address.to_string();
    match remark {
        Remark::CibFailing(since) => format!("CIB update failing since {}", LocalTime::of(since)),
        Remark::CibSlow(since) => format!("CIB update running since {}", LocalTime::of(since)),
        Remark::StartingUp(Some(until)) => format!("starting up until {}", LocalTime::of(until)),
        Remark::StartingUp(None) => "starting up: the CIB has not been read yet".to_owned(),
        Remark::HandlerRunning(since) => format!("handler running since {}", LocalTime::of(since)),
        Remark::ExpireDiffers(members) => {
            let addresses: Vec<String> = members.iter().map(address).collect();
            // Clients split the line at a comma: none is put between several members.
            format!("expire differs at {}", addresses.join(" and "))
        }
        Remark::Objection(site) => {
            format!("{} may still have it granted: grant -F overrides", address(site))
        }
    }
}

/// The answer to `booth peers`: three lines and an empty one for each other member; before that a
/// further one for a member that is unreachable.
pub(super) fn peers(rows: &[PeerRow], roster: &Roster) -> String {
    let mut text = String::with_capacity(rows.len() * 160);
    for row in rows {
        let member: &Member = roster.member(row.member);
        let counters = &row.counters;
        // Reference: a member that was never heard shows the epoch.
        let last = LocalTime::of(row.last_recv.unwrap_or(WallTime::EPOCH));
        text += &format!(
            "{:<12} {}, last recv: {last}\n\
             \tSent pkts:{} error:{} resends:{}\n\
             \tRecv pkts:{} error:{} authfail:{} invalid:{}\n",
            member.role.word(),
            member.address,
            counters.sent,
            counters.sent_errors,
            counters.resends,
            counters.received,
            counters.recv_errors,
            counters.auth_failures,
            counters.invalid
        );
        if let Some(since) = row.unreachable_since {
            text += &format!("\tUnreachable since {}\n", LocalTime::of(since));
        }
        text.push('\n');
    }
    text
}

/// The answer to `geostore list`. The time is left out if the attribute came from the CIB.
pub(super) fn attributes(rows: &[AttrRow]) -> String {
    let mut text = String::new();
    for row in rows {
        text += &format!("{} {} ", row.name, row.value);
        if let Some(set_at) = row.set_at {
            text += &format!("{}", LocalTime::of(set_at));
        }
        text.push('\n');
    }
    text
}

/// The answer to `geostore get`.
pub(super) fn attribute(value: &AttrValue) -> String {
    format!("{value}\n")
}

/// `holds 2 of 5 tickets`, or at an arbitrator `votes on 5 tickets`: the status line that systemd
/// shows.
pub(super) fn held(held: Held) -> String {
    let tickets = if held.of == 1 { "ticket" } else { "tickets" };
    match held.here {
        Some(here) => format!("holds {here} of {} {tickets}", held.of),
        None => format!("votes on {} {tickets}", held.of),
    }
}

/// `site-a (127.0.0.1)`, as log lines name a member.
pub(super) fn member_name(roster: &Roster, index: MemberIndex) -> String {
    let member = roster.member(index);
    format!("{} {}", member.role.word(), member.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::PeerCounters;
    use crate::model::{AttrName, MemberId, MemberRole, TicketName};
    use std::net::IpAddr;

    fn roster() -> Roster {
        let member = |last: u8, role| {
            let address = IpAddr::from([10, 99, 0, last]);
            Member { id: MemberId::of_address(address), role, address }
        };
        let members = vec![
            member(10, MemberRole::Site),
            member(11, MemberRole::Site),
            member(12, MemberRole::Arbitrator),
        ];
        Roster::new(members, 0).expect("three members make a roster")
    }

    fn row(name: &str) -> TicketRow {
        TicketRow {
            name: TicketName::new(name).expect("a ticket name"),
            manual: false,
            leader: Holder::Unknown,
            expires: None,
            commit_pending: None,
            remarks: Vec::new(),
            also_granted: Vec::new(),
        }
    }

    fn index(number: usize) -> MemberIndex {
        MemberIndex::new(number).expect("a small index")
    }

    const T: WallTime = WallTime::from_secs(1_795_420_138);

    #[test]
    fn list_has_the_lines_of_the_reference() {
        let roster = roster();
        let here = Holder::Member(roster.my_id());
        let mut rows = vec![row("T"), row("U"), row("M"), row("P")];
        rows[1].leader = Holder::Nobody;
        rows[2] = TicketRow { leader: here, manual: true, ..row("M") };
        rows[3] = TicketRow { leader: here, expires: Some(T), commit_pending: Some(T), ..row("P") };
        let time = LocalTime::of(T);
        let expected = format!(
            "ticket: T, leader: NONE\nticket: U, leader: none\n\
             ticket: M, leader: 10.99.0.10, expires: INF [manual mode]\n\
             ticket: P, leader: 10.99.0.10, expires: {time} (commit pending until {time})\n"
        );
        assert_eq!(tickets(&rows, &roster), expected);
    }

    #[test]
    fn each_doubly_granted_manual_ticket_is_warned_of_after_all_lines() {
        let roster = roster();
        let mut rows = vec![row("m1"), row("m2"), row("a1")];
        rows[0].also_granted = vec![index(0), index(1)];
        rows[1].also_granted = vec![index(1)];
        let text = tickets(&rows, &roster);
        let expected = "ticket: a1, leader: NONE\n\nWARNING: The ticket m1 is granted to multiple \
                        sites: 10.99.0.10, 10.99.0.11. Revoke the ticket from the faulty sites.\n";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(text.matches("WARNING").count(), 1);
    }

    /// What Hawk makes of a line: what stands in each field behind the first of its words there.
    fn as_hawk_reads_it(line: &str) -> Vec<(&'static str, String)> {
        let field = |field: &str| {
            let words = ["ticket:", "leader:", "expires:", "commit:"];
            let found = words.iter().filter_map(|word| Some((field.find(word)?, *word)));
            let (at, word) = found.min().unwrap_or_else(|| panic!("Hawk stops at {field:?}"));
            (word, field[at + word.len()..].trim_start().to_owned())
        };
        line.split(',').map(field).collect()
    }

    /// Every state that a ticket can be in, with and without every remark: the fields are the
    /// reference's.
    #[test]
    fn what_the_reference_does_not_have_leaves_its_fields_alone() {
        let roster = roster();
        let here = Holder::Member(roster.my_id());
        let elsewhere = Holder::Member(roster.member(index(1)).id);
        let remarks = [
            Remark::CibFailing(T),
            Remark::CibSlow(T),
            Remark::StartingUp(Some(T)),
            Remark::StartingUp(None),
            Remark::HandlerRunning(T),
            Remark::ExpireDiffers([index(1), index(2)].into_iter().collect()),
            Remark::Objection(index(1)),
        ];
        let mut rows = Vec::new();
        for leader in [Holder::Unknown, Holder::Nobody, here, elsewhere] {
            for expires in [None, Some(T)] {
                for commit_pending in [None, Some(T)] {
                    for manual in [false, true] {
                        rows.push(TicketRow {
                            leader,
                            expires,
                            commit_pending,
                            manual,
                            ..row("T")
                        });
                    }
                }
            }
        }
        for row in rows {
            let plain = tickets(std::slice::from_ref(&row), &roster);
            let plain = plain.trim_end();
            for count in 1..=remarks.len() {
                for some in remarks.windows(count) {
                    let remarks = some.to_vec();
                    let text = tickets(&[TicketRow { remarks, ..row.clone() }], &roster);
                    let text = text.trim_end();
                    assert!(text.starts_with(&format!("{plain}, note on ticket: ")), "{text}");
                    let (with, without) = (as_hawk_reads_it(text), as_hawk_reads_it(plain));
                    assert_eq!(with[..without.len()], without, "{text}");
                    assert_eq!(with.len(), without.len() + 1, "{text}");
                    assert_eq!(with[without.len()].0, "ticket:", "{text}");
                }
            }
        }
    }

    #[test]
    fn peers_have_the_lines_of_the_reference() {
        let counters = PeerCounters { sent: 6, received: 4, invalid: 2, ..PeerCounters::default() };
        let rows = [
            PeerRow { member: index(1), last_recv: Some(T), unreachable_since: None, counters },
            PeerRow {
                member: index(2),
                last_recv: None,
                unreachable_since: Some(T),
                counters: PeerCounters::default(),
            },
        ];
        let (time, never) = (LocalTime::of(T), LocalTime::of(WallTime::EPOCH));
        let expected = format!(
            "site         10.99.0.11, last recv: {time}\n\tSent pkts:6 error:0 resends:0\n\
             \tRecv pkts:4 error:0 authfail:0 invalid:2\n\n\
             arbitrator   10.99.0.12, last recv: {never}\n\tSent pkts:0 error:0 resends:0\n\
             \tRecv pkts:0 error:0 authfail:0 invalid:0\n\tUnreachable since {time}\n\n"
        );
        assert_eq!(peers(&rows, &roster()), expected);
    }

    #[test]
    fn attributes_have_the_lines_of_the_reference() {
        let name = |text| AttrName::new(text).expect("an attribute name");
        let value = |text| AttrValue::new(text).expect("an attribute value");
        let rows = [
            AttrRow { name: name("k1"), value: value("v1"), set_at: Some(T) },
            AttrRow { name: name("k2"), value: value("some value"), set_at: None },
        ];
        assert_eq!(attributes(&rows), format!("k1 v1 {}\nk2 some value \n", LocalTime::of(T)));
        assert_eq!(attribute(&value("v1")), "v1\n");
        let text = |here, of| held(Held { here, of });
        assert_eq!(text(Some(2), 5), "holds 2 of 5 tickets");
        assert_eq!(text(Some(0), 1), "holds 0 of 1 ticket");
        assert_eq!(text(None, 1), "votes on 1 ticket");
        assert_eq!(text(None, 5), "votes on 5 tickets");
    }
}
