// SPDX-License-Identifier: GPL-2.0-or-later
//! What is shown of members of the C version, which have no reports.

use booth_harness::{run, test_name, until, Cluster, Kind, Links, Need, Setup};
use std::time::Duration;

const NEEDS: &[Need] = &[Need::Root, Need::Reference];
const SOON: Duration = Duration::from_secs(20);

/// Site 0 is ours, the other site and the arbitrator are of the C version.
#[test]
fn a_c_member_is_shown_with_its_list_and_reachable() {
    run(test_name!(), NEEDS, |lab| {
        let kinds = [Kind::OursBeside, Kind::Theirs, Kind::Theirs];
        let mut cluster = Cluster::started(lab, &Setup::of(&kinds).with_key());
        cluster.grant(0, &[0, 1, 2]);
        let ours = |cluster: &Cluster<'_>, arguments: &[&str]| {
            cluster.booth_of(Kind::OursBeside, 0, arguments)
        };
        let told = until(SOON, "all is well", || {
            let told = ours(&cluster, &["overview"]);
            (told.code == Some(0)).then_some(told)
        });
        let text = &told.stdout;
        let lines = |member: usize| {
            let address = cluster.address(member).to_string();
            text.lines().filter(move |line| line.starts_with(&address)).collect::<Vec<_>>()
        };
        for member in 1..3 {
            let [line] = lines(member)[..] else { panic!("{text}") };
            assert!(line.contains(" up ") && line.contains(" C "), "{line}");
        }
        let json = ours(&cluster, &["overview", "-o", "json"]).expect_code(0).stdout;
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let list = value["members"][1]["list"].as_str().expect("its list");
        assert!(list.starts_with("ticket: t1, leader: "), "{list}");
        assert!(value["members"][0]["report"]["peers"][0]["kind"] == "c", "{json}");
        let list = cluster.booth_of(Kind::OursBeside, 1, &["list", "-o", "json"]).expect_code(0);
        let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
        assert!(value["report"].is_null() && value["text"].is_string(), "{value}");
        let peers = cluster.booth_of(Kind::OursBeside, 1, &["peers", "-o", "json"]);
        assert!(peers.expect_code(1).stderr.contains("C version"));
        // A holder of the C version.
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        cluster.grant(1, &[0, 1]);
        let holder = cluster.address(1).to_string();
        let text = ours(&cluster, &["explain"]).expect_code(0).stdout;
        let line: Vec<&str> = text.split_whitespace().collect();
        let line = line.join(" ");
        let says = format!("says that {holder} has it; that is a member of the C version.");
        assert!(line.contains(&says), "{line}");
        cluster.kill(1);
        let text = ours(&cluster, &["overview"]).expect_code(1).stdout;
        assert!(text.contains("SILENT"), "{text}");
    });
}

/// The arbitrator is ours and hears nobody: only the lists of the C sites know the holder.
#[test]
fn who_hears_nobody_does_not_hide_what_c_members_know() {
    run(test_name!(), &[Need::Root, Need::Reference, Need::Nft], |lab| {
        let kinds = [Kind::Theirs, Kind::Theirs, Kind::OursBeside];
        let mut cluster = Cluster::started(lab, &Setup::of(&kinds));
        cluster.grant(0, &[0, 1, 2]);
        let links = Links::new(lab);
        cluster.kill(2);
        for site in 0..2 {
            links.cut(cluster.address(2), cluster.address(site));
        }
        cluster.start(2);
        let ours = |arguments: &[&str]| {
            let text = cluster.booth_of(Kind::OursBeside, 2, arguments).stdout;
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let holder = cluster.address(0);
        let text = ours(&["overview"]);
        let held = format!("TICKET t1 held by {holder}, as the list of {holder} says");
        assert!(text.contains(&held), "{text}");
        let text = ours(&["explain"]);
        let says = format!("{holder}, a member of the C version, says that {holder} has it.");
        assert!(text.contains(&says), "{text}");
        assert!(!text.contains("knows a holder") && !text.contains("nobody has"), "{text}");
    });
}
