// SPDX-License-Identifier: GPL-2.0-or-later
//! The executables of a directory that the administrator fills, and how one of them is run: to its
//! end, or until its time is over. Who runs it waits.

use super::child::{Child, Finished, CHATTER_MAX, LOOK};
use super::helper::Call;
use crate::slots::Ending;
use crate::sys::os::BeforeExec;
use crate::sys::{clock, directory, poll};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a killed one is waited for before it is left to the kernel.
const REAP: Duration = Duration::from_secs(2);
/// The programs that an executable finds without a path.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What a directory has.
#[derive(Debug, Default)]
pub(crate) struct Executables {
    /// What is run, in order.
    pub(crate) programs: Vec<PathBuf>,
    /// What is not run although it may be meant, and why.
    pub(crate) refused: Vec<String>,
}

/// Runs a program with this environment and nothing else in it but `PATH`, and waits for its end;
/// how it failed, if it did. `None`: it took longer than `limit`, and was killed with all that it
/// had started. The `helper` sees to that when this process has ended; it gives a little more time,
/// so that this process can say what has become of the program.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(
    program: &Path,
    helper: Option<&Path>,
    environment: Vec<(&'static str, String)>,
    limit: Duration,
) -> io::Result<Option<Result<(), String>>> {
    let mut command = match helper {
        None => Command::new(program),
        Some(helper) => {
            Call::Alert { limit: limit.as_secs() + 1, path: program.to_owned() }.command(helper)
        }
    };
    command.env_clear().env("PATH", PATH).stdin(Stdio::null()).current_dir("/");
    command.envs(environment);
    let mut child = Child::spawn(&mut command, BeforeExec::default(), CHATTER_MAX)?;
    let Some(finished) = wait(&mut child, Instant::now() + limit) else {
        child.end(Ending::Kill);
        wait(&mut child, Instant::now() + REAP);
        return Ok(None);
    };
    let failure = || Err(finished.failure());
    Ok(Some(if finished.status.success() { Ok(()) } else { failure() }))
}

/// Waits for a child, no longer than until then.
fn wait(child: &mut Child, until: Instant) -> Option<Finished> {
    loop {
        if let Some(finished) = child.look() {
            return Some(finished);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let limit = if child.needs_looks() { left.min(LOOK) } else { left };
        let descriptors: Vec<BorrowedFd<'_>> = child.descriptors(clock::mono()).collect();
        if poll::wait_any(&descriptors, limit).is_err() {
            // Without descriptors it only waits, and there is one time limit for all of it.
            let _ = poll::wait_any(&[], limit.min(LOOK));
        }
    }
}

/// The executables in a directory, in byte order of their names; not those whose names begin with a
/// dot, or end as editors and package managers name what they leave behind.
///
/// # Errors
/// The directory cannot be read, or others can write in it.
pub(crate) fn executables(directory: &Path) -> io::Result<Executables> {
    directory::trusted(directory)?;
    let mut names: Vec<_> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| is_meant(&name.to_string_lossy()))
        .collect();
    names.sort();
    let (mut programs, mut refused) = (Vec::new(), Vec::new());
    for path in names.into_iter().map(|name| directory.join(name)) {
        match directory::trusted_program(&path) {
            Ok(true) => programs.push(path),
            Ok(false) => {}
            Err(error) => refused.push(format!("{} is not run: {error}", path.display())),
        }
    }
    Ok(Executables { programs, refused })
}

fn is_meant(name: &str) -> bool {
    let left = ["~", ".bak", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmnew", ".rpmsave"];
    !name.starts_with('.') && !left.iter().any(|end| name.ends_with(end))
}
