// SPDX-License-Identifier: GPL-2.0-or-later
//! Every message that can be sent, as proptest strategies.

use booth::auth::Key;
use booth::model::{AttrName, AttrValue, Holder, MemberId, Term, TicketName};
use booth::time::{Span, WallTime};
use booth::wire::{
    ClientOptions, ClientReply, ClientRequest, Command, LastKnown, Life, PeerBody, PeerMessage,
    Reason, ResultCode, Round, Stamp, TicketAnswer, TimeUnit, WaitCause, NONCE_MAX,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub fn unit() -> impl Strategy<Value = TimeUnit> {
    select(vec![TimeUnit::Seconds, TimeUnit::Millis])
}

pub fn ticket() -> impl Strategy<Value = TicketName> {
    "[a-zA-Z0-9/-]{1,63}".prop_map(|text| TicketName::new(&text).expect("a ticket name"))
}

pub fn member() -> impl Strategy<Value = MemberId> {
    (1..=0x7FFF_FFFF_u32).prop_map(MemberId::from_raw)
}

pub fn key() -> impl Strategy<Value = Option<Key>> {
    let bytes = proptest::collection::vec(any::<u8>(), 8..80);
    option::of(bytes.prop_map(|bytes| Key::new(&bytes).expect("long enough")))
}

/// A wall clock anywhere between 1970 and the year 2200, beyond the 32 bits of a stamp.
pub fn wall() -> impl Strategy<Value = WallTime> {
    (0..7_258_118_400_000_000_u64).prop_map(WallTime::from_micros)
}

/// A leader as members name it: never unknown.
fn leader() -> impl Strategy<Value = Holder> {
    prop_oneof![Just(Holder::Nobody), member().prop_map(Holder::Member)]
}

fn term() -> impl Strategy<Value = Term> {
    any::<u32>().prop_map(Term::new)
}

fn round() -> impl Strategy<Value = Option<Round>> {
    option::of((1..=Round::MAX).prop_map(|number| Round::new(number).expect("a round")))
}

/// How long a voter has been unbound: whole milliseconds, and no more than the wire can say.
fn unbound() -> impl Strategy<Value = Option<Span>> {
    prop::option::of((0..=0x7FFF_FFFE_u64).prop_map(Span::from_millis))
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (round(), any::<bool>()).prop_map(|(round, established)| Stamp { round, established })
}

fn reason() -> impl Strategy<Value = Reason> {
    select(Reason::ALL)
}

/// What a voter knows, as far as a vote can tell it.
fn last() -> impl Strategy<Value = Option<LastKnown>> {
    let known = (1..1_u32 << 31, any::<bool>());
    option::of(known.prop_map(|(term, free)| LastKnown { term: Term::new(term), free }))
}

/// What a message can say beside its leader.
fn body() -> impl Strategy<Value = PeerBody> {
    let acknowledged =
        [Command::Heartbeat, Command::Update, Command::RevokeTicket, Command::VoteFor];
    let rejected = [Command::ReqVote, Command::Heartbeat, Command::Update, Command::VoteFor];
    let results = [ResultCode::TermOutdated, ResultCode::TermStillValid, ResultCode::YouOutdated];
    prop_oneof![
        any::<u32>().prop_map(|nonce| PeerBody::Status { nonce }),
        any::<u32>().prop_map(|nonce| PeerBody::MyIndex { nonce }),
        (reason(), any::<bool>(), any::<bool>(), 0..=NONCE_MAX).prop_map(
            |(reason, established, force, nonce)| PeerBody::ReqVote {
                reason,
                established,
                force,
                nonce
            }
        ),
        (any::<bool>(), unbound(), last())
            .prop_map(|(vouched, unbound_for, last)| PeerBody::Vote { vouched, unbound_for, last }),
        (reason(), stamp()).prop_map(|(reason, stamp)| PeerBody::StepDown { reason, stamp }),
        stamp().prop_map(|stamp| PeerBody::Heartbeat { stamp }),
        stamp().prop_map(|stamp| PeerBody::Update { stamp }),
        (reason(), stamp()).prop_map(|(reason, stamp)| PeerBody::Revoke { reason, stamp }),
        (select(acknowledged.to_vec()), round())
            .prop_map(|(of, round)| PeerBody::Ack { of, round }),
        (select(rejected.to_vec()), select(results.to_vec()), any::<bool>())
            .prop_map(|(of, result, granted)| PeerBody::Rejected { of, result, granted }),
    ]
}

/// A message with the unit that it is sent in; its validity is a whole number of that.
pub fn peer_message() -> impl Strategy<Value = (TimeUnit, PeerMessage)> {
    let parts = (unit(), ticket(), leader(), member(), term(), any::<u32>(), body());
    parts.prop_map(|(unit, ticket, leader, voted_for, term, valid_for, body)| {
        // A vote is for somebody, and a step-down for nobody: that tells the two apart.
        let leader = match body {
            PeerBody::Vote { .. } => Holder::Member(voted_for),
            PeerBody::StepDown { .. } => Holder::Nobody,
            _ => leader,
        };
        (unit, PeerMessage { ticket, leader, term, valid_for: unit.span(valid_for), body })
    })
}

fn options() -> impl Strategy<Value = ClientOptions> {
    any::<[bool; 4]>().prop_map(|[immediate, wait, wait_commit, explain]| ClientOptions {
        immediate,
        wait,
        wait_commit,
        explain,
    })
}

fn attr_name() -> impl Strategy<Value = Option<AttrName>> {
    "[a-zA-Z_][a-zA-Z0-9._-]{0,62}".prop_map(|text| AttrName::new(&text).ok())
}

fn attr_value() -> impl Strategy<Value = AttrValue> {
    "\\PC{0,40}".prop_filter_map("too long", |text| AttrValue::new(&text).ok())
}

/// Every request. A value cannot be missing: an empty one is a value.
pub fn request() -> impl Strategy<Value = ClientRequest> {
    let ticket = || option::of(ticket());
    prop_oneof![
        Just(ClientRequest::List),
        Just(ClientRequest::Peers),
        proptest::bool::ANY.prop_map(|history| ClientRequest::Report { history }),
        (ticket(), options())
            .prop_map(|(ticket, options)| ClientRequest::Grant { ticket, options }),
        (ticket(), options())
            .prop_map(|(ticket, options)| ClientRequest::Revoke { ticket, options }),
        (ticket(), attr_name(), attr_value()).prop_map(|(ticket, name, value)| {
            ClientRequest::AttrSet { ticket, name, value: Some(value) }
        }),
        (ticket(), attr_name()).prop_map(|(ticket, name)| ClientRequest::AttrGet { ticket, name }),
        (ticket(), attr_name())
            .prop_map(|(ticket, name)| ClientRequest::AttrDelete { ticket, name }),
        ticket().prop_map(|ticket| ClientRequest::AttrList { ticket }),
    ]
}

/// An answer to grant or revoke. Waits are whole seconds, and only answers that are not the
/// last one have a cause.
fn answer(unit: TimeUnit) -> impl Strategy<Value = TicketAnswer> {
    let holder = prop_oneof![Just(Holder::Unknown), leader()];
    let cause = option::of((select(WaitCause::ALL), any::<u32>()));
    let parts =
        (select(ResultCode::ALL), option::of(ticket()), holder, term(), any::<u32>(), cause);
    parts.prop_map(move |(result, ticket, leader, term, valid_for, cause)| {
        let intermediate =
            matches!(result, ResultCode::Async | ResultCode::More | ResultCode::CibPending);
        let cause = cause.filter(|_| intermediate);
        let cause = cause.map(|(cause, secs)| (cause, Span::from_secs(u64::from(secs))));
        // Without a ticket the payload is all zeros.
        match ticket {
            None => TicketAnswer {
                result,
                ticket,
                leader: Holder::Unknown,
                term: Term::ZERO,
                valid_for: Span::ZERO,
                cause,
            },
            Some(_) => {
                let valid_for = unit.span(valid_for);
                TicketAnswer { result, ticket, leader, term, valid_for, cause }
            }
        }
    })
}

pub fn life() -> impl Strategy<Value = Life> {
    any::<u64>().prop_map(Life::from_random)
}

pub fn reply() -> impl Strategy<Value = (TimeUnit, ClientReply)> {
    unit().prop_flat_map(|unit| {
        let reply = prop_oneof![
            answer(unit).prop_map(ClientReply::Ticket),
            select(ResultCode::ALL).prop_map(ClientReply::Result),
            "(\\PC{0,60}\n){0,20}".prop_map(ClientReply::List),
            "\\PC{0,60}\n".prop_map(ClientReply::Attr),
            "(\\PC{0,60}\n){0,20}".prop_map(ClientReply::Attrs),
            "\\PC{0,600}".prop_map(ClientReply::Report),
            life().prop_map(ClientReply::Hello),
        ];
        (Just(unit), reply)
    })
}
