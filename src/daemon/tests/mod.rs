// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the shell's threads, each around a scripted machine or a pair of real sockets.

mod bonds;
mod clients;
mod crowds;
mod engine_loop;
mod listing;
mod panics;
mod udp;

use crate::model::{Member, MemberId, MemberRole, Roster, TicketName};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Three members on loopback addresses, seen by the first.
fn roster() -> Roster {
    let member = |last: u8, role| {
        let address = IpAddr::from([127, 20, 0, last]);
        Member { id: MemberId::of_address(address), role, address }
    };
    let members = vec![
        member(1, MemberRole::Site),
        member(2, MemberRole::Site),
        member(3, MemberRole::Arbitrator),
    ];
    Roster::new(members, 0).expect("three members make a roster")
}

fn ticket(name: &str) -> TicketName {
    TicketName::new(name).expect("a ticket name")
}

/// Waits until the condition holds; fails the test if that takes longer than five seconds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < until, "{what} within five seconds");
        std::thread::sleep(Duration::from_millis(1));
    }
}
