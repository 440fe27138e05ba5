// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member needs of its host before its daemon can be of any use.

use crate::config::{Account, Config, TicketStore};
use crate::model::MemberRole;
use crate::pacemaker;
use crate::store::helper;
use crate::sys::accounts::{self, AccountError};
use crate::sys::local_addr::{self, LocalAddress};
use std::fmt;
use std::net::IpAddr;

/// Something that is not there.
#[derive(Debug)]
pub(crate) enum Lack {
    /// As whom to run.
    Account(AccountError),
    /// The program through which a site reaches Pacemaker; the text says where it was looked for.
    Tool(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Account(error) => error.fmt(f),
            Lack::Tool(error) => write!(
                f,
                "{error}: a site keeps its tickets in Pacemaker with it; install Pacemaker's \
                 command-line tools, or set ticket-store in the configuration"
            ),
        }
    }
}

impl std::error::Error for Lack {}

/// As whom the daemon of a member with this role runs.
pub(super) fn account_of(config: &Config, role: MemberRole) -> &Account {
    match role {
        MemberRole::Site => &config.site_account,
        MemberRole::Arbitrator => &config.arbitrator_account,
    }
}

/// Looks for the program without which a site cannot keep its tickets.
///
/// # Errors
/// It is not there.
pub(super) fn find_tool(config: &Config, role: MemberRole) -> Result<(), Lack> {
    if role == MemberRole::Site && config.store == TicketStore::Pacemaker {
        helper::find_program(pacemaker::PROGRAM).map_err(Lack::Tool)?;
    }
    Ok(())
}

/// All that this host lacks for the daemon of the member number `me`, started by root.
pub(crate) fn lacks(config: &Config, me: usize) -> Vec<Lack> {
    let role = config.members[me].member.role;
    let account = accounts::look_up(account_of(config, role), role).map(drop);
    let results = [account.map_err(Lack::Account), find_tool(config, role)];
    results.into_iter().filter_map(Result::err).collect()
}

/// Which members this host is or may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    /// The members whose addresses it has.
    pub certain: Vec<usize>,
    /// If there is none: the member in one of its subnets, of whose nodes it may be one. The
    /// address of a site with several nodes is only where Pacemaker has put it.
    pub likely: Option<usize>,
}

/// Finds out which members this host is.
///
/// # Errors
/// The kernel does not list its addresses.
pub(crate) fn whereabouts(config: &Config) -> std::io::Result<Whereabouts> {
    Ok(among(&config.addresses(), &local_addr::local_addresses()?))
}

fn among(members: &[IpAddr], local: &[LocalAddress]) -> Whereabouts {
    let is_local = |member: &IpAddr| local.iter().any(|here| here.address == *member);
    let certain: Vec<usize> = (0..members.len()).filter(|at| is_local(&members[*at])).collect();
    // Each host has the whole loopback network, which says nothing.
    let outside: Vec<LocalAddress> =
        local.iter().filter(|here| !here.address.is_loopback()).copied().collect();
    let nearest = || local_addr::nearest(members, &outside);
    let likely = if certain.is_empty() { nearest() } else { None };
    Whereabouts { certain, likely }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whereabouts_of(members: &[&str], local: &[(&str, u32)]) -> Whereabouts {
        let ip = |text: &str| text.parse::<IpAddr>().expect("a test writes addresses right");
        let members: Vec<IpAddr> = members.iter().map(|text| ip(text)).collect();
        let local: Vec<LocalAddress> = local
            .iter()
            .map(|(text, prefix)| LocalAddress { address: ip(text), prefix: *prefix, scope: 0 })
            .collect();
        among(&members, &local)
    }

    #[test]
    fn a_host_is_what_it_has_the_address_of_and_else_perhaps_a_neighbour() {
        let members = ["192.0.2.10", "198.51.100.10", "203.0.113.3"];
        let node = ("192.0.2.11", 24);
        let loopback = ("127.0.0.1", 8);
        let likely = Whereabouts { certain: vec![], likely: Some(0) };
        assert_eq!(whereabouts_of(&members, &[loopback, node]), likely);
        let certain = Whereabouts { certain: vec![0, 2], likely: None };
        let holder = [node, ("192.0.2.10", 32), ("203.0.113.3", 24)];
        assert_eq!(whereabouts_of(&members, &holder), certain);
        assert_eq!(whereabouts_of(&members, &[("10.0.0.1", 8)]), Whereabouts::default());
        assert_eq!(whereabouts_of(&["127.0.0.7"], &[loopback]), Whereabouts::default());
    }
}
