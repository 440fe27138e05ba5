// SPDX-License-Identifier: GPL-2.0-or-later
//! The helper that runs an alert: it sees to the time limit without a daemon.

use booth_harness::until;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("alert");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("settable");
    path
}

fn helper(limit: &str, alert: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_booth"));
    command.arg0("booth-ticket-writer").args(["alert", limit]).arg(alert).process_group(0);
    command.spawn().expect("started")
}

#[test]
fn an_alert_that_hangs_is_killed_with_all_that_it_has_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let pid = dir.path().join("pid");
    let alert = script(dir.path(), &format!("sleep 1000 & echo $! > {}; wait", pid.display()));
    let begun = Instant::now();
    let status = helper("1", &alert).wait().expect("it ends");
    assert_eq!(status.signal(), Some(9));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let pid = fs::read_to_string(pid).expect("it has begun");
    let stat = format!("/proc/{}/stat", pid.trim());
    until(Duration::from_secs(5), "the grandchild is ended", || {
        let stat = fs::read_to_string(&stat).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn how_an_alert_ends_is_passed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    for (text, code) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 128 + 15)] {
        let status = helper("60", &script(dir.path(), text)).wait().expect("it ends");
        assert_eq!(status.code(), Some(code), "{text}");
    }
    let status = helper("60", &dir.path().join("missing")).wait().expect("it ends");
    assert_eq!(status.code(), Some(201));
}
