// SPDX-License-Identifier: GPL-2.0-or-later
//! The stanza `__defaults__`, and which stanza a key belongs to.

use super::{accepted, warned, with_members};
use crate::model::{AttrOp, RuleMode, TicketMode};
use crate::time::Span;
use std::path::Path;

const EVERY_KEY: &str = "ticket = \"__defaults__\"\n  expire = 100\n  renewal-freq = 40\n\
    timeout = 2\n  retries = 4\n  acquire-after = 7\n  weights = 3,2,1\n\
    before-acquire-handler = /bin/ask a b\n  attr-prereq = auto state eq UP\n  mode = manual\n";

#[test]
fn every_key_is_passed_on() {
    let config = accepted(with_members(&format!("{EVERY_KEY}ticket = t")));
    let ticket = &config.tickets[0];
    let spec = &ticket.spec;
    assert_eq!((spec.expire, spec.renewal), (Span::from_secs(100), Span::from_secs(40)));
    assert_eq!((spec.timeout, spec.retries), (Span::from_secs(2), 4));
    assert_eq!(spec.acquire_after, Span::from_secs(7));
    assert_eq!(spec.weights, [3, 2, 1]);
    assert_eq!(spec.mode, TicketMode::Manual);
    let [rule] = &spec.rules[..] else { panic!("one rule is inherited") };
    assert_eq!((rule.mode, rule.op), (RuleMode::Auto, AttrOp::Equal));
    assert_eq!((rule.name.as_str(), rule.value.as_str()), ("state", "UP"));
    let handler = ticket.handler.as_ref().expect("the handler is inherited");
    assert_eq!((handler.path.as_path(), handler.args.len()), (Path::new("/bin/ask"), 2));
    assert!(spec.has_handler);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn own_keys_win_and_own_conditions_replace_the_others() {
    let own = "ticket = t\nexpire = 200\nrenewal-freq = 50\ntimeout = 3\nretries = 5\n\
               acquire-after = 0\nweights = 9\nbefore-acquire-handler = ''\n\
               attr-prereq = manual a ne b\nattr-prereq = auto c eq d\nmode = auto\n";
    let config = accepted(with_members(&format!("{EVERY_KEY}{own}")));
    let ticket = &config.tickets[0];
    let spec = &ticket.spec;
    assert_eq!((spec.expire, spec.renewal), (Span::from_secs(200), Span::from_secs(50)));
    assert_eq!((spec.timeout, spec.retries), (Span::from_secs(3), 5));
    assert_eq!((spec.acquire_after, spec.mode), (Span::ZERO, TicketMode::Automatic));
    assert_eq!(spec.weights, [9]);
    let names: Vec<&str> = spec.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!((ticket.handler.as_ref(), spec.has_handler), (None, false));
}

#[test]
fn an_inherited_renewal_that_does_not_fit_gives_way() {
    let text = "ticket = __defaults__\nrenewal-freq = 56\nticket = t\ntimeout = 6\n";
    let config = accepted(with_members(text));
    assert_eq!(config.tickets[0].spec.renewal, Span::from_secs(300));
    assert_eq!(warned(with_members(text)).len(), 1);
}

#[test]
fn defaults_that_the_reference_refuses_are_told() {
    let text = "ticket = __defaults__\nexpire = 30\nticket = t\ntimeout = 1\n";
    let warnings = warned(with_members(text));
    assert_eq!(
        warnings,
        ["4: __defaults__: the C boothd refuses these defaults, even if no ticket uses all of \
          them: timeout * (retries + 1) = 55s is not less than the renewal period 15s"]
    );
    let last = warned(with_members("ticket = t\nticket = __defaults__\nexpire = 30"));
    assert_eq!(last.len(), 1);
}

#[test]
fn defaults_hold_for_the_tickets_behind_them_and_add_up() {
    let text = "ticket = a\nticket = __defaults__\nacquire-after = 1\nticket = b\n\
                ticket = __defaults__\nexpire = 700\nticket = c\nacquire-after = 3\n";
    let config = accepted(with_members(text));
    let times: Vec<(u64, u64)> = config
        .tickets
        .iter()
        .map(|ticket| (ticket.spec.acquire_after.as_secs(), ticket.spec.expire.as_secs()))
        .collect();
    assert_eq!(times, [(0, 600), (1, 600), (3, 700)]);
}

#[test]
fn global_keys_may_stand_between_the_keys_of_a_ticket() {
    let text =
        "ticket = t\nexpire = 700\nsite = 10.0.0.4\nname = other\ntimeout = 6\nsite=10.0.0.5";
    let config = accepted(with_members(text));
    assert_eq!((config.members.len(), config.name.as_str()), (5, "other"));
    let spec = &config.tickets[0].spec;
    assert_eq!((spec.expire.as_secs(), spec.timeout.as_secs()), (700, 6));
}
