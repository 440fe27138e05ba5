// SPDX-License-Identifier: GPL-2.0-or-later
//! Members that die while nothing is held, when no ticket needs them: the others notice.

use booth_harness::{run_for, test_name, until, Cluster, Setup};
use std::time::{Duration, Instant};

/// 30 s of silence, three probes with 30 s for each, and up to 5 s each until it is looked again.
const NOTICED: Duration = Duration::from_secs(150);
const LIMIT: Duration = Duration::from_secs(240);
const SOON: Duration = Duration::from_secs(15);

/// What the member `index` says with this command, in one line.
fn says(cluster: &Cluster<'_>, index: usize, arguments: &[&str]) -> String {
    let text = cluster.booth(index, arguments).stdout;
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How often an event of this kind is in the history of a member.
fn told(cluster: &Cluster<'_>, index: usize, event: &str) -> usize {
    let text = cluster.booth(index, &["history"]).expect_code(0).stdout;
    text.lines().filter(|line| line.split(' ').nth(1) == Some(event)).count()
}

#[test]
fn an_arbitrator_that_dies_is_noticed_by_an_idle_cluster() {
    run_for(test_name!(), &[], LIMIT, |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        assert_eq!(told(&cluster, 0, "member-lost"), 0);
        let begun = Instant::now();
        cluster.kill(2);
        let (one, other) = (cluster.address(0), cluster.address(1));
        // Both sites: one sentence.
        let both = format!("{one} and {other} do not hear {}", cluster.address(2));
        let line = until(NOTICED, &both, || {
            Some(says(&cluster, 0, &["explain"])).filter(|line| line.contains(&both))
        });
        assert!(begun.elapsed() > Duration::from_secs(60), "after {:?}", begun.elapsed());
        assert!(line.contains("check that boothd runs there"), "{line}");
        assert_eq!(line.matches("not hear").count(), 1, "{line}");
        let peers = cluster.booth(0, &["peers"]).expect_code(0).stdout;
        assert!(peers.contains("Unreachable since "), "{peers}");
        assert_eq!([0, 1].map(|site| told(&cluster, site, "member-lost")), [1, 1]);
        // Its first packet brings it back.
        cluster.start(2);
        until(SOON, "all is well", || {
            (cluster.booth(0, &["overview"]).code == Some(0)).then_some(())
        });
        assert_eq!([0, 1].map(|site| told(&cluster, site, "member-back")), [1, 1]);
        assert_eq!([0, 1].map(|site| told(&cluster, site, "member-lost")), [1, 1]);
    });
}
