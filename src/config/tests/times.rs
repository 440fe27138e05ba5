// SPDX-License-Identifier: GPL-2.0-or-later
//! The arithmetic between the times of a ticket, and what is proposed where it does not work out.

use super::{accepted, refused, warned, with_members};
use crate::model::TicketSpec;
use crate::time::Span;
use crate::wire::TimeUnit;

fn spec(lines: &str) -> TicketSpec {
    accepted(with_members(&format!("ticket = t\n{lines}"))).tickets.remove(0).spec
}

fn one_error(lines: &str) -> String {
    let errors = refused(with_members(&format!("ticket = t\n{lines}")));
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().expect("there is one error")
}

#[test]
fn the_error_prints_the_sum_the_limit_and_values_that_would_do() {
    assert_eq!(
        one_error("expire = 60"),
        "5: ticket \"t\": timeout * (retries + 1) = 5s * 11 = 55s must be less than the renewal \
         period 30s (half of expire = 60s); try timeout = 2, or retries = 4, or \
         expire = 111"
    );
    assert_eq!(
        one_error("renewal-freq = 30"),
        "5: ticket \"t\": timeout * (retries + 1) = 5s * 11 = 55s must be less than the renewal \
         period 30s (renewal-freq); try timeout = 2, or retries = 4, or \
         renewal-freq = 56"
    );
    assert_eq!(
        one_error("expire = 9\ntimeout = 4\nretries = 3"),
        "7: ticket \"t\": timeout * (retries + 1) = 4s * 4 = 16s must be less than the renewal \
         period 4500ms (half of expire = 9s); try timeout = 1, or expire = 33"
    );
    let tiny = one_error("expire = 8ms\ntimeout = 2ms\nretries = 3");
    assert!(tiny.contains("; try expire = 18ms"), "{tiny}");
}

/// Every proposal is tried, over many combinations, together with the other values as they are.
#[test]
fn every_proposal_does() {
    let mut tried = 0;
    for expire in ["3", "10", "60", "400", "2500ms", "2147483"] {
        for timeout in ["1", "7", "250ms", "900", "2147483"] {
            for retries in ["3", "10", "100"] {
                for renewal in ["", "renewal-freq = 2\n", "renewal-freq = 1500ms\n"] {
                    let lines = format!(
                        "expire = {expire}\ntimeout = {timeout}\nretries = {retries}\n{renewal}"
                    );
                    let text = with_members(&format!("ticket = t\n{lines}"));
                    let Err(errors) = super::read(&text) else { continue };
                    let message = errors[0].to_string();
                    let hints = message.split("; try ").nth(1).unwrap_or_default();
                    for hint in hints.split(", or ").filter(|hint| !hint.is_empty()) {
                        accepted(format!("{text}{hint}\n"));
                        tried += 1;
                    }
                }
            }
        }
    }
    assert!(tried > 100, "only {tried} proposals were tried");
}

#[test]
fn the_sum_must_be_less_than_the_period_not_equal() {
    assert_eq!(spec("renewal-freq = 56").renewal, Span::from_secs(56));
    one_error("renewal-freq = 55");
    assert_eq!(spec("expire = 41\nretries = 3").renewal, Span::from_millis(20_500));
    one_error("expire = 40\nretries = 3");
}

#[test]
fn a_renewal_that_would_come_too_late_is_made_earlier_and_told() {
    let lines = "renewal-freq = 600";
    let spec = spec(lines);
    assert_eq!(spec.renewal, Span::from_secs(300));
    let warnings = warned(with_members(&format!("ticket = t\n{lines}")));
    assert_eq!(
        warnings,
        ["5: ticket \"t\": renewal-freq = 600s is too long: with expire = 600s a renewal must be \
          complete 579s after the previous one; half of expire, 300s, is used instead"]
    );
}

#[test]
fn a_lease_that_no_renewal_fits_into_is_refused() {
    let message = one_error("expire = 8\nrenewal-freq = 60");
    assert_eq!(
        message,
        "6: ticket \"t\": expire = 8s is too short for renewal-freq = 60s and timeout = 5s; try \
         expire = 76"
    );
    assert_eq!(spec("renewal-freq = 60\nexpire = 76").renewal, Span::from_secs(60));
    assert_eq!(spec("expire = 11\nrenewal-freq = 60").renewal, Span::from_millis(5500));
}

/// What is proposed does: with it the renewal stays as it is configured, whatever that is.
#[test]
fn the_lease_that_is_proposed_is_long_enough() {
    for renewal in 21..90 {
        let others = format!("retries = 3\nrenewal-freq = {renewal}\n");
        let message = one_error(&format!("{others}expire = 8"));
        let (_, enough) = message.rsplit_once("; try expire = ").expect("a proposal");
        let settled = spec(&format!("{others}expire = {enough}")).renewal;
        assert_eq!(settled, Span::from_secs(renewal), "{message}");
    }
}

#[test]
fn a_ticket_that_one_lost_message_costs_is_told() {
    let warnings = warned(with_members("ticket = t\nrenewal-freq = 575"));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("5: ticket \"t\": one lost message would cost the ticket"));
    assert_eq!(warned(with_members("ticket = t\nrenewal-freq = 573")), Vec::<String>::new());
}

/// Whatever passes leaves the leader time to renew: `RULES.md` L6 needs `hold_until - 2g` to lie
/// behind the next renewal.
#[test]
fn what_passes_leaves_time_for_a_renewal() {
    let times = ["1ms", "10ms", "900ms", "1", "2", "9", "30", "41", "60", "600", "2147483"];
    let mut passed = 0;
    for expire in times {
        for renewal in times {
            for timeout in ["1ms", "100ms", "1"] {
                let text = with_members(&format!(
                    "ticket = t\nretries = 3\nexpire = {expire}\nrenewal-freq = {renewal}\n\
                     timeout = {timeout}\n"
                ));
                let Ok(config) = super::read(&text) else { continue };
                let spec = &config.tickets[0].spec;
                let hold = spec.expire.minus(spec.drift()).minus(spec.guard());
                let may_start = hold.minus(spec.guard().times(2));
                assert!(spec.renewal < may_start && spec.timeout < spec.renewal, "{text}");
                passed += 1;
            }
        }
    }
    assert!(passed > 100, "only {passed} combinations passed");
}

#[test]
fn times_too_short_for_a_cluster_command_are_told() {
    let warnings = warned(with_members("ticket = t\nexpire = 2\ntimeout = 100ms\nretries = 3"));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("leaves crm_ticket only 200ms for a call"), "{warnings:?}");
    let manual = "ticket = t\nexpire = 2\ntimeout = 100ms\nretries = 3\nmode = manual";
    assert_eq!(warned(with_members(manual)), Vec::<String>::new());
}

#[test]
fn a_part_of_a_second_anywhere_changes_the_unit_on_the_wire() {
    let unit = |text: &str| accepted(with_members(text)).unit;
    assert_eq!(unit("ticket = t\nexpire = 600000ms"), TimeUnit::Seconds);
    assert_eq!(unit("ticket = t\nexpire = 601"), TimeUnit::Seconds);
    assert_eq!(unit("ticket = t\nacquire-after = 1500ms"), TimeUnit::Millis);
    assert_eq!(unit("ticket = t\nexpire = 600500ms\nexpire = 600"), TimeUnit::Millis);
    assert_eq!(unit("ticket = __defaults__\ntimeout = 5001ms\nticket = t"), TimeUnit::Millis);
}
