// SPDX-License-Identifier: GPL-2.0-or-later
//! What the commands print with `-o json` fits its schema in every state that a ticket can be in,
//! and every field of the schema is seen with a value.

use crate::schema::Schema;
use booth_harness::{run_for, setup_ticket, test_name, until, Cluster, Lab, Setup};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(20);

/// Fields that no output of this test can show: of a member of the C version, which the tests in
/// `test/interop` ask, and the history in a report, which only `booth history` asks for.
const ELSEWHERE: &[&str] = &["List.text", "MemberAnswer.list", "Report.history"];

/// All that is asked at each stage.
fn ask(cluster: &Cluster<'_>, schema: &mut Schema) -> Value {
    for member in (0..3).filter(|member| cluster.members[*member].pid().is_some()) {
        for (definition, arguments) in [
            ("List", &["list", "-o", "json"][..]),
            ("Peers", &["peers", "-o", "json"]),
            ("History", &["history", "-o", "json"]),
        ] {
            let told = cluster.booth(member, arguments).expect_code(0);
            schema.check(definition, &told.stdout);
        }
    }
    schema.check("Overview", &cluster.booth(0, &["overview", "-o", "json"]).stdout)
}

/// What one member says of a ticket.
fn ticket<'a>(overview: &'a Value, member: usize, name: &str) -> &'a Value {
    let tickets = overview["members"][member]["report"]["tickets"].as_array();
    let mut tickets = tickets.into_iter().flatten();
    tickets.find(|ticket| ticket["name"] == name).unwrap_or(&Value::Null)
}

/// Asks until a member says this of a ticket.
#[track_caller]
fn reach(
    cluster: &Cluster<'_>,
    schema: &mut Schema,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    until(SOON, what, || {
        let overview = ask(cluster, schema);
        holds(&overview).then_some(overview)
    })
}

fn tickets(lab: &Lab) -> String {
    let handler = lab.write("handler", "#!/bin/sh\nsleep 3\n", 0o755);
    let waits = format!("\tbefore-acquire-handler = {handler}\n");
    let picky = "\tattr-prereq = auto ready eq yes\n\tweights = 10,20,0\n";
    let slow = "\tacquire-after = 30\n";
    let manual = "ticket = \"m1\"\n\tmode = manual\n";
    [
        setup_ticket("t1", ""),
        setup_ticket("waits", &waits),
        setup_ticket("picky", picky),
        setup_ticket("slow", slow),
        manual.to_owned(),
    ]
    .concat()
}

#[test]
fn every_state_fits_the_schema_and_every_field_is_seen() {
    run_for(test_name!(), &[], LIMIT, |lab| {
        let mut schema = Schema::read();
        let mut cluster = Cluster::new(lab, &Setup::usual().with_key().tickets(tickets(lab)));
        // A site whose store does not answer, another one in its grace.
        cluster.crm(0).control("query hang");
        for member in 0..3 {
            cluster.members[member].spawn(lab);
        }
        for member in 1..3 {
            cluster.members[member].wait_started();
        }
        reach(&cluster, &mut schema, "site 0 starts, site 1 is in its grace", |overview| {
            ticket(overview, 0, "t1")["state"] == "starting"
                && ticket(overview, 0, "t1")["store"]["says"] == "unread"
                && !ticket(overview, 1, "t1")["grace"].is_null()
        });
        cluster.crm(0).control("");
        cluster.members[0].wait_started();
        held(lab, &cluster, &mut schema);
        troubled(&mut cluster, &mut schema);
        let told = cluster.status(0);
        let mut command = booth_harness::Kind::Ours.command(lab, "booth", None);
        let member = &cluster.members[0];
        command.args(["status", "-o", "json", "-c", &member.config, "-l"]);
        command.arg(member.lock_file());
        assert_eq!(told.code, Some(0), "{told:?}");
        let limit = Duration::from_secs(10);
        let told = booth_harness::finish(&mut command, limit).expect_code(0);
        let status = schema.check("Status", &told.stdout);
        assert_eq!(status["running"], true);
        cluster.stop(0);
        let told = booth_harness::finish(&mut command, limit).expect_code(7);
        assert_eq!(schema.check("Status", &told.stdout)["running"], false);
        let mut check = booth_harness::Kind::Ours.command(lab, "booth", None);
        let config = cluster.members[0].config.replace("booth.conf", "missing.conf");
        let told = booth_harness::finish(check.args(["check", "-o", "json", "-c", &config]), limit);
        let report = schema.check("Check", &told.expect_code(1).stdout);
        assert_eq!(report["sound"], false);
        let fake = cluster.crm(0).bin();
        let mut check = booth_harness::Kind::Ours.command(lab, "booth", Some(&fake));
        let config = cluster.members[0].config.clone();
        let told = booth_harness::finish(check.args(["check", "-o", "json", "-c", &config]), limit);
        schema.check("Check", &told.stdout);
        let unseen: BTreeSet<String> = schema.fields().difference(&schema.seen).cloned().collect();
        let elsewhere: BTreeSet<String> = ELSEWHERE.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(unseen, elsewhere, "fields without a value in any output");
    });
}

/// Free, waiting, held, committed later, manual.
fn held(lab: &Lab, cluster: &Cluster<'_>, schema: &mut Schema) {
    reach(cluster, schema, "every ticket is known to be free", |overview| {
        ["t1", "waits", "m1"]
            .iter()
            .all(|name| ticket(overview, 0, name)["holder"]["state"] == "free")
    });
    let mut waiting = cluster.client(booth_harness::Kind::Ours, 0, &["grant", "-w", "waits"]);
    let mut waiting = waiting.spawn().expect("a client starts");
    reach(cluster, schema, "a grant waits for its handler", |overview| {
        let waits = ticket(overview, 0, "waits");
        waits["waits"]["for"] == "handler"
            && waits["requests"][0]["options"][0] == "-w"
            && waits["requests"][0]["from"].is_string()
            && !waits["handler"]["running_since"].is_null()
    });
    assert!(waiting.wait().expect("it ends").success());
    cluster.grant(0, &[0, 1, 2]);
    cluster.booth(1, &["grant", "m1"]).expect_code(0);
    cluster.geostore(0, "set", &["-t", "t1", "colour", "light blue"]).expect_code(0);
    let mut command = booth_harness::Kind::Ours.command(lab, "geostore", None);
    command.args(["list", "-o", "json", "-t", "t1", "-c", &cluster.config, "-s"]);
    command.arg(cluster.address(0).to_string());
    let told = booth_harness::finish(&mut command, SOON).expect_code(0);
    let attributes = schema.check("Attributes", &told.stdout);
    assert_eq!(attributes["attributes"][0]["value"], "light blue");
    let overview = reach(cluster, schema, "site 0 holds t1 and all know it", |overview| {
        (0..3).all(|m| ticket(overview, m, "t1")["holder"]["state"] == "held")
            && ticket(overview, 0, "t1")["lease"]["majority"] == true
            && !ticket(overview, 1, "t1")["promise"].is_null()
    });
    assert_eq!(ticket(&overview, 0, "t1")["store"]["says"], "granted");
    assert_eq!(ticket(&overview, 1, "t1")["holder"]["here"], false);
    assert_eq!(ticket(&overview, 1, "m1")["mode"], "manual");
    assert!(ticket(&overview, 2, "t1")["store"].is_null(), "an arbitrator has no store");
    cluster.booth(0, &["grant", "-F", "m1"]).expect_code(0);
    reach(cluster, schema, "m1 is granted twice", |overview| {
        ticket(overview, 2, "m1")["also_granted"].as_array().is_some_and(|sites| sites.len() == 2)
    });
}

/// A dead site, stores that fail and hang, no majority.
fn troubled(cluster: &mut Cluster<'_>, schema: &mut Schema) {
    cluster.kill(1);
    cluster.booth(0, &["grant", "slow"]);
    reach(cluster, schema, "a commit waits for the dead site", |overview| {
        ticket(overview, 0, "slow")["commit"]["missing"][0].is_string()
            && overview["members"][1]["error"].is_string()
            && overview["verdict"] == "attention"
    });
    cluster.start(1);
    cluster.crm(0).control("grant exit 1\nrevoke hang");
    reach(cluster, schema, "the store of site 0 fails", |overview| {
        !ticket(overview, 0, "t1")["store"]["failing_since"].is_null()
    });
    cluster.kill(1);
    cluster.kill(2);
    reach(cluster, schema, "site 0 has no majority", |overview| {
        ticket(overview, 0, "t1")["lease"]["majority"] == false
    });
    reach(cluster, schema, "site 0 gives t1 up, and its store hangs", |overview| {
        ticket(overview, 0, "t1")["state"] == "leaving"
            && !ticket(overview, 0, "t1")["store"]["writing_since"].is_null()
    });
    cluster.crm(0).control("");
    reach(cluster, schema, "site 0 stands and nobody votes", |overview| {
        ticket(overview, 0, "t1")["state"] == "candidate"
            && ticket(overview, 0, "t1")["holder"]["state"] == "unknown"
    });
    reach(cluster, schema, "site 0 plans to stand again", |overview| {
        !ticket(overview, 0, "t1")["stands"].is_null()
    });
    // With another `expire` at the other site.
    let text = std::fs::read_to_string(&cluster.config).expect("the configuration");
    let config = cluster.config.replace("booth.conf", "other.conf");
    std::fs::write(&config, text.replace("expire = 10", "expire = 12")).expect("written");
    cluster.members[1].config.clone_from(&config);
    cluster.start(1);
    cluster.start(2);
    reach(cluster, schema, "the members have another expire", |overview| {
        ticket(overview, 0, "t1")["expire_differs"].as_array().is_some_and(|d| !d.is_empty())
    });
}
