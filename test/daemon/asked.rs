// SPDX-License-Identifier: GPL-2.0-or-later
//! What a client is told while it waits, and what `list` says meanwhile: a real client, a real
//! daemon, and a `crm_ticket` that keeps both waiting.

use crate::support::{texts, wait_until, Daemon, Lab, PATIENCE};
use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A `crm_ticket` that hangs in a read as long as there is a file `read` beside it, and in a
/// grant as long as there is a file `grant`. There was no such ticket before.
const WAITS: &str = r#"#!/bin/sh
what=other code=0
case " $* " in
*' -q '*) what=read code=105 ;;
*' -g '*) what=grant ;;
esac
while [ -e "${0%/*}/$what" ]; do sleep 0.05; done
exit "$code"
"#;

/// A client whose standard error goes into a file.
struct Waiting<'lab> {
    lab: &'lab Lab,
    child: Child,
}

impl Waiting<'_> {
    fn start<'lab>(lab: &'lab Lab, args: &[&str]) -> Waiting<'lab> {
        let file = File::create(lab.path().join("client")).expect("created");
        let mut command = lab.booth(args);
        command.arg("-s").arg(lab.address(1).to_string()).stderr(file);
        Waiting { lab, child: command.spawn().expect("started") }
    }

    fn said(&self) -> Vec<String> {
        let text = fs::read_to_string(self.lab.path().join("client")).expect("readable");
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for a line that begins and ends so.
    fn waits_until_it_says(&self, begin: &str, end: &str) {
        // A site that has just started waits for *g*, 5 s, before it reads its ticket and votes.
        let until = Instant::now() + PATIENCE * 2;
        while !self.said().iter().any(|said| said.starts_with(begin) && said.ends_with(end)) {
            assert!(Instant::now() < until, "{begin:?} in time, but only {:?}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hold(lab: &Lab, what: &str) {
    fs::write(lab.bin().join(what), "").expect("written");
}

fn release(lab: &Lab, what: &str) {
    fs::remove_file(lab.bin().join(what)).expect("it was there");
}

/// The line of `list` at the first site.
fn list(lab: &Lab) -> String {
    texts(&lab.client(&["list"], 1)).0
}

/// The time that follows `begin` in the text, in seconds since the epoch. `date` reads it.
fn time_after(text: &str, begin: &str) -> Option<u64> {
    let (_, rest) = text.split_once(begin)?;
    let time = rest.split(['\n', ';']).next()?;
    let date = Command::new("date").args(["-u", "-d", time, "+%s"]).output().expect("run");
    Some(texts(&date).0.trim().parse().unwrap_or_else(|_| panic!("no time: {text}")))
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Two sites and an arbitrator; the first site's store cannot be read yet, nor will it take a
/// grant.
fn held_back(net: u8) -> (Lab, [Daemon; 3]) {
    let lab = Lab::new(net);
    lab.use_crm_ticket(WAITS);
    let voters = [lab.start(2), lab.start(3)];
    hold(&lab, "read");
    hold(&lab, "grant");
    let first = lab.start_unawaited(1);
    wait_until("it answers", || lab.client(&["list"], 1).status.success());
    let [second, third] = voters;
    (lab, [first, second, third])
}

#[test]
fn a_waiting_client_is_told_for_what_and_when_that_changes() {
    const READ: &str = "waiting: the ticket's state has not been read from the cluster yet";
    const VOTING: &str = "waiting: the members are voting";
    const WRITTEN: &str = "waiting: the CIB is being written";
    const GRACE: [&str; 2] = ["waiting until ", "; -F would skip this"];
    let (lab, [mut first, mut second, mut third]) = held_back(85);
    let mut client = Waiting::start(&lab, &["grant", "-C", "t1"]);
    client.waits_until_it_says(READ, "");
    // Nobody can say that there are no older leases while the others stand still.
    second.signal(libc::SIGSTOP);
    third.signal(libc::SIGSTOP);
    release(&lab, "read");
    client.waits_until_it_says(GRACE[0], GRACE[1]);
    second.signal(libc::SIGCONT);
    third.signal(libc::SIGCONT);
    client.waits_until_it_says(WRITTEN, "");
    release(&lab, "grant");
    client.waits_until_it_says("grant succeeded! ", &format!("by {})", lab.address(1)));
    assert_eq!(client.child.wait().expect("waited for").code(), Some(0));
    let said = client.said();
    // On a slow machine the vote may take so long that it is worth a line.
    let reasons: Vec<&str> = said.iter().map(String::as_str).filter(|l| *l != VOTING).collect();
    assert!(
        matches!(reasons[..], [_, READ, grace, WRITTEN, _] if grace.starts_with(GRACE[0])),
        "each reason once, in this order: {said:?}"
    );
    for daemon in [&mut first, &mut second, &mut third] {
        daemon.stop();
    }
}

#[test]
fn list_says_since_when_a_write_is_running_and_no_longer_than_it_is() {
    const SINCE: &str = ", note on ticket: CIB update running since ";
    let (lab, [mut first, mut second, mut third]) = held_back(86);
    release(&lab, "read");
    let before = seconds_now();
    let client = Waiting::start(&lab, &["grant", "-C", "t1"]);
    client.waits_until_it_says("waiting: the CIB is being written", "");
    wait_until("list says so", || list(&lab).contains(SINCE));
    let (after, text) = (seconds_now(), list(&lab));
    let line = format!("ticket: t1, leader: {}, expires: ", lab.address(1));
    assert!(text.starts_with(&line), "{text}");
    let since = time_after(&text, SINCE).expect("it is still running");
    // It is said of a write that has taken more than a second: of when it began, not of now.
    assert!(before <= since && since < after, "{before}, {after}: {text}");
    let said = Instant::now();
    wait_until("another second has begun", || said.elapsed() > Duration::from_millis(1_100));
    assert_eq!(time_after(&list(&lab), SINCE), Some(since), "it is still the same write");
    release(&lab, "grant");
    client.waits_until_it_says("grant succeeded! ", &format!("by {})", lab.address(1)));
    let text = list(&lab);
    assert!(text.starts_with(&line) && !text.contains("running"), "{text}");
    for daemon in [&mut first, &mut second, &mut third] {
        daemon.stop();
    }
}
