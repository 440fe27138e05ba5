// SPDX-License-Identifier: GPL-2.0-or-later
//! The limit of open files: raised for this process, and not for the programs that it starts.
#![forbid(unsafe_code)]

use libc::rlim_t;
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use std::env;
use std::io;
use std::process::Command;
use std::sync::OnceLock;

/// The variable that tells a program of ours the limit for those that it starts.
const OLD_LIMIT: &str = "BOOTHD_OPEN_FILES";

/// The limit from before [`raise`], if that has raised it.
static OLD: OnceLock<rlim_t> = OnceLock::new();

/// Raises the soft limit to `needed`, or to the hard limit if that is lower; gives what it is now.
/// Programs that are started from then on get the old one, see [`BeforeExec`].
///
/// # Errors
/// The kernel refuses; the limit is as it was.
///
/// [`BeforeExec`]: super::os::BeforeExec
pub(crate) fn raise(needed: usize) -> io::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = rlim_t::try_from(needed).unwrap_or(rlim_t::MAX).min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
        // Whoever raises it again keeps the first one.
        let _ = OLD.set(soft);
    }
    Ok(usize::try_from(soft.max(wanted)).unwrap_or(usize::MAX))
}

/// The soft limit for programs that this process starts; `None`: its own.
pub(super) fn old() -> Option<rlim_t> {
    OLD.get().copied()
}

/// Gives this process that limit, as far as its hard one permits. Allowed between fork and exec.
pub(super) fn lower_to(soft: rlim_t) {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Nobody may be refused a lower limit; with a higher one the program works, too.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard);
    }
}

/// Lets a program of ours that needs as many descriptors as this one know what others get.
pub(crate) fn hand_on(command: &mut Command) {
    if let Some(soft) = old() {
        command.env(OLD_LIMIT, soft.to_string());
    }
}

/// In a program that was started behind [`hand_on`], first of all: takes the limit out of the
/// environment, for those that it starts.
pub(crate) fn adopt() {
    if let Some(soft) = env::var(OLD_LIMIT).ok().and_then(|text| text.parse().ok()) {
        let _ = OLD.set(soft);
    }
    env::remove_var(OLD_LIMIT);
}
