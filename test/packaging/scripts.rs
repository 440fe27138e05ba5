// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth-keygen`, `service-runnable`, and what the packages' scripts need. What an
//! administrator wishes: [`super::wishes`].

use super::{end_with, run, source, succeed, top, write_script};
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::Command;

fn keygen() -> Command {
    Command::new(top().join("scripts/booth-keygen"))
}

#[test]
fn a_key_has_64_bytes_that_only_its_owner_can_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    succeed(keygen().arg(&one));
    succeed(keygen().arg(&two));
    let (key, other) = (fs::read(&one).expect("a key"), fs::read(&two).expect("a key"));
    assert_eq!(key.len(), 64);
    assert_ne!(key, other);
    // Reference: a key that begins with a zero byte switches authentication off.
    assert_ne!(key[0], 0);
    let mode = fs::metadata(&one).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 2);
}

#[test]
fn a_file_or_link_is_never_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("key");
    fs::write(&key, "precious").expect("written");
    let errors = end_with(1, keygen().arg(&key));
    assert!(errors.contains("exists and is not overwritten"), "{errors}");
    assert_eq!(fs::read_to_string(&key).expect("still there"), "precious");
    let link = directory.path().join("link");
    symlink(directory.path().join("nowhere"), &link).expect("a link");
    end_with(1, keygen().arg(&link));
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn a_key_goes_only_where_a_directory_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let errors = end_with(1, keygen().arg(directory.path().join("no/key")));
    assert!(errors.contains("there is no directory"), "{errors}");
    end_with(1, keygen().arg("--unknown"));
    // A variable that was not set, in a script: the default is not what was meant.
    let errors = end_with(1, keygen().arg(""));
    assert!(errors.contains("the name of the file is empty"), "{errors}");
    let errors = end_with(1, keygen().arg(format!("{}/", directory.path().join("k").display())));
    assert!(errors.contains("is not a file name"), "{errors}");
    end_with(1, keygen().args(["one", "two"]).current_dir(directory.path()));
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
    assert!(succeed(keygen().arg("-h")).contains("/etc/booth/authkey"));
}

/// A `crm_simulate` that notes how it is called, and answers with a recorded outcome.
fn fake_simulate(directory: &Path, outcome: &str) -> Command {
    let recorded = top().join("test/packaging/simulated").join(outcome);
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>'{0}/calls'\ncase $* in\n\
         *--ticket-grant=*) [ ! -e '{0}/refuse' ] || {{ echo 'no cluster'; exit 102; }}\n\
         for word; do case $word in --save-input=*) echo '<cib/>' >\"${{word#*=}}\" ;;\n\
         esac; done ;;\n\
         *) cat '{1}' ;;\nesac\n",
        directory.display(),
        recorded.display(),
    );
    write_script(&directory.join("crm_simulate"), &script);
    let mut command = Command::new(top().join("scripts/service-runnable"));
    let path = std::env::var("PATH").expect("a PATH");
    command.env("PATH", format!("{}:{path}", directory.display()));
    command.env("TMPDIR", directory).env("BOOTH_TICKET", "t1");
    command
}

/// Recorded from a cluster of one node: what runs with ticket t1. The resource `e` is kept off
/// the node by its location.
const RECORDED: &[&str] = &["pacemaker-2.1.xml", "pacemaker-3.0.xml"];

#[test]
fn a_resource_that_the_cluster_would_start_is_runnable() {
    for outcome in RECORDED {
        for resource in ["d", "g", "g1", "cl", "st"] {
            let directory = tempfile::tempdir().expect("a directory");
            succeed(fake_simulate(directory.path(), outcome).arg(resource));
            let calls = fs::read_to_string(directory.path().join("calls")).expect("calls");
            assert!(calls.contains("--live-check --ticket-grant=t1 --save-input="), "{calls}");
            assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 2);
        }
    }
}

#[test]
fn a_resource_that_would_stay_down_is_not_runnable() {
    for outcome in RECORDED {
        let directory = tempfile::tempdir().expect("a directory");
        let errors = end_with(1, fake_simulate(directory.path(), outcome).arg("e"));
        assert!(errors.contains("e could not run here with ticket t1"), "{errors}");
        let errors = end_with(1, fake_simulate(directory.path(), outcome).args(["d", "e"]));
        assert!(errors.contains("e could not run here"), "{errors}");
        let errors = end_with(1, fake_simulate(directory.path(), outcome).arg("unheard-of"));
        assert!(errors.contains("there is no resource unheard-of"), "{errors}");
    }
}

#[test]
fn a_group_of_which_one_resource_stays_down_is_not_runnable() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = fake_simulate(directory.path(), "pacemaker-3.0.xml");
    let recorded = top().join("test/packaging/simulated/pacemaker-3.0.xml");
    let text = fs::read_to_string(recorded).expect("recorded");
    let (before, after) = text.split_once("<revised_cluster_status>").expect("an outcome");
    let (head, tail) = after.split_once("id=\"g2\"").expect("the second of the group");
    let tail = tail.replacen("active=\"true\"", "active=\"false\"", 1);
    let changed = format!("{before}<revised_cluster_status>{head}id=\"g2\"{tail}");
    let outcome = directory.path().join("outcome");
    fs::write(&outcome, changed).expect("written");
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in --save-input=*) echo '<cib/>' >\"${{word#*=}}\" ;;\n\
         --xml-file=*) cat '{}' ;; esac; done\n",
        outcome.display()
    );
    write_script(&directory.path().join("crm_simulate"), &script);
    let errors = end_with(1, command.arg("g"));
    assert!(errors.contains("g could not run here"), "{errors}");
}

#[test]
fn nothing_is_runnable_where_the_cluster_does_not_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("refuse"), "").expect("written");
    let errors = end_with(1, fake_simulate(directory.path(), RECORDED[0]).arg("d"));
    assert!(errors.contains("no cluster"), "{errors}");
    let mut command = fake_simulate(directory.path(), RECORDED[0]);
    let errors = end_with(1, command.arg("d").env_remove("BOOTH_TICKET"));
    assert!(errors.contains("BOOTH_TICKET"), "{errors}");
    end_with(1, &mut fake_simulate(directory.path(), RECORDED[0]));
}

/// A user may be named by a number that nobody has, as boothd takes it.
#[test]
fn scripts_know_a_user_by_a_number() {
    for path in ["scripts/daemons", "scripts/ocf/booth-site"] {
        let text = source(path);
        let (_, function) = text.split_once("\nnumber_of() {\n").expect("it has one");
        let (body, _) = function.split_once("\n}\n").expect("it ends");
        let script = format!("set -e\nnumber_of() {{\n{body}\n}}\nnumber_of \"$1\" || echo none");
        for (user, number) in [
            ("root", "0"),
            ("4242", "4242"),
            ("0x10", "16"),
            ("010", "8"),
            ("12x", "none"),
            ("who", "none"),
        ] {
            let found = succeed(Command::new("sh").args(["-c", &script, "sh", user]));
            assert_eq!(found.trim(), number, "{path}: {user}");
        }
    }
}

/// The daemon of a unit whose configuration the new program refuses lives on: a restart would end
/// it for good.
#[test]
fn an_upgrade_restarts_no_daemon_that_could_not_start_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let units = "booth-arbitrator.service loaded active running x\n\
                 booth@bad.service loaded active running y\n\
                 booth@a-b.service loaded activating auto-restart z";
    let calls = at("calls").display().to_string();
    let systemctl =
        format!("#!/bin/sh\n[ $1 = list-units ] && echo '{units}' || echo \"$@\" >>{calls}");
    write_script(&at("systemctl"), &systemctl);
    let refuses =
        "cat >/dev/null; echo \"$@\" | grep -qv bad || { echo 'bad.conf:3: no'; exit 1; }";
    write_script(&at("booth"), &format!("#!/bin/sh\n{refuses}"));
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").expect("a PATH"));
    let mut renew = Command::new(top().join("scripts/daemons"));
    let output = run(renew.args(["renew", "systemctl"]).env("PATH", path));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let restarted = fs::read_to_string(&calls).expect("some were restarted");
    let expected = "try-restart booth-arbitrator.service\ntry-restart booth@a-b.service\n\
                    try-restart booth-exporter.service\n";
    assert_eq!(restarted, expected);
    for words in
        ["booth@bad.service continues with the old program", "bad.conf:3: no", "check -c bad"]
    {
        assert!(errors.contains(words), "{words}: {errors}");
    }
}
