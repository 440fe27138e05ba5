// SPDX-License-Identifier: GPL-2.0-or-later
//! The OCF agents, with stand-ins for the functions that Pacemaker's agents share, for `boothd`
//! and for `geostore`. `ocf-tester` on the real ones is a long layer.

use super::{end_with, succeed, top, write_script};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What the agents use of `ocf-shellfuncs`.
const FUNCTIONS: &str = "\
OCF_SUCCESS=0 OCF_ERR_GENERIC=1 OCF_ERR_ARGS=2 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_PERM=4
OCF_ERR_INSTALLED=5 OCF_ERR_CONFIGURED=6 OCF_NOT_RUNNING=7
__OCF_ACTION=$1
ocf_log() { echo \"$*\" >&2; }
ocf_exit_reason() { echo \"$*\" >&2; }
have_binary() { command -v \"$1\" >/dev/null; }
check_binary() { have_binary \"$1\" || exit $OCF_ERR_INSTALLED; }
";

/// A daemon of which `pid` has the process. The files `deaf`, `stubborn`, `broken` and `slow`
/// make it not answer, ignore SIGTERM, refuse its configuration, and answer late; with `dumb` it
/// cannot tell its status, and with `reading` it says that it is starting.
const DAEMON: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
alive() {
	[ -s "$here/pid" ] && grep -q '^State:.*[RSD] ' "/proc/$(cat "$here/pid")/status" 2>/dev/null
}
case $1 in
check)
	[ ! -e "$here/broken" ] || { echo "line 3: unknown key" >&2; exit 1; } ;;
status)
	[ ! -e "$here/dumb" ] || exit 1
	alive || exit 7
	state=started
	[ ! -e "$here/reading" ] || state=starting
	echo "booth_lockpid=$(cat "$here/pid") booth_lockfile='x' booth_pid=1 booth_state=$state" ;;
daemon)
	[ ! -e "$here/refuse" ] || { echo "address in use" >&2; exit 1; }
	if [ -e "$here/stubborn" ]; then
		(trap '' TERM; exec sleep 60) >/dev/null 2>&1 &
	else
		sleep 60 >/dev/null 2>&1 &
	fi
	echo $! >"$here/pid" ;;
client)
	alive || exit 1
	[ ! -e "$here/deaf" ] || exit 1
	[ ! -e "$here/slow" ] || { rm "$here/slow"; exit 1; } ;;
esac
"#;

/// A directory with the stand-ins.
pub(super) struct Stage {
    directory: tempfile::TempDir,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("lib/booth")).expect("a directory");
        fs::write(at("ocf-shellfuncs"), FUNCTIONS).expect("written");
        symlink(top().join("scripts/ocf/geo_attr.sh"), at("lib/booth/geo_attr.sh")).expect("link");
        write_script(&at("boothd-under-test"), DAEMON);
        fs::write(at("x.conf"), CONFIG).expect("written");
        let geostore = "#!/bin/sh\necho \"$*\" >>\"$(dirname \"$0\")/calls\"\n\
                        [ \"$1\" != get ] || echo OK\n";
        write_script(&at("geostore"), geostore);
        Stage { directory }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn touch(&self, name: &str) {
        fs::write(self.at(name), "").expect("written");
    }

    pub(super) fn calls(&self) -> String {
        fs::read_to_string(self.at("calls")).unwrap_or_default()
    }

    fn agent(&self, name: &str, action: &str) -> Command {
        let mut command = Command::new(top().join("scripts/ocf").join(name));
        let path = std::env::var("PATH").expect("a PATH");
        command
            .arg(action)
            .env("OCF_ROOT", self.directory.path())
            .env("OCF_FUNCTIONS_DIR", self.directory.path())
            .env("HA_RSCTMP", self.at("state"))
            .env("OCF_RESOURCE_INSTANCE", "test")
            .env("PATH", format!("{}:{path}", self.directory.path().display()));
        command
    }

    /// The agent for the daemon. Its own patience is 3 s for a start and 2 s for each signal.
    pub(super) fn site(&self, action: &str) -> Command {
        let mut command = self.agent("booth-site", action);
        command
            .env("OCF_RESKEY_config", self.at("x.conf"))
            .env("OCF_RESKEY_daemon", self.at("boothd-under-test"))
            .env("OCF_RESKEY_CRM_meta_timeout", "4000");
        command
    }

    fn store(&self, action: &str) -> Command {
        let mut command = self.agent("geostore", action);
        command
            .env("OCF_RESKEY_booth_config", self.at("x.conf"))
            .env("OCF_RESKEY_booth_ticket", "t1");
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A daemon that a failed test has left behind.
        let _ = self.site("stop").output();
    }
}

const CONFIG: &str = "\
site = 127.0.0.1
# ticket = \"t9\"
ticket = \"__defaults__\"
  attr-prereq = auto base eq 1
ticket=\"t0\"
attr-prereq=\"auto repl eq WRONG\"
ticket = \"t1\"
  attr-prereq = manual other eq 3
  attr-prereq = auto unlike ne 4
  attr-prereq = \"auto repl eq OK\"   # and a comment
  attr-prereq = auto third eq 5
";

#[test]
fn the_metadata_is_well_formed_and_names_the_agent() {
    let stage = Stage::new();
    for name in ["booth-site", "geostore", "sharedrsc"] {
        let text = succeed(&mut stage.agent(name, "meta-data"));
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(&text, options).expect("XML");
        assert_eq!(document.root_element().attribute("name"), Some(name));
        let actions = document.descendants().filter(|node| node.has_tag_name("action"));
        let actions: Vec<_> = actions.filter_map(|node| node.attribute("name")).collect();
        for needed in ["start", "stop", "monitor", "meta-data", "validate-all"] {
            assert!(actions.contains(&needed), "{name} lacks {needed}");
        }
        for more in ["reload", "restart"] {
            assert_eq!(actions.contains(&more), name == "booth-site", "{name}: {more}");
        }
        end_with(3, &mut stage.agent(name, "unheard-of"));
    }
}

/// What comes after the start, Pacemaker's and people's, finds a daemon that knows its tickets.
#[test]
fn a_start_waits_until_the_tickets_are_read() {
    let stage = Stage::new();
    stage.touch("reading");
    let mut start = stage.site("start").spawn().expect("run");
    // It asks what runs, checks, starts, and asks for the list and the state, again and again.
    let asked = || stage.calls().matches("status ").count();
    let until = Instant::now() + Duration::from_secs(10);
    while asked() < 4 {
        assert!(Instant::now() < until, "{}", stage.calls());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.try_wait().expect("waited for").is_none(), "{}", stage.calls());
    fs::remove_file(stage.at("reading")).expect("it was there");
    assert!(start.wait().expect("waited for").success());
    succeed(&mut stage.site("stop"));
    // A store that cannot be read for long is no reason to stop: everything else works.
    stage.touch("reading");
    let output = stage.site("start").output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("still reads its tickets"), "{said}");
    succeed(&mut stage.site("monitor"));
    // One that does not even answer does not.
    stage.touch("deaf");
    succeed(&mut stage.site("stop"));
    end_with(1, &mut stage.site("start"));
}

#[test]
fn the_daemon_is_started_watched_and_stopped() {
    let stage = Stage::new();
    end_with(7, &mut stage.site("monitor"));
    stage.touch("slow");
    succeed(stage.site("start").env("OCF_RESKEY_args", "-D -l /x/y"));
    succeed(&mut stage.site("monitor"));
    succeed(&mut stage.site("start"));
    succeed(&mut stage.site("stop"));
    end_with(7, &mut stage.site("monitor"));
    succeed(&mut stage.site("stop"));
    let daemon = format!("daemon -c {} -D -l /x/y\n", stage.at("x.conf").display());
    assert_eq!(stage.calls().matches("daemon").count(), 1);
    assert!(stage.calls().contains(&daemon), "{}", stage.calls());
}

/// Tickets stay, since the keeper goes on; so a reload may be a new daemon.
#[test]
fn a_reload_takes_new_arguments_and_does_not_lose_the_daemon_to_a_wrong_configuration() {
    let stage = Stage::new();
    let process = || fs::read_to_string(stage.at("pid")).unwrap_or_default();
    let errors = end_with(7, &mut stage.site("reload"));
    assert!(errors.contains("boothd is not running"), "{errors}");
    assert_eq!(process(), "", "nothing is started");
    succeed(&mut stage.site("start"));
    let first = process();
    stage.touch("broken");
    for action in ["reload", "restart"] {
        let errors = end_with(2, &mut stage.site(action));
        assert!(errors.contains("line 3: unknown key"), "{errors}");
    }
    assert_eq!(process(), first);
    succeed(&mut stage.site("monitor"));
    fs::remove_file(stage.at("broken")).expect("removed");
    succeed(stage.site("reload").env("OCF_RESKEY_args", "-D"));
    assert_ne!(process(), first);
    succeed(&mut stage.site("monitor"));
    let daemon = format!("daemon -c {} -D\n", stage.at("x.conf").display());
    assert!(stage.calls().contains(&daemon), "{}", stage.calls());
    succeed(&mut stage.site("stop"));
    // A restart is a stop and a start, whatever was there.
    succeed(&mut stage.site("restart"));
    succeed(&mut stage.site("monitor"));
}

#[test]
fn a_deeper_look_asks_the_daemon() {
    let stage = Stage::new();
    succeed(&mut stage.site("start"));
    succeed(stage.site("monitor").env("OCF_CHECK_LEVEL", "10"));
    stage.touch("deaf");
    succeed(stage.site("monitor").env("OCF_CHECK_LEVEL", "0"));
    let errors = end_with(1, stage.site("monitor").env("OCF_CHECK_LEVEL", "10"));
    assert!(errors.contains("does not answer"), "{errors}");
    // A restart, which Pacemaker would make of a failure, would end it for good.
    stage.touch("broken");
    let errors = end_with(0, stage.site("monitor").env("OCF_CHECK_LEVEL", "10"));
    assert!(errors.contains("cannot be queried: line 3: unknown key"), "{errors}");
}

#[test]
fn a_limit_that_is_no_number_is_the_usual_one() {
    let stage = Stage::new();
    for limit in ["abc", "4s", ""] {
        succeed(stage.site("start").env("OCF_RESKEY_CRM_meta_timeout", limit));
        let errors = end_with(0, stage.site("stop").env("OCF_RESKEY_CRM_meta_timeout", limit));
        assert_eq!(errors, "", "{limit}");
    }
}

#[test]
fn a_daemon_that_does_not_end_is_killed() {
    let stage = Stage::new();
    stage.touch("stubborn");
    succeed(&mut stage.site("start"));
    let errors = end_with(0, &mut stage.site("stop"));
    assert!(errors.contains("did not end after SIGTERM"), "{errors}");
    end_with(7, &mut stage.site("monitor"));
}

#[test]
fn a_daemon_that_cannot_start_is_an_error_with_its_reason() {
    let stage = Stage::new();
    stage.touch("refuse");
    let errors = end_with(1, &mut stage.site("start"));
    assert!(errors.contains("address in use"), "{errors}");
    fs::remove_file(stage.at("refuse")).expect("removed");
    stage.touch("deaf");
    let errors = end_with(1, &mut stage.site("start"));
    assert!(errors.contains("is running but does not answer"), "{errors}");
}

#[test]
fn a_wrong_configuration_is_told_from_a_missing_one() {
    let stage = Stage::new();
    succeed(&mut stage.site("validate-all"));
    stage.touch("broken");
    let errors = end_with(2, &mut stage.site("validate-all"));
    assert!(errors.contains("line 3: unknown key"), "{errors}");
    end_with(5, stage.site("validate-all").env("OCF_RESKEY_config", "/nowhere/x.conf"));
    let errors = end_with(5, stage.site("validate-all").env("OCF_RESKEY_config", "nowhere"));
    assert!(errors.contains("/etc/booth/nowhere"), "{errors}");
    end_with(5, stage.site("validate-all").env("OCF_RESKEY_daemon", "/nowhere/boothd"));
    // Pacemaker probes nodes that know nothing of Booth.
    end_with(7, stage.site("monitor").env("OCF_RESKEY_daemon", "/nowhere/boothd"));
}

#[test]
fn an_attribute_is_set_at_the_other_site_while_the_resource_runs() {
    let stage = Stage::new();
    end_with(7, &mut stage.store("monitor"));
    succeed(&mut stage.store("start"));
    succeed(&mut stage.store("monitor"));
    succeed(&mut stage.store("stop"));
    end_with(7, &mut stage.store("monitor"));
    succeed(&mut stage.store("stop"));
    let target = format!("-c {} -s other -t t1", stage.at("x.conf").display());
    let expected = format!("set {target} repl OK\nget {target} repl\ndelete {target} repl\n");
    assert_eq!(stage.calls(), expected);
}

#[test]
fn the_attribute_can_be_named() {
    let stage = Stage::new();
    let prefix = "export OCF_RESKEY_booth_ticket=t1; ocf_log() { echo \"$*\" >&2; }";
    let library = top().join("scripts/ocf/geo_attr.sh");
    let ask = |more: &str| {
        let config = stage.at("x.conf");
        let script = format!(
            "{prefix}; OCF_RESKEY_booth_config={}; {more}; . {}; geo_attr_get_attr",
            config.display(),
            library.display()
        );
        succeed(Command::new("sh").arg("-c").arg(script))
    };
    assert_eq!(ask("OCF_RESKEY_geo_attribute=third"), "third 5\n");
    assert_eq!(ask(":"), "repl OK\n");
    assert_eq!(ask("OCF_RESKEY_booth_ticket=t0"), "repl WRONG\n");
    assert_eq!(ask("OCF_RESKEY_geo_attribute=unheard-of"), "");
}

#[test]
fn a_ticket_without_a_matching_prerequisite_is_refused() {
    let stage = Stage::new();
    succeed(&mut stage.store("validate-all"));
    let errors = end_with(6, stage.store("validate-all").env("OCF_RESKEY_booth_ticket", "t9"));
    assert!(errors.contains("no ticket t9"), "{errors}");
    let errors = end_with(6, stage.store("start").env("OCF_RESKEY_geo_attribute", "nope"));
    assert!(errors.contains("no matching line attr-prereq"), "{errors}");
    end_with(6, stage.store("start").env("OCF_RESKEY_booth_config", "/nowhere"));
    assert_eq!(stage.calls(), "");
}

/// `start` of the test resource on a node that calls itself so.
fn shared(stage: &Stage, action: &str, node: &str) -> Command {
    write_script(&stage.at("uname"), "#!/bin/sh\necho \"$FAKE_NODE\"\n");
    let mut command = stage.agent("sharedrsc", action);
    command.env("FAKE_NODE", node).env("OCF_RESKEY_dir", stage.at("only-once"));
    command
}

#[test]
fn what_exists_once_can_be_owned_by_one_node_only() {
    let stage = Stage::new();
    let is_there = |path: &Path| path.exists();
    end_with(7, &mut shared(&stage, "monitor", "one"));
    succeed(&mut shared(&stage, "start", "one"));
    succeed(&mut shared(&stage, "start", "one"));
    succeed(&mut shared(&stage, "monitor", "one"));
    end_with(7, &mut shared(&stage, "monitor", "two"));
    let errors = end_with(1, &mut shared(&stage, "start", "two"));
    assert!(errors.contains("is owned by one"), "{errors}");
    succeed(&mut shared(&stage, "stop", "two"));
    assert!(is_there(&stage.at("only-once")));
    succeed(&mut shared(&stage, "stop", "one"));
    assert!(!is_there(&stage.at("only-once")));
    end_with(6, shared(&stage, "start", "one").env("OCF_RESKEY_dir", ""));
}
