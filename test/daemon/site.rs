// SPDX-License-Identifier: GPL-2.0-or-later
//! A site: what it says while the store is read, and how it stops when children hang.

use crate::support::{texts, wait_until, Daemon, Lab, PATIENCE};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A `crm_ticket` that says its process id and then hangs.
const HANGS: &str = "#!/bin/sh\necho $$ >> \"${0%/*}/pids\"\nexec sleep 600\n";

/// A site in the foreground whose `crm_ticket` is this script.
fn site_with(lab: &Lab, script: &str) -> Daemon {
    lab.use_crm_ticket(script);
    lab.start_unawaited(1)
}

fn pids(lab: &Lab) -> Vec<PathBuf> {
    let text = fs::read_to_string(lab.path().join("bin/pids")).unwrap_or_default();
    text.lines().map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect()
}

/// The scheduling policy of a thread or process, as its number.
fn policy(proc: &Path) -> String {
    let stat = fs::read_to_string(proc.join("stat")).expect("alive");
    // Field 41; the second is in parentheses and may contain spaces.
    let (_, rest) = stat.rsplit_once(") ").expect("a line of the kernel");
    rest.split(' ').nth(41 - 3).expect("long enough").to_owned()
}

#[test]
fn all_threads_of_a_daemon_are_scheduled_alike() {
    let lab = Lab::new(84);
    let mut daemon = lab.start(1);
    assert!(lab.client(&["list"], 1).status.success());
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("alive");
    let policies: BTreeSet<String> =
        tasks.map(|task| policy(&task.expect("readable").path())).collect();
    assert_eq!(policies.len(), 1, "{policies:?}; 2 is round-robin, where that is permitted");
    daemon.stop();
}

#[test]
fn a_site_is_started_when_its_store_has_been_read() {
    let lab = Lab::new(80);
    let mut daemon = lab.start(1);
    let (stdout, _) = texts(&lab.status(1));
    assert!(stdout.contains("booth_state=started booth_type=site"), "{stdout}");
    println!("{} kB resident at a site", daemon.status_number("VmRSS"));
    assert!(daemon.status_number("RssAnon") < 3_000);
    assert_eq!(daemon.stop().0.code(), Some(0));
    assert!(!lab.lock_file(1).exists());
}

/// A `crm_ticket` that takes its time and finds nothing.
const SLOW: &str = "#!/bin/sh\nsleep 0.3\nexit 105\n";

#[test]
fn status_and_list_agree_about_when_the_start_is_over() {
    const UNREAD: &str = "the CIB has not been read yet";
    let lab = Lab::new(146);
    let config = fs::read_to_string(lab.config()).expect("readable");
    let more: String = (2..12).map(|n| format!("ticket = \"t{n}\"\n")).collect();
    fs::write(lab.config(), config + &more).expect("written");
    let mut daemon = site_with(&lab, SLOW);
    let list = || texts(&lab.client(&["list"], 1)).0;
    wait_until("it answers", || !list().is_empty());
    let mut starting = 0;
    wait_until("it says that it has started", || {
        let is_over = texts(&lab.status(1)).0.contains("booth_state=started");
        starting += usize::from(!is_over && list().contains(UNREAD));
        is_over
    });
    assert!(starting > 0, "it was seen while it read");
    assert!(!list().contains(UNREAD), "{}", list());
    daemon.stop();
}

#[test]
fn a_store_that_hangs_leaves_list_status_and_the_end_alone() {
    let lab = Lab::new(81);
    let mut daemon = site_with(&lab, HANGS);
    wait_until("crm_ticket hangs", || !pids(&lab).is_empty());
    let (stdout, _) = texts(&lab.status(1));
    assert!(stdout.contains("booth_state=starting"), "{stdout}");
    assert!(pids(&lab).iter().all(|pid| policy(pid) == "0"), "children are scheduled as usual");
    for _ in 0..5 {
        let begun = Instant::now();
        let output = lab.client(&["list"], 1);
        assert!(output.status.success(), "{:?}", texts(&output));
        // The client's own start included; the daemon's part is measured where it is alone.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    wait_until("no child is left", || pids(&lab).iter().all(|pid| !pid.exists()));
}

#[test]
fn a_store_that_cannot_be_read_is_said_and_the_start_is_over() {
    let lab = Lab::new(82);
    let mut daemon = site_with(&lab, "#!/bin/sh\necho 'no cluster here' >&2\nexit 102\n");
    wait_until("it is started", || {
        fs::read_to_string(lab.lock_file(1)).is_ok_and(|line| line.contains("=started"))
    });
    wait_until("the failure is logged", || daemon.log().contains("no cluster here"));
    assert!(texts(&lab.client(&["list"], 1)).0.contains("starting up"));
    assert_eq!(daemon.stop().0.code(), Some(0));
}

#[test]
fn stopping_at_any_moment_of_the_start_works() {
    let lab = Lab::new(83);
    for millis in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
        let log = lab.path().join("1.log");
        let child =
            lab.daemon(1).stderr(File::create(&log).expect("created")).spawn().expect("started");
        let mut daemon = Daemon::adopt(child, log);
        // Until the lock is held the program is not a daemon yet, and SIGTERM simply ends it.
        wait_until("it has begun", || {
            let line = fs::read_to_string(lab.lock_file(1)).unwrap_or_default();
            line.contains(&format!("booth_pid={} ", daemon.pid()))
                && daemon.log().contains("daemon is starting")
        });
        std::thread::sleep(Duration::from_millis(millis));
        let (status, took) = daemon.stop();
        let code = status.code();
        let early = std::os::unix::process::ExitStatusExt::signal(&status);
        assert!(code == Some(0) || early == Some(libc::SIGTERM), "{status} after {millis} ms");
        assert!(took < Duration::from_secs(2) && took < PATIENCE, "{took:?}");
        // A file of a daemon that did not get as far as its handlers harms nobody.
        let _ = fs::remove_file(lab.lock_file(1));
    }
}
