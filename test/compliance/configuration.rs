// SPDX-License-Identifier: GPL-2.0-or-later
//! Which configurations are accepted, and how others are refused. `status` tells: 7 (not
//! running) for a good one, 1 for a bad one.

use crate::quirk::differs;
use booth_harness::{finish, run, test_name, under_test, Finished, Lab, Need};
use std::time::Duration;

/// Eleven good lines; what a case adds begins in line 12.
const GOOD: &str = "transport = UDP\nport = 9929\nsite = \"127.0.0.1\"\nsite = \"127.0.0.2\"\n\
                    arbitrator = \"127.0.0.3\"\n\n# A comment.\nticket = \"t1\"\n\texpire = 10\n\
                    \ttimeout = 1\n\tretries = 3\n";

fn status(lab: &Lab, text: &str) -> Finished {
    let file = lab.write("case.conf", text, 0o644);
    let lock = lab.dir().join("case.pid");
    let mut command = under_test().command(lab, "booth", None);
    command.args(["status", "-c", &file, "-l"]).arg(lock);
    finish(&mut command, Duration::from_secs(10))
}

/// Adds `more` to the good lines and expects to be accepted.
#[track_caller]
fn accepted(lab: &Lab, more: &str) {
    let told = status(lab, &format!("{GOOD}{more}"));
    assert_eq!(told.code, Some(7), "{more:?}: {told:?}");
}

/// Adds `more` and expects a refusal that names the line, as `line N` or `:N:`.
#[track_caller]
fn refused_in_line(lab: &Lab, more: &str, line: u32) {
    let told = status(lab, &format!("{GOOD}{more}"));
    assert_eq!(told.code, Some(1), "{more:?}: {told:?}");
    let named = [format!("line {line}"), format!(":{line}:")];
    assert!(named.iter().any(|name| told.stderr.contains(name)), "{more:?}: {told:?}");
}

/// Adds `more` and expects a refusal that says `wanted`.
#[track_caller]
fn refused(lab: &Lab, more: &str, wanted: &str) {
    let told = status(lab, &format!("{GOOD}{more}"));
    assert_eq!(told.code, Some(1), "{more:?}: {told:?}");
    assert!(told.stderr.contains(wanted), "{more:?} without {wanted:?}: {told:?}");
}

#[test]
fn errors_name_the_line() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cases = [
            "foo = bar\n",
            "port\n",
            "[section]\n",
            "%%%\n",
            "site = \"127.0.0.4\n",
            "name = \"booth\" more\n",
            "ticket = \"a_b\"\n",
            "ticket = \"t1\"\n",
            "\texpire = 0\n",
            "\texpire = soon\n",
            "\tacquire-after = x\n",
            "\tretries = 2\n",
            "\tretries = 101\n",
            "\tweights = 1,x\n",
            "\tattr-prereq = auto x eq\n",
            "\tattr-prereq = sometimes x eq y\n",
        ];
        for case in cases {
            refused_in_line(lab, case, 12);
        }
        refused_in_line(lab, "\n\n# further down\nfoo = bar\n", 15);
    });
}

#[test]
fn errors_say_what_is_wrong() {
    run(test_name!(), Need::of(under_test()), |lab| {
        refused(lab, "foo = bar\n", "nknown keyword \"foo\"");
        refused(lab, "ticket = \"a_b\"\n", "ticket name \"a_b\" invalid");
        refused(lab, "ticket = \"t1\"\n", "t1");
        let long = "a".repeat(64);
        refused(lab, &format!("ticket = \"{long}\"\n"), &long);
        // Ours needs no name server for status; every other client does.
        let unknown = format!("{GOOD}site = \"no-such-host.invalid\"\n");
        let told = status(lab, &unknown).expect_code(differs(14, 7, 1));
        let name = differs(14, "not running", "no-such-host.invalid");
        assert!(told.stderr.contains(name), "{told:?}");
        let file = lab.write("case.conf", &unknown, 0o644);
        let mut list = under_test().command(lab, "booth", None);
        let told = finish(list.args(["list", "-c", &file]), Duration::from_secs(10));
        assert!(told.expect_code(1).stderr.contains("no-such-host.invalid"));
        refused(lab, "authfile = /no/such/key\n", "/no/such/key");
        refused(lab, "ticket = \"t2\"\n\texpire = 20\n\ttimeout = 5\n\tretries = 5\n", "t2");
    });
}

#[test]
fn the_whole_grammar_is_accepted() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cases = [
            "name = 'single quotes'\n",
            "   name   =   booth   \n",
            "name=booth\n",
            "name = \"booth\" # a comment after a quoted value\n",
            "maxtimeskew = 10\n",
            "debug = 1\n",
            "ticket = \"a/b-9\"\n",
            "ticket = \"t2\"\n\texpire = 10500ms\n\ttimeout = 800ms\n\tretries = 3\n",
            "ticket = \"t2\"\n\tmode = manual\n",
            "ticket = \"t2\"\n\tmode = MANUAL\n",
            "ticket = \"t2\"\n\tweights = 1,2,3\n",
            "ticket = \"t2\"\n\tattr-prereq = auto one eq 1\n\tattr-prereq = manual two ne 2\n",
            "ticket = \"t2\"\n\tbefore-acquire-handler = /bin/true a b c\n",
            "ticket = \"t2\"\n\texpire = 60\n\tacquire-after = 30\n\trenewal-freq = 20\n\
             \ttimeout = 3\n\tretries = 3\n",
        ];
        for case in cases {
            accepted(lab, case);
        }
        accepted(lab, &format!("ticket = \"{}\"\n", "a".repeat(63)));
        let defaults = "ticket = \"__defaults__\"\n\texpire = 30\n\ttimeout = 2\n\tretries = 4\n";
        accepted(lab, defaults);
    });
}

#[test]
fn values_that_the_reference_silently_reinterprets_are_errors() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cases = ["port = abc\n", "port = 0\n", "maxtimeskew = x\n", "\tmode = manaul\n"];
        for case in cases {
            if differs(102, true, false) {
                refused_in_line(lab, case, 12);
            } else {
                accepted(lab, case);
            }
        }
    });
}

#[test]
fn a_comment_may_follow_an_unquoted_value() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let case = "\texpire = 20 # seconds\n";
        if differs(101, true, false) {
            accepted(lab, case);
        } else {
            refused_in_line(lab, case, 12);
        }
    });
}
