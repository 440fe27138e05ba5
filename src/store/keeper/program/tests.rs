// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper's process as boothds and strangers find it.

use super::*;
use crate::engine::HoldWindow;
use crate::keeper::words::{self, PACKET_MAX};
use crate::keeper::{Place, Word};
use crate::model::{MemberId, Term, TicketIndex, TicketName};
use socket2::{Domain, SockAddr, Type};
use std::io::Read;
use std::path::Path;

fn setup(dir: &Path) -> Setup {
    Setup {
        store: TicketStore::Directory(dir.join("tickets")),
        config_name: "booth".to_owned(),
        site: MemberId::from_raw(1),
        guard: Span::from_secs(1),
        replaces: true,
    }
}

fn pair() -> (Socket, Socket) {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).expect("a pair");
    ours.set_nonblocking(true).expect("set");
    theirs.set_nonblocking(true).expect("set");
    (ours, theirs)
}

/// A keeper in this directory, and the end of the boothd that started it.
fn keeper(dir: &Path) -> (Program, Socket) {
    let (ours, theirs) = pair();
    let program = Program::new(setup(dir), File::open(dir).expect("opened"), theirs);
    (program.expect("a keeper"), ours)
}

fn kept() -> Message {
    let name = TicketName::new("t").expect("good");
    Message::Ticket(Kept { name, guard: Span::from_secs(1) })
}

fn hello(dir: &Path) -> Message {
    Message::Hello { version: VERSION, setup: setup(dir).fingerprint() }
}

fn send(socket: &Socket, messages: &[Message]) {
    for packet in words::packets(messages) {
        socket.send(&packet).expect("sent");
    }
}

fn hold() -> (HoldWindow, Message) {
    let at = |secs| clock::mono().plus(Span::from_secs(secs));
    let window = HoldWindow {
        hold_until: at(60),
        lease_until: at(61),
        start_before: at(40),
        kill_at: at(50),
    };
    let (ticket, term) = (TicketIndex::new(0), Term::new(1));
    (window, Message::Word(Word::Hold { ticket, window: Some(window), term }))
}

fn received(socket: &Socket) -> Vec<Message> {
    let mut all = Vec::new();
    let mut buffer = [0u8; PACKET_MAX];
    while let Ok(len @ 1..) = (&*socket).read(&mut buffer) {
        all.extend(words::messages(&buffer[..len]));
    }
    all
}

#[test]
fn what_a_boothd_says_right_behind_its_tickets_is_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut program, boothd) = keeper(dir.path());
    let (window, hold) = hold();
    send(&boothd, &[hello(dir.path()), kept(), Message::Taken, hold]);
    program.hear();
    assert!(received(&boothd).contains(&Message::Taken));
    assert_eq!(program.keeper.watched(Place(0)), Some(window));
}

#[test]
fn a_keeper_that_resigns_forgets_wishes() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(MARK), b"0").expect("written");
    let (mut program, boothd) = keeper(dir.path());
    let (window, hold) = hold();
    send(&boothd, &[hello(dir.path()), kept(), Message::Taken]);
    program.hear();
    send(&boothd, &[hold]);
    program.hear();
    let other = connect(dir.path());
    send(&other, &[Message::Hello { version: VERSION + 1, setup: "x".to_owned() }]);
    program.hear();
    assert_eq!(received(&other), [Message::Other]);
    assert_eq!(program.keeper.watched(Place(0)), Some(window), "it guards what is left");
    assert_eq!(program.keeper.before(TicketIndex::new(0)), Default::default(), "nobody is heard");
    // The next keeper tells from the mark what is in flight: this one leaves it alone.
    program.set_mark(true);
    assert_eq!(std::fs::read(dir.path().join(MARK)).expect("read"), b"0");
}

/// Who has taken over knows the windows, even if the keeper ends at once.
#[test]
fn a_boothd_that_takes_over_hears_the_windows_before_it_is_told_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut program, boothd) = keeper(dir.path());
    let (_, hold) = hold();
    send(&boothd, &[hello(dir.path()), kept(), Message::Taken, hold.clone()]);
    program.hear();
    drop(boothd);
    let next = connect(dir.path());
    send(&next, &[hello(dir.path()), kept(), Message::Taken]);
    program.hear();
    let received = received(&next);
    assert!(received.contains(&hold), "{received:?}");
    assert_eq!(received.last(), Some(&Message::Taken));
}

fn connect(dir: &Path) -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    socket.set_nonblocking(true).expect("set");
    socket.connect(&SockAddr::unix(dir.join(SOCKET)).expect("a path")).expect("connected");
    socket
}

#[test]
fn strangers_that_say_nothing_do_not_keep_a_boothd_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut program, boothd) = keeper(dir.path());
    send(&boothd, &[hello(dir.path()), kept(), Message::Taken]);
    program.hear();
    drop(boothd);
    let mut strangers = Vec::new();
    for _ in 0..2 * CALLERS_MAX {
        strangers.push(connect(dir.path()));
        program.hear();
    }
    let next = connect(dir.path());
    program.hear();
    send(&next, &[hello(dir.path()), kept(), Message::Taken]);
    program.hear();
    assert!(received(&next).contains(&Message::Taken));
    assert!(program.callers.len() <= CALLERS_MAX);
}

#[test]
fn a_stranger_that_talks_all_the_time_does_not_stop_the_keeper() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut program, _boothd) = keeper(dir.path());
    let stranger = connect(dir.path());
    program.hear();
    let many = vec![kept(); 1000];
    send(&stranger, &[hello(dir.path())]);
    let mut sent = 0u64;
    let until = clock::mono().plus(Span::from_secs(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let packet = words::packets(&many).remove(0);
            while clock::mono() < until {
                sent += u64::from(stranger.send(&packet).is_ok());
            }
        });
        program.hear();
        assert!(clock::mono() < until, "it hears nothing else");
        while clock::mono() < until {
            program.hear();
        }
    });
    let named = program.callers.iter().filter_map(|caller| caller.naming.as_ref().map(Vec::len));
    assert!(named.max().unwrap_or(0) <= TICKETS_MAX, "{sent} packets");
}

/// A mark that could not be written, for lack of room, says nothing.
#[test]
fn an_empty_mark_tells_that_something_may_be_in_flight() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(MARK), b"").expect("written");
    let (program, _boothd) = keeper(dir.path());
    assert!(program.marked);
    assert!(program.keeper.is_unsettled(clock::mono()));
}

/// The keeper whose place it takes could make no mark.
#[test]
fn a_mark_that_is_missing_where_a_keeper_was_says_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(keeper(dir.path()).0.marked);
    let dir = tempfile::tempdir().expect("a directory");
    let (ours, theirs) = pair();
    let first = Setup { replaces: false, ..setup(dir.path()) };
    let dir = File::open(dir.path()).expect("opened");
    assert!(!Program::new(first, dir, theirs).expect("a keeper").marked);
    drop(ours);
}

/// It has died before it has read what the keeper had said to it.
#[test]
fn the_last_words_of_a_boothd_are_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut program, boothd) = keeper(dir.path());
    let (window, hold) = hold();
    send(&boothd, &[hello(dir.path()), kept(), Message::Taken]);
    program.hear();
    send(&boothd, &[hold]);
    drop(boothd);
    program.hear();
    program.hear();
    assert_eq!(program.keeper.watched(Place(0)), Some(window));
    assert!(program.boothd.is_none());
}

/// No descriptor is left for who wants to connect: that is no reason to be awake all the time.
#[test]
fn who_cannot_be_let_in_does_not_keep_the_keeper_awake() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut program, boothd) = keeper(dir.path());
    send(&boothd, &[hello(dir.path()), kept(), Message::Taken]);
    program.hear();
    program.refused_at = Some(clock::mono());
    let _caller = connect(dir.path());
    let begun = clock::mono();
    program.sleep().expect("slept");
    assert!(clock::mono().since(begun) >= Span::from_millis(50));
}
