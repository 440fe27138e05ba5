// SPDX-License-Identifier: GPL-2.0-or-later
//! Receiver and outbox with real sockets on loopback addresses.

use super::{roster, ticket, wait_until};
use crate::auth::{Key, Opener, ReplayGuard, Sealer};
use crate::daemon::bonds::Bonds;
use crate::daemon::engine_loop::Transport;
use crate::daemon::entry::Entry;
use crate::daemon::health::Health;
use crate::daemon::history::History;
use crate::daemon::outbox::{Outbox, Post};
use crate::daemon::udp::{self, Gate, Receiver};
use crate::engine::{Event, EventKind, Figures, MemberView, RejectKind};
use crate::model::{Holder, MemberId, MemberIndex, Roster, Term};
use crate::sys::{clock, poll};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{encode_peer, Life, PeerBody, PeerMessage, TimeUnit};
use booth_harness::not_run;
use crossbeam_channel::bounded;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const SKEW: Span = Span::from_secs(600);

fn key() -> Key {
    Key::new(b"a key for tests").expect("long enough")
}

/// The same members, seen by the second.
fn other_side() -> Roster {
    let members = (0..3)
        .map(|index| roster().member(MemberIndex::new(index).expect("a small index")).clone());
    Roster::new(members.collect(), 1).expect("the same members")
}

fn message(nonce: u32) -> PeerMessage {
    PeerMessage {
        ticket: ticket("t1"),
        leader: Holder::Nobody,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        body: PeerBody::Status { nonce },
    }
}

/// A receiver at the first member that listens at a port of the kernel's choice.
struct Rig {
    at: SocketAddr,
    events: crossbeam_channel::Receiver<Event>,
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl Rig {
    fn start(key: Option<Key>, room: usize) -> Rig {
        let socket = Arc::new(udp::bind(SocketAddr::from(([127, 20, 0, 1], 0))).expect("bound"));
        let at = socket.local_addr().expect("an address");
        let (queue, events) = bounded(room);
        let roster = roster();
        let bonds = Arc::new(Bonds::new(&roster, Sealer::new(key.clone()), Life::from_random(1)));
        let nowhere = SocketAddr::from(([127, 20, 0, 3], 9));
        let post = Arc::new(Post::new(Arc::clone(&socket), &[nowhere; 3]));
        let ids = roster.everyone().iter().map(|m| roster.member(m).id).collect::<Vec<MemberId>>();
        let (opener, guard) = (Opener::new(key, SKEW), ReplayGuard::new(ids, SKEW));
        let (health, history) = (Health::default(), History::new(roster.clone()));
        let gate = Gate { roster, opener, guard, bonds, unit: TimeUnit::Seconds, health, history };
        let (probes, _) = crossbeam_channel::bounded(1);
        let receiver = Receiver::new(socket, post, gate, (queue, probes), clock::now);
        let (stop_end, stop) = poll::waker_pair().expect("a pair");
        let thread = std::thread::spawn(move || receiver.run(&stop_end));
        Rig { at, events, stop, thread }
    }

    fn next(&self) -> Event {
        self.events.recv_timeout(Duration::from_secs(5)).expect("an event in time")
    }

    fn stop(self) {
        poll::wake(&self.stop);
        self.thread.join().expect("the receiver ends");
    }
}

/// An outbox at the second member that sends to the rig.
fn outbox(rig: &Rig, key: Option<Key>) -> Outbox {
    let nowhere = SocketAddr::from(([127, 20, 0, 3], 9));
    outbox_to(&[rig.at, nowhere, nowhere], key)
}

/// An outbox at the second member whose members are at these addresses. It knows
/// the life of the rig.
fn outbox_to(addresses: &[SocketAddr], key: Option<Key>) -> Outbox {
    let socket = Arc::new(UdpSocket::bind("127.20.0.2:0").expect("bound"));
    let bonds = Bonds::new(&other_side(), Sealer::new(key), Life::from_random(2));
    bonds.learn(first(), Life::from_random(1), clock::wall());
    let post = Arc::new(Post::new(socket, addresses));
    Outbox::new(post, other_side(), Arc::new(bonds), TimeUnit::Seconds)
}

fn first() -> MemberIndex {
    MemberIndex::new(0).expect("a small index")
}

fn second() -> MemberIndex {
    MemberIndex::new(1).expect("a small index")
}

#[test]
fn a_message_arrives_as_it_was_sent_with_and_without_a_key() {
    for key in [None, Some(key())] {
        let rig = Rig::start(key.clone(), 8);
        assert!(outbox(&rig, key).send(first(), &message(7)));
        assert_eq!(rig.next(), Event::Peer { from: second(), message: message(7) });
        rig.stop();
    }
}

#[test]
fn ipv6_works_alike() {
    let Ok(socket) = udp::bind("[::1]:0".parse().expect("an address")) else {
        // The address family is chosen by the configured address alone.
        return not_run("daemon::tests::udp::ipv6_works_alike", "needs IPv6");
    };
    let sender = UdpSocket::bind("[::1]:0").expect("bound");
    let to = socket.local_addr().expect("an address");
    let packet = encode_peer(other_side().my_id(), &message(1), TimeUnit::Seconds);
    sender.send_to(&packet, to).expect("sent");
    let mut buffer = [0u8; 200];
    assert_eq!(socket.recv(&mut buffer).expect("received"), packet.len());
}

#[test]
fn a_replay_is_counted_as_an_authentication_failure() {
    let rig = Rig::start(Some(key()), 8);
    let packet = encode_peer(other_side().my_id(), &message(1), TimeUnit::Seconds);
    let packet = Sealer::new(Some(key())).seal(packet, clock::wall());
    let socket = UdpSocket::bind("127.20.0.2:0").expect("bound");
    socket.send_to(&packet, rig.at).expect("sent");
    socket.send_to(&packet, rig.at).expect("sent");
    assert_eq!(rig.next(), Event::Peer { from: second(), message: message(1) });
    let from = Some(other_side().my_id());
    assert_eq!(rig.next(), Event::PeerRejected { from, why: RejectKind::Auth, count: 1 });
    rig.stop();
}

#[test]
fn a_flood_of_garbage_becomes_a_few_counts() {
    let rig = Rig::start(None, 8);
    let socket = UdpSocket::bind("127.20.0.2:0").expect("bound");
    let total = 2_000u32;
    let mut counted = 0;
    let mut events = 0;
    // In small portions, so that the kernel's buffer drops none.
    for _ in 0..total / 100 {
        for number in 0..100u32 {
            let bytes = number.to_be_bytes().repeat(50);
            socket.send_to(&bytes, rig.at).expect("sent");
        }
        for event in rig.events.try_iter() {
            let Event::PeerRejected { from: None, why: RejectKind::Malformed, count } = event
            else {
                panic!("{event:?}");
            };
            counted += count;
            events += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    while counted < total {
        let Event::PeerRejected { count, .. } = rig.next() else {
            panic!("only counts come");
        };
        counted += count;
        events += 1;
    }
    assert_eq!(counted, total);
    assert!(events <= 20, "{events} events for {total} datagrams");
    assert!(outbox(&rig, None).send(first(), &message(3)));
    assert_eq!(rig.next(), Event::Peer { from: second(), message: message(3) });
    rig.stop();
}

#[test]
fn what_comes_too_fast_is_dropped_and_counted() {
    let rig = Rig::start(None, 4);
    let mut outbox = outbox(&rig, None);
    for nonce in 0..20 {
        assert!(outbox.send(first(), &message(nonce)));
    }
    wait_until("the queue is full", || rig.events.is_full());
    let (mut messages, mut lost) = (0, 0);
    while messages + lost < 20 {
        match rig.next() {
            Event::Peer { .. } => messages += 1,
            Event::PeerRejected { why: RejectKind::Overflow, count, from } => {
                assert_eq!(from, Some(other_side().my_id()));
                lost += count;
            }
            event => panic!("{event:?}"),
        }
    }
    assert!(messages >= 4, "{messages} of 20");
    rig.stop();
}

#[test]
fn strangers_and_our_own_id_are_invalid() {
    let rig = Rig::start(None, 8);
    let socket = UdpSocket::bind("127.20.0.2:0").expect("bound");
    for id in [roster().my_id(), MemberId::from_raw(77)] {
        let packet = encode_peer(id, &message(1), TimeUnit::Seconds);
        socket.send_to(&packet, rig.at).expect("sent");
        let rejected = Event::PeerRejected { from: None, why: RejectKind::Invalid, count: 1 };
        assert_eq!(rig.next(), rejected);
    }
    rig.stop();
}

#[test]
fn a_socket_that_cannot_send_is_reported() {
    let rig = Rig::start(None, 8);
    // An IPv6 destination cannot be reached through an IPv4 socket.
    let impossible: SocketAddr = "[::1]:9".parse().expect("an address");
    let mut outbox = outbox_to(&[impossible; 3], None);
    assert!(!outbox.send(first(), &message(1)));
    rig.stop();
}

/// What was recorded can be sent by anybody: it says nothing of its member's clock.
#[test]
fn a_datagram_that_has_come_before_does_not_say_what_the_time_of_its_member_is() {
    let roster = roster();
    let bonds = Arc::new(Bonds::new(&roster, Sealer::new(Some(key())), Life::from_random(1)));
    let ids: Vec<MemberId> = roster.everyone().iter().map(|m| roster.member(m).id).collect();
    let (opener, guard) = (Opener::new(Some(key()), SKEW), ReplayGuard::new(ids, SKEW));
    let (health, history) = (Health::default(), History::new(roster.clone()));
    let unit = TimeUnit::Seconds;
    let mut gate = Gate { roster, opener, guard, bonds, unit, health: health.clone(), history };
    let now = clock::wall();
    let then = now.minus(Span::from_secs(5));
    let seal = |n, at| {
        let packet = encode_peer(other_side().my_id(), &message(n), TimeUnit::Seconds);
        Sealer::new(Some(key())).seal(packet, at)
    };
    let old = seal(1, then);
    assert!(gate.admit(&old, then).is_ok());
    assert!(gate.admit(&seal(2, now), now).is_ok());
    assert_eq!(health.offset(second()), Some(0));
    assert!(gate.admit(&old, now).is_err(), "it has come before");
    assert_eq!(health.offset(second()), Some(0), "the clock did not change");
}

/// Ages are right, and later events are later, whatever is done to the wall clock.
#[test]
fn a_step_of_the_wall_clock_changes_no_age_in_a_report() {
    let at = |mono, wall| {
        let mono = MonoTime::ZERO.plus(Span::from_secs(mono));
        Now { mono, wall: crate::time::WallTime::from_secs(wall) }
    };
    let reporter = super::reporter();
    for (now, kind) in [(at(100, 9_100), EventKind::Granted), (at(300, 9_300), EventKind::Lost)] {
        let entry = Entry::new(now, kind, "x".to_owned());
        reporter.history().tell(log::Level::Info, entry, "x");
    }
    for wall in [2_000, 900_000] {
        let (now, figures) = (at(1_000, wall), Figures::default());
        let view =
            MemberView { now, tickets: Vec::new(), peers: Vec::new(), figures, history: true };
        let json: serde_json::Value = serde_json::from_str(&reporter.json(&view)).expect("JSON");
        let ago = |value: &serde_json::Value| value["seconds_ago"].as_f64();
        assert_eq!(ago(&json["member"]["started"]), Some(1_000.0));
        let events = json["history"].as_array().expect("a list");
        let ages: Vec<Option<f64>> = events.iter().map(|event| ago(&event["time"])).collect();
        assert_eq!(ages, [Some(900.0), Some(700.0)]);
    }
}
