// SPDX-License-Identifier: GPL-2.0-or-later
//! boothd's end, beside keepers that die.

use super::*;
use crate::config::TicketStore;
use crate::engine::{CibExpiry, CibOutcome, CibState, WriteSerial};
use crate::keeper::words::{self, PACKET_MAX};
use crate::keeper::Grant;
use crate::model::{Holder, MemberId, Term, TicketName};
use std::io::Read;

fn ticket() -> TicketIndex {
    TicketIndex::new(0)
}

fn pair() -> (Peer, Socket) {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).expect("a pair");
    ours.set_nonblocking(true).expect("set");
    theirs.set_nonblocking(true).expect("set");
    (Peer::new(ours, None), theirs)
}

/// A link with a keeper that the test plays.
fn link() -> (Link, Socket, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let guard = Span::from_secs(1);
    let mut link = Link {
        setup: Setup {
            store: TicketStore::Pacemaker,
            config_name: "booth".to_owned(),
            site: MemberId::from_raw(1),
            guard,
            replaces: true,
        },
        program: "/bin/false".into(),
        dir: File::open(dir.path()).expect("opened"),
        kept: vec![Kept { name: TicketName::new("t").expect("good"), guard }],
        told: vec![Told::default()],
        said: Vec::new(),
        peer: None,
        leaving: Vec::new(),
        retry_at: MonoTime::ZERO,
        pause: PAUSE_MIN,
    };
    let (peer, keeper) = pair();
    link.greet(peer);
    keeper_says(&keeper, &[Message::Taken]);
    (link, keeper, dir)
}

fn keeper_says(keeper: &Socket, messages: &[Message]) {
    for packet in words::packets(messages) {
        keeper.send(&packet).expect("sent");
    }
}

fn heard(keeper: &Socket) -> Vec<Message> {
    let mut all = Vec::new();
    let mut buffer = [0u8; PACKET_MAX];
    while let Ok(len @ 1..) = (&*keeper).read(&mut buffer) {
        all.extend(words::messages(&buffer[..len]));
    }
    all
}

fn window() -> HoldWindow {
    let at = |secs| clock::mono().plus(Span::from_secs(secs));
    HoldWindow { hold_until: at(60), lease_until: at(100), start_before: at(40), kill_at: at(50) }
}

fn grant(serial: u64, term: u32) -> Word {
    let owner = Holder::Member(MemberId::from_raw(1));
    let (expires, limit) = (CibExpiry::Lease, Span::from_secs(1));
    let state = CibState { granted: true, owner, term: Term::new(term), expires, limit };
    Word::Write { ticket: ticket(), serial: WriteSerial(serial), state }
}

/// Otherwise what the last keeper has granted looks newer than what this one knows, as if it were
/// of another node, and is not revoked.
#[test]
fn a_keeper_that_takes_the_place_of_another_is_told_what_that_one_may_have_granted() {
    for answered in [false, true] {
        let (mut link, keeper, _dir) = link();
        let old = Grant { term: Term::new(5), expires: 7 };
        link.say(Word::Read { ticket: ticket(), grant: old });
        let (window, term) = (window(), Term::new(5));
        link.say(Word::Hold { ticket: ticket(), window: Some(window), term });
        link.say(grant(1, 5));
        link.flush();
        if answered {
            let (serial, outcome) = (WriteSerial(1), CibOutcome::Written);
            let answer = Answer::Written { ticket: ticket(), serial, outcome };
            keeper_says(&keeper, &[Message::Answer(answer)]);
        }
        drop(keeper);
        let mut answers = Vec::new();
        link.hear(&mut answers);
        assert_eq!(link.keep(answers).len(), usize::from(answered));
        let (peer, keeper) = pair();
        link.greet(peer);
        let read = heard(&keeper).into_iter().find_map(|message| match message {
            Message::Word(Word::Read { grant, .. }) => Some(grant),
            _ => None,
        });
        let expires = clock::now().wall_at(window.lease_until).as_secs();
        let read = read.expect("it is told");
        assert_eq!(read.term, term);
        assert!(read.expires >= expires && read.expires <= expires + 1, "{answered}: {read:?}");
    }
}

/// A keeper that hears what it is told, packet by packet, lives, however much waits for it.
#[test]
fn a_keeper_that_is_busy_is_not_taken_for_one_that_does_not_listen() {
    let (mut link, keeper, _dir) = link();
    link.hear(&mut Vec::new());
    let mut buffer = [0u8; PACKET_MAX];
    let begun = clock::mono();
    link.say(grant(1, 1));
    link.flush();
    for n in 2..60 {
        link.say(grant(n, 1));
        link.flush();
        // One packet less, and another comes.
        assert!((&keeper).read(&mut buffer).expect("there is one") > 0);
        let peer = link.peer.as_mut().expect("it is there");
        peer.unread_since = peer
            .unread_since
            .map(|at| MonoTime::from_micros(at.as_micros().saturating_sub(500_000)));
        let now = clock::mono();
        assert!(!link.is_deaf(now), "after {n} and {:?}", now.since(begun));
    }
}
