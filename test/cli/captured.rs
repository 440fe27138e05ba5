// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers of the reference's daemon, as captured (`test/vectors/data`).

use crate::server::{Script, Step};
use booth::model::MemberId;
use booth_harness::capture::{captures, Message, Packet};
use std::time::Duration;

/// Where the leader field of an answer lies: behind the header and the ticket's name.
const LEADER_AT: usize = 48 + 64;

/// The captured answer with this result to this request, without authentication.
pub fn answer(request: &str, result: &str) -> Vec<u8> {
    find(request, |reply| reply.code("result") == result)
}

/// The captured answer with text that begins like this.
pub fn text(request: &str, begin: &str) -> Vec<u8> {
    find(request, |reply| {
        let text = reply.fields().get("text").map(|text| text.text().to_owned());
        text.is_some_and(|text| text.starts_with(begin))
    })
}

fn find(request: &str, wanted: impl Fn(&Packet) -> bool) -> Vec<u8> {
    for capture in captures().iter().filter(|c| c.file.starts_with("chead") && c.key.is_none()) {
        for message in &capture.messages {
            let Message::Connection { request: asked, reply } = message else { continue };
            if !asked.iter().any(|p| p.fields.is_some() && p.code("cmd") == request) {
                continue;
            }
            if let Some(packet) = reply.iter().find(|packet| wanted(packet)) {
                return packet.bytes.clone();
            }
        }
    }
    panic!("no such answer to {request} was captured");
}

/// The same answer with another member in its leader field.
pub fn with_leader(mut answer: Vec<u8>, leader: u32) -> Vec<u8> {
    answer[LEADER_AT..LEADER_AT + 4].copy_from_slice(&leader.to_be_bytes());
    answer
}

/// A redirect to this member.
pub fn redirect(to: MemberId) -> Vec<u8> {
    with_leader(answer("CRvk", "Redr"), to.raw())
}

/// The same answer with what ours adds: a cause and the seconds it takes.
pub fn with_cause(mut answer: Vec<u8>, cause: &[u8; 4], secs: u32) -> Vec<u8> {
    answer[36..40].copy_from_slice(&secs.to_be_bytes());
    answer[40..44].copy_from_slice(cause);
    answer
}

/// A script that sends this answer and closes.
pub fn says(answer: &[u8]) -> Script {
    vec![Step::Send(answer.to_vec())]
}

/// A script that sends these answers at once and closes.
pub fn sends(answers: &[Vec<u8>]) -> Script {
    answers.iter().cloned().map(Step::Send).collect()
}

/// A script that sends these answers with a pause before each of them, and closes.
pub fn sends_slowly(answers: &[Vec<u8>], pause: Duration) -> Script {
    let steps = |answer: &Vec<u8>| [Step::Pause(pause), Step::Send(answer.clone())];
    answers.iter().flat_map(steps).collect()
}
