// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting: how long, what is said meanwhile, and how it ends.

use crate::captured::{answer, says, sends, sends_slowly, text, with_cause};
use crate::lab::{Lab, Outcome, TICKET_TIMEOUT};
use crate::server::{Script, Step};
use std::time::Duration;

const SENT: &str = "grant request sent, waiting for the result ...";
const PENDING: &str = "grant succeeded (CIB commit pending)";
const COMMIT: &str = "waiting for the CIB commit ...";
const GIVING_UP: &str = "Giving up on waiting for the definite result. Please use \"booth list\" \
                         later to see the outcome.";

fn more() -> Vec<u8> {
    answer("CGnt", "More")
}

fn pend() -> Vec<u8> {
    answer("CGnt", "Pend")
}

fn done() -> Vec<u8> {
    answer("CGnt", "")
}

/// Runs the line against scripts of the first site; the other members do not run.
fn run(net: u8, line: &str, scripts: Vec<Script>) -> Outcome {
    let mut lab = Lab::new(net);
    lab.serve(1, scripts);
    lab.shut(2);
    lab.shut(3);
    lab.booth(line)
}

/// What is said of members that do not run.
fn missing(net: u8) -> String {
    format!(
        "no majority: a grant needs 2 of 3 members, but only 1 can be reached from here; no answer \
         from 127.30.{net}.2 (Connection refused), 127.30.{net}.3 (Connection refused). Start \
         boothd there, or mend the network; -F does not help"
    )
}

fn answered(net: u8, text: &str) -> String {
    format!("{text} (answered by 127.30.{net}.1)")
}

#[test]
fn the_result_follows_intermediate_answers() {
    let script = sends(&[more(), done()]);
    run(100, "grant T", vec![script]).is(0, "", &[SENT, &answered(100, "grant succeeded!")]);
    // Reference: its client gives up at the third answer.
    let script = sends(&[more(), more(), more(), more(), done()]);
    run(101, "grant T", vec![script]).is(0, "", &[SENT, &answered(101, "grant succeeded!")]);
    let script = sends(&[more(), answer("CGnt", "XPrg")]);
    let handler = "before-acquire-handler for ticket \"T\" failed, grant denied";
    let failed = format!("booth: {}", answered(102, handler));
    run(102, "grant -w T", vec![script]).is(1, "", &[SENT, &failed]);
    let script = sends(&[more(), pend()]);
    run(103, "grant T", vec![script]).is(0, "", &[SENT, &answered(103, PENDING)]);
    let script = sends(&[more(), answer("CRvk", "")]);
    let sent = "revoke request sent, waiting for the result ...";
    let done = answered(104, "revoke succeeded!");
    run(104, "revoke T", vec![script]).is(0, "", &[sent, &done]);
}

/// Without -w a client waits as long as one election may take. An election without an end has
/// found no majority; the reference's client exits 0 then.
#[test]
fn without_w_the_client_gives_up_after_timeout() {
    let slack = Duration::from_secs(2);
    let limit = TICKET_TIMEOUT + slack;
    let outcome = run(105, "grant T", vec![vec![Step::Send(more()), Step::Hold]]);
    let last = format!("booth: {}", answered(105, GIVING_UP));
    outcome.is(1, "", &[SENT, &missing(105), &last]);
    assert!(outcome.took >= limit && outcome.took < limit + slack, "{outcome:?}");
}

/// Giving up is a success only for a grant that the daemon is known to carry on with.
#[test]
fn what_was_waited_for_decides_about_giving_up() {
    let cases: [(u8, &str, &[u8; 4], i32, &str); 7] = [
        (106, "revoke", b"CibW", 1, "waiting: the CIB is being written"),
        (107, "grant", b"CibF", 1, "waiting: writing to the CIB failed, trying again"),
        (90, "grant", b"CibW", 1, "waiting: the CIB is being written"),
        (91, "grant", b"Elec", 1, "waiting: the members are voting"),
        (
            92,
            "grant",
            b"Load",
            1,
            "waiting: the ticket's state has not been read from the cluster yet",
        ),
        (93, "grant", b"Hndl", 0, "waiting: the before-acquire-handler is running"),
        (
            94,
            "grant",
            b"Grac",
            0,
            "waiting: the site has just started, and older leases must end first; -F would \
             skip this",
        ),
    ];
    std::thread::scope(|scope| {
        for (net, word, cause, code, why) in cases {
            scope.spawn(move || {
                let sent = format!("{word} request sent, waiting for the result ...");
                let prefix = if code == 0 { "" } else { "booth: " };
                let last = format!("{prefix}{}", answered(net, GIVING_UP));
                let script = vec![Step::Send(with_cause(more(), cause, 0)), Step::Hold];
                let missing = missing(net);
                let mut lines = vec![sent.as_str(), why];
                lines.extend((cause == b"Elec").then_some(missing.as_str()));
                lines.push(&last);
                run(net, &format!("{word} T"), vec![script]).is(code, "", &lines);
            });
        }
    });
}

/// A failure that leaves open why is followed by the ticket's line in the member's list.
#[test]
fn the_list_says_how_a_failed_grant_stands() {
    let mut list = text("CLst", "ticket: T")[..48].to_vec();
    let line =
        "ticket: T, leader: none, note on ticket: CIB update failing since 2026-11-23 09:24:40";
    list.extend(format!("ticket: T2, leader: none\n{line}\n").bytes());
    let length = u32::try_from(list.len()).expect("short");
    list[24..28].copy_from_slice(&length.to_be_bytes());
    let mut failed = done();
    failed[44..48].copy_from_slice(b"Fail");
    let scripts = vec![sends(&[more(), failed]), says(&list)];
    let last = format!("booth: {}", answered(95, "grant failed!"));
    run(95, "grant T", scripts).is(1, "", &[SENT, &missing(95), &last, line]);
}

/// Who cannot get a majority is told whom to look at, unless enough members answer; a member that
/// is connected to but says nothing does not.
#[test]
fn a_grant_names_the_members_that_are_missing() {
    let list = text("CLst", "ticket: T, leader: N");
    let mut failed = done();
    failed[44..48].copy_from_slice(b"Fail");
    let mut lab = Lab::new(96);
    lab.serve(1, vec![sends(&[more(), failed.clone()]), says(&list)]);
    lab.shut(2);
    lab.serve(3, vec![says(&list)]);
    let line = "ticket: T, leader: NONE";
    let last = format!("booth: {}", answered(96, "grant failed!"));
    lab.booth("grant T").is(1, "", &[SENT, &last, line]);

    let mut lab = Lab::new(97);
    lab.serve(1, vec![sends(&[more(), failed]), says(&list)]);
    lab.shut(2);
    let last = format!("booth: {}", answered(97, "grant failed!"));
    let silent =
        missing(97).replace("97.3 (Connection refused)", "97.3 (connected, but no answer)");
    lab.booth("grant T").is(1, "", &[SENT, &silent, &last, line]);
}

#[test]
fn with_w_the_client_waits_longer() {
    let pause = TICKET_TIMEOUT + Duration::from_millis(2500);
    let script = vec![Step::Send(more()), Step::Pause(pause), Step::Send(done())];
    let outcome = run(108, "grant -w T", vec![script]);
    outcome.is(0, "", &[SENT, &answered(108, "grant succeeded!")]);
    assert!(outcome.took >= pause, "{outcome:?}");
    // Reference: -w alone ends with the pending commit.
    run(109, "grant -w T", vec![sends(&[more(), pend()])]).is(
        0,
        "",
        &[SENT, &answered(109, PENDING)],
    );
}

#[test]
fn with_c_the_client_waits_for_the_commit() {
    let list = text("CLst", "ticket: T, leader: NONE");
    let (list, scripts) = (sends(&[list]), |last: Vec<u8>| {
        [
            Step::Send(more()),
            Step::Send(pend()),
            Step::Pause(Duration::from_millis(300)),
            Step::Send(last),
        ]
        .to_vec()
    });
    let known = [SENT, PENDING, COMMIT];
    let with = |last: &str| known.iter().map(|l| (*l).to_owned()).chain([last.to_owned()]);
    let lines: Vec<String> = with(&answered(110, "grant succeeded!")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    run(110, "grant -C T", vec![scripts(done()), list.clone()]).is(0, "", &lines);
    let failed = {
        let mut bytes = done();
        bytes[44..48].copy_from_slice(b"Fail");
        bytes
    };
    let lines: Vec<String> = with(&format!("booth: {}", answered(111, "grant failed!"))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    run(111, "grant -C T", vec![scripts(failed), list]).is(1, "", &lines);
}

/// A reference member gives no cause; its list says until when the commit is pending.
#[test]
fn the_list_of_a_reference_member_explains_the_wait() {
    let line = b"ticket: T, leader: 10.99.0.10, expires: 2026-11-22 06:58:13 \
                 (commit pending until 2026-11-22 06:59:14)\n";
    let mut list = text("CLst", "ticket: T")[..48].to_vec();
    list.extend_from_slice(line);
    let length = u32::try_from(list.len()).expect("short");
    list[24..28].copy_from_slice(&length.to_be_bytes());
    let script = vec![
        Step::Send(pend()),
        Step::Send(pend()),
        Step::Pause(Duration::from_secs(1)),
        Step::Send(done()),
    ];
    let waiting = "waiting until 2026-11-22 06:59:14: not every site has answered; -F would skip \
                   this";
    let done = answered(112, "grant succeeded!");
    run(112, "grant -C T", vec![script, sends(&[list])]).is(
        0,
        "",
        &[PENDING, COMMIT, waiting, &done],
    );
}

#[test]
fn ours_says_for_what_and_until_when() {
    let cause = |code: &[u8; 4], secs| with_cause(more(), code, secs);
    let long = Duration::from_millis(700);
    let script = sends_slowly(
        &[
            cause(b"Load", 0),
            cause(b"Grac", 100),
            cause(b"Grac", 100),
            cause(b"Elec", 0),
            cause(b"Hndl", 0),
            with_cause(pend(), b"Cmmt", 50),
            with_cause(pend(), b"Cmmt", 20),
            with_cause(pend(), b"CibW", 0),
            with_cause(pend(), b"CibF", 0),
            done(),
        ],
        long,
    );
    let outcome = run(113, "grant -C T", vec![script]);
    let lines: Vec<&str> = outcome.stderr.lines().map(without_time).collect();
    let grace = ": the site has just started, and older leases must end first; -F \
                 would skip this";
    let commit =
        ": not all sites have confirmed that they do not hold the ticket; -F would skip this";
    assert_eq!(
        lines,
        [
            SENT,
            "waiting: the ticket's state has not been read from the cluster yet",
            grace,
            "waiting: the members are voting",
            &missing(113),
            "waiting: the before-acquire-handler is running",
            PENDING,
            COMMIT,
            commit,
            commit,
            "waiting: the CIB is being written",
            "waiting: writing to the CIB failed, trying again",
            &answered(113, "grant succeeded!"),
        ]
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""));

    // Who has given -F is not told to.
    let script = sends_slowly(&[cause(b"Grac", 100), done()], long);
    let outcome = run(114, "grant -F T", vec![script]);
    let told = outcome.stderr.lines().nth(1).map(without_time);
    let expected = ": the site has just started, and older leases must end first";
    assert_eq!(told, Some(expected), "{outcome:?}");
}

#[test]
fn short_waits_are_not_explained() {
    let script = sends(&[
        with_cause(more(), b"Elec", 0),
        with_cause(more(), b"Grac", 60),
        with_cause(more(), b"CibW", 0),
        done(),
    ]);
    run(118, "grant T", vec![script]).is(0, "", &[SENT, &answered(118, "grant succeeded!")]);
    // A commit that is left pending is explained: nobody waits for it.
    let script = sends(&[with_cause(pend(), b"Cmmt", 60)]);
    let outcome = run(119, "grant T", vec![script]);
    let lines: Vec<&str> = outcome.stderr.lines().map(without_time).collect();
    let commit =
        ": not all sites have confirmed that they do not hold the ticket; -F would skip this";
    assert_eq!(lines, [commit, &answered(119, PENDING)]);
}

/// What follows `waiting until TIME at most`; other lines whole.
fn without_time(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("waiting until ") else { return line };
    let time = "2026-11-23 08:00:00";
    let (shown, rest) = rest.split_at(time.len());
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape(shown), shape(time), "{line}");
    rest.strip_prefix(" at most").unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_connection_that_breaks_while_waiting_is_a_failure() {
    for (net, line) in [(115, "grant T"), (116, "grant -w T"), (117, "grant -C T")] {
        let outcome = run(net, line, vec![sends(&[more()])]);
        let closed = format!("booth: 127.30.{net}.1 closed the connection without an answer");
        let may = "The request may still be in progress. Please use \"booth list\" later to see \
                   the outcome.";
        outcome.is(1, "", &[SENT, may, &closed]);
    }
}
