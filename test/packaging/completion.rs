// SPDX-License-Identifier: GPL-2.0-or-later
//! Completion of bash: what a configuration says is offered as it is, and never run.

use super::{succeed, top};
use std::fs;
use std::process::Command;

/// What is offered for the last of these words.
fn offered(directory: &tempfile::TempDir, words: &[&str]) -> Vec<String> {
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _booth
                  [[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "-"]).arg(top().join("scripts/bash-completion"));
    let said =
        succeed(command.args(words).current_dir(directory.path()).env("HOME", directory.path()));
    said.lines().map(str::to_owned).collect()
}

#[test]
fn names_in_a_configuration_are_neither_run_nor_expanded_nor_split() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = "site = 10.0.0.1\nsite=\"2001:db8::1\"\n\tsite = 'west' # here\n\
                  arbitrator = 10.0.0.3\r\n# ticket = no\nticket = \"__defaults__\"\n\
                  ticket = '$(touch ran)'\nticket = \"`touch ran`\"\nticket = ${HOME}\n\
                  ticket = ~\nticket = \"a b\"\nticket = x#y # a comment\nticket = 'd*'\n";
    fs::write(directory.path().join("d.conf"), config).expect("written");
    let tickets =
        [r"\$\(touch\ ran\)", r"\`touch\ ran\`", r"\$\{HOME\}", r"\~", r"a\ b", "x#y", r"d\*"];
    for line in [
        &["booth", "grant", "-c", "./d.conf", "-t", ""][..],
        &["booth", "grant", "-c", "./d.conf", ""],
        &["booth", "-c", "./d.conf", "-s", "x", "revoke", ""],
        &["boothd", "client", "revoke", "-F", "-c", "./d.conf", ""],
    ] {
        assert_eq!(offered(&directory, line), tickets, "{line:?}");
    }
    let sites = ["10.0.0.1", "2001:db8::1", "west", "10.0.0.3", "other"];
    assert_eq!(offered(&directory, &["booth", "list", "-c", "./d.conf", "-s", ""]), sites);
    assert_eq!(offered(&directory, &["booth", "list", "-c", "./d.conf", "-s", "o"]), ["other"]);
    assert_eq!(offered(&directory, &["geostore", "get", "-c", "./d.conf", "-t", "x"]), ["x#y"]);
    let left: Vec<_> = fs::read_dir(directory.path()).expect("there").collect();
    assert_eq!(left.len(), 1, "something was run: {left:?}");
}

#[test]
fn operations_options_and_files_are_offered_where_they_belong() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("my file"), "").expect("written");
    let offered = |words: &[&str]| offered(&directory, words);
    assert_eq!(offered(&["boothd", "dae"]), ["daemon"]);
    assert_eq!(offered(&["booth", "-c", "grant", "re"]), ["revoke"]);
    assert_eq!(offered(&["geostore", "l"]), ["list"]);
    assert!(offered(&["booth", "list", "-"]).contains(&"-s".to_owned()));
    assert!(offered(&["booth", "list", "-c", "my"]).contains(&r"my\ file".to_owned()));
    assert_eq!(offered(&["booth", "list", ""]), Vec::<String>::new());
    let at_home = offered(&["boothd", "-c", "~/my"]);
    assert_eq!(at_home, [r"~/my\ file"]);
}
