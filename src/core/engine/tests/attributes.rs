// SPDX-License-Identifier: GPL-2.0-or-later
//! Ticket attributes (`geostore`): the store first, then the answer.

use super::bench::{Bench, Deeds, SECOND};
use super::cluster::{spec, the_ticket};
use crate::engine::{AttrChange, CibOutcome, CibTicket, ClientId, Effect, Event, Reply, StoreWish};
use crate::model::{AttrName, AttrValue, TicketName};
use crate::wire::{ClientRequest, ResultCode};

fn name(text: &str) -> AttrName {
    AttrName::new(text).expect("a name")
}

fn value(text: &str) -> AttrValue {
    AttrValue::new(text).expect("a value")
}

fn ticket() -> Option<TicketName> {
    TicketName::new("T").ok()
}

fn set(bench: &mut Bench, attr: &str, text: &str) -> (ClientId, Deeds) {
    let (name, value) = (Some(name(attr)), Some(value(text)));
    bench.ask(ClientRequest::AttrSet { ticket: ticket(), name, value })
}

fn delete(bench: &mut Bench, attr: &str) -> (ClientId, Deeds) {
    bench.ask(ClientRequest::AttrDelete { ticket: ticket(), name: Some(name(attr)) })
}

/// What a client gets as the value, if there is one.
fn get(bench: &mut Bench, attr: &str) -> Option<AttrValue> {
    let (client, deeds) =
        bench.ask(ClientRequest::AttrGet { ticket: ticket(), name: Some(name(attr)) });
    let value = deeds.0.iter().find_map(|(_, effect)| match effect {
        Effect::Reply { reply: Reply::Attr(value), last: true, .. } => Some(value.clone()),
        _ => None,
    });
    let missing = deeds.final_answer(client) == Some(ResultCode::NoSuchAttr);
    assert_eq!(missing, value.is_none());
    value
}

/// The store answers the write of `deeds`.
fn stored(bench: &mut Bench, deeds: &Deeds, outcome: CibOutcome) -> Deeds {
    let serial = deeds.0.iter().find_map(|(_, effect)| match effect {
        Effect::Store(StoreWish::WriteAttr { serial, .. }) => Some(*serial),
        _ => None,
    });
    let serial = serial.expect("the store is asked");
    bench.event(Event::AttrWritten { ticket: the_ticket(), serial, outcome })
}

/// Set, read and deleted: each is answered when the store has done it, and only then true.
#[test]
pub fn an_attribute_is_what_the_store_has() {
    let mut bench = Bench::three();
    let (client, deeds) = set(&mut bench, "a", "x");
    assert_eq!(get(&mut bench, "a"), None, "not yet");
    let wanted = AttrChange::Set(name("a"), value("x"));
    let asks = |effect: &Effect| {
        let Effect::Store(StoreWish::WriteAttr { change, .. }) = effect else { return false };
        *change == wanted
    };
    assert!(deeds.0.iter().any(|(_, effect)| asks(effect)));
    let done = stored(&mut bench, &deeds, CibOutcome::Written);
    assert_eq!(done.told(client), [(ResultCode::Success, None, true)]);
    assert_eq!(get(&mut bench, "a"), Some(value("x")));
    let (client, deeds) = delete(&mut bench, "a");
    assert_eq!(get(&mut bench, "a"), Some(value("x")), "not yet");
    let done = stored(&mut bench, &deeds, CibOutcome::Written);
    assert_eq!(done.told(client), [(ResultCode::Success, None, true)]);
    assert_eq!(get(&mut bench, "a"), None);
}

/// A write that fails, or is killed, is a failure, and changes nothing.
#[test]
pub fn a_failed_write_of_an_attribute_changes_nothing() {
    for outcome in [CibOutcome::Failed("exit 1".into()), CibOutcome::Killed] {
        let mut bench = Bench::three();
        let (client, deeds) = set(&mut bench, "a", "x");
        let failed = stored(&mut bench, &deeds, outcome.clone());
        assert_eq!(failed.told(client), [(ResultCode::SyncFail, None, true)], "{outcome:?}");
        assert_eq!(get(&mut bench, "a"), None);
    }
}

/// What is not there cannot be deleted; an arbitrator has no attributes to change.
#[test]
pub fn what_cannot_be_changed_is_refused() {
    let mut bench = Bench::three();
    let (client, deeds) = delete(&mut bench, "a");
    assert_eq!(deeds.told(client), [(ResultCode::NoSuchAttr, None, true)]);
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    let (client, deeds) = set(&mut bench, "a", "x");
    assert_eq!(deeds.told(client), [(ResultCode::SyncFail, None, true)]);
}

/// A ticket has 256 attributes at most: a new one is refused then, an old one may change.
#[test]
pub fn the_number_of_attributes_is_bounded() {
    let attrs = (0..300).map(|index| (name(&format!("a{index:03}")), value("x"))).collect();
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.start(CibTicket { attrs, ..CibTicket::default() });
    assert_eq!(get(&mut bench, "a255"), Some(value("x")));
    assert_eq!(get(&mut bench, "a256"), None);
    let (client, deeds) = set(&mut bench, "b", "x");
    assert_eq!(deeds.told(client), [(ResultCode::SyncFail, None, true)]);
    let (client, deeds) = set(&mut bench, "a000", "y");
    let done = stored(&mut bench, &deeds, CibOutcome::Written);
    assert_eq!(done.final_answer(client), Some(ResultCode::Success));
    assert_eq!(get(&mut bench, "a000"), Some(value("y")));
}

/// The store does nothing: so many changes of one ticket wait for it, whether their clients are
/// still there or not, and no more. Who comes then is told that this member is busy, the others
/// hear their outcome, and there is room again.
#[test]
pub fn the_changes_that_wait_for_the_store_are_bounded() {
    let mut bench = Bench::three();
    let waiting: Vec<(ClientId, Deeds)> =
        (0..32).map(|index| set(&mut bench, &format!("a{index}"), "x")).collect();
    bench.event(Event::ClientGone { client: waiting[0].0 });
    for _ in 0..2 {
        let (client, deeds) = set(&mut bench, "b", "x");
        assert_eq!(deeds.told(client), [(ResultCode::Busy, None, true)]);
    }
    let written = stored(&mut bench, &waiting[0].1, CibOutcome::Written);
    assert!(written.told(waiting[0].0).is_empty(), "nobody is there to hear it");
    assert_eq!(get(&mut bench, "a0"), Some(value("x")), "what a client asked for goes on");
    let (client, deeds) = set(&mut bench, "b", "x");
    assert!(deeds.told(client).is_empty(), "there is room again");
    let written = stored(&mut bench, &waiting[1].1, CibOutcome::Written);
    assert_eq!(written.told(waiting[1].0), [(ResultCode::Success, None, true)]);
}

/// What is taken back keeps the time at which a client had set it; what a client sets again is new.
#[test]
pub fn an_attribute_has_the_time_at_which_a_client_set_it() {
    let mut bench = Bench::three();
    let set_at = |bench: &mut Bench| {
        let (_, deeds) = bench.ask(ClientRequest::AttrList { ticket: ticket() });
        let rows = deeds.0.into_iter().find_map(|(_, effect)| match effect {
            Effect::Reply { reply: Reply::Attrs(rows), .. } => Some(rows),
            _ => None,
        });
        rows.expect("a list")[0].set_at
    };
    let (_, deeds) = set(&mut bench, "a", "x");
    stored(&mut bench, &deeds, CibOutcome::Written);
    let first = Some(bench.now.wall);
    bench.advance(SECOND);
    let (_, deeds) = set(&mut bench, "a", "y");
    let taken_back = stored(&mut bench, &deeds, CibOutcome::Killed);
    stored(&mut bench, &taken_back, CibOutcome::Written);
    assert_eq!((get(&mut bench, "a"), set_at(&mut bench)), (Some(value("x")), first));
    let (_, deeds) = set(&mut bench, "a", "x");
    stored(&mut bench, &deeds, CibOutcome::Written);
    assert_eq!(set_at(&mut bench), Some(bench.now.wall));
}
