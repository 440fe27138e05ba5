// SPDX-License-Identifier: GPL-2.0-or-later
//! Attributes: `geostore`, and what becomes of them in the CIB (P16).

use crate::quirk::differs;
use booth_harness::{run, test_name, under_test, until, Cluster, Need, Packet, Setup};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

#[test]
fn an_attribute_is_set_read_listed_and_deleted() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let told = cluster.geostore(0, "set", &["-t", "t1", "foo", "bar"]).expect_code(0);
        assert!(told.stderr.contains("set succeeded!"), "{told:?}");
        assert_eq!(cluster.geostore(0, "get", &["foo"]).expect_code(0).stdout, "bar\n");
        let list = cluster.geostore(0, "list", &[]).expect_code(0).stdout;
        let time = list.strip_prefix("foo bar ").unwrap_or_else(|| panic!("{list:?}"));
        assert_eq!(time.trim_end().len(), "2026-11-23 08:22:47".len(), "{list:?}");
        cluster.geostore(0, "delete", &["foo"]).expect_code(0);
        for operation in ["get", "delete"] {
            let told = cluster.geostore(0, operation, &["foo"]).expect_code(1);
            assert!(told.stderr.contains("attribute \"foo\" not set"), "{told:?}");
            assert_eq!(told.stdout, "");
        }
        assert_eq!(cluster.geostore(0, "list", &[]).expect_code(0).stdout, "");
    });
}

#[test]
fn attributes_belong_to_one_site() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.geostore(0, "set", &["foo", "bar"]).expect_code(0);
        cluster.geostore(1, "get", &["foo"]).expect_code(1);
        assert_eq!(cluster.geostore(1, "list", &[]).expect_code(0).stdout, "");
        let told = cluster.geostore(2, "set", &["foo", "bar"]).expect_code(1);
        assert!(!told.stderr.is_empty(), "{told:?}");
    });
}

#[test]
fn the_cib_has_them_with_these_arguments() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.geostore(0, "set", &["foo", "bar"]).expect_code(0);
        until(SOON, "the CIB has it", || {
            let state = cluster.crm(0).state("t1")?;
            (state.attributes.get("foo").map(String::as_str) == Some("bar")).then_some(())
        });
        cluster.geostore(0, "delete", &["foo"]).expect_code(0);
        until(SOON, "the CIB has it no more", || {
            let state = cluster.crm(0).state("t1")?;
            (!state.attributes.contains_key("foo")).then_some(())
        });
        let calls: Vec<String> =
            cluster.crm(0).calls_of("attr").iter().map(|call| call.arguments.join(" ")).collect();
        assert_eq!(calls, ["-t t1 -S foo --attr-value=bar", "-t t1 -D foo"]);
    });
}

#[test]
fn they_survive_a_restart_and_a_grant() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.geostore(0, "set", &["foo", "bar"]).expect_code(0);
        cluster.grant(0, &[0, 1]);
        cluster.stop(0);
        cluster.start(0);
        until(SOON, "foo is there", || {
            (cluster.geostore(0, "get", &["foo"]).stdout == "bar\n").then_some(())
        });
        assert_eq!(cluster.geostore(0, "list", &[]).expect_code(0).stdout, "foo bar \n");
    });
}

#[test]
fn no_shell_sees_a_value() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let trap = lab.dir().join("c0/m0/trap");
        let value = format!("a <&> \"b\"'; touch {}; echo 'c", trap.display());
        cluster.geostore(0, "set", &["foo", &value]).expect_code(0);
        let text = cluster.geostore(0, "get", &["foo"]).expect_code(0).stdout;
        assert_eq!(text, format!("{value}\n"));
        if differs(203, false, true) {
            until(SOON, "the shell ran it", || trap.exists().then_some(()));
        } else {
            let stored = until(SOON, "the CIB has it", || {
                cluster.crm(0).state("t1")?.attributes.get("foo").cloned()
            });
            assert_eq!(stored, value);
            assert!(!trap.exists(), "a shell read the value");
        }
    });
}

#[test]
fn reserved_names_are_refused() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        for name in ["owner", "expires", "term", "granted", "id", "booth-cfg-name", "x y", "1x"] {
            let told = cluster.geostore(0, "set", &[name, "5"]);
            assert_eq!(told.code, Some(differs(8, 1, 0)), "{name}: {told:?}");
        }
    });
}

#[test]
fn unknown_tickets_and_long_words_are_named() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        for (operation, rest) in [("set", &["foo", "bar"][..]), ("get", &["foo"]), ("list", &[])] {
            let arguments: Vec<&str> = ["-t", "nix"].iter().chain(rest).copied().collect();
            let told = cluster.geostore(0, operation, &arguments).expect_code(1);
            assert!(told.stderr.contains("ticket \"nix\" does not exist"), "{told:?}");
        }
        let name = "n".repeat(64);
        let told = cluster.geostore(0, "set", &[&name, "v"]).expect_code(1);
        assert!(told.stderr.contains("exceeds maximum attribute name length of 63"), "{told:?}");
        let value = "v".repeat(128);
        let told = cluster.geostore(0, "set", &["foo", &value]).expect_code(1);
        assert!(told.stderr.contains("exceeds maximum attribute value length of"), "{told:?}");
    });
}

#[test]
fn answers_over_the_wire() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let request = |cmd: &str, ticket: &str, name: &str, value: &str| {
            let packet = Packet::new(cluster.id(0), cmd).attribute(ticket, name, value);
            cluster.ask(0, &packet, SOON).only().clone()
        };
        let text = |answer: &Packet| String::from_utf8_lossy(&answer.rest).into_owned();
        let set = request("ASet", "t1", "foo", "bar");
        assert_eq!((set.command().as_str(), set.outcome().as_str()), ("Rslt", "0"));
        assert!(set.ticket.is_none() && set.rest.is_empty(), "{set:?}");
        let got = request("AGet", "t1", "foo", "");
        assert_eq!((got.command(), text(&got)), ("AGet".to_owned(), "bar\n".to_owned()));
        let list = request("ALst", "t1", "", "");
        assert_eq!(list.command(), "ALst");
        assert!(text(&list).starts_with("foo bar "), "{list:?}");
        assert_eq!(request("ADel", "t1", "foo", "").outcome(), "0");
        assert_eq!(request("ADel", "t1", "foo", "").outcome(), "NAtr");
        assert_eq!(request("AGet", "t1", "foo", "").outcome(), "NAtr");
        assert_eq!(request("AGet", "nix", "foo", "").outcome(), "IArg");
    });
}
