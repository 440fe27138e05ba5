// SPDX-License-Identifier: GPL-2.0-or-later
//! Arithmetic of rounds, which count around a circle of 2^31-1 (P8).

use crate::wire::Round;

fn round(number: u32) -> Round {
    Round::new(number).expect("the test names a round")
}

#[test]
fn zero_and_numbers_beyond_the_circle_are_no_rounds() {
    assert_eq!(Round::new(0), None);
    assert_eq!(Round::new(Round::MAX + 1), None);
    assert_eq!(Round::new(u32::MAX), None);
    assert_eq!(Round::new(1).map(Round::get), Some(1));
    assert_eq!(Round::new(Round::MAX).map(Round::get), Some(Round::MAX));
}

#[test]
fn the_round_after_the_last_is_the_first() {
    assert_eq!(round(1).next(), round(2));
    assert_eq!(round(Round::MAX - 1).next(), round(Round::MAX));
    assert_eq!(round(Round::MAX).next(), round(1));
}

#[test]
fn distance_counts_forwards_and_backwards_across_the_seam() {
    assert_eq!(round(5).distance_from(round(5)), 0);
    assert_eq!(round(6).distance_from(round(5)), 1);
    assert_eq!(round(5).distance_from(round(6)), -1);
    assert_eq!(round(1).distance_from(round(Round::MAX)), 1);
    assert_eq!(round(Round::MAX).distance_from(round(1)), -1);
    assert_eq!(round(4096).distance_from(round(Round::MAX)), 4096);
    assert_eq!(round(Round::MAX - 4094).distance_from(round(1)), -4095);
}

#[test]
fn distance_turns_over_at_half_the_circle() {
    let half = Round::MAX / 2;
    assert_eq!(round(1 + half).distance_from(round(1)), i64::from(half));
    assert_eq!(round(2 + half).distance_from(round(1)), -i64::from(half));
    assert_eq!(round(1).distance_from(round(2 + half)), i64::from(half));
}

#[test]
fn steps_and_distance_agree_around_the_seam() {
    let start = round(Round::MAX - 10);
    let mut here = start;
    for steps in 0..30 {
        assert_eq!(here.distance_from(start), steps);
        assert_eq!(start.distance_from(here), -steps);
        here = here.next();
    }
}

#[test]
fn every_random_number_gives_a_round() {
    let circle = u64::from(Round::MAX);
    for number in [0, 1, circle - 1, circle, circle + 1, u64::MAX - 1, u64::MAX] {
        let round = Round::from_random(number);
        assert_eq!(u64::from(round.get()), number % circle + 1);
        assert!(Round::new(round.get()).is_some(), "{number} gives a round");
    }
}
