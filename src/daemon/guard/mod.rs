// SPDX-License-Identifier: GPL-2.0-or-later
//! The lease guard: a small process of each site that revokes a ticket in the store when its
//! time has passed, whether or not boothd lives (`lease.md` L6).
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
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The name under which the guard runs: no resource agent and no init script looks for it.
pub const NAME: &str = "booth-lease-guard";

/// How long a new guard may take until it is ready: it has to read a small file.
const READY: Duration = Duration::from_secs(10);

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

/// The running guard, as boothd has it. Dropping it leaves the guard alone: it stays as long as
/// there is anything to guard.
#[derive(Debug)]
pub struct Guard {
    process: Child,
    socket: UnixStream,
}

impl Guard {
    /// Starts a guard and waits until it has read the table.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub fn start(program: &Path, table: &LeaseTable, setup: &GuardSetup) -> io::Result<Guard> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.arg0(NAME).args(setup.to_args()).stdin(table.descriptor()?);
        command.stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
        let mut process = command.spawn()?;
        // The command keeps a copy of the guard's end, whose closing must be seen.
        drop(command);
        ours.set_read_timeout(Some(READY))?;
        let ready = (&ours).read_exact(&mut [0u8; 1]);
        if let Err(error) = ready.and_then(|()| ours.set_nonblocking(true)) {
            let _ = process.kill();
            let _ = process.wait();
            return Err(error);
        }
        Ok(Guard { process, socket: ours })
    }

    /// The guard's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it is there.
    pub fn is_alive(&self) -> bool {
        !os::has_exited(self.process.id()).unwrap_or(true)
    }

    /// Makes it look at the table again: a window is new, or ends earlier than before.
    pub fn poke(&self) {
        poll::wake(&self.socket);
    }

    /// Collects a guard that has ended.
    pub fn collect(mut self) {
        let _ = self.process.try_wait();
    }
}
