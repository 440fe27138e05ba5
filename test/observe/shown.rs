// SPDX-License-Identifier: GPL-2.0-or-later
//! How `overview` is shown: on a terminal and in a pipe, once and again, in 80 columns.

use booth_harness::{not_run, run, setup_ticket, test_name, until, Cluster, Kind, Setup};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// From util-linux: gives a program a terminal.
const SCRIPT: &str = "/usr/bin/script";
const HOME: &str = "\x1b[H";
const RED: &str = "\x1b[31m";

/// What the first member's client shows on a terminal with this environment.
#[track_caller]
fn on_a_terminal(
    cluster: &Cluster<'_>,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> String {
    let client = cluster.client(Kind::Ours, 0, arguments);
    let words: Vec<_> = client.get_args().map(|word| word.to_string_lossy()).collect();
    let line = format!("timeout 5 {} {}", client.get_program().to_string_lossy(), words.join(" "));
    let mut script = Command::new(SCRIPT);
    script.env_clear().env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("TZ", "UTC0");
    script.envs(environment.iter().copied()).args(["-q", "-c", &line, "/dev/null"]);
    booth_harness::finish(&mut script, SOON).stdout
}

#[test]
fn only_a_terminal_has_colours_and_is_redrawn_in_place() {
    if !Path::new(SCRIPT).exists() {
        return not_run(test_name!(), "needs script, from util-linux");
    }
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.kill(2);
        let term = ("TERM", "xterm");
        let text = on_a_terminal(&cluster, &[term], &["overview"]);
        assert!(text.contains(RED) && !text.contains(HOME), "{text:?}");
        let text = on_a_terminal(&cluster, &[term, ("NO_COLOR", "1")], &["overview"]);
        assert!(text.contains("SILENT") && !text.contains('\u{1b}'), "{text:?}");
        let text = on_a_terminal(&cluster, &[term], &["overview", "-w", "1"]);
        assert!(text.matches(HOME).count() >= 2 && text.contains("\x1b[J"), "{text:?}");
        // What cannot place a cursor gets one after the other.
        let text = on_a_terminal(&cluster, &[("TERM", "dumb")], &["overview", "-w", "1"]);
        assert!(text.matches("MEMBER").count() >= 2 && !text.contains('\u{1b}'), "{text:?}");
    });
}

#[test]
fn in_a_pipe_it_is_shown_again_until_the_reader_has_gone() {
    run(test_name!(), &[], |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        for format in ["text", "json"] {
            let arguments = ["overview", "-o", format, "-w", "1"];
            let mut client = cluster.client(Kind::Ours, 0, &arguments);
            let mut client = client.stdout(Stdio::piped()).spawn().expect("a client starts");
            let mut lines = BufReader::new(client.stdout.take().expect("a pipe")).lines();
            let word = if format == "text" { "MEMBER" } else { "\"verdict\"" };
            for _ in 0..2 {
                let found = lines.find(|line| line.as_ref().is_ok_and(|text| text.contains(word)));
                assert!(found.is_some(), "{word} is shown again");
            }
            drop(lines);
            let ended = until(SOON, "a client without a reader ends", || {
                client.try_wait().expect("a child of this process")
            });
            assert!(ended.code().is_some(), "{ended:?}");
        }
    });
}

#[test]
fn the_longest_names_stay_within_80_columns() {
    run(test_name!(), &[], |lab| {
        let name = "t".repeat(63);
        let cluster = Cluster::started(lab, &Setup::usual().tickets(setup_ticket(&name, "")));
        cluster.booth(0, &["grant", "-C", &name]).expect_code(0);
        for operation in ["overview", "explain"] {
            let text = cluster.booth(0, &[operation]).stdout;
            assert!(text.contains(&name), "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "longer than 80 columns: {line}");
            }
        }
    });
}
