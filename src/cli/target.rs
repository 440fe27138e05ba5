// SPDX-License-Identifier: GPL-2.0-or-later
//! Chooses the member to ask: the one that `-s` names, another site, or the local one.

use super::args::SiteArg;
use crate::config::{Config, ConfiguredMember};
use crate::model::{MemberId, MemberRole};
use crate::sys::local_addr::{self, FindError};
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The member that a client asks, and the member on whose behalf it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The index of the member in the configuration.
    pub index: usize,
    /// Its address and TCP port.
    pub address: SocketAddr,
    /// Its id.
    pub to: MemberId,
    /// The `from` of requests: the member that this host belongs to, otherwise the target itself.
    pub from: MemberId,
}

/// Why there is no member to ask.
#[derive(Debug)]
pub(super) enum TargetError {
    /// `-s` does not name a member; the members there are.
    NoSuchSite(String, String),
    /// The name in `-s` cannot be resolved.
    Unresolved(String, std::io::Error),
    /// There is no `-s`, and this host does not belong to a member; the members there are.
    NoLocalMember(String),
    /// `-s other` on a host that does not belong to a member, or without another site.
    NoOther,
    /// An arbitrator cannot do that.
    Arbitrator(IpAddr, Purpose),
    /// The interfaces of this host cannot be listed.
    Local(FindError),
}

/// What a client wants from its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Something that every member can answer.
    Read,
    /// To grant, which arbitrators cannot.
    Grant,
    /// To change attributes, which arbitrators do not have.
    Attribute,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::NoSuchSite(name, members) => write!(
                f,
                "cannot find site \"{name}\": it is not a site or arbitrator in the configuration, \
                 which has {members}"
            ),
            TargetError::Unresolved(name, error) => {
                write!(f, "cannot find site \"{name}\": {error}")
            }
            TargetError::NoLocalMember(members) => write!(
                f,
                "this host has neither the address of a member nor one in a member's subnet; \
                 use -s to name the member to ask: {members}"
            ),
            TargetError::NoOther => write!(
                f,
                "there is no other site: \"-s other\" needs a host that belongs to a member, and \
                 a second site"
            ),
            TargetError::Arbitrator(address, Purpose::Attribute) => {
                write!(f, "{address} is just an arbitrator, no attributes there.")
            }
            TargetError::Arbitrator(address, Purpose::Grant | Purpose::Read) => write!(
                f,
                "{address} is just an arbitrator, cannot grant/revoke tickets there. \
                 Name a site with -s."
            ),
            TargetError::Local(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TargetError {}

/// Chooses the member that a client on this host asks.
///
/// # Errors
/// There is no such member, or it cannot do what the client wants.
pub(super) fn choose(
    config: &Config,
    site: &SiteArg,
    purpose: Purpose,
) -> Result<Target, TargetError> {
    let local = local_addr::find_client(&config.addresses()).map_err(TargetError::Local)?;
    let index = match site {
        SiteArg::Local => local.ok_or_else(|| TargetError::NoLocalMember(members(config)))?,
        SiteArg::Other => other_site(config, local).ok_or(TargetError::NoOther)?,
        SiteArg::Named(name) => find_named(config, name)?,
    };
    let member = &config.members[index].member;
    if member.role == MemberRole::Arbitrator && purpose != Purpose::Read {
        return Err(TargetError::Arbitrator(member.address, purpose));
    }
    Ok(target_at(config, index, local))
}

/// The member with this id as the target of the same client; `None` if there is no such member.
pub(super) fn redirected(config: &Config, id: MemberId, from: MemberId) -> Option<Target> {
    let index = config.members.iter().position(|m| m.member.id == id)?;
    Some(Target { from, ..target_at(config, index, None) })
}

/// The member that this host belongs to, if that can be found out.
pub(super) fn local(config: &Config) -> Option<usize> {
    local_addr::find_client(&config.addresses()).ok().flatten()
}

/// A member as the target of a client at the member `local`, or at none.
pub(super) fn at(config: &Config, index: usize, local: Option<usize>) -> Target {
    target_at(config, index, local)
}

fn target_at(config: &Config, index: usize, local: Option<usize>) -> Target {
    let member = &config.members[index];
    let from = config.members[local.unwrap_or(index)].member.id;
    let address = member.socket_address();
    Target { index, address, to: member.member.id, from }
}

/// The members as the configuration names them.
fn members(config: &Config) -> String {
    let names: Vec<&str> = config.members.iter().map(|member| member.text.as_str()).collect();
    names.join(", ")
}

/// The first site that is not the local member.
fn other_site(config: &Config, local: Option<usize>) -> Option<usize> {
    let local = local?;
    let is_site = |m: &ConfiguredMember| m.member.role == MemberRole::Site;
    config.members.iter().enumerate().find(|(i, m)| *i != local && is_site(m)).map(|(i, _)| i)
}

/// The index of the member with this name: an address, the text of the configuration, or a host
/// name.
///
/// # Errors
/// No member has this name, or it cannot be resolved.
pub(super) fn find_named(config: &Config, name: &str) -> Result<usize, TargetError> {
    let at = |address: IpAddr| config.members.iter().position(|m| m.member.address == address);
    let found = if let Ok(address) = name.parse::<IpAddr>() {
        at(address)
    } else if let Some(index) =
        config.members.iter().position(|m| m.text.eq_ignore_ascii_case(name))
    {
        Some(index)
    } else {
        let unresolved = |error| TargetError::Unresolved(name.to_owned(), error);
        (name, 0u16).to_socket_addrs().map_err(unresolved)?.find_map(|socket| at(socket.ip()))
    };
    found.ok_or_else(|| TargetError::NoSuchSite(name.to_owned(), members(config)))
}
