// SPDX-License-Identifier: GPL-2.0-or-later
//! Before-acquire handlers (P23).

use crate::process::{lives, signal, until};
use crate::site::{Driver, Kind, Site};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A site whose handler is this script.
fn with_handler(script: &str) -> (Site, Driver) {
    let mut site = Site::new(Kind::Pacemaker);
    site.program("handler", script);
    site.handler = format!("{}\t-a\tb c", site.path("handler").display());
    let driver = site.start();
    (site, driver)
}

/// A number in a file, once it is there.
fn number_in(path: &Path) -> u32 {
    let mut number = None;
    until("the number has been written", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        number = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        number.is_some()
    });
    number.expect("until has seen it")
}

#[test]
fn a_handler_gets_its_arguments_and_environment() {
    let (site, mut driver) = with_handler(
        "for a in \"$@\"; do echo \"arg $a\"; done >\"${0%/*}/seen\"
        env | grep ^BOOTH_ | LC_ALL=C sort >>\"${0%/*}/seen\"",
    );
    driver.tell("probe 0 1 1234 20000");
    assert_eq!(driver.next(), "probed 1 Success");
    let seen = fs::read_to_string(site.path("seen")).expect("written");
    let expected = "arg -a\narg b c\nBOOTH_CONF_NAME=some\n\
         BOOTH_CONF_PATH=/etc/booth/some.conf\nBOOTH_LOCAL=192.0.2.7\nBOOTH_TICKET=t0\n\
         BOOTH_TICKET_EXPIRES=1234\n";
    assert_eq!(seen, expected);
}

#[test]
fn a_handler_inherits_nothing_but_the_standard_three() {
    let mut site = Site::new(Kind::Pacemaker);
    site.program("handler", "exec ls /proc/self/fd >\"${0%/*}/seen\"");
    site.handler = site.path("handler").display().to_string();
    // The daemon's own parent has left descriptors open.
    site.program("outer", "exec 7</dev/null 8</dev/null; exec \"$@\"");
    let inner = site.command();
    let mut command = std::process::Command::new(site.path("outer"));
    command.arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut driver = site.start_with(&mut command);
    driver.tell("probe 0 1 0 20000");
    assert_eq!(driver.next(), "probed 1 Success");
    // The fourth is the directory that is listed.
    assert_eq!(fs::read_to_string(site.path("seen")).expect("written"), "0\n1\n2\n3\n");
}

#[test]
fn a_handler_that_fails_says_how() {
    let (site, mut driver) = with_handler("echo; echo 'not today' >&2; exit 3");
    driver.tell("probe 0 1 0 20000");
    assert_eq!(driver.next(), "probed 1 Failed(\"exit code 3: not today\")");
    site.program("handler", "kill -9 $$");
    driver.tell("probe 0 2 0 20000");
    assert_eq!(driver.next(), "probed 2 Failed(\"ended by signal 9\")");
    fs::remove_file(site.path("handler")).expect("removed");
    driver.tell("probe 0 3 0 20000");
    let said = driver.next();
    assert!(said.contains("Failed(\"cannot run") && said.contains("/handler"), "{said}");
}

#[test]
fn a_handler_beyond_its_time_is_reported_at_once_asked_to_end_and_killed() {
    let (site, mut driver) =
        with_handler("trap '' TERM; echo $$ >\"${0%/*}/pid\"; while :; do sleep 1; done");
    let begun = Instant::now();
    driver.tell("probe 0 1 0 1500");
    let pid = number_in(&site.path("pid"));
    assert_eq!(driver.next(), "probed 1 TimedOut");
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
    until("it is killed", || !lives(pid));
    assert!(begun.elapsed() >= Duration::from_millis(3_500));
}

#[test]
fn a_handler_that_is_not_wanted_any_more_ends_without_a_word() {
    let (site, mut driver) = with_handler("echo $$ >\"${0%/*}/pid\"; sleep 600");
    driver.tell("probe 0 1 0 600000");
    let pid = number_in(&site.path("pid"));
    driver.tell("unprobe 0 1");
    until("it has ended", || !lives(pid));
    site.program("handler", "exit 0");
    driver.tell("probe 0 2 0 20000");
    assert_eq!(driver.next(), "probed 2 Success", "and nothing of the first");
}

#[test]
fn what_a_handler_starts_may_stay_and_hold_its_pipes() {
    let (site, mut driver) = with_handler("sleep 600 & echo $! >\"${0%/*}/pid\"; exit 0");
    let begun = Instant::now();
    driver.tell("probe 0 1 0 600000");
    assert_eq!(driver.next(), "probed 1 Success");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let left = number_in(&site.path("pid"));
    assert!(lives(left));
    signal(left, libc::SIGKILL);
}

#[test]
fn a_directory_is_run_in_the_order_of_bytes_until_something_fails() {
    let mut site = Site::new(Kind::Pacemaker);
    fs::create_dir(site.path("dir")).expect("made");
    site.handler = format!("{}\tx", site.path("dir").display());
    let say = |name: &str| format!("echo \"{name} $*\" >>\"${{0%/*}}/../seen\"");
    for name in ["b", "B", "10", "9", ".hidden", "ä"] {
        site.program(&format!("dir/{name}"), &say(name));
    }
    let mut driver = site.start();
    let mut run = |number: u32| {
        let _ = fs::remove_file(site.path("seen"));
        driver.tell(&format!("probe 0 {number} 0 20000"));
        (driver.next(), fs::read_to_string(site.path("seen")).unwrap_or_default())
    };
    let (said, seen) = run(1);
    assert_eq!(said, "probed 1 Success");
    assert_eq!(seen, "10 x\n9 x\nB x\nb x\nä x\n");
    site.program("dir/9", "exit 7");
    let (said, seen) = run(2);
    assert!(said.contains("/dir/9 failed") && said.contains('7'), "{said}");
    assert_eq!(seen, "10 x\n");
    fs::set_permissions(site.path("dir/9"), fs::Permissions::from_mode(0o644)).expect("set");
    let (said, seen) = run(3);
    assert!(said.contains("cannot run") && said.contains("/dir/9"), "{said}");
    assert_eq!(seen, "10 x\n");
    fs::remove_file(site.path("dir/9")).expect("removed");
    fs::create_dir(site.path("dir/9")).expect("made");
    let (said, _) = run(4);
    assert!(said.contains("cannot run") && said.contains("/dir/9"), "{said}");
}

#[test]
fn a_directory_s_program_beyond_its_time_is_ended_and_the_next_is_not_started() {
    let mut site = Site::new(Kind::Pacemaker);
    fs::create_dir(site.path("dir")).expect("made");
    site.handler = site.path("dir").display().to_string();
    site.program("dir/1", "echo $$ >\"${0%/*}/../pid\"; sleep 600");
    site.program("dir/2", "echo 2 >\"${0%/*}/../second\"");
    let mut driver = site.start();
    driver.tell("probe 0 1 0 1000");
    let pid = number_in(&site.path("pid"));
    assert_eq!(driver.next(), "probed 1 TimedOut");
    until("it has ended", || !lives(pid));
    site.program("dir/1", "exit 0");
    driver.tell("probe 0 2 0 20000");
    assert_eq!(driver.next(), "probed 2 Success");
    assert_eq!(number_in(&site.path("second")), 2);
}
