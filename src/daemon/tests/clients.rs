// SPDX-License-Identifier: GPL-2.0-or-later
//! The thread that serves clients, with real sockets; the engine is a closure.

use super::{reporter, roster, ticket};
use crate::auth::{bond_of_answers, Bond, Key, Opener, ReplayGuard, Sealer};
use crate::daemon::bonds::{Birth, ClientBonds};
use crate::daemon::channels::{Answer, FromClient, Mailbox, CLIENT_QUEUE};
use crate::daemon::clients::listing::Steps;
use crate::daemon::clients::places::{Bounds, CONNECTIONS_MAX, GRANTS_MAX};
use crate::daemon::clients::{self, GatewaySetup, Server};
use crate::engine::{ClientId, Figures, MemberView, Reply, TicketRow};
use crate::model::{AttrName, AttrValue, Holder, MemberId, Term};
use crate::sys::{clock, poll};
use crate::time::Span;
use crate::wire::{
    decode_reply, encode_request, frame_len, ClientOptions, ClientReply, ClientRequest, Life,
    ResultCode, TicketAnswer, TimeUnit, HEADER_LEN, REQUEST_TAIL,
};
use crossbeam_channel::{bounded, unbounded, Receiver, Sender};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SKEW: Span = Span::from_secs(600);

pub(super) fn key() -> Key {
    Key::new(b"a key for tests").expect("long enough")
}

/// What the engine of these tests has seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Request(ClientId, ClientRequest),
    Gone(ClientId),
}

pub(super) struct Rig {
    pub(super) at: SocketAddr,
    pub(super) server: Server,
    pub(super) seen: Receiver<Seen>,
    /// Answers for clients that wait.
    pub(super) order: Sender<(ClientId, Answer)>,
}

pub(super) fn row() -> TicketRow {
    TicketRow {
        name: ticket("t1"),
        manual: false,
        leader: Holder::Nobody,
        expires: None,
        commit_pending: None,
        remarks: Vec::new(),
        also_granted: Vec::new(),
    }
}

/// What an engine without tickets reports.
fn report(history: bool) -> Reply {
    let (now, figures) = (clock::now(), Figures::default());
    let (tickets, peers) = (Vec::new(), Vec::new());
    Reply::Report(Box::new(MemberView { now, tickets, peers, figures, history }))
}

/// Answers list and reports at once, and everything else as ordered.
fn run_engine(
    queue: &Receiver<FromClient>,
    orders: &Receiver<(ClientId, Answer)>,
    seen: &Sender<Seen>,
    steps: &Steps,
) {
    let mut waiting: BTreeMap<ClientId, Mailbox> = BTreeMap::new();
    loop {
        crossbeam_channel::select! {
            recv(queue) -> message => match message {
                Ok(FromClient::Request { client, request, mailbox, .. }) => {
                    // It is to be asked every time.
                    steps.count();
                    let reply = match request {
                        ClientRequest::List => Some(Reply::Tickets(vec![row()])),
                        ClientRequest::Report { history } => Some(report(history)),
                        _ => None,
                    };
                    let _ = seen.send(Seen::Request(client, request));
                    if let Some(reply) = reply {
                        let _ = mailbox.answers.try_send(Answer { reply, last: true });
                        poll::wake(&mailbox.waker);
                    } else {
                        waiting.insert(client, mailbox);
                    }
                }
                Ok(FromClient::Gone { client }) => {
                    waiting.remove(&client);
                    let _ = seen.send(Seen::Gone(client));
                }
                Err(_) => return,
            },
            recv(orders) -> order => match order {
                Ok((client, answer)) => {
                    let mailbox = waiting.get(&client).expect("the client waits");
                    mailbox.answers.try_send(answer).expect("there is room");
                    poll::wake(&mailbox.waker);
                }
                Err(_) => return,
            },
        }
    }
}

impl Rig {
    pub(super) fn start(key: Option<Key>) -> Rig {
        let steps = Steps::default();
        Rig::counting(key, &steps, steps.clone())
    }

    /// The engine counts there that it does something whenever it is asked; the gateway looks here.
    pub(super) fn counting(key: Option<Key>, counts: &Steps, looks: Steps) -> Rig {
        let (queue, queue_end) = bounded(CLIENT_QUEUE);
        let (seen, seen_end) = unbounded();
        let (order, order_end) = unbounded();
        let counted = counts.clone();
        std::thread::spawn(move || run_engine(&queue_end, &order_end, &seen, &counted));
        Rig::with_queue(key, (queue, looks), seen_end, order)
    }

    pub(super) fn with_queue(
        key: Option<Key>,
        (queue, steps): (Sender<FromClient>, Steps),
        seen: Receiver<Seen>,
        order: Sender<(ClientId, Answer)>,
    ) -> Rig {
        let listener = clients::bind(SocketAddr::from(([127, 20, 0, 1], 0))).expect("bound");
        let at = listener.local_addr().expect("an address");
        let (members, birth) = (roster(), Birth { life: Life::from_random(1), at: clock::now() });
        let ids: Vec<_> = members.everyone().iter().map(|m| members.member(m).id).collect();
        let me = members.my_id();
        let setup = GatewaySetup {
            roster: members,
            opener: Opener::new(key.clone(), SKEW),
            bonds: ClientBonds::new(&Sealer::new(key.clone()), me, birth, SKEW),
            has_key: key.is_some(),
            sealer: Sealer::new(key),
            unit: TimeUnit::Seconds,
            queue,
            steps,
            reporter: reporter(),
            clock: clock::now,
        };
        let guard = ReplayGuard::new(ids, SKEW);
        let server = Server::start(listener, setup, guard, Bounds::FULL).expect("started");
        Rig { at, server, seen, order }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
        stream
    }

    pub(super) fn next(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(5)).expect("the engine is asked")
    }

    /// The number of the client whose request comes next.
    pub(super) fn next_client(&self) -> ClientId {
        match self.next() {
            Seen::Request(client, _) => client,
            Seen::Gone(client) => panic!("{client:?} left"),
        }
    }

    pub(super) fn stop(self) {
        let begun = Instant::now();
        self.server.stop();
        assert!(self.server.ended.wait(Duration::from_secs(2)), "no connection thread is left");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

pub(super) fn sealed(request: &ClientRequest, key: Option<Key>) -> Vec<u8> {
    let packet = encode_request(roster().my_id().raw(), request);
    Sealer::new(key).seal(packet, clock::wall())
}

pub(super) fn read_reply(stream: &mut TcpStream, key: Option<Key>) -> ClientReply {
    let (reply, bond) = read_bound(stream, key);
    assert_eq!(bond, None, "the request was not bound");
    reply
}

/// An answer, and what it is bound to.
pub(super) fn read_bound(stream: &mut TcpStream, key: Option<Key>) -> (ClientReply, Option<Bond>) {
    let mut bytes = vec![0u8; HEADER_LEN];
    stream.read_exact(&mut bytes).expect("a header in time");
    let header = bytes.first_chunk::<HEADER_LEN>().expect("a whole header");
    let len = frame_len(header).expect("a length");
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[HEADER_LEN..]).expect("the rest in time");
    let opener = Opener::new(key, SKEW);
    let opened = opener.open_reply(&bytes, clock::wall()).expect("authentic");
    (decode_reply(&opened.packet, TimeUnit::Seconds).expect("a reply"), opened.bond)
}

pub(super) fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0u8; 16]), Ok(0) | Err(_))
}

pub(super) fn grant(wait: bool) -> ClientRequest {
    let options = ClientOptions { wait, ..ClientOptions::default() };
    ClientRequest::Grant { ticket: Some(ticket("t1")), options }
}

pub(super) fn answer(result: ResultCode, last: bool) -> Answer {
    let reply = Reply::Ticket(TicketAnswer {
        result,
        ticket: Some(ticket("t1")),
        leader: Holder::Nobody,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        cause: None,
    });
    Answer { reply, last }
}

pub(super) fn result_of(reply: &ClientReply) -> ResultCode {
    match reply {
        ClientReply::Ticket(answer) => answer.result,
        ClientReply::Result(result) => *result,
        ClientReply::List(_)
        | ClientReply::Attr(_)
        | ClientReply::Report(_)
        | ClientReply::Attrs(_)
        | ClientReply::Hello(_) => {
            panic!("{reply:?} has no result")
        }
    }
}

pub(super) const LIST: &str = "ticket: t1, leader: none\n";

#[test]
fn list_is_answered_with_and_without_a_key_and_then_closed() {
    for key in [None, Some(key())] {
        let rig = Rig::start(key.clone());
        let mut stream = rig.connect();
        stream.write_all(&sealed(&ClientRequest::List, key.clone())).expect("sent");
        assert_eq!(read_reply(&mut stream, key), ClientReply::List(LIST.to_owned()));
        assert!(is_closed(&mut stream));
        rig.stop();
    }
}

#[test]
fn a_request_may_come_in_pieces_and_with_a_tail_that_comes_late() {
    let rig = Rig::start(None);
    let mut stream = rig.connect();
    for byte in sealed(&ClientRequest::List, None) {
        stream.write_all(&[byte]).expect("sent");
    }
    assert!(matches!(rig.next(), Seen::Request(_, ClientRequest::List)));
    // The answer has been written by now or soon; the tail must not reset the connection.
    stream.write_all(&[0; REQUEST_TAIL]).expect("sent");
    assert_eq!(read_reply(&mut stream, None), ClientReply::List(LIST.to_owned()));
    rig.stop();
}

#[test]
fn a_client_that_closed_its_sending_side_gets_its_answer() {
    let rig = Rig::start(None);
    let mut stream = rig.connect();
    let request = ClientRequest::AttrList { ticket: Some(ticket("t1")) };
    stream.write_all(&sealed(&request, None)).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let client = rig.next_client();
    let reply = Reply::Attrs(Vec::new());
    rig.order.send((client, Answer { reply, last: true })).expect("ordered");
    assert_eq!(read_reply(&mut stream, None), ClientReply::Attrs(String::new()));
    rig.stop();
}

#[test]
fn answers_come_until_the_last() {
    let rig = Rig::start(Some(key()));
    let mut stream = rig.connect();
    stream.write_all(&sealed(&grant(true), Some(key()))).expect("sent");
    let client = rig.next_client();
    for (code, last) in [(ResultCode::More, false), (ResultCode::Success, true)] {
        rig.order.send((client, answer(code, last))).expect("ordered");
        assert_eq!(result_of(&read_reply(&mut stream, Some(key()))), code);
    }
    assert!(is_closed(&mut stream));
    rig.stop();
}

#[test]
fn the_engine_hears_of_a_client_that_leaves_while_it_waits() {
    let rig = Rig::start(None);
    let mut stream = rig.connect();
    stream.write_all(&sealed(&grant(true), None)).expect("sent");
    let client = rig.next_client();
    drop(stream);
    assert_eq!(rig.next(), Seen::Gone(client));
    rig.stop();
}

#[test]
fn requests_with_a_wrong_key_or_none_are_answered_auth() {
    let rig = Rig::start(Some(key()));
    let other = Key::new(b"another key").expect("long enough");
    for wrong in [None, Some(other)] {
        let mut stream = rig.connect();
        stream.write_all(&sealed(&ClientRequest::List, wrong)).expect("sent");
        let reply = read_reply(&mut stream, Some(key()));
        assert_eq!(result_of(&reply), ResultCode::AuthFailed);
        assert!(is_closed(&mut stream));
    }
    assert!(rig.seen.try_recv().is_err(), "the engine is not bothered");
    rig.stop();
}

#[test]
fn a_replayed_grant_is_refused_and_a_replayed_list_is_not() {
    let rig = Rig::start(Some(key()));
    let bytes = sealed(&grant(false), Some(key()));
    let mut first = rig.connect();
    first.write_all(&bytes).expect("sent");
    rig.next_client();
    let mut second = rig.connect();
    second.write_all(&bytes).expect("sent");
    let reply = read_reply(&mut second, Some(key()));
    assert_eq!(result_of(&reply), ResultCode::AuthFailed);
    let bytes = sealed(&ClientRequest::List, Some(key()));
    for _ in 0..2 {
        let mut stream = rig.connect();
        stream.write_all(&bytes).expect("sent");
        let reply = read_reply(&mut stream, Some(key()));
        assert_eq!(reply, ClientReply::List(LIST.to_owned()));
    }
    rig.stop();
}

#[test]
fn a_replayed_change_of_an_attribute_is_refused() {
    let rig = Rig::start(Some(key()));
    let (ticket, name) = (Some(ticket("t1")), AttrName::new("a").ok());
    let value = AttrValue::new("1").ok();
    let set = ClientRequest::AttrSet { ticket: ticket.clone(), name: name.clone(), value };
    for request in [set, ClientRequest::AttrDelete { ticket, name }] {
        let bytes = sealed(&request, Some(key()));
        let mut first = rig.connect();
        first.write_all(&bytes).expect("sent");
        let done = Answer { reply: Reply::Result(ResultCode::Success), last: true };
        rig.order.send((rig.next_client(), done)).expect("it listens");
        assert_eq!(result_of(&read_reply(&mut first, Some(key()))), ResultCode::Success);
        let mut second = rig.connect();
        second.write_all(&bytes).expect("sent");
        let reply = read_reply(&mut second, Some(key()));
        assert_eq!(result_of(&reply), ResultCode::AuthFailed, "{request:?}");
    }
    rig.stop();
}

#[test]
fn a_bound_request_has_to_be_for_this_daemon_and_gets_bound_answers() {
    let rig = Rig::start(Some(key()));
    let sealer = Sealer::new(Some(key()));
    let ask = |receiver, life| {
        let packet = encode_request(roster().my_id().raw(), &grant(false));
        let bond = sealer.bond(receiver, life);
        let bytes = sealer.seal_bound(packet, clock::wall(), bond);
        let mut stream = rig.connect();
        stream.write_all(&bytes).expect("sent");
        (stream, bond_of_answers(&bytes))
    };
    let (me, life) = (roster().my_id(), Life::from_random(1));
    let other = MemberId::from_raw(77);
    for (receiver, life) in [(other, None), (other, Some(life)), (me, Life::from_raw(9))] {
        let (mut stream, bond) = ask(receiver, life);
        let (reply, bound) = read_bound(&mut stream, Some(key()));
        assert_eq!((result_of(&reply), bound), (ResultCode::AuthFailed, bond));
    }
    let (mut stream, bond) = ask(me, None);
    let answer_and_bond = read_bound(&mut stream, Some(key()));
    assert_eq!(answer_and_bond, (ClientReply::Hello(life), bond));
    let (mut stream, bond) = ask(me, Some(life));
    rig.order.send((rig.next_client(), answer(ResultCode::Success, true))).expect("it listens");
    let (reply, bound) = read_bound(&mut stream, Some(key()));
    assert_eq!((result_of(&reply), bound), (ResultCode::Success, bond));
    rig.stop();
}

#[test]
fn garbage_closes_the_connection_and_harms_nobody() {
    let rig = Rig::start(None);
    let mut huge = sealed(&ClientRequest::List, None);
    huge[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut peer = sealed(&ClientRequest::List, None);
    peer[28..32].copy_from_slice(b"HrtB");
    for bytes in [vec![0u8; 200], huge, peer, b"GET / HTTP/1.0\r\n\r\n".repeat(5)] {
        let mut stream = rig.connect();
        stream.write_all(&bytes).expect("sent");
        assert!(is_closed(&mut stream));
    }
    assert!(rig.seen.try_recv().is_err(), "the engine is not bothered");
    rig.stop();
}

#[test]
fn while_the_engine_takes_nothing_clients_are_let_go_after_two_seconds() {
    let (queue, queue_end) = bounded(CLIENT_QUEUE);
    while queue.try_send(FromClient::Gone { client: ClientId(0) }).is_ok() {}
    assert_eq!(queue_end.len(), CLIENT_QUEUE);
    let rig = Rig::with_queue(None, (queue, Steps::default()), unbounded().1, unbounded().0);
    let begun = Instant::now();
    let mut streams: Vec<TcpStream> = (0..8).map(|_| rig.connect()).collect();
    for stream in &mut streams {
        stream.write_all(&sealed(&ClientRequest::List, None)).expect("sent");
    }
    assert!(streams.iter_mut().all(is_closed));
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(queue_end.len(), CLIENT_QUEUE);
    rig.stop();
}

#[test]
fn a_silent_client_is_closed_after_two_seconds() {
    let rig = Rig::start(None);
    let mut stream = rig.connect();
    let begun = Instant::now();
    assert!(is_closed(&mut stream));
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(4), "{took:?}");
    rig.stop();
}

#[test]
fn hundreds_of_silent_clients_keep_nobody_out() {
    let rig = Rig::start(None);
    let silent: Vec<TcpStream> = (0..3 * CONNECTIONS_MAX).map(|_| rig.connect()).collect();
    let begun = Instant::now();
    let mut stream = rig.connect();
    stream.write_all(&sealed(&ClientRequest::List, None)).expect("sent");
    assert_eq!(read_reply(&mut stream, None), ClientReply::List(LIST.to_owned()));
    // Nobody had to wait for the two seconds that a silent client is given.
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    drop(silent);
    rig.stop();
}

#[test]
fn waiting_clients_are_let_go_when_the_daemon_stops() {
    let rig = Rig::start(None);
    let mut streams: Vec<TcpStream> = (0..8).map(|_| rig.connect()).collect();
    for stream in &mut streams {
        stream.write_all(&sealed(&grant(true), None)).expect("sent");
    }
    for _ in 0..8 {
        rig.next_client();
    }
    rig.stop();
    assert!(streams.iter_mut().all(is_closed));
}

#[test]
fn clients_that_wait_for_ever_leave_room_for_others() {
    let rig = Rig::start(None);
    let ask = || {
        let mut stream = rig.connect();
        stream.write_all(&sealed(&grant(true), None)).expect("sent");
        stream
    };
    let mut waiting = Vec::new();
    for _ in 0..GRANTS_MAX {
        waiting.push(ask());
        rig.next_client();
    }
    for _ in 0..8 {
        let mut more = ask();
        assert_eq!(result_of(&read_reply(&mut more, None)), ResultCode::Busy, "one more");
        assert!(is_closed(&mut more));
    }
    let mut stream = rig.connect();
    stream.write_all(&sealed(&ClientRequest::List, None)).expect("sent");
    assert_eq!(read_reply(&mut stream, None), ClientReply::List(LIST.to_owned()));
    rig.stop();
}
