// SPDX-License-Identifier: GPL-2.0-or-later
//! Whose the directories are: the owner of one that is in use is never changed.

use crate::support::{texts, wait_until, Lab};
use booth_harness::stranger::{is_root_for, NOBODYS_USER};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The configuration's lines for a site that runs as this user.
fn runs_as(user: &str) -> String {
    let id = Command::new("id").args(["-gn", user]).output().expect("run");
    let (group, _) = texts(&id);
    format!("site-user = {user}\nsite-group = {}\n", group.trim())
}

fn change_user(lab: &Lab, from: &str, to: &str) {
    let config = fs::read_to_string(lab.config()).expect("readable");
    fs::write(lab.config(), config.replace(&runs_as(from), &runs_as(to))).expect("written");
}

/// Where the keeper of the member 1 is found.
fn run_directory(lab: &Lab) -> PathBuf {
    lab.path().join(format!("lab-{}.keeper", lab.address(1)))
}

/// The owner of a directory and of each file in it.
fn owners(directory: &Path) -> BTreeMap<PathBuf, u32> {
    let entries = fs::read_dir(directory).expect("readable");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let all = paths.chain([directory.to_owned()]);
    all.map(|path| (path.clone(), fs::symlink_metadata(path).expect("there").uid())).collect()
}

#[test]
fn a_run_directory_in_use_keeps_its_owner() {
    if !is_root_for("a_run_directory_in_use_keeps_its_owner") {
        return;
    }
    let lab = Lab::with(130, &runs_as("nobody"));
    let _arbitrator = lab.start(3);
    let mut site = lab.start(1);
    let output = lab.client(&["grant", "-F", "-C", "t1"], 1);
    assert!(output.status.success(), "{:?}", texts(&output));
    // Its keeper lives on as nobody.
    site.signal(libc::SIGKILL);
    site.end();
    let directory = run_directory(&lab);
    let before = owners(&directory);
    assert!(before.len() > 1 && before.values().all(|owner| *owner != 0), "{before:?}");
    change_user(&lab, "nobody", "root");
    for _ in 0..2 {
        let output = lab.daemon(1).output().expect("run");
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let path = directory.display();
        let text = format!(
            "cannot use the directory {path}: it belongs to user nobody, boothd runs as root"
        );
        assert!(stderr.contains(&text), "{stderr}");
        assert_eq!(owners(&directory), before);
    }
    // As before, it goes on with what it held.
    change_user(&lab, "root", "nobody");
    let mut site = lab.start(1);
    let leader = format!("leader: {}", lab.address(1));
    let list = || texts(&lab.client(&["list"], 1)).0;
    wait_until("it has read its ticket", || list().contains(&leader));
    assert_eq!(owners(&directory), before);
    assert!(lab.client(&["revoke", "-w", "t1"], 1).status.success());
    site.stop();
}

/// One that a start left before it could give it away, for instance, is in nobody's use.
#[test]
fn an_empty_run_directory_of_another_user_is_made_anew() {
    if !is_root_for("an_empty_run_directory_of_another_user_is_made_anew") {
        return;
    }
    let lab = Lab::with(131, &runs_as("nobody"));
    let directory = run_directory(&lab);
    for owner in [0, NOBODYS_USER] {
        fs::create_dir(&directory).expect("made");
        chown(&directory, Some(owner), None).expect("given");
        lab.start(1).stop();
        let there = fs::metadata(&directory).expect("there");
        assert!(![0, NOBODYS_USER].contains(&there.uid()));
        assert_eq!(there.mode() & 0o777, 0o700);
        fs::remove_dir_all(&directory).expect("removed");
    }
    // What is no directory is left alone.
    fs::write(&directory, "a file").expect("written");
    let (_, stderr) = texts(&lab.daemon(1).output().expect("run"));
    assert!(stderr.contains(&format!("cannot use the directory {}", directory.display())));
    assert_eq!(fs::read_to_string(&directory).expect("there"), "a file");
}

#[test]
fn the_directory_of_the_lock_file_keeps_its_owner_and_a_wrong_one_is_said() {
    let test = "the_directory_of_the_lock_file_keeps_its_owner_and_a_wrong_one_is_said";
    if !is_root_for(test) {
        return;
    }
    let lab = Lab::with(132, "arbitrator-user = nobody");
    let nobody = texts(&Command::new("id").args(["-u", "nobody"]).output().expect("run")).0;
    let nobody = nobody.trim().parse().expect("a number");
    let warnings = [
        (0, 0o755, None),
        (nobody, 0o755, None),
        (0, 0o1777, Some("others than its owner can write in")),
        (0, 0o775, Some("others than its owner can write in")),
    ];
    let set = |owner, mode| {
        chown(lab.path(), Some(owner), Some(0)).expect("given");
        fs::set_permissions(lab.path(), Permissions::from_mode(mode)).expect("allowed");
    };
    for (owner, mode, warning) in warnings {
        set(owner, mode);
        let mut daemon = lab.start(3);
        daemon.stop();
        let log = daemon.log();
        let said = log.lines().find(|line| line.contains(" WARN: ") && line.contains("lock file"));
        let said = said.unwrap_or_default();
        assert!(warning.map_or(said.is_empty(), |text| said.contains(text)), "{owner} {log}");
        assert_eq!(fs::metadata(lab.path()).expect("there").uid(), owner);
    }
    set(0, 0o1777);
}

/// Whoever can rename what lies there could have a second keeper started beside the first.
#[test]
fn a_directory_of_somebody_elses_is_refused_when_the_command_line_names_it() {
    if !is_root_for("a_directory_of_somebody_elses_is_refused_when_the_command_line_names_it") {
        return;
    }
    let lab = Lab::with(133, &runs_as("nobody"));
    for (owner, mode, why) in [
        (NOBODYS_USER, 0o755, "it belongs to user 4242"),
        (NOBODYS_USER, 0o1777, "it belongs to user 4242"),
        (0, 0o777, "everybody can write in it (mode 0777)"),
    ] {
        chown(lab.path(), Some(owner), None).expect("given");
        fs::set_permissions(lab.path(), Permissions::from_mode(mode)).expect("allowed");
        let before = owners(lab.path());
        for member in [1, 3] {
            let output = lab.daemon(member).output().expect("run");
            let (_, stderr) = texts(&output);
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            let text = format!("cannot use the directory {}: {why}", lab.path().display());
            assert!(stderr.contains(&text), "{stderr}");
        }
        assert_eq!(owners(lab.path()), before, "nothing was made there");
    }
    chown(lab.path(), Some(0), None).expect("given");
    fs::set_permissions(lab.path(), Permissions::from_mode(0o1777)).expect("allowed");
    // Nor is a keeper's directory believed in which others can have put something.
    let directory = run_directory(&lab);
    lab.start(1).stop();
    for mode in [0o777, 0o770, 0o1777] {
        fs::set_permissions(&directory, Permissions::from_mode(mode)).expect("allowed");
        let (_, stderr) = texts(&lab.daemon(1).output().expect("run"));
        let text = format!("{}: others can write in it (mode {mode:04o})", directory.display());
        assert!(stderr.contains(&text), "{stderr}");
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).expect("allowed");
    lab.start(1).stop();
}
