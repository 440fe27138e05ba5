// SPDX-License-Identifier: GPL-2.0-or-later
//! `list` that is answered without the engine, as long as that has done nothing.

use super::clients::{is_closed, key, read_reply, sealed, Rig, LIST};
use crate::auth::Key;
use crate::daemon::clients::listing::Steps;
use crate::wire::{ClientReply, ClientRequest, REQUEST_TAIL};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// So many clients leave at once.
const LEAVING: usize = 16;

/// Asks, and checks the answer.
fn list(rig: &Rig, key: Option<Key>) -> TcpStream {
    let mut stream = rig.connect();
    stream.write_all(&sealed(&ClientRequest::List, key.clone())).expect("sent");
    assert_eq!(read_reply(&mut stream, key), ClientReply::List(LIST.to_owned()));
    stream
}

#[test]
fn the_engine_is_asked_again_only_when_it_has_done_something() {
    for key in [None, Some(key())] {
        let steps = Steps::default();
        let rig = Rig::counting(key.clone(), &Steps::default(), steps.clone());
        for _ in 0..200 {
            assert!(is_closed(&mut list(&rig, key.clone())));
        }
        let asked = rig.seen.try_iter().count();
        assert!((1..100).contains(&asked), "asked {asked} times");
        for _ in 0..20 {
            steps.count();
            assert!(is_closed(&mut list(&rig, key.clone())));
            assert_eq!(rig.seen.try_iter().count(), 1);
        }
        rig.stop();
    }
}

#[test]
fn a_tail_that_comes_late_resets_nothing_however_many_leave() {
    let rig = Rig::counting(None, &Steps::default(), Steps::default());
    list(&rig, None);
    for _ in 0..3 {
        let mut streams: Vec<TcpStream> = (0..LEAVING).map(|_| list(&rig, None)).collect();
        for stream in &mut streams {
            stream.write_all(&[0; REQUEST_TAIL]).expect("taken");
        }
        std::thread::sleep(Duration::from_millis(10));
        for stream in &mut streams {
            assert_eq!(stream.read(&mut [0; 16]).expect("no reset"), 0);
        }
    }
    rig.stop();
}

#[test]
fn a_client_whose_answer_is_known_is_closed_by_itself() {
    let rig = Rig::counting(None, &Steps::default(), Steps::default());
    let _first = list(&rig, None);
    let mut second = list(&rig, None);
    assert_eq!(second.read(&mut [0; 16]).expect("no reset"), 0, "nothing more comes");
    // Sending fails at last: the other end is closed although this client stays.
    let closed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        second.write_all(&[0]).is_err()
    });
    assert!(closed, "it is kept for ever");
    rig.stop();
}
