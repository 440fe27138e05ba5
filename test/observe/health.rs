// SPDX-License-Identifier: GPL-2.0-or-later
//! `check_booth` as Nagios and Icinga run it: one line, performance data, exit codes 0 to 3.

use booth_harness::{finish, run_for, test_name, until, Cluster, Finished, Kind, Lab, Setup};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(90);

/// Runs the plugin as a part of a member.
fn check(lab: &Lab, cluster: &Cluster<'_>, member: usize, arguments: &[&str]) -> Finished {
    let mut command = Kind::Ours.command(lab, "check_booth", None);
    command.args(["-c", &cluster.config, "-s", &cluster.address(member).to_string()]);
    let told = finish(command.args(arguments), SOON);
    let states = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];
    let state = told.code.and_then(|code| states.get(usize::try_from(code).ok()?));
    let state = state.unwrap_or_else(|| panic!("no state of a plugin: {told:?}"));
    assert!(told.stdout.starts_with(&format!("BOOTH {state} - ")), "{told:?}");
    assert_eq!((told.stdout.lines().count(), told.stderr.as_str()), (1, ""), "{told:?}");
    assert!(told.stdout.matches('|').count() <= 1, "{told:?}");
    told
}

/// The performance data by label.
fn figures(told: &Finished) -> Vec<(String, String)> {
    let (_, data) = told.stdout.trim_end().split_once(" | ").expect("performance data");
    let parts = data.split(' ').map(|part| part.split_once('=').expect("label=value"));
    parts.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_state_follows_the_cluster() {
    run_for(test_name!(), &[], LIMIT, |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        check(lab, &cluster, 0, &[]).expect_code(0);
        let told = check(lab, &cluster, 0, &["-t", "t1"]).expect_code(2);
        assert!(told.stdout.contains(" - nobody holds t1 |"), "{told:?}");
        cluster.grant(0, &[0, 1, 2]);
        let told = check(lab, &cluster, 1, &["t1"]).expect_code(0);
        assert!(told.stdout.contains(&format!("t1 held by {} for ", cluster.address(0))));
        let figures = figures(&told);
        let value = |label: &str| {
            let found = figures.iter().find(|(name, _)| name == label);
            found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{label}: {told:?}"))
        };
        assert_eq!(value("members"), "3;;2:;0;3");
        assert_eq!(value("tickets_held"), "1;;;0;1");
        assert_eq!(value("findings"), "0;0;;0;");
        let (left, rest) = value("'t1_lease'").split_once("s;").expect("seconds");
        let left: f64 = left.parse().expect("a number");
        assert!((1.0..=10.0).contains(&left) && rest == ";;0;10.0", "{told:?}");
        // A dead arbitrator is a warning, a dead member of its own is critical.
        cluster.kill(2);
        let told = check(lab, &cluster, 0, &["-t", "t1"]).expect_code(1);
        assert!(told.stdout.contains(&cluster.address(2).to_string()), "{told:?}");
        let told = check(lab, &cluster, 2, &[]).expect_code(2);
        assert!(told.stdout.contains(&format!(" - {} is silent;", cluster.address(2))), "{told:?}");
        cluster.kill(1);
        until(SOON, "site 0 knows that it is alone", || {
            let told = check(lab, &cluster, 0, &[]).expect_code(2);
            assert!(told.stdout.contains("1 of 3 members answer, no majority"), "{told:?}");
            let alone = told.stdout.contains("t1 is held without a majority");
            alone.then_some(())
        });
        cluster.kill(0);
        let told = check(lab, &cluster, 0, &["-t", "t1"]).expect_code(2);
        assert!(told.stdout.contains("0 of 3 members answer"), "{told:?}");
    });
}

#[test]
fn what_cannot_be_checked_is_unknown() {
    run_for(test_name!(), &[], LIMIT, |lab| {
        let cluster = Cluster::new(lab, &Setup::usual());
        for (arguments, part) in [
            (&["-t", "t2"][..], "there is no ticket \"t2\""),
            (&["-c", "./missing.conf"], "failed to open ./missing.conf"),
            (&["-s", "192.0.2.99"], "cannot find site \"192.0.2.99\""),
            (&["-x"], "invalid option -- 'x'"),
            (&["t1", "t2"], "Superfluous argument: t2"),
        ] {
            let told = check(lab, &cluster, 0, arguments).expect_code(3);
            assert!(told.stdout.contains(part), "{part}: {told:?}");
        }
        let mut command = Kind::Ours.command(lab, "check_booth", None);
        let told = finish(command.arg("-h"), SOON).expect_code(0);
        assert!(told.stdout.contains("booth health [options] [TICKET]"), "{told:?}");
        let mut command = Kind::Ours.command(lab, "booth", None);
        command.args(["health", "-c", &cluster.config, "-s", &cluster.address(0).to_string()]);
        let told = finish(&mut command, SOON).expect_code(2);
        assert!(told.stdout.starts_with("BOOTH CRITICAL - 0 of 3 members answer"), "{told:?}");
    });
}
