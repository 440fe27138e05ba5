// SPDX-License-Identifier: GPL-2.0-or-later
//! What a plain file means.

use super::{accepted, read, with_members, MEMBERS};
use crate::config::{Account, TicketStore, DEFAULT_PORT};
use crate::model::{MemberId, MemberRole, TicketMode, TicketName};
use crate::time::Span;
use crate::wire::TimeUnit;
use std::path::Path;

#[test]
fn a_short_file_has_the_documented_defaults() {
    let config = accepted(with_members("ticket = \"t1\""));
    assert_eq!(config.name, "test");
    assert_eq!(config.path, Path::new("/etc/booth/test.conf"));
    assert_eq!((config.authfile, config.key, config.debug), (None, None, 0));
    assert_eq!(config.max_skew, Span::from_secs(600));
    assert_eq!(config.store, TicketStore::Pacemaker);
    assert_eq!(config.unit, TimeUnit::Seconds);
    assert_eq!(config.warnings, Vec::<String>::new());
    let account = |user: &str, group: &str| Account {
        user: user.to_owned(),
        group: group.to_owned(),
        user_configured: false,
        group_configured: false,
    };
    assert_eq!(config.site_account, account("hacluster", "haclient"));
    assert_eq!(config.arbitrator_account, account("nobody", "nobody"));
    let [ticket] = &config.tickets[..] else { panic!("one ticket is configured") };
    assert_eq!(ticket.handler, None);
    let spec = &ticket.spec;
    assert_eq!((spec.name.as_str(), spec.mode), ("t1", TicketMode::Automatic));
    assert_eq!((spec.expire, spec.renewal), (Span::from_secs(600), Span::from_secs(300)));
    assert_eq!((spec.timeout, spec.retries), (Span::from_secs(5), 10));
    assert_eq!(spec.acquire_after, Span::ZERO);
    assert_eq!((spec.weights.len(), spec.rules.len(), spec.has_handler), (0, 0, false));
}

#[test]
fn members_have_the_port_in_force_where_they_stand() {
    let text = "site=10.0.0.1\nport=7777\nsite=10.0.0.2\nport=8888\narbitrator=fd00::3\nticket=t";
    let config = accepted(text);
    let ports: Vec<u16> = config.members.iter().map(|member| member.port).collect();
    assert_eq!(ports, [DEFAULT_PORT, 7777, 8888]);
    let lines: Vec<usize> = config.members.iter().map(|member| member.line).collect();
    assert_eq!(lines, [1, 3, 5]);
    assert_eq!(config.warnings.len(), 2);
    let third = &config.members[2];
    assert_eq!((third.member.role, third.text.as_str()), (MemberRole::Arbitrator, "fd00::3"));
    assert_eq!(third.member.id, MemberId::of_address(third.member.address));
}

#[test]
fn a_roster_has_the_members_in_file_order() {
    let config = accepted(format!("{MEMBERS}ticket=t\n"));
    let roster = config.roster(1);
    assert_eq!((roster.len(), roster.majority(), roster.am_site()), (3, 2, true));
    assert_eq!(roster.my_id(), config.members[1].member.id);
}

/// pcs gives the key to hacluster, whoever the daemon runs as.
#[test]
fn a_ticket_is_found_by_its_name() {
    let config = accepted(with_members("ticket = t1\nticket = t2"));
    let found = |name: &str| {
        let ticket = config.ticket(&TicketName::new(name).expect("good"));
        ticket.map(|ticket| ticket.spec.name.as_str())
    };
    assert_eq!((found("t1"), found("t2"), found("t3")), (Some("t1"), Some("t2"), None));
}

#[test]
fn the_users_of_the_daemon_may_own_the_key_and_hacluster_always() {
    for lines in ["", "site-user = webapp\n", "arbitrator-user = webapp\n"] {
        accepted(format!("authfile = /key-of-hacluster\n{lines}{MEMBERS}ticket = t\n"));
        let text = format!("authfile = /key-of-webapp\n{lines}{MEMBERS}ticket = t\n");
        assert_eq!(read(text).is_ok(), !lines.is_empty(), "{lines}");
    }
}
