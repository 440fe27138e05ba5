// SPDX-License-Identifier: GPL-2.0-or-later
//! The before-acquire handler: arguments, environment, order in a directory, failure (P23).

use booth_harness::{run, test_name, under_test, until, Cluster, Lab, Need, Setup};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);

/// A handler that notes its name, arguments and environment, and fails while FILE.fail exists.
const NOTING: &str = "#!/bin/sh
# The arguments are the directory for notes, then the test's own.
notes=$1
{
\tprintf '%s' \"${0##*/}\"
\tfor word in \"$@\"; do printf ' %s' \"$word\"; done
\tprintf ' T=%s L=%s P=%s N=%s E=%s\\n' \"$BOOTH_TICKET\" \"$BOOTH_LOCAL\" \
\"$BOOTH_CONF_PATH\" \"$BOOTH_CONF_NAME\" \"$BOOTH_TICKET_EXPIRES\"
} >>\"$notes/$BOOTH_LOCAL\"
[ ! -e \"$notes/$BOOTH_LOCAL.${0##*/}.fail\" ]
";

/// A setup whose ticket has the handler `path`, with the notes directory and `a b`.
fn with_handler(lab: &Lab, path: &str) -> Setup {
    let notes = lab.dir().join("notes");
    std::fs::create_dir_all(&notes).expect("the lab can be written");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&notes, open).expect("the lab can be written");
    let line = format!("\tbefore-acquire-handler = {path} {} a b\n", notes.display());
    let tickets = Setup::usual().tickets + &line;
    Setup::usual().tickets(tickets)
}

/// What the handlers of a member have noted.
fn notes(lab: &Lab, cluster: &Cluster, member: usize) -> Vec<String> {
    let file = lab.dir().join("notes").join(cluster.address(member).to_string());
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Lets handlers of this name fail at a member.
fn let_fail(lab: &Lab, cluster: &Cluster, member: usize, name: &str) {
    lab.write(&format!("notes/{}.{name}.fail", cluster.address(member)), "", 0o666);
}

#[test]
fn it_gets_its_arguments_and_environment_before_a_grant_and_a_renewal() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let handler = lab.write("handler", NOTING, 0o755);
        let cluster = Cluster::started(lab, &with_handler(lab, &handler));
        cluster.grant(0, &[0, 1, 2]);
        let first = notes(lab, &cluster, 0);
        assert_eq!(first.len(), 1, "{first:?}");
        let wanted = format!(
            "handler {} a b T=t1 L={} P={} N=booth E=",
            lab.dir().join("notes").display(),
            cluster.address(0),
            cluster.config,
        );
        let expires = first[0].strip_prefix(wanted.as_str());
        let expires = expires.unwrap_or_else(|| panic!("not {wanted:?}: {first:?}"));
        assert!(expires.parse::<u64>().is_ok(), "{first:?}");
        until(SOON, "it runs before a renewal", || {
            (notes(lab, &cluster, 0).len() == 2).then_some(())
        });
        assert!(notes(lab, &cluster, 1).is_empty(), "a follower's handler ran");
    });
}

#[test]
fn a_failing_handler_denies_the_grant() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let handler = lab.write("handler", NOTING, 0o755);
        let cluster = Cluster::started(lab, &with_handler(lab, &handler));
        let_fail(lab, &cluster, 0, "handler");
        let told = cluster.booth(0, &["grant", "t1"]).expect_code(1);
        assert!(told.stderr.contains("before-acquire-handler"), "{told:?}");
        let answers = cluster.ask(0, &cluster.request(0, "CGnt", "t1"), SOON);
        assert_eq!(answers.last().outcome(), "XPrg", "{answers:?}");
        assert!(cluster.crm(0).calls_of("grant").is_empty());
    });
}

#[test]
fn a_handler_that_is_not_there_denies_the_grant() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &with_handler(lab, "/no/such/handler"));
        cluster.booth(0, &["grant", "t1"]).expect_code(1);
        assert!(cluster.crm(0).calls_of("grant").is_empty());
    });
}

#[test]
fn a_failure_at_a_renewal_gives_the_ticket_to_the_other_site() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let handler = lab.write("handler", NOTING, 0o755);
        let cluster = Cluster::started(lab, &with_handler(lab, &handler));
        cluster.grant(0, &[0, 1, 2]);
        let_fail(lab, &cluster, 0, "handler");
        until(Duration::from_secs(10), "the other site has it", || {
            cluster.crm(1).is_granted("t1").then_some(())
        });
        assert!(!cluster.crm(0).is_granted("t1"), "both have it");
        cluster.wait_leader(&[0, 1, 2], 1, SOON);
    });
}

#[test]
fn a_directory_is_run_in_order_until_the_first_failure() {
    run(test_name!(), Need::of(under_test()), |lab| {
        std::fs::create_dir(lab.dir().join("handlers")).expect("the lab can be written");
        for name in ["10-second", "20-third", "0-first", "A-last", ".hidden"] {
            lab.write(&format!("handlers/{name}"), NOTING, 0o755);
        }
        let dir = lab.dir().join("handlers").display().to_string();
        let cluster = Cluster::started(lab, &with_handler(lab, &dir));
        cluster.grant(0, &[0, 1, 2]);
        let names = |lines: Vec<String>| -> Vec<String> {
            lines.iter().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
        };
        let order = ["0-first", "10-second", "20-third", "A-last"];
        assert_eq!(names(notes(lab, &cluster, 0)), order);
        cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        let_fail(lab, &cluster, 0, "20-third");
        cluster.booth(0, &["grant", "t1"]).expect_code(1);
        assert_eq!(names(notes(lab, &cluster, 0).split_off(4)), &order[..3]);
    });
}
