// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the shell's threads, each around a scripted machine or a pair of real sockets.

mod bonds;
mod clients;
mod crowds;
mod engine_loop;
mod listing;
mod panics;
mod reports;
mod udp;
mod watch;

use super::health::Health;
use super::history::History;
use super::reporting::Reporter;
use super::watch::Watch;
use crate::config;
use crate::model::{Member, MemberId, MemberRole, Roster, TicketName};
use crate::reach::Reach;
use crate::sys::clock;
use crate::sys::surroundings::System;
use crate::time::MonoTime;
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

/// A reporter of the first of them, with one ticket.
fn reporter() -> Reporter {
    let text = "site = 127.20.0.1\nsite = 127.20.0.2\narbitrator = 127.20.0.3\nticket = t1\n";
    let mut file = tempfile::Builder::new().prefix("booth-").tempfile().expect("a file");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    let path = file.path().to_str().expect("a plain path");
    let config = config::load(path, &mut System).expect("a configuration");
    let history = History::new(config.roster(0));
    Reporter::new(&config, 0, MonoTime::ZERO, Health::default(), history)
}

/// A watch of the first of them. It probes nobody: there is no ticket to ask about.
fn watch() -> Watch {
    let (roster, health) = (roster(), Health::default());
    let history = History::new(roster.clone());
    let reach = Reach::new(roster.clone(), Vec::new(), 1, 1, clock::mono());
    Watch::new(roster, reach, health, history)
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
