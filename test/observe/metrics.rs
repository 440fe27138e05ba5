// SPDX-License-Identifier: GPL-2.0-or-later
//! The metrics of real members, in the text format of Prometheus.

use booth_harness::{run, test_name, until, Cluster, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// The samples of a page by name and labels. Panics if the page is not as the format demands.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut helped = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(helped.insert(name.to_owned()) && help.ends_with('.'), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(helped.contains(name), "no help: {line}");
            kinds.insert(name.to_owned(), kind.to_owned());
            continue;
        }
        let (id, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = id.split('{').next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"));
        let kind = kinds.get(family.unwrap_or(name)).unwrap_or_else(|| panic!("no type: {line}"));
        assert!(name.starts_with("booth_"), "{line}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(samples.insert(id.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

/// Probes tell it, and the first comes later than a test ends.
const LATER: &[&str] = &["booth_peer_configuration_differs"];

/// The metrics that a file of `scripts/monitoring` names.
fn named_in(file: &str) -> BTreeSet<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/monitoring");
    let text = std::fs::read_to_string(path.join(file)).expect("the file is there");
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let names = words.filter(|word| word.starts_with("booth_")).map(str::to_owned);
    let names: BTreeSet<String> = names.collect();
    assert!(names.len() > 8, "{file}: {names:?}");
    names
}

#[test]
fn metrics_follow_a_grant_a_renewal_a_failing_store_and_a_dead_member() {
    run(test_name!(), &[], |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        let names = std::cell::RefCell::new(BTreeSet::new());
        let ask = |cluster: &Cluster<'_>, member: usize| {
            let now = samples(&cluster.booth(member, &["metrics"]).expect_code(0).stdout);
            let name = |id: &String| id.split('{').next().unwrap_or_default().to_owned();
            names.borrow_mut().extend(now.keys().map(name));
            now
        };
        let of = |samples: &BTreeMap<String, f64>, id: &str| {
            *samples.get(id).unwrap_or_else(|| panic!("no {id} in {samples:?}"))
        };
        let held = "booth_ticket_held{ticket=\"t1\"}";
        assert_eq!(of(&ask(&cluster, 0), held), 0.0);
        cluster.grant(0, &[0, 1, 2]);
        let now = ask(&cluster, 0);
        assert_eq!((of(&now, "booth_up"), of(&now, held)), (1.0, 1.0));
        let left = of(&now, "booth_ticket_lease_left_seconds{ticket=\"t1\"}");
        assert!((1.0..=10.0).contains(&left), "{left}");
        assert_eq!(of(&now, "booth_elections_won_total"), 1.0);
        assert_eq!(of(&ask(&cluster, 1), held), 0.0);
        let arbitrator = ask(&cluster, 2);
        assert!(!arbitrator.contains_key(held), "an arbitrator holds nothing");
        assert_eq!(of(&arbitrator, "booth_ticket_holder_known{ticket=\"t1\"}"), 1.0);
        until(SOON, "a renewal is counted", || {
            let now = ask(&cluster, 0);
            let count = of(&now, "booth_renewal_seconds_count");
            assert_eq!(of(&now, "booth_renewal_seconds_bucket{le=\"+Inf\"}"), count);
            (count >= 2.0).then_some(())
        });
        let now = ask(&cluster, 0);
        let changes = of(&now, "booth_store_change_seconds_count");
        assert_eq!(of(&now, "booth_store_changes_total{result=\"done\"}"), changes);
        let took = of(&now, "booth_store_change_seconds_sum") / changes;
        assert!(changes >= 1.0 && (0.001..2.0).contains(&took), "{took} s for {changes}");
        cluster.crm(0).control("grant exit 1");
        until(SOON, "the store fails", || {
            let now = ask(&cluster, 0);
            let failed = of(&now, "booth_store_changes_total{result=\"failed\"}");
            let failing = of(&now, "booth_ticket_store_failing{ticket=\"t1\"}");
            (failed > 0.0 && failing == 1.0).then_some(())
        });
        let peer = format!("{{peer=\"{}\"}}", cluster.address(1));
        let now = ask(&cluster, 0);
        assert_eq!(of(&now, &format!("booth_peer_reachable{peer}")), 1.0);
        let offset = of(&now, &format!("booth_peer_clock_offset_seconds{peer}"));
        assert!(offset.abs() < 1.0, "{offset}");
        for file in ["booth-rules.yml", "booth-dashboard.json"] {
            for name in named_in(file) {
                let printed = names.borrow().contains(&name) || LATER.contains(&name.as_str());
                assert!(printed, "{file}: nobody prints {name}");
            }
        }
        cluster.kill(0);
        let told = cluster.booth(0, &["metrics"]).expect_code(1);
        assert_eq!(samples(&told.stdout), BTreeMap::from([("booth_up".to_owned(), 0.0)]));
        assert!(told.stderr.contains("does not report"), "{told:?}");
    });
}
