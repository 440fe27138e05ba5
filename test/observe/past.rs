// SPDX-License-Identifier: GPL-2.0-or-later
//! What a history says: who asked for what, from where and with which options, why a ticket was
//! lost; and each change once at each member.

use booth_harness::{run, setup_ticket, test_name, until, Cluster, Setup};
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(25);

/// The events of a member: their words, with those of `text`.
fn events(cluster: &Cluster<'_>, member: usize) -> Vec<(String, String)> {
    let told = cluster.booth(member, &["history", "-o", "json"]).expect_code(0);
    let history: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let events = history["history"].as_array().expect("events").iter();
    let word = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    events.map(|event| (word(event, "event"), word(event, "text"))).collect()
}

/// The changes of the holder that a member has seen, in order.
fn changes(cluster: &Cluster<'_>, member: usize) -> Vec<String> {
    let of_holder = ["granted", "lost", "revoked", "moved", "freed"];
    let words = events(cluster, member).into_iter().map(|(word, _)| word);
    words.filter(|word| of_holder.contains(&word.as_str())).collect()
}

#[track_caller]
fn wait_for_changes(cluster: &Cluster<'_>, member: usize, wanted: &[&str]) {
    until(SOON, &format!("member {member} has seen {wanted:?}"), || {
        let seen = changes(cluster, member);
        assert!(seen.len() <= wanted.len(), "member {member} has seen {seen:?}");
        (seen == wanted).then_some(())
    });
}

#[test]
fn every_change_is_told_once_at_every_member_with_its_reason() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        wait_for_changes(&cluster, 0, &["granted"]);
        wait_for_changes(&cluster, 1, &["moved"]);
        wait_for_changes(&cluster, 2, &["moved"]);
        // Its holder is cut off from all others: they are stopped, it is not.
        for member in 1..3 {
            cluster.members[member].signal("STOP");
        }
        wait_for_changes(&cluster, 0, &["granted", "lost"]);
        for member in 1..3 {
            cluster.members[member].signal("CONT");
        }
        until(SOON, "its store says so", || (!cluster.crm(0).is_granted("t1")).then_some(()));
        let lost = events(&cluster, 0).into_iter().find(|(word, _)| word == "lost");
        let (_, text) = lost.expect("it has just been seen");
        for member in 1..3 {
            let name = cluster.address(member).to_string();
            assert!(text.contains(&name), "who did not acknowledge: {text}");
        }
        assert!(text.contains(" s"), "for how long: {text}");
        until(SOON, "somebody has it again", || {
            (0..2).any(|member| cluster.crm(member).is_granted("t1")).then_some(())
        });
        let site = (0..2).find(|member| cluster.crm(*member).is_granted("t1")).expect("a site");
        cluster.wait_leader(&[0, 1, 2], site, SOON);
        for member in 0..3 {
            let told = events(&cluster, member);
            let wrong = format!("{} has the ticket", cluster.address(member));
            assert!(!told.iter().any(|(_, text)| *text == wrong), "of itself: {told:?}");
            let seen = changes(&cluster, member);
            assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "twice the same: {seen:?}");
        }
        let before: Vec<usize> = (0..3).map(|member| changes(&cluster, member).len()).collect();
        cluster.booth(site, &["revoke", "t1"]).expect_code(0);
        for (member, before) in before.into_iter().enumerate() {
            let wanted = if member == site { "revoked" } else { "freed" };
            let seen = until(SOON, &format!("member {member} knows of the revoke"), || {
                let seen = changes(&cluster, member);
                (seen.len() > before).then_some(seen)
            });
            assert_eq!(seen.last().map(String::as_str), Some(wanted), "member {member}");
        }
        // A restart changes nothing.
        cluster.grant(site, &[0, 1, 2]);
        cluster.kill(site);
        cluster.start(site);
        cluster.wait_leader(&[0, 1, 2], site, SOON);
        assert_eq!(changes(&cluster, site), Vec::<String>::new(), "it had the ticket before");
    });
}

#[test]
fn a_failover_a_revoke_and_restarts_are_told_once_at_every_member() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        cluster.kill(0);
        let (mut site, mut arbitrator) = (vec!["moved", "freed", "granted"], vec!["moved"; 3]);
        arbitrator[1] = "freed";
        wait_for_changes(&cluster, 1, &site);
        wait_for_changes(&cluster, 2, &arbitrator);
        // The site that was lost comes back: the others have nothing new.
        cluster.start(0);
        wait_for_changes(&cluster, 0, &["moved"]);
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        site.push("revoked");
        arbitrator.push("freed");
        wait_for_changes(&cluster, 0, &["moved", "freed"]);
        wait_for_changes(&cluster, 1, &site);
        wait_for_changes(&cluster, 2, &arbitrator);
        // A holder that is restarted at once has had it all the time.
        cluster.grant(1, &[0, 1, 2]);
        arbitrator.push("moved");
        wait_for_changes(&cluster, 0, &["moved", "freed", "moved"]);
        wait_for_changes(&cluster, 2, &arbitrator);
        let term = cluster.crm(1).state("t1").expect("granted").number("term");
        cluster.kill(1);
        cluster.start(1);
        until(SOON, "it has a lease again", || {
            (cluster.crm(1).state("t1")?.number("term") > term).then_some(())
        });
        cluster.wait_leader(&[0, 1, 2], 1, SOON);
        wait_for_changes(&cluster, 0, &["moved", "freed", "moved"]);
        wait_for_changes(&cluster, 1, &[]);
        wait_for_changes(&cluster, 2, &arbitrator);
    });
}

#[test]
fn requests_are_told_with_their_address_their_options_and_their_outcome() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        cluster.kill(1);
        cluster.booth(0, &["grant", "-F", "t1"]).expect_code(0);
        let mut command = booth_harness::Kind::Ours.command(lab, "booth", None);
        let text = std::fs::read_to_string(&cluster.config).expect("the configuration");
        let text = text.lines().filter(|line| !line.starts_with("authfile"));
        let text: String = text.map(|line| format!("{line}\n")).collect();
        let config = lab.write("unsealed.conf", text, 0o644);
        command.args(["revoke", "-c", &config, "-s", &cluster.address(0).to_string(), "t1"]);
        booth_harness::finish(&mut command, SOON).expect_code(1);
        let seen = events(&cluster, 0);
        let has = |word: &str, part: &str| {
            assert!(
                seen.iter().any(|(event, text)| event == word && text.contains(part)),
                "{word} {part} in {seen:?}"
            );
        };
        // Its client asks from the address of this host that leads there.
        let client = client_of(&cluster);
        has("asked", &format!("grant -F asked by {client}"));
        has("answered", &format!("grant -F for {client}: done after 0."));
        has("refused", &format!("refused a request of {client}"));
        let text = cluster.booth(0, &["history", "t1"]).expect_code(0).stdout;
        assert!(text.lines().count() >= 3 && !text.contains("refused"), "only of t1: {text}");
        cluster.booth(0, &["history", "nothing"]).expect_code(1);
    });
}

/// The address from which clients of this host ask member 0.
fn client_of(cluster: &Cluster<'_>) -> std::net::IpAddr {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect((cluster.address(0), 1)).expect("a way to the member");
    socket.local_addr().expect("it has an address").ip()
}

#[test]
fn a_ticket_without_events_is_told_from_a_member_without() {
    run(test_name!(), &[], |lab| {
        let tickets = setup_ticket("t1", "") + &setup_ticket("t2", "");
        let cluster = Cluster::started(lab, &Setup::usual().tickets(tickets));
        cluster.grant(0, &[0, 1, 2]);
        let text = cluster.booth(0, &["history", "t2"]).expect_code(0).stdout;
        let start = format!("nothing has happened to t2 since {} started at ", cluster.address(0));
        assert!(text.starts_with(&start), "{text}");
    });
}
