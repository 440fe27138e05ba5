// SPDX-License-Identifier: GPL-2.0-or-later
//! Rounding of `valid-for` (P2).

use crate::time::Span;
use crate::wire::TimeUnit;

#[test]
fn parts_of_the_unit_are_dropped() {
    // Reference: 9999 ms are announced as 9 s.
    assert_eq!(TimeUnit::Seconds.number(Span::from_millis(9_999)), 9);
    assert_eq!(TimeUnit::Seconds.number(Span::from_micros(999_999)), 0);
    assert_eq!(TimeUnit::Millis.number(Span::from_micros(9_999_999)), 9_999);
    assert_eq!(TimeUnit::Millis.number(Span::from_micros(999)), 0);
}

#[test]
fn a_span_that_does_not_fit_becomes_the_longest() {
    let longest = u64::from(u32::MAX);
    assert_eq!(TimeUnit::Seconds.number(Span::from_secs(longest)), u32::MAX);
    assert_eq!(TimeUnit::Seconds.number(Span::from_secs(longest + 1)), u32::MAX);
    assert_eq!(TimeUnit::Millis.number(Span::from_millis(longest + 1)), u32::MAX);
    assert_eq!(TimeUnit::Millis.number(Span::MAX), u32::MAX);
}

#[test]
fn every_number_comes_back() {
    for unit in [TimeUnit::Seconds, TimeUnit::Millis] {
        for number in [0, 1, 59, 60_000, u32::MAX - 1, u32::MAX] {
            assert_eq!(unit.number(unit.span(number)), number, "{unit:?}");
        }
    }
}
