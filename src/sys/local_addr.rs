// SPDX-License-Identifier: GPL-2.0-or-later
//! Which configured member this host is.
//!
//! A daemon is the member whose address one of the host's interfaces has, exactly. A client
//! belongs to that member or, failing that, to the one in a local subnet (longest prefix).
//! Resolving names is left to the command line.

use nix::sys::socket::SockaddrStorage;
use std::fmt;
use std::io;
use std::net::IpAddr;

/// An address of one of the host's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address itself, without its prefix.
    pub address: IpAddr,
    /// The length of its subnet's prefix in bits.
    pub prefix: u32,
    /// The number of its interface, if it means nothing without; else 0.
    pub scope: u32,
}

/// Why no member is this host.
#[derive(Debug)]
pub(crate) enum FindError {
    /// The interfaces cannot be listed.
    Interfaces(io::Error),
    /// No member has a local address.
    Nobody {
        /// The members' addresses, in the order of the configuration.
        members: Vec<IpAddr>,
        /// The addresses that there are.
        local: Vec<LocalAddress>,
    },
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FindError::Interfaces(error) => {
                write!(f, "the addresses of this host cannot be listed: {error}")
            }
            // Reference: this sentence, which its test-suite looks for.
            FindError::Nobody { members, local } => {
                let members: Vec<String> = members.iter().map(IpAddr::to_string).collect();
                write!(
                    f,
                    "Cannot find myself in the configuration. None of its addresses ({}) is on \
                     this machine, which has {}",
                    members.join(", "),
                    in_words(local)
                )
            }
        }
    }
}

impl std::error::Error for FindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FindError::Interfaces(error) => Some(error),
            FindError::Nobody { .. } => None,
        }
    }
}

/// The index of the member that a daemon on this host is: the first whose address is local.
///
/// # Errors
/// There is no such member, or the interfaces cannot be listed.
pub(crate) fn find_daemon(members: &[IpAddr]) -> Result<usize, FindError> {
    let local = local_addresses().map_err(FindError::Interfaces)?;
    exact(members, &local).ok_or_else(|| FindError::Nobody { members: members.to_vec(), local })
}

/// The index of the member that clients on this host belong to, if there is one.
///
/// # Errors
/// The interfaces cannot be listed.
pub(crate) fn find_client(members: &[IpAddr]) -> Result<Option<usize>, FindError> {
    let local = local_addresses().map_err(FindError::Interfaces)?;
    Ok(exact(members, &local).or_else(|| nearest(members, &local)))
}

/// The first member whose address is one of these.
fn exact(members: &[IpAddr], local: &[LocalAddress]) -> Option<usize> {
    members.iter().position(|member| local.iter().any(|here| here.address == *member))
}

/// The member in the subnet with the longest prefix; the first of several.
pub fn nearest(members: &[IpAddr], local: &[LocalAddress]) -> Option<usize> {
    let mut best: Option<(u32, usize)> = None;
    for (index, member) in members.iter().enumerate() {
        for here in local {
            // A prefix of 0 bits has everything in it and says nothing.
            let bits = here.prefix;
            let better = best.is_none_or(|(longest, _)| bits > longest);
            if bits > 0 && better && common_bits(*member, here.address) >= bits {
                best = Some((bits, index));
            }
        }
    }
    best.map(|(_, index)| index)
}

/// How many leading bits two addresses have in common; none across families.
fn common_bits(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
    }
}

/// Addresses as people read them, each once.
pub(crate) fn in_words(addresses: &[LocalAddress]) -> String {
    let mut words: Vec<String> = Vec::new();
    for here in addresses {
        let word = here.address.to_string();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// Every address of every interface.
///
/// # Errors
/// The kernel does not tell.
pub fn local_addresses() -> io::Result<Vec<LocalAddress>> {
    let of = |entry: nix::ifaddrs::InterfaceAddress| {
        let address = entry.address?;
        let prefix = entry.netmask.as_ref().and_then(ip).map(mask_bits);
        let scope = address.as_sockaddr_in6().map_or(0, |address| address.scope_id());
        let address = ip(&address)?;
        let full = if address.is_ipv4() { 32 } else { 128 };
        Some(LocalAddress { address, prefix: prefix.unwrap_or(full), scope })
    };
    Ok(nix::ifaddrs::getifaddrs()?.filter_map(of).collect())
}

/// How many one-bits a subnet mask begins with.
fn mask_bits(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    }
}

/// The address in a socket address, if it is of a family that members can have.
fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("a test writes addresses right")
    }

    fn local(text: &str, prefix: u32) -> LocalAddress {
        LocalAddress { address: ip(text), prefix, scope: 0 }
    }

    #[test]
    fn the_loopback_address_is_local() {
        let addresses = local_addresses().expect("the kernel lists its interfaces");
        assert!(addresses.contains(&local("127.0.0.1", 8)), "{addresses:?}");
    }

    #[test]
    fn a_daemon_is_the_member_with_a_local_address_and_no_neighbour() {
        let members = [ip("192.0.2.7"), ip("127.0.0.2"), ip("127.0.0.1")];
        assert_eq!(find_daemon(&members).ok(), Some(2));
        assert!(matches!(find_daemon(&members[..2]), Err(FindError::Nobody { .. })));
    }

    #[test]
    fn a_client_belongs_to_the_member_in_the_narrowest_subnet() {
        let members = [ip("10.1.2.3"), ip("10.1.7.3"), ip("2001:db8::7")];
        let wide = [local("10.9.9.9", 8), local("10.1.7.200", 24)];
        assert_eq!(nearest(&members, &wide), Some(1));
        assert_eq!(nearest(&members, &[local("10.9.9.9", 8)]), Some(0));
        assert_eq!(nearest(&members, &[local("2001:db8::9", 64)]), Some(2));
        assert_eq!(nearest(&members, &[local("192.0.2.1", 24)]), None);
        assert_eq!(nearest(&members, &[local("192.0.2.1", 0)]), None);
    }
}
