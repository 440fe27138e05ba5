// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth status` against lock files in every state.

use crate::lab::{program_named, Lab};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LINE: &str = "booth_state=started booth_type=site booth_cfg_name='lab' \
                    booth_id=1696554816 booth_addr_string='127.0.0.1' booth_port=9929";

/// A daemon that holds a lock file, whatever the test then writes into it.
struct Holder(Child);

impl Holder {
    fn start(lab: &mut Lab) -> (Holder, PathBuf) {
        lab.shut(3);
        let path = lab.path().join("lock");
        let mut command = program_named("boothd");
        command.args(["daemon", "-D", "-S", "-s", &lab.address(3), "-l"]).arg(&path);
        command.arg("-c").arg(lab.config()).stderr(Stdio::null());
        let holder = Holder(command.spawn().expect("the daemon starts"));
        let until = Instant::now() + Duration::from_secs(10);
        while !fs::read_to_string(&path).is_ok_and(|line| line.contains("booth_state=started")) {
            assert!(Instant::now() < until, "the daemon is up in time");
            sleep(Duration::from_millis(2));
        }
        (holder, path)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A lock file with this content that nobody holds.
fn lock_file(lab: &Lab, content: &str) -> PathBuf {
    let path = lab.path().join("lock");
    fs::write(&path, content).expect("it is written");
    path
}

#[test]
fn a_held_lock_is_a_running_daemon() {
    let mut lab = Lab::new(160);
    let (holder, path) = Holder::start(&mut lab);
    let (pid, file) = (holder.pid(), path.display());
    let line = format!("booth_pid={pid} {LINE}\n");
    fs::write(&path, &line).expect("it is written");
    let expected = format!("booth_lockpid={pid} booth_lockfile='{file}' {line}");
    lab.booth(&format!("status -l {file}")).is(0, &expected, &[]);
    drop(holder);
    let gone = format!("not running: no process holds {file}");
    lab.booth(&format!("status -l {file}")).is(7, "", &[&gone]);
}

/// What stands there may also be what a daemon before it has left.
#[test]
fn a_daemon_that_has_written_nothing_yet_is_starting() {
    let mut lab = Lab::new(161);
    let (holder, path) = Holder::start(&mut lab);
    let (pid, file) = (holder.pid(), path.display());
    let expected = format!(
        "booth_lockpid={pid} booth_lockfile='{file}' booth_pid={pid} booth_state=starting\n"
    );
    for content in ["", "\n", &format!("booth_pid=1 {LINE}\n")] {
        fs::write(&path, content).expect("it is written");
        lab.booth(&format!("status -l {file}")).is(0, &expected, &[]);
    }
}

#[test]
fn a_lock_file_without_a_lock_is_no_daemon() {
    let lab = Lab::new(162);
    let path = lock_file(&lab, &format!("booth_pid=1 {LINE}"));
    let file = path.display();
    let gone = format!("not running: no process holds {file}");
    lab.booth(&format!("status -l {file}")).is(7, "", &[&gone]);
    fs::remove_file(&path).expect("it was there");
    lab.booth(&format!("status -l {file}")).is(7, "", &[&gone]);
}

/// Scripts evaluate what is printed, so garbage is not.
#[test]
fn garbage_in_a_held_lock_file_is_an_error() {
    let mut lab = Lab::new(163);
    let (holder, path) = Holder::start(&mut lab);
    let (pid, file) = (holder.pid(), path.display());
    let own = [format!("booth_pid={pid}; reboot"), format!("booth_pid={pid} reboot")];
    let garbage = ["booth_pid=1; reboot", "\u{0}\u{1}\u{2}", "12345\n", "booth_pid='1"];
    for garbage in garbage.into_iter().chain(own.iter().map(String::as_str)) {
        fs::write(&path, garbage).expect("it is written");
        let line = format!(
            "booth: process {pid} holds {file}, but its content is not the state of a daemon",
        );
        lab.booth(&format!("status -l {file}")).is(1, "", &[&line]);
    }
}

#[test]
fn a_lock_file_that_cannot_be_read_is_an_error() {
    let lab = Lab::new(164);
    let directory = lab.path().join("conf-is-a-file").join("lock");
    fs::write(lab.path().join("conf-is-a-file"), "").expect("it is written");
    let outcome = lab.booth(&format!("status -l {}", directory.display()));
    let begin = format!("booth: cannot read lock file {}: ", directory.display());
    assert!(outcome.stderr.starts_with(&begin), "{outcome:?}");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
}
