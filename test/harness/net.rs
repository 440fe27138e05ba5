// SPDX-License-Identifier: GPL-2.0-or-later
//! Cutting links between members, inside a lab's network namespace.

use super::lab::Lab;
use std::net::Ipv4Addr;
use std::process::Command;

/// The links between the members of a lab, whole at first. Needs [`super::Need::Nft`].
pub struct Links;

impl Links {
    /// Prepares to cut links in this lab.
    ///
    /// Panics outside a namespace: nothing else may ever lose its network.
    pub fn new(lab: &Lab) -> Links {
        assert!(lab.is_inside(), "links are cut only inside a namespace");
        nft("add table inet lab");
        nft("add chain inet lab out { type filter hook output priority 0 ; }");
        Links
    }

    /// Nothing gets from `from` to `to` any more; the way back stays.
    pub fn cut_one_way(&self, from: Ipv4Addr, to: Ipv4Addr) {
        nft(&format!("add rule inet lab out ip saddr {from} ip daddr {to} drop"));
    }

    /// Nothing gets through between the two.
    pub fn cut(&self, one: Ipv4Addr, other: Ipv4Addr) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Of the datagrams between members, `percent` of a hundred are lost at random.
    pub fn lose(&self, percent: u8) {
        nft(&format!(
            "add rule inet lab out meta l4proto udp numgen random mod 100 < {percent} drop"
        ));
    }

    /// All links are whole again.
    pub fn heal(&self) {
        nft("flush chain inet lab out");
    }
}

/// Runs one command of `nft`.
#[track_caller]
fn nft(command: &str) {
    let output = Command::new("nft").arg(command).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start nft: {error}"));
    assert!(output.status.success(), "nft {command}: {output:?}");
}
