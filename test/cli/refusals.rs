// SPDX-License-Identifier: GPL-2.0-or-later
//! Daemons that are not there, say nonsense or nothing: a sentence that says so, exit code 1.

use crate::captured::{answer, says, sends, text};
use crate::lab::Lab;
use crate::server::Step;
use std::time::Duration;

#[test]
fn nobody_listens() {
    let mut lab = Lab::new(50);
    lab.shut(1);
    let outcome = lab.booth("list");
    let begin = format!("booth: connect to {} got an error: Connection refused", lab.address(1));
    assert!(outcome.stderr.starts_with(&begin), "{outcome:?}");
    assert!(outcome.stderr.contains("is boothd running?"), "{outcome:?}");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
}

#[test]
fn members_that_cannot_be_asked_are_not_asked() {
    let lab = Lab::new(51);
    let arbitrator = lab.address(3);
    let line = format!(
        "booth: {arbitrator} is just an arbitrator, cannot grant/revoke tickets there. Name a \
         site with -s."
    );
    lab.booth(&format!("grant -s {arbitrator} T")).is(1, "", &[&line]);
    let line = format!("geostore: {arbitrator} is just an arbitrator, no attributes there.");
    lab.geostore(&format!("set -s {arbitrator} a b")).is(1, "", &[&line]);
    lab.geostore(&format!("delete -s {arbitrator} a")).is(1, "", &[&line]);
    for site in ["127.30.51.9", "::1"] {
        let line = format!(
            "booth: cannot find site \"{site}\": it is not a site or arbitrator in the \
             configuration, which has 127.30.51.1, 127.30.51.2, 127.30.51.3"
        );
        lab.booth(&format!("list -s {site}")).is(1, "", &[&line]);
    }
    let outcome = lab.booth("list -s no..host");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    let begin = "booth: cannot find site \"no..host\"";
    assert!(outcome.stderr.starts_with(begin), "{outcome:?}");
}

/// Each script, and what the client says of it; `@` is the server's address.
#[test]
fn what_makes_no_sense_is_an_error() {
    let done = answer("CGnt", "");
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = done.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "@ closed the connection without an answer"),
        (done[..20].to_vec(), "@ closed the connection after 20 bytes of an answer"),
        (done[..48].to_vec(), "@ closed the connection after 48 bytes of an answer"),
        (done[..123].to_vec(), "@ closed the connection after 123 bytes of an answer"),
        (vec![b'x'; 200], "invalid answer from @: magic number 0x78787878, not Booth's"),
        (
            with(16, &[9]),
            "invalid answer from @: protocol version 0x09010003, not \
                          0x00010003",
        ),
        (with(24, &[0, 0, 0, 10]), "invalid answer from @: "),
        (with(24, &[0x7F, 0, 0, 0]), "invalid answer from @: "),
        (with(24, &[0, 0, 0, 100]), "invalid answer from @: "),
        (with(28, b"HrtB"), "invalid answer from @: "),
        (with(28, b"????"), "invalid answer from @: "),
        (with(44, b"Zzzz"), "invalid answer from @: "),
        (with(48, &[b'T'; 64]), "invalid answer from @: "),
        (with(48, b"T!"), "invalid answer from @: "),
        (text("CLst", "ticket"), "the answer from @ does not match the request"),
    ];
    for (net, (bytes, sentence)) in (60u8..).zip(cases) {
        let mut lab = Lab::new(net);
        lab.serve(1, vec![says(&bytes)]);
        let outcome = lab.booth("grant T");
        let begin = format!("booth: {}", sentence.replace('@', &lab.address(1)));
        assert!(outcome.stderr.starts_with(&begin), "{bytes:?}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{bytes:?}");
    }
}

/// QUIRKS 5: for list the reference prints whatever comes, and exits 0 on an empty `Rslt`.
#[test]
fn a_list_is_text_or_an_error() {
    for (net, bytes, sentence) in [
        (80, answer("CGnt", ""), "the answer from @ does not match the request"),
        (
            81,
            text("CLst", "ticket")[..60].to_vec(),
            "@ closed the connection after 60 bytes of \
                                                     an answer",
        ),
        (82, text("ALst", "k1"), "the answer from @ does not match the request"),
    ] {
        let mut lab = Lab::new(net);
        lab.serve(1, vec![sends(&[bytes])]);
        let line = format!("booth: {}", sentence.replace('@', &lab.address(1)));
        lab.booth("list").is(1, "", &[&line]);
    }
}

/// Bytes that come one by one are an answer; a daemon that never answers is given up.
#[test]
fn answers_may_come_in_pieces() {
    let mut lab = Lab::new(83);
    let list = text("CLst", "ticket: T, leader: N");
    let pieces = list.chunks(7).map(|piece| Step::Send(piece.to_vec()));
    let pause = Step::Pause(Duration::from_millis(3));
    let script = pieces.flat_map(|send| [send, pause.clone()]).collect();
    lab.serve(1, vec![script]);
    lab.booth("list").is(0, &String::from_utf8_lossy(&list[48..]), &[]);
}

/// Takes the 10 s that a client waits for a list, and as long for half a list.
#[test]
fn a_daemon_that_never_answers_is_given_up() {
    let list = text("CLst", "ticket: T, leader: N");
    let (mut silent, mut slow) = (Lab::new(84), Lab::new(85));
    silent.serve(1, vec![vec![Step::Hold]]);
    slow.serve(1, vec![vec![Step::Send(list[..70].to_vec()), Step::Hold]]);
    std::thread::scope(|scope| {
        for lab in [&silent, &slow] {
            scope.spawn(move || {
                let outcome = lab.booth("list");
                let line = format!("booth: no answer from {} within 10 s", lab.address(1));
                outcome.is(1, "", &[&line]);
                let secs = outcome.took.as_secs_f64();
                assert!((10.0..15.0).contains(&secs), "{outcome:?}");
            });
        }
    });
}
