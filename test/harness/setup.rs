// SPDX-License-Identifier: GPL-2.0-or-later
//! What a cluster of a test looks like, as text of a configuration.

use super::program::{under_test, Kind};
use std::net::Ipv4Addr;

/// The port of every member.
pub const PORT: u16 = 9929;

/// A cluster to be.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many sites.
    pub sites: usize,
    /// How many arbitrators; their members follow the sites.
    pub arbitrators: usize,
    /// Whose programs, one for each member.
    pub kinds: Vec<Kind>,
    /// Lines for the global part.
    pub global: String,
    /// Ticket stanzas.
    pub tickets: String,
    /// The shared key.
    pub key: Option<Vec<u8>>,
}

impl Setup {
    /// Two sites, an arbitrator, all of the program under test, and ticket `t1`: 10 s,
    /// renewed every 5 s, with a timeout of 1 s.
    pub fn usual() -> Setup {
        Setup::of(&[under_test(); 3])
    }

    /// The same with these programs; the last one is the arbitrator's.
    pub fn of(kinds: &[Kind]) -> Setup {
        Setup {
            sites: kinds.len() - 1,
            arbitrators: 1,
            kinds: kinds.to_vec(),
            global: String::new(),
            tickets: ticket("t1", ""),
            key: None,
        }
    }

    /// With the shared key of these tests.
    pub fn with_key(mut self) -> Setup {
        self.key = Some(b"only for tests: 0123456789abcdef".to_vec());
        self
    }

    /// With these ticket stanzas instead.
    pub fn tickets(mut self, text: impl Into<String>) -> Setup {
        self.tickets = text.into();
        self
    }

    /// With these lines in the global part.
    pub fn global(mut self, text: impl Into<String>) -> Setup {
        self.global = text.into();
        self
    }

    /// How many members.
    pub fn members(&self) -> usize {
        self.sites + self.arbitrators
    }

    /// The configuration file.
    pub fn text(&self, addresses: &[Ipv4Addr], key_file: Option<&str>) -> String {
        let mut text = format!("transport = UDP\nport = {PORT}\n");
        if let Some(file) = key_file {
            text.push_str(&format!("authfile = {file}\n"));
        }
        for (index, address) in addresses.iter().enumerate() {
            let role = if index < self.sites { "site" } else { "arbitrator" };
            text.push_str(&format!("{role} = \"{address}\"\n"));
        }
        text.push_str(&self.global);
        text.push_str(&self.tickets);
        text
    }
}

/// The stanza of a ticket with the times of these tests and further lines.
pub fn ticket(name: &str, more: &str) -> String {
    let times = "\texpire = 10\n\ttimeout = 1\n\tretries = 3\n\trenewal-freq = 5\n";
    format!("ticket = \"{name}\"\n{times}{more}")
}
