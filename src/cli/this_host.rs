// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth check`: which member this host is, and what it lacks for it.

use super::options::Exit;
use super::output::Output;
use crate::config::{Account, Config, ConfiguredMember, TicketStore};
use crate::daemon::host::{self, Lack, Whereabouts};
use crate::model::MemberRole;
use crate::sys::{accounts, local_addr, process, surroundings};
use std::net::IpAddr;

/// Says what this host lacks for the members that it is, or may become; returns which these are, in
/// words. What is missing is an error only if the host certainly is the member and its daemon would
/// not start. If the caller is not root, a missing user is not an error, because the daemon then
/// runs as the caller.
pub(super) fn check(config: &Config, output: &Output) -> Result<String, Exit> {
    let unlisted =
        |error| output.failure(&format!("cannot list the addresses of this host: {error}"));
    let found = host::whereabouts(config).map_err(unlisted)?;
    let local = local_addr::local_addresses().map_err(unlisted)?;
    let mut sound = true;
    for index in &found.certain {
        let address = config.members[*index].member.address;
        for lack in host::lacks(config, *index) {
            let text = format!("member {address}, which is this host: {lack}");
            if matches!(lack, Lack::Account(_)) && !process::am_root() {
                output.warning(&text);
            } else {
                output.error(&text);
                sound = false;
            }
        }
    }
    if let Some(index) = found.likely {
        let address = config.members[index].member.address;
        for lack in host::lacks(config, index) {
            output.warning(&format!("member {address}, if this host is one of its nodes: {lack}"));
        }
    }
    if !sound {
        return Err(Exit::Failure);
    }
    for text in wishes(config, &found) {
        output.warning(&text);
    }
    Ok(in_words(config, &found, &local_addr::in_words(&local)))
}

/// What the daemon would start without, but not work well. On a host that is no member, also the
/// configured users that it does not have.
fn wishes(config: &Config, found: &Whereabouts) -> Vec<String> {
    let mut wishes = Vec::new();
    let mut members = found.certain.iter().copied().chain(found.likely);
    let is_site = |index: usize| config.members[index].member.role == MemberRole::Site;
    let is_none = found.certain.is_empty() && found.likely.is_none();
    let begin = match members.find(|index| is_site(*index)) {
        Some(site) => format!("site {}: ", config.members[site].member.address),
        None if is_none => "if this host becomes a site: ".to_owned(),
        None => return wishes,
    };
    for ticket in &config.tickets {
        let Some(handler) = &ticket.handler else { continue };
        if let Some(why) = surroundings::handler_problem(&handler.path) {
            let (name, path) = (ticket.spec.name.as_str(), handler.path.display());
            wishes.push(format!("ticket {name:?}: before-acquire-handler {path}: {why}"));
        }
    }
    if let TicketStore::Directory(path) = &config.store {
        let identity = accounts::look_up(&config.site_account, MemberRole::Site).ok();
        let identity = identity.filter(|_| process::am_root());
        if let Some(why) = surroundings::store_problem(path, identity) {
            wishes.push(format!("ticket-store {}: {why}", path.display()));
        }
    }
    let mut wishes: Vec<String> = wishes.iter().map(|wish| format!("{begin}{wish}")).collect();
    if is_none {
        let accounts = [
            (&config.site_account, MemberRole::Site),
            (&config.arbitrator_account, MemberRole::Arbitrator),
        ];
        let lacking = accounts.into_iter().filter_map(|(account, role)| lacking(account, role));
        wishes.extend(lacking);
    }
    wishes
}

/// Why the configured user or group of members with this role is none here.
fn lacking(account: &Account, role: MemberRole) -> Option<String> {
    if !account.user_configured && !account.group_configured {
        return None;
    }
    let error = accounts::look_up(account, role).err()?;
    let word = role.word();
    let article = if role == MemberRole::Site { "a" } else { "an" };
    Some(format!("if this host becomes {article} {word}: {error}"))
}

/// Which members this host is; `local` are its addresses.
fn in_words(config: &Config, found: &Whereabouts, local: &str) -> String {
    let name = |index: &usize| {
        let ConfiguredMember { member, .. } = &config.members[*index];
        format!("{} {}", member.role.word(), member.address)
    };
    let certain: Vec<String> = found.certain.iter().map(name).collect();
    if !certain.is_empty() {
        return format!("this host is {}", certain.join(" and "));
    }
    if let Some(likely) = &found.likely {
        return format!(
            "this host may be a node of {}, in whose subnet it is; it has {local}",
            name(likely)
        );
    }
    let members: Vec<String> = config.addresses().iter().map(IpAddr::to_string).collect();
    format!("this host is no member: it has {local}; the members are {}", members.join(", "))
}
