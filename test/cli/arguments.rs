// SPDX-License-Identifier: GPL-2.0-or-later
//! Tables of arguments and what they mean. `Reference:` cases were first tried with Debian 13's
//! booth 1.2; where ours differs, the number in `test/QUIRKS.md` is given.

use booth::cli::args::{
    parse, program_of, AttrAction, Format, Invocation, SiteArg, Target, UsageError, DEFAULT_CONFIG,
};
use booth::cli::options::{Operation, Program, OPERATIONS, OPTIONS};
use booth::model::Excerpt;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn booth(line: &str) -> Result<Invocation, UsageError> {
    parse(Program::Booth, &words(line))
}

fn geostore(line: &str) -> Result<Invocation, UsageError> {
    parse(Program::Geostore, &words(line))
}

fn target(config: &str, site: SiteArg, debug: u8) -> Target {
    Target { config: config.to_owned(), site, debug }
}

fn default_target() -> Target {
    target(DEFAULT_CONFIG, SiteArg::Local, 0)
}

#[test]
fn the_name_of_the_program_decides() {
    for name in ["booth", "boothd", "/usr/sbin/boothd", "", "geostore2", "/geostore/booth"] {
        assert_eq!(program_of(name), Program::Booth, "{name}");
    }
    for name in ["geostore", "/usr/sbin/geostore", "./geostore"] {
        assert_eq!(program_of(name), Program::Geostore, "{name}");
    }
}

#[test]
fn no_arguments_and_every_form_of_help_print_the_usage() {
    for line in [
        "",
        "help",
        "-h",
        "--help",
        "client help",
        "client -h",
        "help help",
        "help frobnicate",
        "frobnicate -h",
        "version -h",
    ] {
        assert_eq!(booth(line), Ok(Invocation::Help(Program::Booth, None)), "booth {line}");
    }
    for line in ["", "help", "-h", "--help", "grant -h"] {
        let meant = Ok(Invocation::Help(Program::Geostore, None));
        assert_eq!(geostore(line), meant, "geostore {line}");
    }
}

#[test]
fn help_about_an_operation_has_that_operation_only() {
    for (line, operation) in [
        ("list -h", Operation::List),
        ("list --help", Operation::List),
        ("grant -wh t", Operation::Grant),
        ("help grant", Operation::Grant),
        ("help client grant", Operation::Grant),
        ("client help grant", Operation::Grant),
        ("client revoke -h", Operation::Revoke),
        ("daemon -h extra", Operation::Daemon),
        ("help arbitrator", Operation::Daemon),
    ] {
        let meant = Ok(Invocation::Help(Program::Booth, Some(operation)));
        assert_eq!(booth(line), meant, "booth {line}");
    }
    let meant = Ok(Invocation::Help(Program::Geostore, Some(Operation::AttrSet)));
    assert_eq!(geostore("set -h"), meant);
}

#[test]
fn every_form_of_version_prints_it() {
    for line in ["version", "-V", "--version", "list --version"] {
        assert_eq!(booth(line), Ok(Invocation::Version(Program::Booth)), "booth {line}");
        assert_eq!(geostore(line), Ok(Invocation::Version(Program::Geostore)), "geostore {line}");
    }
}

#[test]
fn options_come_in_every_order_and_form() {
    let expected = target("a", SiteArg::Named("127.0.0.2".into()), 2);
    for line in [
        "list -c a -s 127.0.0.2 -D -D",
        "list -ca -s127.0.0.2 -DD",
        "list -DDca -s 127.0.0.2",
        "client list -D -c a -D -s 127.0.0.2",
        "list -c nothere -c a -s other -s 127.0.0.2 -DD",
        // QUIRKS 1: ours takes options before the operation too.
        "-c a -DD list -s 127.0.0.2",
        "-c a client -DD list -s 127.0.0.2",
    ] {
        let Ok(Invocation::List(args)) = booth(line) else {
            panic!("booth {line}: {:?}", booth(line));
        };
        assert_eq!((args.target, args.ignored), (expected.clone(), vec![]), "booth {line}");
    }
}

#[test]
fn list_and_peers_take_any_argument_and_ignore_it() {
    for (line, ignored) in [
        ("client list 2>/dev/null", vec!["2>/dev/null"]),
        ("list t1 t2", vec!["t1", "t2"]),
        ("list", vec![]),
        ("list -- -x", vec!["-x"]),
        ("list --", vec![]),
        ("list -", vec!["-"]),
    ] {
        match booth(line) {
            Ok(Invocation::List(args)) => assert_eq!(args.ignored, ignored, "booth {line}"),
            other => panic!("booth {line}: {other:?}"),
        }
    }
    match booth("peers a") {
        Ok(Invocation::Peers(args)) => assert_eq!(args.ignored, ["a"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn grant_takes_its_ticket_as_word_or_option() {
    for line in ["grant t1", "grant -t t1", "grant -- t1", "client grant -tt1", "-t t1 grant"] {
        let Ok(Invocation::Grant(args)) = booth(line) else {
            panic!("booth {line}: {:?}", booth(line));
        };
        assert_eq!(args.ticket.as_ref().map(|t| t.as_str()), Some("t1"), "booth {line}");
        assert_eq!(args.target, default_target());
        let options = args.options;
        assert!(!options.immediate && !options.wait && !options.wait_commit);
    }
    let Ok(Invocation::Grant(args)) = booth("grant -FwC -s other a/b-9") else {
        panic!("{:?}", booth("grant -FwC -s other a/b-9"));
    };
    assert!(args.options.immediate && args.options.wait && args.options.wait_commit);
    assert_eq!(args.target.site, SiteArg::Other);
    assert_eq!(args.ticket.map(|t| t.to_string()), Some("a/b-9".to_owned()));
    let Ok(Invocation::Grant(args)) = booth("grant") else { panic!("no ticket is fine here") };
    assert_eq!(args.ticket, None);
}

#[test]
fn empty_values_count_as_not_given() {
    let argv: Vec<OsString> = ["grant", "-s", "", ""].map(OsString::from).to_vec();
    match parse(Program::Booth, &argv) {
        Ok(Invocation::Grant(args)) => {
            assert_eq!((args.target.site, args.ticket), (SiteArg::Local, None));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn revoke_waits_but_knows_nothing_of_force_and_commit() {
    match booth("revoke -w t1") {
        Ok(Invocation::Revoke(args)) => {
            let ticket = args.ticket.map(|t| t.to_string());
            assert_eq!((args.options.wait, ticket), (true, Some("t1".into())));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_daemon_has_four_names() {
    for line in ["daemon", "start", "site", "arbitrator"] {
        let line = format!("{line} -SDc x -l /run/y -s 10.0.0.1");
        let Ok(Invocation::Daemon(args)) = booth(&line) else { panic!("{line}") };
        assert_eq!(args.options.config_given, "x");
        assert_eq!(args.options.lock_file, Some("/run/y".into()));
        assert_eq!(args.site.as_deref(), Some("10.0.0.1"));
        assert_eq!((args.options.foreground, args.options.debug), (true, 1));
    }
}

#[test]
fn geostore_takes_names_and_values() {
    for (line, action) in [
        ("list", AttrAction::List),
        ("get a", AttrAction::Get("a".into())),
        ("set a b", AttrAction::Set("a".into(), "b".into())),
        ("set -- a -b", AttrAction::Set("a".into(), "-b".into())),
        ("delete a", AttrAction::Delete("a".into())),
    ] {
        let Ok(Invocation::Attr(args)) = geostore(line) else {
            panic!("geostore {line}: {:?}", geostore(line));
        };
        assert_eq!((args.action, args.ticket), (action, None), "geostore {line}");
    }
    let Ok(Invocation::Attr(args)) = geostore("get -t T -s other -c z a") else { panic!() };
    assert_eq!(args.ticket.map(|t| t.to_string()), Some("T".to_owned()));
    assert_eq!(args.target, target("z", SiteArg::Other, 0));
}

/// Sentences that scripts and the reference's test-suite know.
#[test]
fn what_means_nothing_is_refused_with_the_known_sentence() {
    for (line, sentence) in [
        ("frobnicate", "client operation \"frobnicate\" is unknown"),
        ("client frob", "client operation \"frob\" is unknown"),
        ("client status", "client operation \"status\" is unknown: did you mean \"booth status\"?"),
        ("client daemon", "client operation \"daemon\" is unknown: did you mean \"booth daemon\"?"),
        ("set x y", "client operation \"set\" is unknown: did you mean \"geostore set\"?"),
        ("LIST", "client operation \"LIST\" is unknown: did you mean \"list\"?"),
        ("lst", "client operation \"lst\" is unknown: did you mean \"list\"?"),
        ("client peer", "client operation \"peer\" is unknown: did you mean \"peers\"?"),
        ("garnt t", "client operation \"garnt\" is unknown: did you mean \"grant\"?"),
        ("ls", "client operation \"ls\" is unknown"),
        ("grant t1 t2", "Superfluous argument: t2"),
        ("grant -t t1 t2", "Superfluous argument: t2"),
        ("grant t1 -- t2 t3", "Superfluous arguments: t2 t3"),
        ("daemon extra", "Superfluous argument: extra"),
        ("status extra", "Superfluous argument: extra"),
        ("check good.conf", "Superfluous argument: good.conf: did you mean \"-c ./good.conf\"?"),
        ("daemon ../a.conf", "Superfluous argument: ../a.conf: did you mean \"-c ../a.conf\"?"),
        ("grant t x a.conf", "Superfluous arguments: x a.conf: did you mean \"-c ./a.conf\"?"),
        ("list -x", "invalid option -- 'x'"),
        ("list -Dx", "invalid option -- 'x'"),
        ("list --frob", "invalid option -- '--frob'"),
        ("list -c", "option requires an argument -- 'c'"),
        ("list -Ds", "option requires an argument -- 's'"),
        ("list -w", "use \"-w\" only for grant and revoke"),
        ("status -w", "use \"-w\" only for grant and revoke"),
        ("daemon -w", "use \"-w\" only for grant and revoke"),
        ("list -F", "use \"-F\" only for client grant"),
        ("revoke -F t1", "use \"-F\" only for client grant"),
        ("revoke -C t1", "use \"-C\" only for grant"),
        ("list -C", "use \"-C\" only for grant"),
        ("list -t t1", "use \"-t\" only for grant, revoke and geostore"),
        ("daemon -t t1", "use \"-t\" only for grant, revoke and geostore"),
        ("client", "not enough arguments: no operation given"),
        ("-c booth", "not enough arguments: no operation given"),
        (
            "grant bad!name",
            "ticket \"bad!name\" does not exist: '!' is not allowed: use letters, \
                            digits, '-' and '/'",
        ),
    ] {
        match booth(line) {
            Err(error) => assert_eq!(error.to_string(), sentence, "booth {line}"),
            Ok(meant) => panic!("booth {line} means {meant:?}"),
        }
    }
    for line in ["daemon -s 10.0.0.1", "status -s 10.0.0.1", "status -D -s 10.0.0.1"] {
        let text = booth(line).map_err(|error| error.to_string());
        let known = text.as_ref().is_err_and(|t| t.contains("\"-s\" not allowed in daemon mode"));
        assert!(known, "booth {line}: {text:?}");
    }
}

#[test]
fn geostore_refuses_what_is_not_its_own() {
    for (line, sentence) in [
        ("frob", "attribute operation \"frob\" is unknown"),
        ("client list", "attribute operation \"client\" is unknown"),
        ("grant", "attribute operation \"grant\" is unknown: did you mean \"booth grant\"?"),
        ("sett", "attribute operation \"sett\" is unknown: did you mean \"set\"?"),
        ("list -F", "invalid option -- 'F'"),
        ("list -S", "invalid option -- 'S'"),
        ("list -l x", "invalid option -- 'l'"),
        ("list -w", "invalid option -- 'w'"),
        ("list a", "Superfluous argument: a"),
        ("get a b", "Superfluous argument: b"),
        ("delete a b", "Superfluous argument: b"),
        ("set a b c", "Superfluous argument: c"),
        ("set a", "not enough arguments: the value is missing"),
        ("set", "not enough arguments: the name of the attribute is missing"),
        ("get", "not enough arguments: the name of the attribute is missing"),
        ("delete", "not enough arguments: the name of the attribute is missing"),
    ] {
        match geostore(line) {
            Err(error) => assert_eq!(error.to_string(), sentence, "geostore {line}"),
            Ok(meant) => panic!("geostore {line} means {meant:?}"),
        }
    }
}

/// Each limit: one more is refused and named, the limit itself is taken.
#[test]
fn what_is_too_long_is_refused_by_name() {
    use Program::{Booth, Geostore};
    for (program, before, after, what, max) in [
        (Booth, "grant", "", "ticket name", 63),
        (Booth, "grant -t", "", "ticket name", 63),
        (Booth, "revoke", "", "ticket name", 63),
        (Booth, "list -s", "", "site name", 63),
        (Booth, "list -c", "", "config name", 4079),
        (Booth, "daemon -c", "", "config name", 4079),
        (Booth, "status -l", "", "lock file", 4095),
        (Booth, "daemon -l", "", "lock file", 4095),
        (Geostore, "get", "", "attribute name", 63),
        (Geostore, "set", "v", "attribute name", 63),
        (Geostore, "set n", "", "attribute value", 127),
        (Geostore, "get n -t", "", "ticket name", 63),
    ] {
        let long = "x".repeat(max + 1);
        let line = format!("{before} {long} {after}");
        let sentence = format!("'{}' exceeds maximum {what} length of {max}", Excerpt::new(&long));
        let refused = parse(program, &words(&line)).map_err(|error| error.to_string());
        assert_eq!(refused, Err(sentence), "{before}");
        // QUIRKS 2: the reference refuses the longest ticket and attribute names too.
        let line = format!("{before} {} {after}", "x".repeat(max));
        assert!(parse(program, &words(&line)).is_ok(), "{before}");
    }
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let argv = vec![OsString::from("list"), OsString::from_vec(vec![b'a', 0xFF, b'b'])];
    match parse(Program::Booth, &argv) {
        Err(UsageError::NotUtf8(word)) => assert_eq!(word, argv[1]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_number_behind_the_watch_of_an_overview_is_its_pause() {
    let overview = |line: &str| match booth(line) {
        Ok(Invocation::Overview(args)) => {
            (args.watch, args.ticket.map(|name| name.to_string()), args.format)
        }
        other => panic!("booth {line}: {other:?}"),
    };
    let ticket = |name: &str| Some(name.to_owned());
    for (line, expected) in [
        ("overview", (None, None, Format::Text)),
        ("overview t", (None, ticket("t"), Format::Text)),
        ("overview 5", (None, ticket("5"), Format::Text)),
        ("overview -w", (Some(2), None, Format::Text)),
        ("overview -w 5", (Some(5), None, Format::Text)),
        ("overview -w t", (Some(2), ticket("t"), Format::Text)),
        ("overview t -w 5 -o json", (Some(5), ticket("t"), Format::Json)),
        ("overview -w -t 5 --output-format text", (Some(2), ticket("5"), Format::Text)),
        ("overview -w 7 -t 5 --output-format=json", (Some(7), ticket("5"), Format::Json)),
    ] {
        assert_eq!(overview(line), expected, "booth {line}");
    }
    for line in ["overview -w 0", "overview -w 86401", "overview -w 99999999999999999999"] {
        let error = booth(line).expect_err("out of bounds").to_string();
        assert!(error.contains("1 to 86400 seconds"), "booth {line}: {error}");
    }
    let error = booth("list -o xml").expect_err("no format").to_string();
    assert_eq!(error, "output format \"xml\" is unknown: use text or json");
}

/// Every operation and option of the tables is taken somewhere, so that none is left out by
/// `parse`; the letters that it knows by heart are those of the table.
#[test]
fn the_tables_and_the_parser_know_the_same() {
    for def in OPERATIONS {
        for word in def.words {
            let mut line = (*word).to_owned();
            for name in def.arguments.split_whitespace().filter(|name| !name.starts_with('[')) {
                line.push_str(&format!(" {name}"));
            }
            for option in OPTIONS {
                let mut argv = words(&line);
                argv.push(format!("-{}", option.letter).into());
                let value = match option.letter {
                    'o' => Some("json"),
                    'L' => Some("127.0.0.1:9930"),
                    _ => option.value,
                };
                argv.extend(value.map(OsString::from));
                let belongs = option.programs.contains(&def.program)
                    && option.only_for.is_none_or(|(fit, _)| fit.contains(&def.operation));
                let daemon_site = option.letter == 's'
                    && [Operation::Daemon, Operation::Status, Operation::Check]
                        .contains(&def.operation);
                let parsed = parse(def.program, &argv);
                assert_eq!(parsed.is_ok(), belongs && !daemon_site, "{argv:?}: {parsed:?}");
            }
        }
    }
}

proptest::proptest! {
    /// Whatever is typed means something or is refused with a sentence; nothing panics.
    #[test]
    fn any_arguments_are_understood_or_refused(
        argv in proptest::collection::vec(
            proptest::prop_oneof![
                "(list|peers|grant|revoke|status|check|daemon|client|set|get|delete|help)",
                "-[cstFwClSDhVx-]{0,4}[a-z]{0,3}",
                "\\PC{0,12}",
            ],
            0..7,
        ),
        geostore in proptest::bool::ANY,
    ) {
        let program = if geostore { Program::Geostore } else { Program::Booth };
        let argv: Vec<OsString> = argv.into_iter().map(OsString::from).collect();
        match parse(program, &argv) {
            Ok(Invocation::Help(of, _) | Invocation::Version(of)) => assert_eq!(of, program),
            Ok(_) => assert!(!argv.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
