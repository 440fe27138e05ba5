// SPDX-License-Identifier: GPL-2.0-or-later
//! The reference, in its own root directory and in private network and mount namespaces.
//!
//! `booth status` reads the file and everything that it names, and ends: 7 (not running) means
//! that the file was accepted.

use super::case::{Case, Verdict};
use super::ours::write_keys;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `test/harness/reference-root` puts the reference.
const DEFAULT_ROOT: &str = "/var/cache/booth-reference";

/// Where the cases are inside the reference's root.
const INSIDE: &str = "/mnt";

/// Reads each case with the reference; prints `=== NUMBER CODE` behind what it says.
const SCRIPT: &str = r#"
set -e
ip link set lo up
mount --bind "$CASES" "$ROOT/mnt"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/run"
mkdir -p "$ROOT/run/booth"
number=0
while [ "$number" -lt "$COUNT" ]; do
    code=0
    timeout -s KILL 10 chroot "$ROOT" booth status -c "/mnt/$number.conf" </dev/null 2>&1 || code=$?
    echo "=== $number $code"
    number=$((number + 1))
done
"#;

fn root() -> PathBuf {
    std::env::var_os("BOOTH_REFERENCE_ROOT")
        .map_or_else(|| PathBuf::from(DEFAULT_ROOT), PathBuf::from)
}

/// Why the reference cannot be run here; `None` if it can.
pub fn lacking() -> Option<String> {
    let root = root();
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        Some("it needs root".to_owned())
    } else if !root.join("usr/sbin/booth").exists() {
        Some(format!("{} has no booth; test/harness/reference-root makes one", root.display()))
    } else {
        None
    }
}

/// What each case gets.
pub fn verdicts(cases: &[&Case]) -> Vec<Verdict> {
    let root = root();
    let folder = tempfile::tempdir().expect("a folder for cases can be made");
    write_keys(folder.path());
    for (number, case) in cases.iter().enumerate() {
        let path = folder.path().join(format!("{number}.conf"));
        std::fs::write(path, case.text(Path::new(INSIDE))).expect("a case can be written");
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", SCRIPT])
        .env("ROOT", &root)
        .env("CASES", folder.path())
        .env("COUNT", cases.len().to_string())
        .output()
        .expect("unshare can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let verdicts = read_verdicts(&text);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(verdicts.len(), cases.len(), "the reference was run for each case: {stderr}");
    verdicts
}

fn read_verdicts(output: &str) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut said: Vec<String> = Vec::new();
    for line in output.lines() {
        let Some(end) = line.strip_prefix("=== ") else {
            said.extend(message(line));
            continue;
        };
        let (number, code) = end.split_once(' ').expect("a number and a code");
        let file = format!("{INSIDE}/{number}.conf");
        verdicts.push(match code {
            "7" => Verdict::Accept(String::new()),
            "1" => Verdict::Refuse(in_general(said.first(), &file)),
            code => Verdict::Crash(format!("exit code {code}")),
        });
        said.clear();
    }
    verdicts
}

/// The message without what differs from run to run.
fn in_general(message: Option<&String>, file: &str) -> String {
    let message = message.map(String::as_str).unwrap_or_default();
    message.replace(file, "@FILE@").replace(INSIDE, "@DIR@")
}

/// The message in a line of its log, if it is about an error.
fn message(line: &str) -> Option<String> {
    match line.split_once("ERROR: ") {
        Some((_, text)) => Some(text.trim().to_owned()),
        None if line.starts_with('\'') => Some(line.to_owned()),
        None => None,
    }
}
