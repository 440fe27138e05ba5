// SPDX-License-Identifier: GPL-2.0-or-later
//! Both programs' clients say the same about every member.

use booth_harness::{until, Cluster, Kind};
use std::time::Duration;

/// What is left of `list` when its times are taken out: they differ by a second here and there.
fn without_times(list: &str) -> String {
    list.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect()
}

/// The time in an `expires: …` of a list, in seconds of the day.
fn expires(list: &str) -> Option<i64> {
    let time = list.split("expires: ").nth(1)?.get(11..19)?;
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
}

/// Checks that the clients of both kinds print the same for every member, and that all members
/// name the same leader and about the same end.
#[track_caller]
pub fn agree(cluster: &Cluster) {
    until(Duration::from_secs(4), "all members and both clients agree", || {
        let mut lists = Vec::new();
        for index in 0..cluster.members.len() {
            for kind in [Kind::Ours, Kind::Theirs] {
                lists.push(cluster.booth_of(kind, index, &["list"]).expect_code(0).stdout);
            }
        }
        let same = lists.iter().all(|list| {
            without_times(list) == without_times(&lists[0])
                && leader(list) == leader(&lists[0])
                && close(expires(list), expires(&lists[0]))
        });
        if !same {
            println!("{lists:#?}");
        }
        same.then_some(())
    });
}

/// Checks what the clients of both kinds print of a ticket that nobody has ever had: `none` at a
/// member of ours, which has asked all sites; `NONE` at a reference member (`test/QUIRKS.md`).
#[track_caller]
pub fn agree_that_it_is_new(cluster: &Cluster) {
    until(Duration::from_secs(4), "every member says what it knows of a new ticket", || {
        (0..cluster.members.len()).all(|index| says_it_is_new(cluster, index)).then_some(())
    });
}

fn says_it_is_new(cluster: &Cluster, index: usize) -> bool {
    let expected = match cluster.members[index].kind {
        Kind::Theirs => "ticket: t1, leader: NONE\n",
        _ => "ticket: t1, leader: none\n",
    };
    let lists = [Kind::Ours, Kind::Theirs]
        .map(|kind| cluster.booth_of(kind, index, &["list"]).expect_code(0).stdout);
    if lists != [expected, expected] {
        println!("member {index}: {lists:?}");
    }
    lists == [expected, expected]
}

/// The leader that a list names.
fn leader(list: &str) -> Option<&str> {
    list.split("leader: ").nth(1)?.split([',', '\n', ' ']).next()
}

/// Whether two ends are at most three seconds apart, or there are none.
///
/// Reference: a follower's end is a second or two before the leader's, because validity is
/// rounded down twice.
fn close(one: Option<i64>, other: Option<i64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let apart = (one - other).rem_euclid(86_400);
            apart <= 3 || apart >= 86_400 - 3
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
