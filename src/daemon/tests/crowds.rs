// SPDX-License-Identifier: GPL-2.0-or-later
//! Crowds of clients: whatever those of one kind do, the others get their answers.

use super::clients::{
    answer, grant, is_closed, key, read_bound, read_reply, result_of, row, sealed, Rig, Seen, LIST,
};
use super::{roster, ticket};
use crate::auth::{Key, Sealer};
use crate::daemon::channels::Answer;
use crate::daemon::clients::places::GRANTS_MAX;
use crate::engine::{ClientId, Reply};
use crate::model::{AttrName, AttrValue};
use crate::sys::clock;
use crate::wire::{encode_request, ClientOptions, ClientReply, ClientRequest, Life, ResultCode};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// More clients of one kind than there are places for, or for all kinds together before.
const CROWD: usize = 75;
/// Who has been silent for longer than this may be cut off if others have no place.
const SLOW: Duration = Duration::from_millis(20);
/// Within this, answers are prompt, also on a busy machine.
const PROMPT: Duration = Duration::from_millis(1_500);

fn set() -> ClientRequest {
    let (name, value) = (AttrName::new("a").ok(), AttrValue::new("1").ok());
    ClientRequest::AttrSet { ticket: Some(ticket("t1")), name, value }
}

fn revoke(wait: bool) -> ClientRequest {
    let options = ClientOptions { wait, ..ClientOptions::default() };
    ClientRequest::Revoke { ticket: Some(ticket("t1")), options }
}

fn ask(rig: &Rig, request: &ClientRequest) -> TcpStream {
    let mut stream = rig.connect();
    stream.write_all(&sealed(request, None)).expect("sent");
    stream
}

/// The list is answered, promptly.
fn lists(rig: &Rig) {
    let begun = Instant::now();
    let mut stream = ask(rig, &ClientRequest::List);
    assert_eq!(read_reply(&mut stream, None), ClientReply::List(LIST.to_owned()));
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
}

/// A revoke reaches the engine and its answer its client, promptly.
fn revokes(rig: &Rig) {
    let begun = Instant::now();
    // Not like those of the crowds.
    let options = ClientOptions { explain: true, ..ClientOptions::default() };
    let mine = ClientRequest::Revoke { ticket: Some(ticket("t1")), options };
    let mut stream = ask(rig, &mine);
    let client = loop {
        match rig.next() {
            Seen::Request(client, request) if request == mine => break client,
            Seen::Request(..) | Seen::Gone(_) => {}
        }
    };
    rig.order.send((client, answer(ResultCode::Success, true))).expect("ordered");
    assert_eq!(result_of(&read_reply(&mut stream, None)), ResultCode::Success);
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
}

/// Those of these clients whose request reaches the engine.
fn taken(rig: &Rig, count: usize) -> Vec<ClientId> {
    (0..count).map(|_| rig.next_client()).collect()
}

#[test]
fn the_engine_hears_of_a_client_that_leaves_while_its_attribute_is_written() {
    let rig = Rig::start(None);
    for reset in [false, true] {
        let stream = ask(&rig, &set());
        let client = rig.next_client();
        if reset {
            let at_once = Some(Duration::ZERO);
            socket2::SockRef::from(&stream).set_linger(at_once).expect("settable");
        }
        drop(stream);
        assert_eq!(rig.next(), Seen::Gone(client), "reset: {reset}");
    }
    rig.stop();
}

#[test]
fn a_half_closed_client_that_waits_gets_an_answer_that_comes_soon() {
    let rig = Rig::start(None);
    for request in [set(), grant(true), revoke(true)] {
        let mut stream = ask(&rig, &request);
        stream.shutdown(Shutdown::Write).expect("half closed");
        let client = rig.next_client();
        rig.order.send((client, answer(ResultCode::Success, true))).expect("ordered");
        assert_eq!(result_of(&read_reply(&mut stream, None)), ResultCode::Success);
        let mut stream = ask(&rig, &request);
        let client = rig.next_client();
        stream.shutdown(Shutdown::Write).expect("half closed");
        // One that does not come soon is not waited for: this is what a client that left looks
        // like, too.
        assert_eq!(rig.next(), Seen::Gone(client));
        assert!(is_closed(&mut stream));
    }
    rig.stop();
}

#[test]
fn changes_of_attributes_whose_clients_left_keep_nobody_out() {
    let rig = Rig::start(None);
    for _ in 0..CROWD {
        drop(ask(&rig, &set()));
    }
    lists(&rig);
    revokes(&rig);
    rig.stop();
}

#[test]
fn changes_of_attributes_that_wait_keep_nobody_out_and_one_too_many_is_told_so() {
    let rig = Rig::start(None);
    let waiting: Vec<TcpStream> = (0..CROWD).map(|_| ask(&rig, &set())).collect();
    lists(&rig);
    revokes(&rig);
    let mut more = ask(&rig, &set());
    assert_eq!(result_of(&read_reply(&mut more, None)), ResultCode::Busy);
    assert!(is_closed(&mut more));
    drop(waiting);
    rig.stop();
}

#[test]
fn grants_that_wait_keep_nobody_out_and_one_too_many_is_told_so() {
    let rig = Rig::start(None);
    let waiting: Vec<TcpStream> = (0..CROWD).map(|_| ask(&rig, &grant(true))).collect();
    lists(&rig);
    revokes(&rig);
    let mut more = ask(&rig, &grant(true));
    assert_eq!(result_of(&read_reply(&mut more, None)), ResultCode::Busy);
    // Attributes have places of their own.
    let mut other = ask(&rig, &set());
    let client = loop {
        if let Seen::Request(client, ClientRequest::AttrSet { .. }) = rig.next() {
            break client;
        }
    };
    rig.order.send((client, answer(ResultCode::Success, true))).expect("ordered");
    assert_eq!(result_of(&read_reply(&mut other, None)), ResultCode::Success);
    drop(waiting);
    rig.stop();
}

#[test]
fn revokes_that_wait_keep_nobody_out_and_one_too_many_is_ordered_all_the_same() {
    let rig = Rig::start(None);
    let waiting: Vec<TcpStream> = (0..CROWD).map(|_| ask(&rig, &revoke(true))).collect();
    taken(&rig, 64);
    lists(&rig);
    // It does not find a place to wait, but it is answered if that does not take long.
    revokes(&rig);
    let begun = Instant::now();
    let mut more = ask(&rig, &revoke(true));
    assert_eq!(result_of(&read_reply(&mut more, None)), ResultCode::CibPending);
    assert!(is_closed(&mut more));
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    drop(waiting);
    rig.stop();
}

#[test]
fn crowds_of_all_kinds_together_keep_nobody_out() {
    let rig = Rig::start(None);
    let crowd = || {
        let mut half = rig.connect();
        half.write_all(&sealed(&ClientRequest::List, None)[..20]).expect("sent");
        let requests = [grant(true), revoke(true), set()];
        let waiting = requests.iter().map(|request| ask(&rig, request));
        waiting.chain([rig.connect(), half]).collect::<Vec<_>>()
    };
    let crowd: Vec<Vec<TcpStream>> = (0..CROWD).map(|_| crowd()).collect();
    // The first is behind all of the crowd's own requests, which cost the processor some time.
    let mut first = ask(&rig, &ClientRequest::List);
    assert_eq!(read_reply(&mut first, None), ClientReply::List(LIST.to_owned()));
    for _ in 0..3 {
        lists(&rig);
        revokes(&rig);
    }
    drop(crowd);
    rig.stop();
}

/// A connection that takes only a few kilobytes unless it is read.
fn narrow(rig: &Rig) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(4096).expect("settable");
    socket.connect(&rig.at.into()).expect("connected");
    socket.into()
}

#[test]
fn clients_that_do_not_read_their_answer_keep_nobody_out() {
    let rig = Rig::start(None);
    let request = ClientRequest::AttrList { ticket: Some(ticket("t1")) };
    let long = || Reply::Tickets(vec![row(); 40_000]);
    let slow: Vec<TcpStream> = (0..CROWD)
        .map(|_| {
            let mut stream = narrow(&rig);
            stream.write_all(&sealed(&request, None)).expect("sent");
            let client = rig.next_client();
            let reply = long();
            rig.order.send((client, Answer { reply, last: true })).expect("ordered");
            stream
        })
        .collect();
    for _ in 0..3 {
        lists(&rig);
        revokes(&rig);
    }
    // One that reads gets all of its long answer, if it is read at once, in any crowd.
    let mut stream = ask(&rig, &request);
    let client = loop {
        if let Seen::Request(client, ClientRequest::AttrList { .. }) = rig.next() {
            break client;
        }
    };
    let reply = long();
    rig.order.send((client, Answer { reply, last: true })).expect("ordered");
    assert_eq!(read_reply(&mut stream, None), ClientReply::List(LIST.repeat(40_000)));
    drop(slow);
    rig.stop();
}

/// A request that is bound to a life of the daemon; `None`: to one that its client does not know.
fn bound(request: &ClientRequest, life: Option<Life>) -> Vec<u8> {
    let (me, sealer) = (roster().my_id(), Sealer::new(Some(key())));
    let bond = sealer.bond(me, life);
    sealer.seal_bound(encode_request(me.raw(), request), clock::wall(), bond)
}

/// A client that has sent this.
fn sends(rig: &Rig, bytes: &[u8]) -> TcpStream {
    let mut stream = rig.connect();
    stream.write_all(bytes).expect("sent");
    stream
}

/// What a client that has sent this is told.
fn told(rig: &Rig, bytes: &[u8]) -> (TcpStream, ClientReply) {
    let mut stream = sends(rig, bytes);
    let (reply, _) = read_bound(&mut stream, Some(key()));
    (stream, reply)
}

/// What waits for nothing gives way before anybody who may still say what it wants.
#[test]
fn clients_told_to_ask_again_or_refused_give_way_at_once_though_they_stay() {
    let another = Key::new(b"another key").expect("long enough");
    let forged = || sealed(&grant(true), Some(another.clone()));
    let asks: [(&str, &dyn Fn() -> Vec<u8>); 3] = [
        ("told to ask again", &|| bound(&grant(true), None)),
        ("of another life", &|| bound(&grant(true), Some(Life::from_random(9)))),
        ("not authentic", &forged),
    ];
    for (what, ask) in asks {
        let rig = Rig::start(Some(key()));
        let mut slow = rig.connect();
        std::thread::sleep(SLOW);
        let crowd: Vec<_> = (0..CROWD).map(|_| told(&rig, &ask())).collect();
        let request = sealed(&ClientRequest::List, Some(key()));
        slow.write_all(&request).expect("sent");
        let reply = read_reply(&mut slow, Some(key()));
        assert_eq!(reply, ClientReply::List(LIST.to_owned()), "{what}");
        assert!(rig
            .seen
            .try_iter()
            .all(|seen| matches!(seen, Seen::Request(_, ClientRequest::List))));
        drop(crowd);
        rig.stop();
    }
}

#[test]
fn who_is_not_let_in_is_told_why_and_takes_no_place_whether_there_is_one_or_not() {
    let rig = Rig::start(Some(key()));
    let life = Life::from_random(1);
    let early = bound(&grant(true), Some(life));
    let mut waiting = vec![sends(&rig, &early)];
    rig.next_client();
    let another = Key::new(b"another key").expect("long enough");
    let refused = |rig: &Rig| {
        let forged = sealed(&grant(true), Some(another.clone()));
        let elsewhere = bound(&grant(true), Some(Life::from_random(9)));
        for bytes in [&forged, &elsewhere, &early] {
            assert_eq!(result_of(&told(rig, bytes).1), ResultCode::AuthFailed);
        }
        // It is told our life before it is remembered: it comes to nothing however often it comes.
        let doubtful = bound(&grant(true), None);
        for _ in 0..2 {
            assert_eq!(told(rig, &doubtful).1, ClientReply::Hello(life));
        }
    };
    // There are places: whoever is not let in leaves them to the others.
    refused(&rig);
    while waiting.len() < GRANTS_MAX {
        waiting.push(sends(&rig, &bound(&grant(true), Some(life))));
        rig.next_client();
    }
    // There are none any more, and it makes no difference.
    refused(&rig);
    let (mut more, reply) = told(&rig, &bound(&grant(true), Some(life)));
    assert_eq!(result_of(&reply), ResultCode::Busy);
    assert!(is_closed(&mut more));
    drop(waiting);
    rig.stop();
}
