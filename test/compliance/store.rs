// SPDX-License-Identifier: GPL-2.0-or-later
//! What is asked of `crm_ticket`, word for word, and what follows from its exit codes (P18, P19).

use crate::quirk::differs;
use booth_harness::{run, test_name, under_test, until, Cluster, Need, Setup};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SOON: Duration = Duration::from_secs(5);

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970");
    i64::try_from(now.as_secs()).expect("not so late")
}

#[test]
fn the_arguments_of_load_grant_and_revoke() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        assert_eq!(cluster.crm(0).calls_of("query")[0].arguments, ["-t", "t1", "-q"]);
        cluster.grant(0, &[0, 1, 2]);
        let granted = cluster.crm(0).calls_of("grant")[0].arguments.clone();
        let state = cluster.crm(0).state("t1").expect("it is granted");
        let id = cluster.id(0);
        let write = |operation: &str, owner: &str, expires: i64, term: i64| {
            [
                "-t",
                "t1",
                operation,
                "--force",
                "-S",
                "owner",
                &format!("--attr-value={owner}"),
                "-S",
                "expires",
                &format!("--attr-value={expires}"),
                "-S",
                "term",
                &format!("--attr-value={term}"),
                "-S",
                "booth-cfg-name",
                "--attr-value=booth",
            ]
            .map(str::to_owned)
        };
        let expires = state.number("expires");
        assert_eq!(granted, write("-g", &id.to_string(), expires, state.number("term")));
        assert!((now() + 7..=now() + 11).contains(&expires), "{state:?}");
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        let state = cluster.crm(0).state("t1").expect("it was granted");
        let revoked = cluster.crm(0).calls_of("revoke").pop().expect("it was revoked").arguments;
        assert_eq!(revoked, write("-r", "-1", state.number("expires"), state.number("term")));
        assert!(cluster.crm(2).calls().is_empty(), "an arbitrator called crm_ticket");
    });
}

#[test]
fn the_owner_is_a_signed_number_and_followers_know_it() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let wanted = i64::from(cluster.id(0));
        until(SOON, "the follower's CIB names the owner", || {
            let state = cluster.crm(1).state("t1")?;
            (state.granted == Some(false) && state.number("owner") == wanted).then_some(())
        });
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        until(SOON, "the follower's CIB names nobody", || {
            (cluster.crm(1).state("t1")?.number("owner") == -1).then_some(())
        });
    });
}

#[test]
fn renewals_move_the_end_in_the_cib() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let first = cluster.crm(0).state("t1").expect("granted").number("expires");
        let begun = std::time::Instant::now();
        let limit = Duration::from_secs(8);
        until(limit, "it is renewed", || {
            (cluster.crm(0).state("t1")?.number("expires") >= first + 4).then_some(())
        });
        assert!(begun.elapsed() > Duration::from_secs(3), "renewed after {:?}", begun.elapsed());
        // One write each; nobody else was told anything new.
        let grants = cluster.crm(0).calls_of("grant").len();
        assert!(grants <= 3, "{grants} grants in two renewals");
    });
}

#[test]
fn a_ticket_that_the_cib_does_not_know_is_free() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let answered = cluster.crm(0).calls_of("query");
        assert!(!answered.is_empty(), "the CIB was not asked");
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
    });
}

#[test]
fn a_restarted_holder_takes_its_ticket_up_again() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let before = cluster.crm(0).state("t1").expect("granted");
        let history = cluster.crm(0).history("t1").len();
        cluster.kill(0);
        cluster.start(0);
        until(SOON, "it is granted in a higher term", || {
            let state = cluster.crm(0).state("t1")?;
            (state.granted == Some(true) && state.number("term") > before.number("term"))
                .then_some(())
        });
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        let since = &cluster.crm(0).history("t1")[history..];
        assert!(since.iter().all(|change| change.granted == Some(true)), "{since:?}");
    });
}

#[test]
fn a_granted_ticket_whose_time_is_over_is_not_kept() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let owner = i64::from(cluster.id(0));
        let over = [("owner", owner), ("expires", now() - 100), ("term", 7)];
        cluster.crm(0).put("t1", true, &over);
        // Alone: nobody can confirm anything.
        cluster.start(0);
        until(SOON, "the CIB says revoked", || (!cluster.crm(0).is_granted("t1")).then_some(()));
    });
}

#[test]
fn a_grant_that_the_cib_refuses_is_a_failure() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.crm(0).control("grant exit 1");
        let told = cluster.booth(0, &["grant", "-C", "t1"]);
        assert_eq!(told.code, Some(differs(204, 1, 0)), "{told:?}");
        assert!(!cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn a_revoke_that_the_cib_refuses_is_tried_again() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        cluster.crm(0).control("revoke exit 1");
        let told = cluster.booth(0, &["revoke", "t1"]);
        assert_eq!(told.code, Some(differs(205, 1, 0)), "{told:?}");
        cluster.crm(0).control("");
        let calls = cluster.crm(0).calls_of("revoke").len();
        let again = booth_harness::value_within(Duration::from_secs(6), || {
            (!cluster.crm(0).is_granted("t1")).then_some(())
        });
        assert_eq!(again.is_some(), differs(205, true, false), "after {calls} calls");
    });
}

#[test]
fn a_cib_that_cannot_be_read_is_not_taken_for_empty() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        cluster.crm(0).control("query exit 102");
        cluster.start_all();
        // Held meanwhile by the other site, with the arbitrator's help.
        let told = cluster.booth(0, &["grant", "t1"]);
        assert_eq!(told.code, Some(differs(206, 1, 0)), "{told:?}");
    });
}
