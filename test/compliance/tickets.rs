// SPDX-License-Identifier: GPL-2.0-or-later
//! grant, revoke, list: what clients see, and what goes over the wire to them.

use crate::harness::{run, test_name, under_test, Cluster, Need, Setup};

#[test]
fn a_ticket_is_granted_listed_everywhere_and_revoked() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let revoked = cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        assert!(revoked.stderr.contains("revoke succeeded!"), "{revoked:?}");
        for index in 0..3 {
            assert_eq!(cluster.list(index), "ticket: t1, leader: none\n");
        }
    });
}
