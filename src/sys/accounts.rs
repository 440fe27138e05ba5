// SPDX-License-Identifier: GPL-2.0-or-later
//! Users and groups of this host: as whom the daemon runs, and what they are called.

use crate::config::{account_number, Account};
use crate::model::{Excerpt, MemberRole};
use nix::errno::Errno;
use nix::unistd::{self, Gid, Group, Uid};
use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A user and a group by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user (uid_t).
    pub uid: u32,
    /// Its group (gid_t); further groups come from the user database.
    pub gid: u32,
}

/// Why the daemon cannot run as whom it should.
#[derive(Debug)]
pub(crate) enum AccountError {
    /// There is no such user.
    NoUser {
        /// As the configuration, or the default, names it.
        name: String,
        /// Whose daemon should run as that user.
        role: MemberRole,
        /// Whether the configuration names the user; otherwise it is the default.
        configured: bool,
    },
    /// There is no such group, although the configuration names it.
    NoGroup {
        /// As the configuration names it.
        name: String,
        /// Whose daemon should run with that group.
        role: MemberRole,
    },
    /// The kernel or the user database refuses.
    System(&'static str, io::Error),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::NoUser { name, role, configured: true } => write!(
                f,
                "there is no user \"{name}\" on this host: make it, or change {0}-user in the \
                 configuration (\"{0}-user = root\" if boothd shall stay root)",
                role.word(),
                name = Excerpt::new(name)
            ),
            AccountError::NoUser { name, role, configured: false } => {
                let (word, remedy) = match role {
                    MemberRole::Site => ("a site", "install Pacemaker, whose user this is, or"),
                    MemberRole::Arbitrator => ("an arbitrator", "make it, or"),
                };
                write!(
                    f,
                    "there is no user \"{name}\" on this host, as whom boothd runs at {word}: \
                     {remedy} name another one in the configuration with {0}-user (\"{0}-user = \
                     root\" if boothd shall stay root)",
                    role.word()
                )
            }
            AccountError::NoGroup { name, role } => write!(
                f,
                "there is no group \"{}\" on this host: make it, or change {}-group in the \
                 configuration",
                Excerpt::new(name),
                role.word()
            ),
            AccountError::System(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for AccountError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AccountError::System(_, error) => Some(error),
            AccountError::NoUser { .. } | AccountError::NoGroup { .. } => None,
        }
    }
}

/// The numbers of the account of a member with this role. What is no name of this host may be a
/// number. In place of a default group that this host does not have stands the group that the user
/// has in the user database, if it is there.
///
/// # Errors
/// There is no such user, configured or by default, or no such configured group: nobody stays
/// root for lack of them.
pub(crate) fn look_up(account: &Account, role: MemberRole) -> Result<Identity, AccountError> {
    let Some(user) = find_user(&account.user)? else {
        let (name, configured) = (account.user.clone(), account.user_configured);
        return Err(AccountError::NoUser { name, role, configured });
    };
    let group = group_id(&account.group)?.or_else(|| account_number(&account.group));
    let its_own = || user.gid.filter(|_| !account.group_configured);
    match group.or_else(its_own) {
        Some(gid) => Ok(Identity { uid: user.uid, gid }),
        None => Err(AccountError::NoGroup { name: account.group.clone(), role }),
    }
}

/// Becomes this user and group, for good. Must be called before any thread but the log's exists.
///
/// # Errors
/// The kernel refuses; then the daemon must not go on with the rights it has.
pub(crate) fn become_user(account: &Account, identity: Identity) -> Result<(), AccountError> {
    let refused = |what| move |error: Errno| AccountError::System(what, error.into());
    let name = find_user(&account.user)?.map_or_else(|| account.user.clone(), |user| user.name);
    let name = CString::new(name)
        .map_err(|error| AccountError::System("use the user's name", error.into()))?;
    let gid = Gid::from_raw(identity.gid);
    unistd::initgroups(&name, gid).map_err(refused("take the user's groups"))?;
    unistd::setgid(gid).map_err(refused("take the group"))?;
    unistd::setuid(Uid::from_raw(identity.uid)).map_err(refused("take the user"))
}

/// The user of this process, whose rights it has.
pub(crate) fn own_user() -> u32 {
    unistd::geteuid().as_raw()
}

/// The number of a user: of this name if this host knows it, or else the number that this is.
pub(super) fn user_number(name: &str) -> Option<u32> {
    let found = find_user(name).unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    });
    found.map(|user| user.uid)
}

/// The name of a user, or its number as text if it has none.
pub(crate) fn user_name(number: u32) -> String {
    let found = user_numbered(number).ok().flatten();
    found.map_or_else(|| number.to_string(), |user| user.name)
}

/// Name and home directory of a user whom this host knows, by its name or its number.
pub(crate) fn name_and_home(name: &str) -> Option<(String, PathBuf)> {
    let user = find_user(name).ok().flatten()?;
    Some((user.name, user.home?))
}

/// A user, as far as this host knows it.
struct User {
    uid: u32,
    gid: Option<u32>,
    /// The number as text for one without a name.
    name: String,
    home: Option<PathBuf>,
}

/// The user of this name, or else of this number, who need not be known.
fn find_user(text: &str) -> Result<Option<User>, AccountError> {
    if let Some(user) = known(unistd::User::from_name(text))? {
        return Ok(Some(user));
    }
    let Some(uid) = account_number(text) else {
        return Ok(None);
    };
    let nameless = || User { uid, gid: None, name: uid.to_string(), home: None };
    Ok(Some(user_numbered(uid)?.unwrap_or_else(nameless)))
}

/// The user of this number, if this host knows it.
fn user_numbered(number: u32) -> Result<Option<User>, AccountError> {
    known(unistd::User::from_uid(Uid::from_raw(number)))
}

fn known(entry: nix::Result<Option<unistd::User>>) -> Result<Option<User>, AccountError> {
    let user = |entry: unistd::User| {
        let (uid, gid) = (entry.uid.as_raw(), Some(entry.gid.as_raw()));
        User { uid, gid, name: entry.name, home: Some(entry.dir) }
    };
    Ok(found("look up the user", entry)?.map(user))
}

/// The number of a group.
fn group_id(name: &str) -> Result<Option<u32>, AccountError> {
    Ok(found("look up the group", Group::from_name(name))?.map(|group| group.gid.as_raw()))
}

/// What a look into the user database has found, where nothing may be told as an error.
fn found<T>(what: &'static str, entry: nix::Result<Option<T>>) -> Result<Option<T>, AccountError> {
    match entry {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        entry => entry.map_err(|error| AccountError::System(what, error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        for text in ["root", "0", "0x0"] {
            assert_eq!(user_number(text), Some(0), "{text}");
            let (name, home) = name_and_home(text).expect("every host has root");
            assert_eq!((name.as_str(), home.is_absolute()), ("root", true), "{text}");
        }
        assert_eq!((user_number("1234567"), name_and_home("1234567")), (Some(1_234_567), None));
        assert_eq!((user_name(0).as_str(), user_name(1_234_567).as_str()), ("root", "1234567"));
        for text in ["no-such-user", "4294967295", "-1", "7x", ""] {
            assert_eq!(user_number(text), None, "{text}");
        }
    }
}
