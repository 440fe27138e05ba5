// SPDX-License-Identifier: GPL-2.0-or-later
//! boothd's end, beside keepers that die.

use super::*;
use crate::config::TicketStore;
use crate::engine::{AttrChange, CibExpiry, CibOutcome, CibState, HoldWindow, WriteSerial};
use crate::keeper::words::{self, PACKET_MAX};
use crate::keeper::Grant;
use crate::model::{AttrName, AttrValue, Holder, MemberId, Term, TicketName};
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
        superseded: Vec::new(),
        asked: clock::mono(),
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

fn revoke(serial: u64) -> Word {
    let Word::Write { ticket, serial, state } = grant(serial, 1) else { unreachable!() };
    let state = CibState { granted: false, expires: CibExpiry::Never, ..state };
    Word::Write { ticket, serial, state }
}

fn attr(serial: u64, name: &str) -> Word {
    let (name, value) = (AttrName::new(name).expect("good"), AttrValue::new("v").expect("good"));
    let (serial, limit) = (WriteSerial(serial), Span::from_secs(1));
    Word::Attr { ticket: ticket(), serial, change: AttrChange::Set(name, value), limit }
}

/// Hours may pass, with renewals all the time.
#[test]
fn wishes_do_not_pile_up_while_no_keeper_can_be_started() {
    let (mut link, keeper, _dir) = link();
    link.hear(&mut Vec::new());
    // The keeper that ends may have begun this one.
    link.say(grant(1, 1));
    link.flush();
    drop(keeper);
    link.hear(&mut Vec::new());
    assert!(link.peer.is_none());
    let mut told = Vec::new();
    for n in 1..2000 {
        link.say(grant(4 * n, 1));
        link.say(revoke(4 * n + 1));
        link.say(attr(4 * n + 2, "one"));
        link.say(grant(4 * n + 3, 2));
        assert!(link.told[0].open().len() <= 4, "{:?}", link.told[0].open());
        link.flush();
        told.extend(link.keep(Vec::new()));
    }
    link.say(attr(9000, "two"));
    // Each wish has its answer, or is still open.
    let open = link.told[0].open().to_vec();
    assert_eq!(told.len() + open.len(), 1 + 1999 * 4 + 1);
    assert!(told.iter().all(|answer| matches!(
        answer,
        Answer::Written { outcome: CibOutcome::Superseded, .. }
            | Answer::AttrWritten { outcome: CibOutcome::Superseded, .. }
    )));
    // The grant may come too late, so the revoke before it is still owed.
    let last = [revoke(7997), attr(7998, "one"), grant(7999, 2), attr(9000, "two")];
    assert_eq!(open, last);
    let (peer, keeper) = pair();
    link.greet(peer);
    let wished = heard(&keeper).into_iter().filter_map(|message| match message {
        Message::Word(word @ (Word::Write { .. } | Word::Attr { .. })) => Some(word),
        _ => None,
    });
    assert_eq!(wished.collect::<Vec<_>>(), last);
}

/// It tells by itself what became of each wish, and may have begun it.
#[test]
fn wishes_that_a_keeper_was_told_are_its_own_to_answer() {
    let (mut link, keeper, _dir) = link();
    link.hear(&mut Vec::new());
    for serial in 1..=3 {
        link.say(grant(serial, 1));
    }
    link.flush();
    assert_eq!(link.keep(Vec::new()), []);
    let (serial, outcome) = (WriteSerial(1), CibOutcome::Written);
    keeper_says(&keeper, &[Message::Answer(Answer::Written { ticket: ticket(), serial, outcome })]);
    let mut answers = Vec::new();
    link.hear(&mut answers);
    assert_eq!(link.keep(answers).len(), 1, "it is still waited for");
}
