// SPDX-License-Identifier: GPL-2.0-or-later
//! What judges all others: that the intervals and the recorder miss no second holder.

use crate::watch::NEEDS;
use booth_harness::{
    all_held, overlaps, pass, run, test_name, until, Change, Cluster, Recorder, Setup,
};
use std::time::Duration;

/// A change that was written between two times.
fn change(at: f64, done: Option<f64>, granted: bool) -> Change {
    Change { at, done, granted: Some(granted), attributes: std::collections::BTreeMap::new() }
}

#[test]
fn a_second_holder_is_seen_however_short_it_is_one() {
    let one = vec![change(1.0, Some(1.1), true), change(5.0, Some(5.2), false)];
    let apart = vec![change(5.3, Some(5.4), true)];
    assert_eq!(overlaps(&[one.clone(), apart]), []);
    // While the revoke was being written: perhaps there were two.
    let close = vec![change(5.1, Some(5.4), true), change(6.0, Some(6.1), false)];
    assert_eq!(overlaps(&[one.clone(), close]).len(), 1);
    let inside = vec![change(2.0, Some(2.001), true), change(2.001, Some(2.002), false)];
    assert_eq!(overlaps(&[one.clone(), inside.clone()]).len(), 1);
    assert_eq!(overlaps(&[inside, Vec::new(), one]).len(), 1, "in any order, at any site");
}

#[test]
fn a_revoke_whose_end_nobody_wrote_down_lasts_until_the_next_write() {
    let killed =
        vec![change(1.0, Some(1.1), true), change(5.0, None, false), change(7.0, Some(7.1), false)];
    let times = all_held(std::slice::from_ref(&killed));
    assert_eq!((times.len(), times[0].to, times[0].sure_to), (1, 7.0, 5.0));
    let other = vec![change(6.9, Some(6.95), true)];
    assert_eq!(overlaps(&[killed, other]).len(), 1);
}

#[test]
fn the_recorder_sees_two_holders_without_any_time_stamp() {
    run(test_name!(), NEEDS, |lab| {
        // Nothing runs: the stores are written by hand.
        let cluster = Cluster::new(lab, &Setup::usual());
        let recorder = Recorder::new(&cluster, "t1");
        cluster.crm(0).put("t1", true, &[("term", 1)]);
        pass(Duration::from_millis(300));
        cluster.crm(0).put("t1", false, &[("term", 1)]);
        cluster.crm(1).put("t1", true, &[("term", 2)]);
        pass(Duration::from_millis(300));
        let fine = recorder.finish(&cluster);
        fine.assert_never_two();
        assert!(fine.looks.count > 10 && fine.moves == 1 && fine.grants == 2, "{fine}");
        assert!(fine.held > 0.4 * fine.time && fine.longest_gap < 0.3, "{fine}");
        let recorder = Recorder::new(&cluster, "t1");
        cluster.crm(0).put("t1", true, &[("term", 3)]);
        pass(Duration::from_millis(300));
        cluster.crm(0).put("t1", false, &[("term", 3)]);
        let bad = recorder.finish(&cluster);
        assert!(!bad.looks.both.is_empty() && bad.overlaps.len() == 1, "{bad}");
        assert!(bad.together.1 > 0.2, "{bad}");
        let judged = std::panic::catch_unwind(|| bad.assert_never_two());
        assert!(judged.is_err(), "two holders were not complained about");
        until(Duration::from_secs(1), "site 1 alone has it", || {
            (!cluster.crm(0).is_granted("t1") && cluster.crm(1).is_granted("t1")).then_some(())
        });
    });
}
