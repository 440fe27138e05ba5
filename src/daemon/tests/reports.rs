// SPDX-License-Identifier: GPL-2.0-or-later
//! Reports that many clients, or one that plays a recorded request again and again, ask for.

use super::clients::{is_closed, key, read_bound, sealed, Rig};
use crate::auth::{bond_of_answers, Key, Sealer};
use crate::daemon::clients::listing::Steps;
use crate::sys::clock;
use crate::wire::{encode_request, ClientReply, ClientRequest};
use std::io::Write;
use std::time::{Duration, Instant};

const REQUEST: ClientRequest = ClientRequest::Report { history: false };

/// Sends these bytes and returns the text of the answer.
fn ask(rig: &Rig, request: &[u8], key: Option<Key>) -> String {
    let mut stream = rig.connect();
    stream.write_all(request).expect("sent");
    let (reply, bond) = read_bound(&mut stream, key);
    assert_eq!(bond, bond_of_answers(request));
    assert!(is_closed(&mut stream));
    let ClientReply::Report(text) = reply else { panic!("no report: {reply:?}") };
    text
}

#[test]
fn however_often_a_recorded_request_is_played_the_engine_is_asked_so_often() {
    let bound = |key: Option<Key>| {
        let sealer = Sealer::new(key);
        let me = super::roster().my_id();
        let packet = encode_request(me.raw(), &REQUEST);
        sealer.seal_bound(packet, clock::wall(), sealer.bond(me, None))
    };
    for request in [sealed(&REQUEST, None), bound(Some(key()))] {
        let key = bond_of_answers(&request).map(|_| key());
        // The engine does something all the time.
        let rig = Rig::start(key.clone());
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (rig, request, key) = (&rig, &request, &key);
                scope.spawn(move || {
                    while begun.elapsed() < Duration::from_millis(600) {
                        ask(rig, request, key.clone());
                    }
                });
            }
        });
        let asked = rig.seen.try_iter().count();
        let most = usize::try_from(begun.elapsed().as_millis() / 20 + 2).expect("few");
        assert!((2..=most).contains(&asked), "the engine was asked {asked} times, not {most}");
        rig.stop();
    }
}

#[test]
fn nobody_gets_a_report_from_before_what_has_happened_before_the_request() {
    let steps = Steps::default();
    let rig = Rig::counting(None, &Steps::default(), steps.clone());
    let request = sealed(&REQUEST, None);
    let mut last = String::new();
    for _ in 0..5 {
        let text = ask(&rig, &request, None);
        assert_ne!(text, last, "a step lies between");
        // Nothing has happened since.
        let again = ask(&rig, &request, None);
        let asked = rig.seen.try_iter().count();
        assert!(asked == 1 && again == text || asked == 2, "{asked}");
        last = again;
        steps.count();
    }
    rig.stop();
}
