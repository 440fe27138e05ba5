// SPDX-License-Identifier: GPL-2.0-or-later
//! Completion of bash, zsh and fish: what a configuration says is offered as it is, and never run.

use super::{succeed, top};
use booth_harness::not_run;
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

/// What zsh offers: the functions that hand it over print it, and zsh itself quotes what it
/// inserts.
fn offered_by_zsh(directory: &tempfile::TempDir, words: &[&str]) -> Vec<String> {
    let script = "compadd() { if [[ $1 == -a ]]; then print -rl -- ${(P)2}
                  else print -rl -- \"$@\"; fi }
                  _describe() { print -rl -- ${${(M)${(P)2}:#${words[CURRENT]}*}%%:*} }
                  _files() { print -r -- FILES }
                  script=$1; shift; words=(\"$@\"); CURRENT=$#; service=${words[1]:t}
                  () { source $script }; :";
    let mut command = Command::new("zsh");
    command.args(["-f", "-c", script, "-"]).arg(top().join("scripts/zsh-completion"));
    let said = succeed(command.args(words).current_dir(directory.path()));
    said.lines().map(str::to_owned).collect()
}

/// What fish offers, without what it says of it.
fn offered_by_fish(directory: &tempfile::TempDir, words: &[&str]) -> Vec<String> {
    let mut command = Command::new("fish");
    command.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", "--"]);
    command.arg(top().join("scripts/fish-completion")).arg(words.join(" "));
    let home = directory.path().join("home");
    let said = succeed(command.current_dir(directory.path()).env("HOME", home));
    said.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

fn is_there(shell: &str) -> bool {
    Command::new(shell).args(["-c", ":"]).output().is_ok()
}

/// The same in shells that may not be here.
#[test]
fn zsh_and_fish_offer_the_same_and_run_nothing() {
    type Offered = fn(&tempfile::TempDir, &[&str]) -> Vec<String>;
    let shells: [(&str, Offered); 2] = [("zsh", offered_by_zsh), ("fish", offered_by_fish)];
    for (shell, offered) in shells {
        if !is_there(shell) {
            let name = "completion::zsh_and_fish_offer_the_same_and_run_nothing";
            not_run(name, &format!("needs {shell}"));
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("home")).expect("made");
        fs::write(directory.path().join("d.conf"), CONFIG).expect("written");
        let offered = |words: &[&str]| {
            let mut offered = offered(&directory, words);
            offered.sort();
            offered
        };
        let tickets = ["$(touch ran)", "${HOME}", "`touch ran`", "a b", "d*", "x#y", "~"];
        for line in [
            &["booth", "grant", "-c", "./d.conf", "-t", ""][..],
            &["booth", "grant", "-c", "./d.conf", ""],
            &["booth", "-c", "./d.conf", "-s", "x", "revoke", ""],
            &["boothd", "client", "revoke", "-F", "-c", "./d.conf", ""],
            &["geostore", "get", "-c", "./d.conf", "-t", ""],
        ] {
            assert_eq!(offered(line), tickets, "{shell}: {line:?}");
        }
        let sites = ["10.0.0.1", "10.0.0.3", "2001:db8::1", "other", "west"];
        assert_eq!(offered(&["booth", "list", "-c", "./d.conf", "-s", ""]), sites, "{shell}");
        assert_eq!(offered(&["boothd", "dae"]), ["daemon"], "{shell}");
        assert_eq!(offered(&["booth", "-c", "grant", "re"]), ["revoke"], "{shell}");
        assert_eq!(offered(&["geostore", "l"]), ["list"], "{shell}");
        assert_eq!(offered(&["booth", "help", "gr"]), ["grant"], "{shell}");
        assert!(offered(&["booth", "list", "-"]).contains(&"-s".to_owned()), "{shell}");
        assert_eq!(offered(&["booth", "list", "-o", ""]), ["json", "text"], "{shell}");
        assert_eq!(offered(&["booth", "list", ""]), Vec::<String>::new(), "{shell}");
        let mut left: Vec<_> = fs::read_dir(directory.path()).expect("there").flatten().collect();
        left.retain(|entry| entry.file_name() != "home");
        assert_eq!(left.len(), 1, "{shell}: something was run: {left:?}");
    }
}

/// Names that a shell would run, expand or split.
const CONFIG: &str = "site = 10.0.0.1\nsite=\"2001:db8::1\"\n\tsite = 'west' # here\n\
                      arbitrator = 10.0.0.3\r\n# ticket = no\nticket = \"__defaults__\"\n\
                      ticket = '$(touch ran)'\nticket = \"`touch ran`\"\nticket = ${HOME}\n\
                      ticket = ~\nticket = \"a b\"\nticket = x#y # a comment\nticket = 'd*'\n";

#[test]
fn names_in_a_configuration_are_neither_run_nor_expanded_nor_split() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("d.conf"), CONFIG).expect("written");
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
    assert_eq!(offered(&["booth", "help", "gr"]), ["grant"]);
    assert_eq!(offered(&["booth", "list", "-o", "j"]), ["json"]);
    assert!(offered(&["booth", "list", "-"]).contains(&"-s".to_owned()));
    assert!(offered(&["booth", "list", "-c", "my"]).contains(&r"my\ file".to_owned()));
    assert_eq!(offered(&["booth", "list", ""]), Vec::<String>::new());
    let at_home = offered(&["boothd", "-c", "~/my"]);
    assert_eq!(at_home, [r"~/my\ file"]);
}
