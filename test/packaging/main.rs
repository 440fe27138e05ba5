// SPDX-License-Identifier: GPL-2.0-or-later
//! What is shipped besides the program: installation, scripts, agents, units, package recipes.
//! Needs neither root nor Pacemaker: both are stood in for by small scripts.

mod agents;
mod alerts;
mod check;
mod completion;
mod debian;
mod init;
mod install;
mod recipes;
mod scripts;
mod strangers;
mod wishes;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The top of the source tree.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the source tree.
fn source(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a command and returns what it printed and how it ended.
fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
}

/// Runs a command that must succeed, and returns what it printed on standard output.
fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command that must end with this exit code, and returns what it printed on stderr.
fn end_with(code: i32, command: &mut Command) -> String {
    let output = run(command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{errors}");
    errors
}

/// Writes an executable script.
fn write_script(path: &Path, text: &str) {
    fs::write(path, text).expect("the script is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is executable");
}

/// All files and links below a directory: relative path and mode (links: 0).
fn files_below(directory: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).expect("a readable directory") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("metadata");
            if metadata.is_dir() {
                pending.push(path);
                continue;
            }
            let mode = if metadata.is_symlink() { 0 } else { metadata.permissions().mode() };
            let relative = path.strip_prefix(directory).expect("below it").to_owned();
            found.insert(relative, mode & 0o7777);
        }
    }
    found
}
