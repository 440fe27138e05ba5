// SPDX-License-Identifier: GPL-2.0-or-later
//! What a shell makes of the line that `status` prints. Init scripts and resource agents evaluate
//! it, so whatever the configuration and the lock file are called, it may only assign.

use crate::support::{texts, wait_until, Daemon, Lab, PORT};
use booth::model::MemberId;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// Evaluates the line in an empty directory, quoted or (as many scripts do) not; prints the
/// variables, one in brackets after the other, and what else there is in that directory.
const SCRIPT: &str = r#"
program=$1 config=$2 lock=$3 how=$4
line=$("$program" status -c "$config" -l "$lock") || exit 9
case $how in
quoted) eval "$line" ;;
bare) eval $line ;;
esac
printf '[%s]' "$booth_lockpid" "$booth_lockfile" "$booth_pid" "$booth_state" "$booth_type" \
	"$booth_cfg_name" "$booth_id" "$booth_addr_string" "$booth_port"
ls -A
"#;

/// Shells that there are on Debian, and those of them that this machine has.
fn shells() -> Vec<&'static str> {
    let there = |shell: &&str| Command::new(shell).args(["-c", ":"]).status().is_ok();
    let shells: Vec<&str> = ["sh", "dash", "bash"].into_iter().filter(there).collect();
    assert!(!shells.is_empty(), "there is a shell");
    shells
}

/// A daemon whose configuration and lock file have these names, in a folder of the third name.
fn daemon(lab: &Lab, folder: &str, config: &str, lock: &str) -> Daemon {
    let folder = lab.path().join(folder);
    fs::create_dir(&folder).expect("made");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    fs::set_permissions(&folder, open).expect("allowed");
    fs::copy(lab.config(), folder.join(config)).expect("copied");
    let log = lab.path().join("log");
    let mut command = Command::new(lab.path().join("boothd"));
    command.args(["daemon", "-D", "-S", "-s"]).arg(lab.address(3).to_string());
    command.arg("-c").arg(folder.join(config)).arg("-l").arg(folder.join(lock));
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
    command.stderr(File::create(&log).expect("created"));
    let daemon = Daemon::adopt(command.spawn().expect("started"), log);
    wait_until("the daemon is up", || {
        let line = fs::read_to_string(folder.join(lock)).unwrap_or_default();
        line.contains("booth_state=started")
    });
    daemon
}

/// What a shell prints of the daemon's line, for each shell and both ways.
fn evaluate(lab: &Lab, config: &Path, lock: &Path, ways: &[&str]) -> Vec<String> {
    let mut printed = Vec::new();
    for shell in shells() {
        for how in ways {
            let empty = tempfile::tempdir().expect("a directory");
            let mut command = Command::new(shell);
            command.args(["-c", SCRIPT, "sh"]).arg(lab.path().join("boothd")).arg(config);
            let output = command.arg(lock).arg(how).current_dir(empty.path()).output();
            let output = output.expect("run");
            let (stdout, stderr) = texts(&output);
            assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{shell}, {how}");
            printed.push(stdout);
        }
    }
    printed
}

#[test]
fn the_line_of_status_only_assigns_whatever_names_there_are() {
    let lab = Lab::new(27);
    // Everything that a shell does something with. A configuration's name has no quote in it.
    let hostile = "a b$(touch x)`touch y`;touch z&\"q\" | >w #$HOME\\ * ~ ! {1,2}";
    let folder = format!("it's {hostile}");
    let (config, lock) = (format!("{hostile}.conf"), format!("'{hostile}'"));
    let mut daemon = daemon(&lab, &folder, &config, &lock);
    let folder = lab.path().join(folder);
    let (pid, lock) = (daemon.pid(), folder.join(lock));
    let id = MemberId::of_address(lab.address(3).into()).raw();
    let expected = format!(
        "[{pid}][{}][{pid}][started][arbitrator][{hostile}][{id}][{}][{PORT}]",
        lock.display(),
        lab.address(3)
    );
    for printed in evaluate(&lab, &folder.join(config), &lock, &["quoted", "bare"]) {
        assert_eq!(printed, expected);
    }
    daemon.stop();
}

/// Such a path is one word only for those who quote.
#[test]
fn a_path_with_line_ends_and_more_spaces_is_printed_as_it_is() {
    let lab = Lab::new(28);
    let mut daemon = daemon(&lab, "two  spaces", "some.conf", "a\nb\ttouch x\n");
    let lock = lab.path().join("two  spaces").join("a\nb\ttouch x\n");
    let begin = format!("[{}][{}][", daemon.pid(), lock.display());
    let config = lab.path().join("two  spaces/some.conf");
    for printed in evaluate(&lab, &config, &lock, &["quoted"]) {
        assert!(printed.starts_with(&begin) && printed.ends_with(']'), "{printed:?}");
    }
    daemon.stop();
}

/// A name that could not be quoted is refused before there is a daemon.
#[test]
fn a_configuration_whose_name_would_leave_its_quotes_starts_no_daemon() {
    let lab = Lab::new(29);
    for name in ["it's.conf", "a\nb.conf"] {
        let config = lab.path().join(name);
        fs::copy(lab.config(), &config).expect("copied");
        let mut command = Command::new(lab.path().join("boothd"));
        command.args(["daemon", "-D", "-S", "-s"]).arg(lab.address(3).to_string()).arg("-c");
        let output = command.arg(&config).arg("-l").arg(lab.lock_file(3)).output().expect("run");
        assert_eq!(output.status.code(), Some(1), "{name:?}: {:?}", texts(&output));
        assert!(texts(&output).1.contains("name"), "{:?}", texts(&output));
        assert!(!lab.lock_file(3).exists());
    }
}
