// SPDX-License-Identifier: GPL-2.0-or-later
//! The longest names and the most members that there may be, and one more.

use crate::support::{tickets, use_directory, works, GRANTED, NEEDS, POOR, SOON};
use booth_harness::{
    finish, run, setup_ticket, test_name, under_test, until, Cluster, Kind, Lab, Setup,
};

/// The longest name of a ticket has 63 bytes.
const NAME_MAX: usize = 63;
/// So many members there may be.
const MEMBERS_MAX: usize = 16;

/// What `booth check` says of a configuration.
#[track_caller]
fn check(lab: &Lab, config: &str, code: i32) -> String {
    let mut command = Kind::Ours.command(lab, "booth", None);
    finish(command.args(["check", "-c", config]), SOON).expect_code(code).text()
}

/// So many members, the last one an arbitrator.
fn many(members: usize) -> Setup {
    Setup::of(&vec![under_test(); members])
}

#[test]
fn sixteen_members_work_and_seventeen_are_an_error() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::started(lab, &many(MEMBERS_MAX));
        for site in [POOR, MEMBERS_MAX - 2] {
            works(&cluster, site);
        }
        // Nine of sixteen are a majority, eight are none.
        for index in 9..MEMBERS_MAX {
            cluster.kill(index);
        }
        works(&cluster, POOR);
        cluster.kill(8);
        let refused = cluster.booth(POOR, &["grant", "t1"]);
        assert!(!cluster.crm(POOR).is_granted("t1"), "{refused:?}");
        for index in [8, MEMBERS_MAX - 1] {
            cluster.start(index);
        }
        works(&cluster, POOR);
        let peers = cluster.booth(POOR, &["peers"]).expect_code(0).stdout;
        for index in 1..MEMBERS_MAX {
            assert!(peers.contains(&cluster.address(index).to_string()), "{index}: {peers}");
        }
        let addresses: Vec<_> = (1..=17).map(|host| lab.address(host)).collect();
        let config = lab.write("many.conf", many(MEMBERS_MAX + 1).text(&addresses, None), 0o644);
        let told = check(lab, &config, 1);
        assert!(told.contains("many.conf:") && told.contains("16"), "{told}");
    });
}

/// A ticket's whole life under each of these names, in both stores.
#[test]
fn tickets_with_the_longest_names_live_like_others() {
    run(test_name!(), NEEDS, |lab| {
        let slashes = "a/".repeat(NAME_MAX / 2) + "z";
        let names = ["x".repeat(NAME_MAX), slashes, "-".repeat(NAME_MAX), "A".to_owned()];
        let stanzas: String = names.iter().map(|name| setup_ticket(name, "")).collect();
        let mut cluster = Cluster::new(lab, &Setup::usual().tickets(stanzas));
        use_directory(lab, &mut cluster, 1);
        cluster.start_all();
        for name in &names {
            assert!(cluster.list(POOR).contains(&format!("ticket: {name}, leader: ")));
            for site in [0, 1] {
                until(GRANTED, &format!("site {site} is granted {name}"), || {
                    let ended = cluster.booth(site, &["grant", "-C", "-t", name]);
                    (ended.code == Some(0)).then_some(())
                });
                let held = match site {
                    0 => cluster.crm(0).is_granted(name),
                    _ => says_granted(&cluster, name),
                };
                assert!(held, "{name} at {site}");
                cluster.geostore(site, "set", &["-t", name, "key", "value"]).expect_code(0);
                let got = cluster.geostore(site, "get", &["-t", name, "key"]).expect_code(0);
                assert_eq!(got.stdout.trim(), "value");
                cluster.booth(site, &["revoke", "-w", "-t", name]).expect_code(0);
            }
        }
    });
}

/// Whether a file of the built-in store of site 1 names the ticket and says that it is granted:
/// how a name becomes that of a file is the store's own affair.
fn says_granted(cluster: &Cluster, name: &str) -> bool {
    let entries = std::fs::read_dir(tickets(cluster, 1)).into_iter().flatten().flatten();
    let mut texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let held = texts.any(|text| text.lines().any(|line| line == "granted=true"));
    held && cluster.list(1).contains(&format!("ticket: {name}, leader: {}", cluster.address(1)))
}

#[test]
fn names_that_are_too_long_are_errors_with_their_line() {
    run(test_name!(), NEEDS, |lab| {
        let addresses: Vec<_> = (1..=3).map(|host| lab.address(host)).collect();
        let check_name = |file: &str, name: &str, code| {
            let setup = Setup::usual().tickets(setup_ticket(name, ""));
            check(lab, &lab.write(file, setup.text(&addresses, None), 0o644), code)
        };
        check_name("long.conf", &"x".repeat(NAME_MAX), 0);
        let told = check_name("longer.conf", &"x".repeat(NAME_MAX + 1), 1);
        assert!(told.contains("longer.conf:") && told.contains("63"), "{told}");
        let told = check_name("endless.conf", &"x".repeat(100_000), 1);
        assert!(told.contains("endless.conf:") && told.contains("63"), "{told}");
        // A client says so, too, and does not cut it off.
        let cluster = Cluster::started(lab, &Setup::usual());
        let told = cluster.booth(POOR, &["grant", "-t", &"t1".repeat(100)]).expect_code(1);
        assert!(!told.stderr.is_empty(), "{told:?}");
    });
}
