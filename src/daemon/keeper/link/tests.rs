// SPDX-License-Identifier: GPL-2.0-or-later
//! boothd's end, beside keepers that die.

use super::*;
use crate::config::TicketStore;
use crate::engine::{CibExpiry, CibOutcome, CibState, HoldWindow, WriteSerial};
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

fn inherited() -> [Word; 2] {
    let (term, ticket) = (Term::new(5), ticket());
    let hold = Word::Hold { ticket, window: Some(window()), term };
    [Word::Read { ticket, grant: Grant { term, expires: 7 } }, hold]
}

/// What the next keeper is told of the ticket.
fn told_next(link: &mut Link) -> Vec<Word> {
    let (peer, keeper) = pair();
    link.greet(peer);
    let words = heard(&keeper).into_iter().filter_map(|message| match message {
        Message::Word(word) => Some(word),
        _ => None,
    });
    words.collect()
}

/// The keeper dies before the store could be read: this boothd alone knows the window.
#[test]
fn what_a_keeper_tells_at_a_take_over_is_told_to_the_next() {
    let (mut link, keeper, _dir) = link();
    let words = inherited();
    keeper_says(&keeper, &words.clone().map(Message::Word));
    link.hear(&mut Vec::new());
    assert_eq!(told_next(&mut link), words);
    // The next one knows nothing, and says so before it hears that.
    let quiet = Answer::Quiet { ticket: ticket(), before: Before::default() };
    assert_eq!(link.keep(vec![quiet]).len(), 1);
    let [Word::Read { grant, .. }, Word::Hold { window, .. }] = words.clone() else { panic!() };
    assert_eq!(link.before(ticket()), Some(Before { window, grant: Some(grant) }));
}

#[test]
fn what_this_boothd_has_said_counts_more_than_what_the_last_one_had() {
    let (mut link, keeper, _dir) = link();
    let hold = Word::Hold { ticket: ticket(), window: None, term: Term::new(6) };
    link.say(hold.clone());
    let words = inherited();
    keeper_says(&keeper, &words.clone().map(Message::Word));
    link.hear(&mut Vec::new());
    assert_eq!(told_next(&mut link), [words[0].clone(), hold]);
}

/// Otherwise a keeper that starts much later revokes what another node was granted meanwhile.
#[test]
fn a_window_of_before_is_forgotten_when_the_store_says_revoked() {
    for read in [false, true] {
        let (mut link, keeper, _dir) = link();
        let words = inherited();
        keeper_says(&keeper, &words.clone().map(Message::Word));
        link.hear(&mut Vec::new());
        if read {
            link.free(ticket());
        } else {
            let Word::Write { serial, state, .. } = grant(1, 5) else { panic!() };
            let state = CibState { granted: false, expires: CibExpiry::Never, ..state };
            link.say(Word::Write { ticket: ticket(), serial, state });
            let outcome = CibOutcome::Failed(String::new());
            link.keep(vec![Answer::Written { ticket: ticket(), serial, outcome }]);
            assert_eq!(told_next(&mut link), words, "it may be granted");
            link.say(Word::Write { ticket: ticket(), serial, state });
            let outcome = CibOutcome::Written;
            link.keep(vec![Answer::Written { ticket: ticket(), serial, outcome }]);
        }
        assert_eq!(told_next(&mut link), words[..1]);
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
