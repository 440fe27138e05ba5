// SPDX-License-Identifier: GPL-2.0-or-later
//! Ten troubles, each provoked in a real cluster: `explain` names the cause and what to do, and
//! `overview` says by its exit code whether somebody has to do something.

use booth_harness::{run, setup_ticket, test_name, until, Cluster, Lab, Need, Setup, WallClock};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(25);

/// Asks member 0 until `explain` has all of these words, in one line; returns it.
#[track_caller]
fn explains(cluster: &Cluster<'_>, words: &[&str]) -> String {
    until(SOON, &format!("explain says {words:?}"), || {
        let text = cluster.booth(0, &["explain"]).stdout;
        let line: Vec<&str> = text.split_whitespace().collect();
        let line = line.join(" ");
        words.iter().all(|word| line.contains(word)).then_some(line)
    })
}

#[track_caller]
fn overview_ends_with(cluster: &Cluster<'_>, code: i32) -> String {
    let told = cluster.booth(0, &["overview"]).expect_code(code);
    for line in told.stdout.lines() {
        assert!(line.chars().count() <= 80, "longer than 80 columns: {line}");
    }
    told.stdout
}

fn started<'lab>(lab: &'lab Lab, tickets: &str) -> Cluster<'lab> {
    Cluster::started(lab, &Setup::usual().tickets(tickets))
}

#[test]
fn a_healthy_cluster_is_well_and_nobody_at_all_cannot_be_told() {
    run(test_name!(), &[], |lab| {
        let mut cluster = started(lab, &setup_ticket("t1", ""));
        cluster.grant(0, &[0, 1, 2]);
        let text = overview_ends_with(&cluster, 0);
        assert!(text.ends_with("All is well.\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colours but on a terminal: {text}");
        let holder = cluster.address(0).to_string();
        let line = explains(&cluster, &["3 of 3 members", "Its ticket store says granted"]);
        assert!(line.contains(&format!("{holder} has had it for")), "{line}");
        let next = format!("If the holder is lost, {} stands for election", cluster.address(1));
        assert!(line.contains(&next) && !line.contains("What is wrong"), "{line}");
        for member in 0..3 {
            cluster.kill(member);
        }
        overview_ends_with(&cluster, 2);
        cluster.booth(0, &["explain"]).expect_code(2);
        cluster.booth(0, &["explain", "nothing"]).expect_code(2);
    });
}

#[test]
fn a_dead_arbitrator() {
    run(test_name!(), &[], |lab| {
        let mut cluster = started(lab, &setup_ticket("t1", ""));
        cluster.grant(0, &[0, 1, 2]);
        cluster.kill(2);
        let silent = format!("{} does not report", cluster.address(2));
        explains(&cluster, &[&silent, "is boothd running?"]);
        assert!(overview_ends_with(&cluster, 1).contains("SILENT"));
    });
}

#[test]
fn no_majority() {
    run(test_name!(), &[], |lab| {
        let mut cluster = started(lab, &setup_ticket("t1", ""));
        cluster.grant(0, &[0, 1, 2]);
        cluster.kill(1);
        cluster.kill(2);
        explains(&cluster, &["1 of 3 members answer, 2 are a majority", "Start boothd there"]);
        explains(&cluster, &["it has no majority", "the ticket is given up"]);
        explains(&cluster, &["No member that answers knows a holder"]);
        overview_ends_with(&cluster, 1);
    });
}

#[test]
fn a_wrong_key() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual().with_key());
        let text = std::fs::read_to_string(&cluster.config).expect("the configuration");
        let key = lab.write("wrong", "another key: 0123456789abcdef", 0o600);
        let lines = text.lines().map(|line| match line.starts_with("authfile") {
            true => format!("authfile = {key}\n"),
            false => format!("{line}\n"),
        });
        let config = lab.write("wrong.conf", lines.collect::<String>(), 0o644);
        cluster.members[1].config = config;
        cluster.start_all();
        let name = format!("{} does not report", cluster.address(1));
        explains(&cluster, &[&name, "authfile"]);
        overview_ends_with(&cluster, 1);
        // What the other members see of it: its packets come, and are refused.
        let refuse = format!("refuse packets of {}", cluster.address(1));
        let line = explains(&cluster, &[&refuse, "compare the keys (authfile) and the clocks"]);
        assert!(!line.contains("UDP port"), "nothing is wrong with the network: {line}");
    });
}

#[test]
fn a_clock_that_is_off() {
    run(test_name!(), &[Need::Root, Need::Faketime], |lab| {
        lab.own_devices();
        let mut cluster = Cluster::new(lab, &Setup::usual().with_key());
        let clock = WallClock::new(lab, "1");
        cluster.members[1].environment.extend(clock.environment(lab));
        cluster.start_all();
        clock.set(60);
        let name = format!("the clock of {} is", cluster.address(1));
        explains(&cluster, &[&name, "ahead of this host's", "check the time service"]);
        overview_ends_with(&cluster, 1);
    });
}

#[test]
fn a_crm_ticket_that_hangs() {
    run(test_name!(), &[], |lab| {
        let cluster = started(lab, &setup_ticket("t1", ""));
        cluster.grant(0, &[0, 1, 2]);
        cluster.crm(0).control("any hang");
        let site = cluster.address(0).to_string();
        let line = explains(&cluster, &["the ticket store of", &site]);
        assert!(line.contains("`crm_ticket"), "{line}");
        explains(&cluster, &["did not end in time. See the log of boothd there"]);
        overview_ends_with(&cluster, 1);
    });
}

#[test]
fn a_handler_that_fails() {
    run(test_name!(), &[], |lab| {
        let handler = lab.write("handler", "#!/bin/sh\necho no disk >&2\nexit 3\n", 0o755);
        let line = format!("\tbefore-acquire-handler = {handler}\n");
        let cluster = started(lab, &setup_ticket("t1", &line));
        cluster.booth(0, &["grant", "t1"]).expect_code(1);
        explains(&cluster, &["before-acquire handler", &handler, "failed: exit code 3: no disk"]);
        let text = overview_ends_with(&cluster, 1);
        assert!(text.contains("! the before-acquire handler of t1 failed at"), "{text}");
        // It agrees again: that it has failed needs nobody any more.
        lab.write("handler", "#!/bin/sh\n", 0o755);
        cluster.grant(0, &[0, 1, 2]);
        overview_ends_with(&cluster, 0);
        let line = explains(&cluster, &["Its ticket store says granted"]);
        assert!(!line.contains("failed"), "{line}");
    });
}

#[test]
fn a_prerequisite_that_does_not_hold() {
    run(test_name!(), &[], |lab| {
        let cluster = started(lab, &setup_ticket("t1", "\tattr-prereq = auto ready eq yes\n"));
        let site = cluster.address(0).to_string();
        let show = format!("`geostore list -s {site} -t t1`");
        explains(&cluster, &["(attr-prereq) does not hold there: ready eq yes. ", &show]);
        // It may be meant to be so, and an arbitrator has no attributes.
        let text = overview_ends_with(&cluster, 0);
        assert!(text.contains("- an attribute prerequisite of t1 does not hold at"), "{text}");
        cluster.grant(0, &[0, 1, 2]);
        let line = explains(&cluster, &["no other site that answers can take it over"]);
        let arbitrator = cluster.address(2).to_string();
        assert!(!line.contains(&format!("{arbitrator} does not take it")), "{line}");
        assert!(!line.contains(&format!("{site} does not take it")), "it has it: {line}");
        cluster.geostore(1, "set", &["-t", "t1", "ready", "yes"]).expect_code(0);
        explains(&cluster, &[&format!("{} stands for election when", cluster.address(1))]);
    });
}

#[test]
fn a_member_in_its_grace() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        // The other site, without which nobody knows that nothing was promised, is down.
        cluster.start(0);
        cluster.start(2);
        let names = format!("{} and {} have just started", cluster.address(0), cluster.address(2));
        explains(&cluster, &[&names, "vote for nobody new for another", "`booth grant -F`"]);
        let yet = format!("- no holder of t1 is known yet: {} ", cluster.address(0));
        let text = overview_ends_with(&cluster, 1);
        assert!(text.contains(&yet), "{text}");
        // Since the daemon started, not since the host did.
        let heading = text.lines().find(|line| line.starts_with("TICKET t1"));
        let seconds = heading.and_then(|line| line.split(" for ").nth(1)).unwrap_or_default();
        assert!(seconds.ends_with(" s") && !seconds.contains("min"), "{text}");
    });
}

#[test]
fn a_commit_that_waits() {
    run(test_name!(), &[], |lab| {
        let mut cluster = started(lab, &setup_ticket("t1", "\tacquire-after = 30\n"));
        cluster.grant(0, &[0, 1, 2]);
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        cluster.kill(1);
        cluster.booth(0, &["grant", "t1"]).expect_code(0);
        let (here, dead) = (cluster.address(0), cluster.address(1));
        let waits = format!("{here} was elected, but {dead} did not answer and may still have it");
        explains(&cluster, &[&waits, &format!("`booth grant -F -s {here} t1`")]);
        overview_ends_with(&cluster, 1);
    });
}

#[test]
fn different_configurations() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let text = std::fs::read_to_string(&cluster.config).expect("the configuration");
        let other = text.replace("expire = 10", "expire = 12");
        cluster.members[1].config = lab.write("other.conf", other, 0o644);
        cluster.start_all();
        let there = format!("the configuration of {} differs", cluster.address(1));
        let safely = "where expire is lowered, boothd has to stay down for the old expire first";
        explains(&cluster, &[&there, "ticket \"t1\" expire is 12s there, 10s here", safely]);
        assert!(overview_ends_with(&cluster, 1).contains("DIFFERS"));
        let fake = cluster.crm(0).bin();
        let mut check = booth_harness::Kind::Ours.command(lab, "booth", Some(&fake));
        check.args(["check", "--peers", "-c", &cluster.config]);
        let told = booth_harness::finish(&mut check, SOON).expect_code(1);
        let error = format!(
            "the daemon of {} has another value: ticket \"t1\" expire is 12s there, 10s here",
            cluster.address(1)
        );
        assert!(told.stderr.contains(&error), "{told:?}");
    });
}

#[test]
fn a_manual_ticket_that_is_granted_twice() {
    run(test_name!(), &[], |lab| {
        let cluster = started(lab, "ticket = \"m1\"\n\tmode = manual\n");
        let line = explains(&cluster, &["Nobody has it. It is a manual ticket"]);
        assert!(!line.contains("What is wrong"), "{line}");
        overview_ends_with(&cluster, 0);
        cluster.booth(0, &["grant", "m1"]).expect_code(0);
        explains(&cluster, &["an administrator granted it there"]);
        overview_ends_with(&cluster, 0);
        cluster.booth(1, &["grant", "-F", "m1"]).expect_code(0);
        let both = format!("m1 is granted at {} and {}", cluster.address(0), cluster.address(1));
        let line = explains(&cluster, &[&both, "revoke it at all but one of them"]);
        assert_eq!(line.matches("revoke it at").count(), 1, "told once: {line}");
        assert!(!line.contains("Wait for one `expire`"), "it has none: {line}");
        overview_ends_with(&cluster, 1);
        cluster.booth(1, &["revoke", "m1"]).expect_code(0);
        until(SOON, "all is well again", || {
            (cluster.booth(0, &["overview"]).code == Some(0)).then_some(())
        });
    });
}
