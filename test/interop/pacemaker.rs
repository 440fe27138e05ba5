// SPDX-License-Identifier: GPL-2.0-or-later
//! Ours with Pacemaker's real `crm_ticket`, on a CIB in a file: what is written is read by the
//! tool itself, and what the tool writes is understood.

use booth_harness::{finish, run, test_name, until, Cluster, Kind, Lab, Need, Setup};
use std::time::Duration;
use Kind::{Ours, OursInRoot};

const NEEDS: &[Need] = &[Need::Root, Need::Reference];
const SOON: Duration = Duration::from_secs(8);

/// An empty CIB.
const CIB: &str = "<cib crm_feature_set=\"3.16.2\" validate-with=\"pacemaker-3.9\" epoch=\"1\" \
                   num_updates=\"0\" admin_epoch=\"0\"><configuration><crm_config/><nodes/>\
                   <resources/><constraints/></configuration><status/></cib>\n";

/// Two sites with the real tool, each with a CIB of its own, and an arbitrator.
fn cluster(lab: &Lab) -> Cluster<'_> {
    // The tool can write the file only as root.
    let global = "site-user = root\nsite-group = root\n";
    let setup = Setup::of(&[OursInRoot, OursInRoot, Ours]).global(global);
    let mut cluster = Cluster::new(lab, &setup);
    for site in [0, 1] {
        let file = lab.write(&format!("cib{site}.xml"), CIB, 0o600);
        cluster.members[site].environment = vec![("CIB_file".to_owned(), file)];
    }
    cluster.start_all();
    cluster
}

/// Runs the real tool on a site's CIB and returns what it prints.
fn crm_ticket(lab: &Lab, site: usize, arguments: &[&str]) -> String {
    let mut command = OursInRoot.command(lab, "../../../usr/sbin/crm_ticket", None);
    command.env("CIB_file", lab.dir().join(format!("cib{site}.xml")));
    finish(command.args(arguments), SOON).stdout
}

/// What the real tool says about `t1` at a site.
fn state(lab: &Lab, site: usize) -> String {
    crm_ticket(lab, site, &["-t", "t1", "-q"])
}

#[test]
fn a_ticket_is_written_read_and_taken_up_again() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = cluster(lab);
        cluster.booth(0, &["grant", "-C", "t1"]).expect_code(0);
        let granted = state(lab, 0);
        let owner = format!(" owner=\"{}\"", cluster.id(0));
        for wanted in [" granted=\"true\"", &owner, " booth-cfg-name=\"booth\"", " expires=\""] {
            assert!(granted.contains(wanted), "{wanted}: {granted}");
        }
        until(SOON, "the follower's CIB names the owner", || {
            let known = state(lab, 1);
            (known.contains(" granted=\"false\"") && known.contains(&owner)).then_some(())
        });
        cluster.kill(0);
        cluster.start(0);
        cluster.wait_leader(&[0, 1, 2], 0, SOON);
        // A file that is being written may be unreadable for an instant.
        until(SOON, "the CIB says so", || {
            state(lab, 0).contains(" granted=\"true\"").then_some(())
        });
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
        let revoked = state(lab, 0);
        assert!(revoked.contains(" granted=\"false\""), "{revoked}");
        assert!(revoked.contains(" owner=\"-1\""), "{revoked}");
    });
}

#[test]
fn attributes_are_those_of_the_tool() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = cluster(lab);
        let value = "a 'b' \"c\" <&> $(d) `e`";
        cluster.geostore(0, "set", &["foo", value]).expect_code(0);
        let stored = until(SOON, "the tool knows it", || {
            let text = crm_ticket(lab, 0, &["-t", "t1", "-G", "foo"]);
            (!text.is_empty()).then_some(text)
        });
        assert_eq!(stored.trim_end_matches('\n'), value);
        crm_ticket(lab, 0, &["-t", "t1", "-S", "bar", "--attr-value=<&>"]);
        cluster.stop(0);
        cluster.start(0);
        until(SOON, "both are known after a start", || {
            let foo = cluster.geostore(0, "get", &["foo"]).stdout;
            let bar = cluster.geostore(0, "get", &["bar"]).stdout;
            (foo.trim_end_matches('\n') == value && bar == "<&>\n").then_some(())
        });
        cluster.geostore(0, "delete", &["foo"]).expect_code(0);
        until(SOON, "the tool knows it no more", || {
            crm_ticket(lab, 0, &["-t", "t1", "-G", "foo"]).is_empty().then_some(())
        });
    });
}

#[test]
fn standby_of_a_ticket_is_left_alone() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = cluster(lab);
        cluster.booth(0, &["grant", "-C", "t1"]).expect_code(0);
        // As pcs does it.
        crm_ticket(lab, 0, &["-t", "t1", "--standby"]);
        let first = state(lab, 0);
        assert!(first.contains(" standby=\"true\""), "{first}");
        let expires = |text: &str| text.split("expires=\"").nth(1).map(str::to_owned);
        until(SOON, "it is renewed", || (expires(&state(lab, 0)) != expires(&first)).then_some(()));
        let later = state(lab, 0);
        assert!(later.contains(" standby=\"true\"") && later.contains(" granted=\"true\""));
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
    });
}

/// Runs a real tool with arguments of ours on the CIB in a file.
fn tool(lab: &Lab, name: &str, cib: &str, arguments: &[String], input: Option<&str>) -> String {
    let mut command = OursInRoot.command(lab, &format!("../../../usr/sbin/{name}"), None);
    command.env("CIB_file", cib).args(arguments);
    let Some(text) = input else { return finish(&mut command, SOON).expect_code(0).stdout };
    let file = lab.write("input", text, 0o600);
    let mut with_input = std::process::Command::new("sh");
    with_input.args(["-c", "exec \"$@\" <\"$0\"", &file]).env("CIB_file", cib);
    with_input.arg(command.get_program()).args(command.get_args());
    finish(&mut with_input, SOON).expect_code(0).stdout
}

#[test]
fn one_call_for_many_tickets_writes_what_a_call_for_each_writes() {
    use booth::model::{Holder, MemberId, Term, TicketName};
    use booth::pacemaker::{load_all, load_many, many, read_all, write, write_many, TicketValues};
    run(test_name!(), NEEDS, |lab| {
        drop(Cluster::new(lab, &Setup::of(&[OursInRoot, Ours])));
        let names: Vec<TicketName> =
            (0..12).map(|n| TicketName::new(&format!("t/{n}")).expect("a good name")).collect();
        let values = |ticket, granted| TicketValues {
            ticket,
            granted,
            owner: Holder::Member(MemberId::from_raw(0xFFFF_0007)),
            expires: 1_700_000_000,
            term: Term::new(7),
            config_name: "x<y",
        };
        let cibs = ["each.xml", "many.xml"].map(|name| lab.write(name, CIB, 0o600));
        let revoked: Vec<_> = names.iter().map(|name| values(name, false)).collect();
        for cib in &cibs {
            // The last is not there before.
            for name in &names[..11] {
                tool(lab, "crm_ticket", cib, &write(&values(name, true)), None);
            }
            let mine = ["-t", "t/3", "-S", "mine", "--attr-value=a<b"].map(str::to_owned);
            tool(lab, "crm_ticket", cib, &mine, None);
        }
        for one in &revoked {
            tool(lab, "crm_ticket", &cibs[0], &write(one), None);
        }
        tool(lab, "cibadmin", &cibs[1], &write_many(), Some(&many(&revoked)));
        let [each, together] = cibs.map(|cib| {
            let all = tool(lab, "crm_ticket", &cib, &load_all(), None);
            assert_eq!(all.matches(" last-granted=").count(), 11, "{all}");
            let read = read_all(&tool(lab, "cibadmin", &cib, &load_many(), None));
            assert_eq!(read, read_all(&all), "both tools say the same");
            read.expect("a good answer")
        });
        assert_eq!(each.len(), names.len());
        assert_eq!(each, together);
        let of = |name: &str| each[name].as_ref().expect("it can be understood");
        let revoked = |name: &String| !of(name).granted && of(name).term == Some(Term::new(7));
        assert!(each.keys().all(revoked));
        assert_eq!(of("t/3").attrs.len(), 1);
    });
}
