// SPDX-License-Identifier: GPL-2.0-or-later
//! Before-acquire handlers: one program, or all in a directory (P23).

use super::exit::fail;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

fn become_path(path: &Path, args: &[OsString]) -> ExitCode {
    // It only returns if it fails.
    let error = Command::new(path).args(args).exec();
    fail(&format!("cannot run {}: {error}", path.display()))
}

/// Runs the handler: becomes the program, or runs the programs in a directory one after the
/// other, in the byte order of their names, until one fails.
pub(super) fn run(path: &Path, args: &[OsString]) -> ExitCode {
    if !path.is_dir() {
        return become_path(path, args);
    }
    match entries(path) {
        Ok(entries) => run_all(&entries, args),
        Err(error) => fail(&format!("cannot read {}: {error}", path.display())),
    }
}

/// Everything in a directory that does not start with a dot, in byte order.
fn entries(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name();
        if !name.as_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_by(|a, b| OsStr::as_bytes(a).cmp(OsStr::as_bytes(b)));
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

fn run_all(entries: &[PathBuf], args: &[OsString]) -> ExitCode {
    // SIGTERM to the group is for the program that runs; this process waits for its end and
    // starts nothing more.
    let ended = Arc::new(AtomicBool::new(false));
    let registered = signal_hook::flag::register(signal_hook::consts::SIGTERM, ended.clone());
    if let Err(error) = registered {
        return fail(&format!("cannot wait for signals: {error}"));
    }
    for entry in entries {
        let name = entry.display();
        match Command::new(entry).args(args).stdin(Stdio::null()).status() {
            Ok(status) if ended.load(Ordering::Relaxed) => {
                return fail(&format!("{name} was ended: {status}"));
            }
            Ok(status) if status.success() => {}
            Ok(status) => return fail(&format!("{name} failed: {status}")),
            Err(error) => return fail(&format!("cannot run {name}: {error}")),
        }
    }
    ExitCode::SUCCESS
}
