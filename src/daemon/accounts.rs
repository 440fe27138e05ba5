// SPDX-License-Identifier: GPL-2.0-or-later
//! Users and groups of this host: as whom the daemon runs, and what they are called.

use crate::config::Account;
use crate::model::MemberRole;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// The most bytes that an entry of the user database may have.
const ENTRY_MAX: usize = 1 << 20;

/// A user and a group by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Why the daemon cannot run as whom it should.
#[derive(Debug)]
pub enum AccountError {
    /// There is no such user.
    NoUser {
        /// Its name.
        name: String,
        /// Whose daemon should run as that user.
        role: MemberRole,
        /// Whether the configuration names the user; otherwise it is the default.
        configured: bool,
    },
    /// There is no such group, although the configuration names it.
    NoGroup {
        /// Its name.
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
                role.word()
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
                "there is no group \"{name}\" on this host: make it, or change {}-group in the \
                 configuration",
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

/// The numbers of the account of a member with this role. In place of a default group that this
/// host does not have stands the group that the user has in the user database.
///
/// # Errors
/// There is no such user, configured or by default, or no such configured group: nobody stays
/// root for lack of them.
pub fn look_up(account: &Account, role: MemberRole) -> Result<Identity, AccountError> {
    let Some(user) = user_entry(&account.user)? else {
        let (name, configured) = (account.user.clone(), account.user_configured);
        return Err(AccountError::NoUser { name, role, configured });
    };
    match group_id(&account.group)? {
        Some(gid) => Ok(Identity { gid, ..user }),
        None if account.group_configured => {
            Err(AccountError::NoGroup { name: account.group.clone(), role })
        }
        None => Ok(user),
    }
}

/// Becomes this user and group, for good. Must be called before any thread but the log's exists.
///
/// # Errors
/// The kernel refuses; then the daemon must not go on with the rights it has.
pub fn become_user(account: &Account, identity: Identity) -> Result<(), AccountError> {
    let refused = |what| AccountError::System(what, io::Error::last_os_error());
    let name = CString::new(account.user.as_str())
        .map_err(|error| AccountError::System("use the user's name", error.into()))?;
    // SAFETY: `name` is a C string that lives through the call.
    if unsafe { libc::initgroups(name.as_ptr(), identity.gid) } != 0 {
        return Err(refused("take the user's groups"));
    }
    // SAFETY: takes numbers only.
    if unsafe { libc::setgid(identity.gid) } != 0 {
        return Err(refused("take the group"));
    }
    // SAFETY: takes numbers only.
    if unsafe { libc::setuid(identity.uid) } != 0 {
        return Err(refused("take the user"));
    }
    Ok(())
}

/// The user of this process, whose rights it has.
pub fn own_user() -> u32 {
    // SAFETY: takes no argument and cannot fail.
    unsafe { libc::geteuid() }
}

/// The number of a user, if this host knows it.
pub fn user_number(name: &str) -> Option<u32> {
    let found = user_entry(name).unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    });
    found.map(|identity| identity.uid)
}

/// The name of a user, or its number as text if it has none (or one of kilobytes).
pub fn user_name(number: u32) -> String {
    let mut buffer = vec![0u8; 4096];
    // SAFETY: `passwd` is a plain C structure for which all zeroes is a value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, and the length is that of the buffer.
    let code = unsafe {
        let (text, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        libc::getpwuid_r(number, &mut entry, text, len, &mut found)
    };
    if code != 0 || found.is_null() || entry.pw_name.is_null() {
        return number.to_string();
    }
    // SAFETY: the call has made `pw_name` a C string in `buffer`, which is alive.
    unsafe { CStr::from_ptr(entry.pw_name) }.to_string_lossy().into_owned()
}

/// The number of a user, and of the group that belongs to it.
fn user_entry(name: &str) -> Result<Option<Identity>, AccountError> {
    look_up_entry(name, "look up the user", |name, buffer| {
        // SAFETY: `passwd` is a plain C structure for which all zeroes is a value.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are valid for the call, and the length is that of the buffer.
        let code = unsafe {
            let (text, len) = (buffer.as_mut_ptr().cast(), buffer.len());
            libc::getpwnam_r(name.as_ptr(), &mut entry, text, len, &mut found)
        };
        let identity = Identity { uid: entry.pw_uid, gid: entry.pw_gid };
        (code, (!found.is_null()).then_some(identity))
    })
}

/// The home directory of a user, if this host knows it.
pub fn home(name: &str) -> Option<OsString> {
    let found = look_up_entry(name, "look up the user", |name, buffer| {
        // SAFETY: `passwd` is a plain C structure for which all zeroes is a value.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are valid for the call, and the length is that of the buffer.
        let code = unsafe {
            let (text, len) = (buffer.as_mut_ptr().cast(), buffer.len());
            libc::getpwnam_r(name.as_ptr(), &mut entry, text, len, &mut found)
        };
        let there = code == 0 && !found.is_null() && !entry.pw_dir.is_null();
        // SAFETY: if it is there, the call has made `pw_dir` a C string in `buffer`.
        let dir = there.then(|| unsafe { CStr::from_ptr(entry.pw_dir) });
        (code, dir.map(|dir| OsStr::from_bytes(dir.to_bytes()).to_owned()))
    });
    found.ok().flatten()
}

/// The number of a group.
fn group_id(name: &str) -> Result<Option<u32>, AccountError> {
    look_up_entry(name, "look up the group", |name, buffer| {
        // SAFETY: `group` is a plain C structure for which all zeroes is a value.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are valid for the call, and the length is that of the buffer.
        let code = unsafe {
            let (text, len) = (buffer.as_mut_ptr().cast(), buffer.len());
            libc::getgrnam_r(name.as_ptr(), &mut entry, text, len, &mut found)
        };
        (code, (!found.is_null()).then_some(entry.gr_gid))
    })
}

/// Asks with a buffer that grows until the entry fits.
fn look_up_entry<T>(
    name: &str,
    what: &'static str,
    ask: impl Fn(&CStr, &mut [u8]) -> (libc::c_int, Option<T>),
) -> Result<Option<T>, AccountError> {
    let Ok(name) = CString::new(name) else {
        // No entry has a name with a NUL.
        return Ok(None);
    };
    let mut buffer = vec![0u8; 1024];
    loop {
        match ask(&name, &mut buffer) {
            (0, found) => return Ok(found),
            (libc::ERANGE, _) if buffer.len() < ENTRY_MAX => buffer.resize(buffer.len() * 2, 0),
            (libc::ENOENT | libc::ESRCH, _) => return Ok(None),
            (code, _) => {
                return Err(AccountError::System(what, io::Error::from_raw_os_error(code)));
            }
        }
    }
}
