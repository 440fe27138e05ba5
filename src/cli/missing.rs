// SPDX-License-Identifier: GPL-2.0-or-later
//! Which members are missing when a grant finds no majority. A daemon says only that it goes on
//! looking for one, so the client asks the other members itself.

use super::client::fetch_text;
use super::net::{Codec, NetError};
use super::target::{self, Target};
use crate::config::{system_words, Config};
use crate::wire::ClientRequest;
use std::net::IpAddr;
use std::time::Duration;

/// How long a member may take to accept a connection, and to answer then.
const LIMIT: Duration = Duration::from_secs(1);

/// Asks all members but `asked`, which has answered already, all at once. Names those that do not
/// answer if they are so many that there can be no majority; otherwise `None`.
pub(super) fn look(config: &Config, asked: &Target) -> Option<String> {
    let others = config.members.iter().filter(|it| it.member.id != asked.to);
    let others = others.filter_map(|it| target::redirected(config, it.member.id, asked.from));
    let silent: Vec<(IpAddr, String)> = std::thread::scope(|scope| {
        let asking: Vec<_> = others.map(|other| scope.spawn(move || ask(config, &other))).collect();
        asking.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    });
    let (all, needed) = (config.members.len(), config.members.len() / 2 + 1);
    let answer = all - silent.len();
    if answer >= needed {
        return None;
    }
    let silent: Vec<String> =
        silent.into_iter().map(|(address, why)| format!("{address} ({why})")).collect();
    Some(format!(
        "no majority: a grant needs {needed} of {all} members, but only {answer} can be reached \
         from here; no answer from {}. Start boothd there, or mend the network; -F does not help",
        silent.join(", ")
    ))
}

/// The member's address and why it does not answer; `None` if it does.
fn ask(config: &Config, member: &Target) -> Option<(IpAddr, String)> {
    // Whatever it says, it runs.
    let error = fetch_text(&Codec::of(config), member, &ClientRequest::List, LIMIT).err()?;
    let why = match error {
        NetError::Connect(_, error) | NetError::Send(_, error) | NetError::Receive(_, error) => {
            system_words(&error)
        }
        NetError::TimedOut(..) => "connected, but no answer".to_owned(),
        NetError::Closed { .. } => "the connection was closed".to_owned(),
        NetError::Nonsense(..) | NetError::Unexpected(_) | NetError::Untrusted(..) => return None,
    };
    Some((member.address.ip(), why))
}
