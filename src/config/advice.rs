// SPDX-License-Identifier: GPL-2.0-or-later
//! What `booth check` says about an accepted file beyond its warnings: what a cluster can work
//! without, and most should have.

use super::Config;
use crate::model::{MemberRole, TicketMode};
use std::net::IpAddr;

/// The most names in one line.
const NAMES_MAX: usize = 8;

impl Config {
    /// Advice about the whole configuration, one line each, without the file's name.
    pub fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if self.key.is_none() {
            advice.push(
                "no authfile: whoever can reach a member can grant and revoke tickets; make a key \
                 with booth-keygen, copy it to all members, and name it with authfile ="
                    .to_owned(),
            );
        }
        let sites = self.members.iter().filter(|it| it.member.role == MemberRole::Site).count();
        if sites == 1 {
            advice.push("there is only one site: no other can take over a ticket".to_owned());
        }
        advice.extend(self.unreachable());
        if sites > 1 {
            advice.extend(self.overlapping());
        }
        advice
    }

    /// Members that cannot reach each other, whatever the network is like: each sends from its own
    /// address.
    fn unreachable(&self) -> Option<String> {
        let addresses = self.addresses();
        let (inside, outside) = split(&addresses, IpAddr::is_loopback);
        if !inside.is_empty() && !outside.is_empty() {
            return Some(format!(
                "members on other machines cannot reach a loopback address: {}",
                listed(&inside)
            ));
        }
        let (v4, v6) = split(&addresses, IpAddr::is_ipv4);
        (!v4.is_empty() && !v6.is_empty()).then(|| {
            format!(
                "members with IPv4 addresses ({}) and members with IPv6 addresses ({}) cannot \
                 reach each other: use addresses of one kind",
                listed(&v4),
                listed(&v6)
            )
        })
    }

    /// Tickets that a second site may have before the first has stopped its resources.
    fn overlapping(&self) -> Option<String> {
        let automatic = self.tickets.iter().filter(|it| it.spec.mode == TicketMode::Automatic);
        let hasty = automatic.filter(|ticket| ticket.spec.acquire_after.is_zero());
        let hasty: Vec<String> = hasty.map(|it| format!("{:?}", it.spec.name.as_str())).collect();
        (!hasty.is_empty()).then(|| {
            format!(
                "acquire-after = 0 for ticket {}: another site may start the resources while the \
                 one that has lost the ticket still stops them; set it to the time that stopping \
                 takes, unless fencing or the resources prevent that",
                listed(&hasty)
            )
        })
    }
}

fn split(all: &[IpAddr], first: impl Fn(&IpAddr) -> bool) -> (Vec<IpAddr>, Vec<IpAddr>) {
    all.iter().partition(|address| first(address))
}

/// The first few of them.
fn listed<T: ToString>(all: &[T]) -> String {
    let mut words: Vec<String> = all.iter().take(NAMES_MAX).map(T::to_string).collect();
    if all.len() > NAMES_MAX {
        words.push("...".to_owned());
    }
    words.join(", ")
}
