// SPDX-License-Identifier: GPL-2.0-or-later
//! Members change from the reference to ours and back, one after another, while a ticket is
//! held; the holder stays the holder, and its CIB never says anything else.

use crate::lists::agree;
use booth_harness::{pass, run, test_name, Cluster, Kind, Need, Setup};
use std::time::{Duration, Instant};

const NEEDS: &[Need] = &[Need::Root, Need::Reference];
/// The manual's advice: one `expire` between two members.
const BETWEEN: Duration = Duration::from_secs(11);

/// Replaces the members in this order by others of `kind`, and watches the holder, site 0.
fn replace(cluster: &mut Cluster, order: [usize; 3], kind: Kind) {
    for index in order {
        cluster.stop(index);
        cluster.members[index].becomes(kind);
        cluster.start(index);
        let begun = Instant::now();
        cluster.wait_leader(&[0, 1, 2], 0, Duration::from_secs(8));
        while begun.elapsed() < BETWEEN {
            assert!(cluster.crm(0).is_granted("t1"), "lost when {index} became {kind:?}");
            let other = cluster.crm(1).is_granted("t1");
            assert!(!other, "the other site got it when {index} became {kind:?}");
            pass(Duration::from_millis(20));
        }
    }
    agree(cluster);
}

/// From the reference to ours and back.
#[track_caller]
fn there_and_back(name: &str, with_key: bool) {
    run(name, NEEDS, |lab| {
        let setup = Setup::of(&[Kind::Theirs; 3]);
        let setup = if with_key { setup.with_key() } else { setup };
        let mut cluster = Cluster::started(lab, &setup);
        cluster.grant(0, &[0, 1, 2]);
        // The arbitrator first, the holder last.
        replace(&mut cluster, [2, 1, 0], Kind::Ours);
        replace(&mut cluster, [0, 1, 2], Kind::Theirs);
        let history = cluster.crm(0).history("t1");
        let granted = history.iter().skip_while(|change| change.granted != Some(true));
        let lost: Vec<_> = granted.filter(|change| change.granted != Some(true)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
    });
}

#[test]
fn there_and_back_without_a_key() {
    there_and_back(test_name!(), false);
}

#[test]
fn there_and_back_with_a_key() {
    there_and_back(test_name!(), true);
}
