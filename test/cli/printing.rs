// SPDX-License-Identifier: GPL-2.0-or-later
//! Outputs: help, version, check; readers that go away; disks that are full.

use crate::captured::{sends, text};
use crate::lab::{finish, program_named, wait, Lab};
use booth_harness::not_run;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn help_and_version_are_data() {
    for (program, version) in [
        ("booth", concat!("booth ", env!("CARGO_PKG_VERSION"), "\n")),
        ("boothd", concat!("booth ", env!("CARGO_PKG_VERSION"), "\n")),
        ("geostore", concat!("geostore ", env!("CARGO_PKG_VERSION"), "\n")),
    ] {
        for word in ["version", "-V", "--version"] {
            let mut command = program_named(program);
            command.arg(word);
            finish(command).is(0, version, &[]);
        }
        for word in ["help", "-h", "--help"] {
            let mut command = program_named(program);
            command.arg(word);
            let outcome = finish(command);
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
            assert!(outcome.stdout.starts_with("Usage:\n"), "{outcome:?}");
            let longest = outcome.stdout.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(80), "{outcome:?}");
        }
        let outcome = finish(program_named(program));
        assert_eq!(outcome.code, 0);
        assert!(outcome.stdout.starts_with("Usage:\n"), "{outcome:?}");
    }
}

#[test]
fn help_about_an_operation_shows_its_options_and_examples_only() {
    let shown = |program: &str, line: &str| {
        let mut command = program_named(program);
        command.args(line.split(' '));
        let outcome = finish(command);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{line}: {outcome:?}");
        let begin = |line: &str| Some(line.strip_prefix("  ")?.split("  ").next()?.to_owned());
        let first: Vec<String> = outcome.stdout.lines().filter_map(begin).collect();
        first.into_iter().filter(|word| !word.is_empty()).collect::<Vec<String>>().join("|")
    };
    for line in ["help grant", "grant -h"] {
        let grant = shown("booth", line);
        assert!(grant.starts_with("booth grant [options] [TICKET]|-c FILE|-s SITE|-t TICKET|-F|"));
        let examples = "|-h|booth grant -C ticket-A|booth grant -s 192.0.2.20 ticket-A";
        assert!(grant.ends_with(examples), "{grant}");
        assert!(!grant.contains("-l LOCKFILE") && !grant.contains("|-S|"), "{grant}");
    }
    for (program, line, starts, without) in [
        (
            "booth",
            "list -h",
            "booth list [options]|-c FILE|-s SITE|",
            &["-t", "-F", "-w", "-l"][..],
        ),
        ("booth", "status -h", "booth status [options]|-c FILE|", &["-s", "-D", "-F"]),
        ("boothd", "help daemon", "booth daemon [options]|-c FILE|-s SITE|", &["-t", "-F", "-w"]),
        ("geostore", "get -h", "geostore get [options] NAME|-c FILE|-s SITE|-t TICKET|", &["-S"]),
    ] {
        let text = shown(program, line);
        assert!(text.starts_with(starts), "{line}: {text}");
        let options: Vec<&str> = text.split('|').map(|it| it.split(' ').next().unwrap()).collect();
        assert!(without.iter().all(|letter| !options.contains(letter)), "{line}: {text}");
    }
}

#[test]
fn wrong_arguments_go_to_standard_error() {
    let mut command = program_named("booth");
    command.args(["grant", "a", "b"]);
    let lines = ["booth: Superfluous argument: b", "Please use 'booth -h' for usage."];
    finish(command).is(1, "", &lines);
    let mut command = program_named("/usr/sbin/geostore");
    command.args(["frob"]);
    let lines = [
        "geostore: attribute operation \"frob\" is unknown",
        "Please use 'geostore -h' for usage.",
    ];
    finish(command).is(1, "", &lines);
}

/// A reader that has seen enough is no failure: `booth list | head -1` in a shell with pipefail.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut lab = Lab::new(150);
    let line = "ticket: T, leader: none\n";
    let mut list = text("CLst", "ticket: T")[..48].to_vec();
    // More than a pipe holds.
    list.extend(line.repeat(20_000).bytes());
    let length = u32::try_from(list.len()).expect("below 4 GiB");
    list[24..28].copy_from_slice(&length.to_be_bytes());
    lab.serve(1, vec![sends(&[list])]);
    let mut command = program_named("booth");
    command.arg("list").arg("-c").arg(lab.config());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdout = child.stdout.take().expect("piped");
    let mut first = vec![0u8; line.len()];
    stdout.read_exact(&mut first).expect("a first line comes");
    drop(stdout);
    let code = wait(&mut child, Instant::now() + Duration::from_secs(20));
    let mut stderr = String::new();
    let pipe = child.stderr.as_mut().expect("piped");
    pipe.read_to_string(&mut stderr).expect("text");
    assert_eq!((code, stderr.as_str(), first.as_slice()), (0, "", line.as_bytes()));
}

#[test]
fn data_that_cannot_be_written_is_a_failure() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        return not_run("printing::data_that_cannot_be_written_is_a_failure", "needs /dev/full");
    };
    let mut child = program_named("booth")
        .arg("help")
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let code = wait(&mut child, Instant::now() + Duration::from_secs(20));
    let mut stderr = String::new();
    child.stderr.as_mut().expect("piped").read_to_string(&mut stderr).expect("text");
    assert!(stderr.starts_with("booth: cannot write to standard output: "), "{stderr}");
    assert_eq!(code, 1);
}

#[test]
fn check_says_what_is_wrong_with_a_configuration() {
    let lab = Lab::new(151);
    let path = lab.config().display().to_string();
    let lab = lab.with_key(b"0123456789");
    let key = lab.path().join("key").display().to_string();
    let good = format!(
        "authfile = {key}\nsite = 127.30.151.1\nsite = 127.30.151.2\narbitrator = 127.30.151.3\n\
         ticket = \"T\"\nacquire-after = 20\n"
    );
    fs::write(lab.config(), &good).expect("the configuration is written");
    let outcome = lab.booth("check");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    let begin = format!("{path}: this host is no member: it has 127.0.0.1");
    let end =
        format!("; the members are 127.30.151.1, 127.30.151.2, 127.30.151.3\n{path}: no errors\n");
    let told = &outcome.stdout;
    assert!(told.starts_with(&begin) && told.ends_with(&end), "{told}");

    fs::write(lab.config(), good.replace("arbitrator", "port = 9000\narbitrator"))
        .expect("the configuration is written");
    let outcome = lab.booth("check");
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (0, 1), "{outcome:?}");
    assert!(outcome.stderr.starts_with(&format!("booth: warning: {path}:4: port")), "{outcome:?}");

    fs::write(lab.config(), "site = 127.30.151.1\nfrobnicate = 1\nticket = \"bad!name\"\n")
        .expect("the configuration is written");
    let outcome = lab.booth("check");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(lines.len() >= 2, "all that is wrong is said at once: {lines:?}");
    assert!(lines.iter().all(|line| line.starts_with(&format!("booth: {path}:"))), "{lines:?}");

    fs::remove_file(lab.config()).expect("it was there");
    let outcome = lab.booth("check");
    assert!(outcome.stderr.contains(&path), "{outcome:?}");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
}

/// What a cluster starts with, but does not work well with: warnings, and exit code 0.
#[test]
fn check_looks_at_what_the_configuration_names() {
    let lab = Lab::new(153);
    let path = lab.config().display().to_string();
    let here = lab.path().display().to_string();
    let config = |me: &str| {
        format!(
            "site-user = no-such-user\narbitrator-group = no-such-group\n\
             ticket-store = {here}/store\nsite = {me}\nsite = 127.30.153.2\nticket = \"a\"\n  \
             before-acquire-handler = {here}/handler x\n  acquire-after = 5\nticket = \"b\"\n"
        )
    };
    fs::write(lab.config(), config("127.30.153.1")).expect("the configuration is written");
    let outcome = lab.booth("check");
    let site = "booth: warning: if this host becomes a site:";
    let said: Vec<String> = [
        format!("booth: warning: {path}: there are 2 sites and no arbitrator: "),
        format!("{site} ticket \"a\": before-acquire-handler {here}/handler: No such file or "),
        format!("{site} ticket-store {here}/store: the directory does not exist; "),
        format!("{site} there is no user \"no-such-user\" on this host: make it, or change "),
        "booth: warning: if this host becomes an arbitrator: there is no group \"no-such-group\" "
            .to_owned(),
        format!("booth: warning: {path}: no authfile: whoever can reach a member can grant and "),
        format!("booth: warning: {path}: acquire-after = 0 for ticket \"b\": another site may "),
    ]
    .into();
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!((outcome.code, lines.len()), (0, said.len()), "{outcome:?}");
    assert!(lines.iter().zip(&said).all(|(line, begin)| line.starts_with(begin)), "{lines:?}");

    // What is there is not warned of. This host is a member now, and the user is that of its site.
    fs::create_dir(lab.path().join("store")).expect("made");
    let handler = lab.path().join("handler");
    fs::write(&handler, "#!/bin/sh\n").expect("written");
    let text = config("127.0.0.1").replace("site-user = no-such-user", "site-user = root");
    fs::write(lab.config(), &text).expect("the configuration is written");
    let outcome = lab.booth("check");
    let not_run = format!(
        "booth: warning: site 127.0.0.1: ticket \"a\": before-acquire-handler {here}/handler: it \
         is no executable file; use chmod +x"
    );
    let said = outcome.stderr.lines().any(|line| line == not_run);
    assert!(outcome.code == 0 && said, "{outcome:?}");
    assert!(!outcome.stderr.contains("ticket-store"), "{outcome:?}");
    let stdout = format!("{path}: this host is site 127.0.0.1\n{path}: no errors\n");
    assert_eq!(outcome.stdout, stdout);
    fs::set_permissions(&handler, Permissions::from_mode(0o755)).expect("allowed");
    assert!(!lab.booth("check").stderr.contains("handler"), "it can be run");
}

#[test]
fn clients_refuse_a_wrong_configuration_with_all_its_errors() {
    let lab = Lab::new(152);
    fs::write(lab.config(), "port = x\nfrobnicate = 1\n").expect("it is written");
    for line in ["list", "peers", "grant T", "revoke T", "status", "daemon -S"] {
        let outcome = lab.booth(line);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{line}: {outcome:?}");
        assert!(outcome.stderr.lines().count() >= 2, "{line}: {outcome:?}");
    }
}
