// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said of wrong files: line, key, and what was expected.

use super::{refused, with_members, MEMBERS};

/// One line before the members, and the whole message.
const GLOBAL: &[(&str, &str)] = &[
    ("foo = foo", "1: Unexpected keyword \"foo\": there is no such key"),
    ("Port = 9930", "1: Unexpected keyword \"Port\": did you mean \"port\"?"),
    ("site_user = x", "1: Unexpected keyword \"site_user\": did you mean \"site-user\"?"),
    (
        "expire = 60",
        "1: Unexpected keyword \"expire\": it belongs under a line such as ticket = \"NAME\"",
    ),
    ("transport = SCTP", "1: invalid transport protocol \"SCTP\": only \"udp\" is supported"),
    ("transport = ''", "1: invalid transport protocol \"\": only \"udp\" is supported"),
    ("port = abc", "1: port = \"abc\": expected a port number from 1 to 65535"),
    ("port = 0", "1: port = \"0\": expected a port number from 1 to 65535"),
    ("port = 65536", "1: port = \"65536\": expected a port number from 1 to 65535"),
    ("port = ++99", "1: port = \"++99\": expected a port number from 1 to 65535"),
    ("port = 99 30", "1: port = \"99 30\": expected a port number from 1 to 65535"),
    (
        "maxtimeskew = 1500ms",
        "1: maxtimeskew = \"1500ms\": expected whole seconds from 0 to 2147483",
    ),
    ("debug = abc", "1: debug = \"abc\": expected a number, 0 or greater"),
    (
        "name = a/b",
        "1: the configuration's name \"a/b\" has '/', which cannot be part of the \
      lock file's name and of the status line; set another one with name =",
    ),
    ("site = ''", "1: site = \"\": expected one address or one host name"),
    (
        "site = 10.0.0.1 10.0.0.9",
        "1: site = \"10.0.0.1 10.0.0.9\": expected one address or one \
      host name",
    ),
    ("site = no.example", "1: cannot find an address for the host \"no.example\": no such host"),
    (
        "site = 127.0.0.12:9929",
        "1: cannot find an address for the host \"127.0.0.12:9929\": no such host; write \
         127.0.0.12, and port = 9929 on a line above it",
    ),
    (
        "site = [fd00::1]:9930",
        "1: cannot find an address for the host \"[fd00::1]:9930\": no such host; write fd00::1, \
         and port = 9930 on a line above it",
    ),
    (
        "site = [::1]",
        "1: cannot find an address for the host \"[::1]\": no such host; write ::1, without \
         brackets",
    ),
    ("site = a:b", "1: cannot find an address for the host \"a:b\": no such host"),
    (
        "site = none.example",
        "1: cannot find an address for the host \"none.example\": it has no \
      address",
    ),
    (
        "site = 0.0.0.0",
        "1: a member cannot have the address 0.0.0.0: it is the unspecified address",
    ),
    (
        "site = ff02::1",
        "1: a member cannot have the address ff02::1: it is a multicast or broadcast address",
    ),
    (
        "site-user = a b",
        "1: site-user = \"a b\": expected the name of a user or group, without blanks",
    ),
    (
        "ticket-store = var",
        "1: ticket-store = \"var\": expected \"pacemaker\" or a directory that \
      begins with '/'",
    ),
    ("enable-authfile = 7", "1: enable-authfile = \"7\": expected \"yes\" or \"no\""),
    ("authfile = /none", "1: authfile /none: cannot open: no such file"),
    (
        "authfile = /open-key",
        "1: authfile /open-key: mode 0644: the file shall not be readable for \
      anyone but the owner; use chmod 600",
    ),
    (
        "authfile = /key-of-webapp",
        "1: authfile /key-of-webapp: it belongs to user 4242, who could choose the key; give it \
      to root or to the user of boothd (site-user, arbitrator-user)",
    ),
    ("port", "1: expected '=' after \"port\""),
    ("port 9930", "1: expected '=' after \"port\""),
    ("po rt = 9930", "1: expected '=' after \"po\""),
    ("= 9930", "1: no key at the start of the line; expected: key = value, or # comment"),
    ("\"port\" = 1", "1: no key at the start of the line; expected: key = value, or # comment"),
    ("port =", "1: port: no value after '='"),
    ("port = # x", "1: port: no value, only a comment; quote a value that begins with '#'"),
    ("port = \"9930", "1: port: unterminated value: the closing \" is missing"),
    ("port = '9930\"", "1: port: unterminated value: the closing ' is missing"),
    ("port = \"9930\" x ", "1: port: surplus text \"x\" after the closing quote"),
    ("name = a\x01b", "1: name: the value has the control character 0x01"),
    ("name = a\rb", "1: name: the value has the control character 0x0d"),
    ("# a\0b", "1: byte 4 is NUL; expected text in UTF-8 (not UTF-16)"),
];

#[test]
fn a_wrong_global_line_is_named_with_what_was_expected() {
    for (line, message) in GLOBAL {
        let text = format!("{line}\n{MEMBERS}ticket = t\n");
        assert_eq!(refused(text), [*message], "{line}");
    }
}

/// One line under a ticket, and the message without its line number.
const TICKET: &[(&str, &str)] = &[
    ("foo = 1", "Unknown keyword \"foo\": there is no such key"),
    ("acquire_after = 1", "Unknown keyword \"acquire_after\": did you mean \"acquire-after\"?"),
    (
        "expire = 0",
        "expire = \"0\": expected a time greater than 0: seconds up to 2147483, or \
      such as 1500ms",
    ),
    (
        "expire = 60s",
        "expire = \"60s\": expected a time greater than 0: seconds up to 2147483, or \
      such as 1500ms; write 60",
    ),
    (
        "acquire-after = -1",
        "acquire-after = \"-1\": expected a time: 0 or more seconds up to \
      2147483, or such as 1500ms",
    ),
    ("retries = 2", "retries = \"2\": expected a whole number from 3 to 100"),
    ("retries = 101", "retries = \"101\": expected a whole number from 3 to 100"),
    (
        "weights = 1,2x",
        "weights = \"1,2x\": expected whole numbers separated by commas, found \
      \"x\"",
    ),
    (
        "weights = 1-2",
        "weights = \"1-2\": expected whole numbers separated by commas, found \
      \"-2\"",
    ),
    ("weights = ,", "weights = \",\": expected whole numbers separated by commas, found \",\""),
    ("mode = manaul", "mode = \"manaul\": expected \"auto\" or \"manual\""),
    (
        "attr-prereq = auto a eq",
        "attr-prereq = \"auto a eq\": expected four words: auto|manual \
      NAME eq|ne VALUE, found 3",
    ),
    (
        "attr-prereq = x a eq b",
        "attr-prereq = \"x a eq b\": expected \"auto\" or \"manual\" as the \
      first word, found \"x\"",
    ),
    (
        "attr-prereq = auto a lt b",
        "attr-prereq = \"auto a lt b\": expected \"eq\" or \"ne\" as the \
      third word, found \"lt\"",
    ),
    (
        "attr-prereq = auto owner eq b",
        "attr-prereq = \"auto owner eq b\": attribute \"owner\": the \
      name is reserved for the cluster",
    ),
    ("ticket = ''", "ticket name \"\" invalid: a ticket name cannot be empty"),
    (
        "ticket = 't 1'",
        "ticket name \"t 1\" invalid: ' ' is not allowed: use letters, digits, '-' \
      and '/'",
    ),
    ("ticket = t", "ticket name \"t\" used again: it is already on line 4"),
];

#[test]
fn a_wrong_line_of_a_ticket_is_named_with_what_was_expected() {
    for (line, message) in TICKET {
        let text = with_members(&format!("ticket = t\n{line}"));
        assert_eq!(refused(text), [format!("5: {message}")], "{line}");
    }
}

#[test]
fn a_time_with_a_unit_is_told_in_seconds() {
    for (written, meant) in [
        ("10m", "; write 600"),
        ("5s", "; write 5"),
        ("5 sec", "; write 5"),
        ("1h", "; write 3600"),
        ("2.5s", "; write 2500ms"),
        ("1.5", "; write 1500ms"),
        ("1.5 Min", "; write 90"),
        ("1d", "; write 86400"),
        ("100 ms", "; write 100ms"),
        ("0m", ""),
        ("25d", ""),
        ("1.00005s", ""),
        ("10w", ""),
        ("m", ""),
        (".5", ""),
        ("1.2.3", ""),
        ("99999999999999999999d", ""),
        ("0.99999999999999999999s", ""),
    ] {
        let text = with_members(&format!("ticket = t\nexpire = {written}"));
        let errors = refused(text);
        assert!(errors[0].ends_with(&format!("such as 1500ms{meant}")), "{written}: {errors:?}");
    }
    let zero = refused(with_members("ticket = t\nacquire-after = 0s"));
    assert!(zero[0].ends_with("such as 1500ms; write 0"), "{zero:?}");
    for (written, meant) in [("10m", "; write 600"), ("1500ms", ""), ("2000ms", "; write 2")] {
        let errors = refused(format!("maxtimeskew = {written}\n{MEMBERS}ticket = t"));
        assert!(errors[0].ends_with(&format!(" 2147483{meant}")), "{written}: {errors:?}");
    }
}

#[test]
fn a_keyword_with_one_wrong_letter_is_known() {
    let near = ["ports", "aport", "pot", "ort", "por", "pork", "PORT", "P_RT"];
    let far = ["po", "rt", "p", "portss", "prot", "report", "p--t"];
    for (word, meant) in near.map(|word| (word, true)).into_iter().chain(far.map(|w| (w, false))) {
        let errors = refused(format!("{word} = 1\n{MEMBERS}"));
        assert_eq!(errors[0].ends_with("did you mean \"port\"?"), meant, "{errors:?}");
    }
}

/// No name server is asked for longer ones.
#[test]
fn a_host_name_has_at_most_255_bytes() {
    let error =
        |bytes: usize| refused(format!("site = {}\n{MEMBERS}", "a".repeat(bytes))).remove(0);
    assert!(error(255).contains("cannot find an address"), "{}", error(255));
    for bytes in [256, 257, 1000] {
        assert!(error(bytes).contains("expected one address or one host name"), "{bytes}");
    }
}

#[test]
fn all_errors_are_told_in_one_run_and_in_file_order() {
    let text = "port = x\nsite = no.example\nfoo = 1\nauthfile = /none\nsite = 10.0.0.1\n\
                site = 10.0.0.1\nticket = a_b\nexpire = x\nticket = t\ntimeout = 100\nbar = 2\n";
    let lines: Vec<String> =
        refused(text).iter().map(|it| it.split(':').next().unwrap_or_default().into()).collect();
    assert_eq!(lines, ["1", "2", "3", "4", "6", "7", "8", "10", "11"]);
}

#[test]
fn a_flood_of_errors_is_cut_and_counted() {
    let errors = refused("x\n".repeat(5000));
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100], " 4900 more errors; only the first 100 are shown");
}

#[test]
fn a_flood_of_warnings_is_cut_and_counted() {
    let warnings = super::accepted(with_members(&"debug = 1\n".repeat(5000))).warnings;
    assert_eq!(warnings.len(), 101);
    let last = warnings[100].to_string();
    assert!(last.ends_with(" more warnings; only the first 100 are shown"), "{last}");
}

#[test]
fn the_same_address_twice_is_told_from_a_collision() {
    let text = "site = 10.0.0.7\narbitrator = one.example\nticket = t\n";
    let message = "2: \"one.example\" is the same member as \"10.0.0.7\" on line 1";
    assert_eq!(refused(text), [message]);
}

#[test]
fn a_seventeenth_member_is_one_too_many() {
    let members = |count: u32| (1..=count).map(|n| format!("site = 10.0.1.{n}\n"));
    super::accepted(members(16).collect::<String>() + "ticket = t\n");
    let message = "17: too many members: at most 16 sites and arbitrators are possible";
    assert_eq!(refused(members(18).collect::<String>()), [message]);
}

/// Nobody reads a hundred thousand bytes of what a person has pasted into the wrong place.
#[test]
fn an_error_repeats_at_most_the_beginning_of_a_long_text() {
    let long = "\u{e4}".repeat(50_000);
    let path = format!("/{long}");
    let lines = [
        format!("{long} = 1"),
        long.clone(),
        format!("{long} ="),
        format!("{long} = # none"),
        format!("{long} = \"x"),
        format!("{long} = \"x\" y"),
        format!("{long} = \"\u{1}\""),
        format!("port = {long}"),
        format!("port = \"1\" {long}"),
        format!("site = {long}"),
        format!("name = {long}/"),
        format!("transport = {long}"),
        format!("authfile = {path}"),
        format!("site-user = {long}:"),
        format!("maxtimeskew = {long}"),
        format!("ticket-store = {long}"),
        format!("ticket = {long}"),
        format!("ticket = t\nexpire = {long}"),
        format!("ticket = t\nweights = {long}"),
        format!("ticket = t\nweights = 1,{long}"),
        format!("ticket = t\nretries = {long}"),
        format!("ticket = t\nmode = {long}"),
        format!("ticket = t\nattr-prereq = {long} a eq b"),
        format!("ticket = t\nattr-prereq = auto a {long} b"),
        format!("ticket = t\nattr-prereq = auto {long} eq b"),
        format!("ticket = t\nattr-prereq = auto a eq {long}"),
    ];
    for text in lines {
        let begin: String = text.chars().take(30).collect();
        let errors = refused(with_members(&text));
        assert!(!errors.is_empty(), "{begin}");
        for error in errors {
            assert!(error.len() < 5_000, "{begin}: {} bytes", error.len());
        }
    }
    let handler = format!("ticket = t\nbefore-acquire-handler = {long}");
    let weights = format!("ticket = t\nweights = {}", "010,".repeat(50_000));
    for text in [handler, weights] {
        let warnings = super::accepted(with_members(&text)).warnings;
        assert!(!warnings.is_empty());
        assert!(warnings.iter().all(|warning| warning.to_string().len() < 5_000));
    }
}
