// SPDX-License-Identifier: GPL-2.0-or-later
//! The init script and its exit codes. The program is stood in for by a script: a daemon runs if
//! there is a file of its configuration's name in `running`, and there are `errors` likewise.

use super::{end_with, run, source, succeed, write_script};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

const PROGRAM: &str = r#"#!/bin/sh
here=${0%/*}
echo "$1 $3" >>"$here/calls"
case $1 in
status)
	[ -e "$here/running/$3" ] || exit 7
	# What has been told to end may wait for somebody to ask how it ended.
	grep -q sleep "/proc/$(cat "$here/running/$3")/cmdline" 2>/dev/null || {
		rm "$here/running/$3"
		exit 7
	}
	echo "booth_lockpid=$(cat "$here/running/$3") booth_state=started"
	;;
check) [ ! -e "$here/errors/$3" ] || { echo "$3: it has an error" >&2; exit 1; } ;;
daemon)
	[ ! -e "$here/errors/$3" ] || exit 1
	setsid sleep 60 </dev/null >/dev/null 2>&1 &
	# It runs once it is no longer this shell.
	until grep -q sleep "/proc/$!/cmdline"; do kill -0 "$!" || exit 1; done
	echo "$!" >"$here/running/$3"
	;;
esac
"#;

struct Machine(tempfile::TempDir);

impl Machine {
    fn new(configurations: &str) -> Machine {
        let machine = Machine(tempfile::tempdir().expect("a directory"));
        for directory in ["running", "errors", "default"] {
            fs::create_dir(machine.at(directory)).expect("made");
        }
        write_script(&machine.at("boothd"), PROGRAM);
        fs::write(machine.at("default/booth"), format!("BOOTH_CONFIGS='{configurations}'\n"))
            .expect("written");
        let place = machine.at("").display().to_string();
        let script = source("scripts/init/booth-arbitrator.in")
            .replace("@sbindir@/", &place)
            .replace("@sysconfdir@/", &place)
            .replace("@boothdir@/", &place)
            .replace("/var/run/booth", &machine.at("run").display().to_string())
            .replace("/lib/lsb/init-functions", "/nowhere");
        write_script(&machine.at("booth-arbitrator"), &script);
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn script(&self, action: &str) -> Command {
        let mut command = Command::new(self.at("booth-arbitrator"));
        command.arg(action).current_dir(self.at(""));
        command
    }

    /// The process that runs for a configuration.
    fn daemon(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.at("running").join(name)).ok()
    }

    /// What the program was called for, but for `status`.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.at("calls"));
        calls.lines().filter(|call| !call.starts_with("status")).map(str::to_owned).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = run(&mut self.script("stop"));
    }
}

fn touch(path: &Path) {
    fs::write(path, "").expect("written");
}

#[test]
fn a_restart_stops_nothing_that_could_not_be_started_again() {
    let machine = Machine::new("one two");
    succeed(&mut machine.script("start"));
    touch(&machine.at("errors/two"));
    let before = ["one", "two"].map(|name| machine.daemon(name));
    assert!(before.iter().all(Option::is_some), "{before:?}");
    for action in ["restart", "force-reload", "try-restart", "condrestart"] {
        let errors = end_with(1, &mut machine.script(action));
        assert!(errors.contains("two: it has an error"), "{action}: {errors}");
        assert_eq!(["one", "two"].map(|name| machine.daemon(name)), before, "{action}");
    }
    fs::remove_file(machine.at("errors/two")).expect("mended");
    succeed(&mut machine.script("restart"));
    let after = ["one", "two"].map(|name| machine.daemon(name));
    assert!(after.iter().zip(&before).all(|(new, old)| new.is_some() && new != old), "{after:?}");
}

/// An upgrade does that, and what was stopped on purpose stays so.
#[test]
fn a_try_restart_is_for_those_that_run() {
    let machine = Machine::new("one two three");
    succeed(&mut machine.script("start"));
    let before = machine.daemon("one").expect("it runs");
    let two = machine.daemon("two").expect("it runs");
    succeed(Command::new("kill").arg(two.trim()));
    let ended = || fs::read(format!("/proc/{}/cmdline", two.trim())).unwrap_or_default().is_empty();
    booth_harness::until(LIMIT, "two ends", || ended().then_some(()));
    // Nor does it matter that one could not be started.
    touch(&machine.at("errors/two"));
    end_with(3, &mut machine.script("status"));
    machine.calls();
    succeed(&mut machine.script("try-restart"));
    assert_ne!(machine.daemon("one").expect("it runs"), before);
    assert_eq!(machine.daemon("two"), None);
    assert_eq!(machine.calls(), ["check one", "check three", "daemon one", "daemon three"]);
    succeed(&mut machine.script("stop"));
    succeed(&mut machine.script("try-restart"));
    assert_eq!(machine.calls(), Vec::<String>::new());
}

#[test]
fn names_of_configurations_are_no_patterns() {
    let machine = Machine::new("* d*");
    let output = run(&mut machine.script("start"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(machine.calls(), ["daemon *", "daemon d*"]);
    succeed(&mut machine.script("stop"));
}
