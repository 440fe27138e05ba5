// SPDX-License-Identifier: GPL-2.0-or-later
//! Alerts: one program, which has a time limit even if the daemon does not live to see its end.

use super::exit::fail;
use crate::sys::os::{signal_group, Signal};
use crate::sys::poll;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Runs the program in the group of this process, which leads it, and passes its exit code on, or
/// as shells do, 128 and the signal that ended it. After the limit the whole group is killed.
pub(super) fn run(limit: Duration, path: &Path) -> ExitCode {
    // First the limit, then what it is for.
    let limiter = std::thread::Builder::new().spawn(move || {
        let _ = poll::wait_any(&[], limit);
        signal_group(std::process::id(), Signal::SIGKILL);
    });
    let child = limiter.and_then(|_| Command::new(path).spawn());
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return fail(&format!("cannot run {}: {error}", path.display())),
    };
    match child.wait() {
        Ok(status) => {
            let code = status.code().or(status.signal().map(|signal| 128 + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => fail(&format!("cannot wait for {}: {error}", path.display())),
    }
}
