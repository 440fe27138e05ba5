// SPDX-License-Identifier: GPL-2.0-or-later
//! The lease guard: a small process of each site that revokes a ticket in the store when its
//! time has passed, whether or not boothd lives (`RULES.md` L6).
//!
//! [`Guard`] is what boothd has of it; [`program`] is the process; [`verdict`] is what it decides
//! about one ticket. What it knows stands in the lease table (`leases`), which boothd writes
//! before each grant and with each renewal: so telling it costs no wake-up, survives boothd, and
//! cannot be half done. A byte through a socket says *look again*, and the end of the socket says
//! that boothd is gone.
//!
//! A new boothd starts a guard of its own, which reads the same table, and ends the old one as
//! soon as it is ready: there is no gap, whatever version the old one was.

pub mod program;
mod verdict;

pub use verdict::{verdict, Decision, Left};

use super::leases::{Generation, LeaseTable};
use super::os;
use super::poll;
use crate::model::MemberId;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The name under which the guard runs: no resource agent and no init script looks for it.
pub const NAME: &str = "booth-lease-guard";

/// What a guard is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSetup {
    /// The directory of the built-in store; `None`: the CIB.
    pub dir: Option<PathBuf>,
    /// `booth-cfg-name`.
    pub config_name: String,
    /// The site.
    pub site: MemberId,
    /// The daemon that starts it.
    pub generation: Generation,
}

impl GuardSetup {
    /// The arguments behind the guard's name.
    fn to_args(&self) -> Vec<OsString> {
        let numbers = [self.generation.0, u64::from(self.site.raw())];
        let mut args: Vec<OsString> = numbers.map(|n| n.to_string().into()).into();
        args.push(self.config_name.clone().into());
        args.extend(self.dir.iter().map(OsString::from));
        args
    }

    /// The setup in these arguments; `None` if they are none.
    fn parse(args: &[OsString]) -> Option<GuardSetup> {
        let (generation, site, config_name, dir) = match args {
            [generation, site, name] => (generation, site, name, None),
            [generation, site, name, dir] => (generation, site, name, Some(dir.into())),
            _ => return None,
        };
        Some(GuardSetup {
            dir,
            config_name: config_name.to_str()?.to_owned(),
            site: MemberId::from_raw(site.to_str()?.parse().ok()?),
            generation: Generation(generation.to_str()?.parse().ok()?),
        })
    }
}

/// The guard's process, as boothd has it. Dropping it leaves the guard alone: it stays as long as
/// there is anything to guard.
#[derive(Debug)]
pub struct Guard {
    process: Child,
    socket: UnixStream,
    ready: bool,
}

impl Guard {
    /// Starts a guard; it is of use when it [`Guard::is_ready`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path, table: &LeaseTable, setup: &GuardSetup) -> io::Result<Guard> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command.arg0(NAME).args(setup.to_args()).stdin(table.descriptor()?);
        command.stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
        Ok(Guard { process: command.spawn()?, socket: ours, ready: false })
    }

    /// The guard's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What becomes readable when the guard is ready, and when it ends.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether it has taken over: it has registered itself, and looks at the table from now on.
    pub fn is_ready(&mut self) -> bool {
        if !self.ready {
            self.ready = matches!((&self.socket).read(&mut [0u8; 1]), Ok(1));
        }
        self.ready
    }

    /// Whether its process is there.
    pub fn is_alive(&self) -> bool {
        !os::has_exited(self.process.id()).unwrap_or(true)
    }

    /// Makes it look at the table again: a window is new, or ends earlier than before.
    pub fn poke(&self) {
        poll::wake(&self.socket);
    }

    /// Ends and collects a guard that is of no use.
    pub fn end(mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
