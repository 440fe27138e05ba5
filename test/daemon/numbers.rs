// SPDX-License-Identifier: GPL-2.0-or-later
//! Users and groups that a configuration names by their numbers.

use crate::support::{texts, Daemon, Lab};
use booth_harness::stranger::is_root_for;
use std::fs::{self, File};
use std::os::unix::fs::{chown, PermissionsExt};
use std::process::Command;

/// A number that no user and no group of this host has.
const UNKNOWN: u32 = 1_234_567;

/// A command like this one, where a user file has these lines more.
fn with_users(command: &Command, lab: &Lab, lines: &str) -> Command {
    let passwd = lab.path().join("passwd");
    let known = fs::read_to_string("/etc/passwd").expect("readable");
    fs::write(&passwd, format!("{known}{lines}")).expect("written");
    fs::set_permissions(&passwd, PermissionsExt::from_mode(0o644)).expect("allowed");
    let mut wrapped = Command::new("unshare");
    let script = "mount --bind \"$0\" /etc/passwd && exec \"$@\"";
    wrapped.args(["--mount", "sh", "-c", script]).arg(&passwd).arg(command.get_program());
    wrapped.args(command.get_args());
    wrapped.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
    wrapped
}

/// What stands behind a key of the process's status.
fn status(daemon: &Daemon, key: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("alive");
    let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a known key");
    line.split_whitespace().map(str::to_owned).collect()
}

/// Starts the member 1 and says with which user, group and groups it runs.
fn runs_as(lab: &Lab, users: &str) -> (Daemon, [u32; 2], Vec<String>) {
    let log = lab.path().join("1.log");
    let mut command = with_users(&lab.daemon(1), lab, users);
    command.stderr(File::create(&log).expect("created"));
    let daemon = Daemon::adopt(command.spawn().expect("started"), log);
    daemon.says("daemon started");
    let number = |key| status(&daemon, key)[0].parse().expect("a number");
    let (numbers, groups) = ([number("Uid:"), number("Gid:")], status(&daemon, "Groups:"));
    (daemon, numbers, groups)
}

fn id(what: &str, name: &str) -> u32 {
    let output = Command::new("id").args([what, name]).output().expect("run");
    texts(&output).0.trim().parse().expect("a number")
}

#[test]
fn users_and_groups_may_be_numbers() {
    if !is_root_for("users_and_groups_may_be_numbers") {
        return;
    }
    let nobody = id("-u", "nobody");
    let group = id("-g", "nobody");
    let known = format!("site-user = {nobody}\nsite-group = {group}");
    let unknown = format!("site-user = {UNKNOWN}\nsite-group = {}", UNKNOWN + 1);
    let hexadecimal = format!("site-user = {UNKNOWN:#x}\nsite-group = 0{:o}", UNKNOWN + 1);
    let named = format!("{UNKNOWN}:x:{0}:{0}::/:/bin/sh\n", UNKNOWN + 7);
    let cases = [
        (known, "", [nobody, group]),
        ("site-user = 0\nsite-group = 0".to_owned(), "", [0, 0]),
        (unknown.clone(), "", [UNKNOWN, UNKNOWN + 1]),
        (hexadecimal, "", [UNKNOWN, UNKNOWN + 1]),
        // A name counts before a number.
        (unknown, &named, [UNKNOWN + 7, UNKNOWN + 1]),
    ];
    for (lines, users, expected) in cases {
        let lab = Lab::with(151, &lines);
        fs::set_permissions(lab.path(), PermissionsExt::from_mode(0o755)).expect("allowed");
        let key = lab.path().join("key");
        fs::write(&key, "0123456789").expect("written");
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("allowed");
        chown(&key, Some(expected[0]), None).expect("given");
        let text = fs::read_to_string(lab.config()).expect("readable");
        let text = format!("authfile = {}\n{text}", key.display());
        fs::write(lab.config(), text).expect("written");
        let (mut daemon, numbers, groups) = runs_as(&lab, users);
        assert_eq!(numbers, expected, "{lines}");
        // Root's groups do not stay.
        assert!(groups.iter().all(|group| *group == numbers[1].to_string()), "{groups:?}");
        // Outside of the daemon's mounts nobody knows the user that was added.
        if users.is_empty() {
            let status = lab.status(1);
            assert_eq!(status.status.code(), Some(0), "{lines}: {:?}", texts(&status));
        }
        daemon.stop();
    }
}

#[test]
fn a_number_that_nobody_can_have_is_refused() {
    if !is_root_for("a_number_that_nobody_can_have_is_refused") {
        return;
    }
    let refused = |lines: &str| {
        let lab = Lab::with(152, lines);
        let output = lab.daemon(1).output().expect("run");
        assert_eq!(output.status.code(), Some(1), "{lines}");
        texts(&output).1
    };
    for number in ["4294967295", "4294967296", "-1", "12x", "0x", "0xg", "99999999999999999999"] {
        let stderr = refused(&format!("site-user = {number}\nsite-group = 0"));
        assert!(stderr.contains(&format!("there is no user \"{number}\"")), "{stderr}");
        let stderr = refused(&format!("site-user = 0\nsite-group = {number}"));
        assert!(stderr.contains(&format!("there is no group \"{number}\"")), "{stderr}");
    }
}

/// A user whom the host does not know has no group of its own.
#[test]
fn a_user_without_a_name_needs_a_group() {
    if !is_root_for("a_user_without_a_name_needs_a_group") {
        return;
    }
    let lab = Lab::with(153, &format!("site-user = {UNKNOWN}"));
    let group = lab.path().join("group");
    fs::write(&group, "root:x:0:\n").expect("written");
    fs::set_permissions(&group, PermissionsExt::from_mode(0o644)).expect("allowed");
    let start = lab.daemon(1);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/group && exec \"$@\""]);
    command.arg(&group).arg(start.get_program()).args(start.get_args());
    let output = command.output().expect("run");
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let expected = "there is no group \"haclient\" on this host";
    assert!(stderr.contains(expected) && stderr.contains("site-group"), "{stderr}");
}
