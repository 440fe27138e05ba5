// SPDX-License-Identifier: GPL-2.0-or-later
//! Arguments, usage and exit codes, without any daemon.

use crate::quirk::differs;
use booth_harness::{finish, run, test_name, under_test, Finished, Lab, Need};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

fn called(lab: &Lab, program: &str, arguments: &[&str]) -> Finished {
    finish(under_test().command(lab, program, None).args(arguments), LIMIT)
}

#[test]
fn usage_and_version_go_to_standard_output() {
    run(test_name!(), Need::of(under_test()), |lab| {
        for arguments in [&[][..], &["-h"], &["--help"], &["help"], &["client", "list", "-h"]] {
            let told = called(lab, "booth", arguments).expect_code(0);
            assert!(told.stdout.contains("Usage:") && told.stderr.is_empty(), "{told:?}");
            let about = arguments.get(1).map_or(&["grant", "revoke"][..], |_| &["list"]);
            assert!(about.iter().all(|word| told.stdout.contains(word)), "{told:?}");
        }
        for arguments in [&["-V"][..], &["--version"], &["version"]] {
            let told = called(lab, "booth", arguments).expect_code(0);
            let mut words = told.stdout.split_whitespace();
            let name = words.next().unwrap_or_default();
            assert!(name == "booth" || name.ends_with("/booth"), "{told:?}");
            assert!(words
                .next()
                .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit())));
        }
        for arguments in [&[][..], &["-h"], &["--help"]] {
            let told = called(lab, "geostore", arguments).expect_code(0);
            assert!(told.stdout.contains("geostore"), "{told:?}");
        }
    });
}

#[test]
fn what_is_no_command_is_refused_with_code_1() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cases: &[(&[&str], &str)] = &[
            (&["nonsense"], "\"nonsense\" is unknown"),
            (&["client", "nonsense"], "\"nonsense\" is unknown"),
            (&["list", "-Z"], "Z"),
            (&["grant", "-t"], "requires an argument"),
            (&["daemon", "-c"], "requires an argument"),
        ];
        for (arguments, wanted) in cases {
            let told = called(lab, "booth", arguments).expect_code(1);
            assert!(told.stderr.contains(wanted) && told.stdout.is_empty(), "{told:?}");
        }
        called(lab, "booth", &["client"]).expect_code(1);
        let cases: &[(&[&str], &str)] = &[
            (&["nonsense"], "\"nonsense\" is unknown"),
            (&["set", "-t", "t1", "a"], "not enough arguments"),
            (&["set", "-t", "t1", "a", "b", "c"], "c"),
        ];
        for (arguments, wanted) in cases {
            let told = called(lab, "geostore", arguments).expect_code(1);
            assert!(told.stderr.contains(wanted), "{told:?}");
        }
    });
}

#[test]
fn what_is_too_long_is_named() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let ticket = "x".repeat(64);
        for arguments in [&["grant", &ticket][..], &["grant", "-t", &ticket], &["revoke", &ticket]]
        {
            let told = called(lab, "booth", arguments).expect_code(1);
            let wanted = format!("'{ticket}' exceeds maximum ticket name length of 63");
            assert!(told.stderr.contains(&wanted), "{told:?}");
        }
        let site = "y".repeat(300);
        let told = called(lab, "booth", &["list", "-s", &site]).expect_code(1);
        assert!(told.stderr.contains("exceeds maximum site name length of"), "{told:?}");
    });
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    run(test_name!(), Need::of(under_test()), |lab| {
        for operation in ["list", "peers", "status", "daemon"] {
            let told = called(lab, "booth", &[operation, "-c", "no-such-name"]).expect_code(1);
            assert!(told.stderr.contains("/etc/booth/no-such-name.conf"), "{told:?}");
            let told = called(lab, "booth", &[operation, "-c", "/no/such/file"]).expect_code(1);
            assert!(told.stderr.contains("/no/such/file"), "{told:?}");
        }
    });
}

#[test]
fn clients_without_a_daemon_fail_and_name_the_address() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = booth_harness::Cluster::new(lab, &booth_harness::Setup::usual());
        for arguments in [&["list"][..], &["peers"], &["grant", "t1"], &["revoke", "t1"]] {
            let told = cluster.booth(0, arguments).expect_code(1);
            let address = cluster.address(0).to_string();
            assert!(told.stderr.contains(&address) && told.stdout.is_empty(), "{told:?}");
        }
        let told = cluster.geostore(0, "list", &["-t", "t1"]).expect_code(1);
        assert!(!told.stderr.is_empty(), "{told:?}");
    });
}

#[test]
fn an_address_of_no_member_is_refused() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = booth_harness::Cluster::new(lab, &booth_harness::Setup::usual());
        let stranger = lab.address(250).to_string();
        let told = called(lab, "booth", &["list", "-c", &cluster.config, "-s", &stranger]);
        let told = told.expect_code(differs(9, 1, 2));
        assert!(told.stderr.contains(&stranger), "{told:?}");
        let daemon = ["daemon", "-D", "-S", "-c", &cluster.config, "-s", &stranger];
        let told = called(lab, "boothd", &daemon).expect_code(1);
        assert!(told.stderr.contains("in the configuration"), "{told:?}");
    });
}
