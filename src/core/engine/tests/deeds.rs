// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member did: its messages, writes, windows, questions and answers, with the time.

use crate::engine::{
    CibState, ClientId, Effect, HoldWindow, JobWish, ProbeRun, Reply, StoreWish, WriteSerial,
};
use crate::time::{MonoTime, WallTime};
use crate::wire::{Command, PeerBody, PeerMessage, ResultCode, WaitCause};

/// What a member did, in order.
#[derive(Clone, Debug)]
pub struct Deeds(pub Vec<(MonoTime, Effect)>);

/// One message that a member sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: MonoTime,
    pub to: usize,
    pub message: PeerMessage,
    pub resend: bool,
}

/// A start of the handler.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub run: ProbeRun,
    pub expires: WallTime,
    pub deadline: MonoTime,
}

/// The acknowledgement of a message, if there is one.
pub fn ack(body: PeerBody) -> Option<PeerBody> {
    let (of, round) = match body {
        PeerBody::Heartbeat { stamp } => (Command::Heartbeat, stamp.round),
        PeerBody::Update { stamp } => (Command::Update, stamp.round),
        PeerBody::Revoke { stamp, .. } => (Command::RevokeTicket, stamp.round),
        PeerBody::StepDown { stamp, .. } => (Command::VoteFor, stamp.round),
        _ => return None,
    };
    Some(PeerBody::Ack { of, round })
}

/// The round of a message, if it has one.
pub fn round(body: &PeerBody) -> u32 {
    match body {
        PeerBody::Heartbeat { stamp }
        | PeerBody::Update { stamp }
        | PeerBody::Revoke { stamp, .. }
        | PeerBody::StepDown { stamp, .. } => stamp.round.expect("ours number their sends").get(),
        _ => panic!("no round in {body:?}"),
    }
}

impl Deeds {
    /// The messages whose bodies are wanted.
    pub fn sent(&self, wanted: impl Fn(&PeerBody) -> bool) -> Vec<Sent> {
        let sent = |(at, effect): &(MonoTime, Effect)| match effect {
            Effect::Send { to, message, resend } if wanted(&message.body) => {
                Some(Sent { at: *at, to: to.get(), message: message.clone(), resend: *resend })
            }
            _ => None,
        };
        self.0.iter().filter_map(sent).collect()
    }

    /// Vote requests.
    pub fn requests(&self) -> Vec<Sent> {
        self.sent(|body| matches!(body, PeerBody::ReqVote { .. }))
    }

    pub fn heartbeats(&self) -> Vec<Sent> {
        self.sent(|body| matches!(body, PeerBody::Heartbeat { .. }))
    }

    pub fn updates(&self) -> Vec<Sent> {
        self.sent(|body| matches!(body, PeerBody::Update { .. }))
    }

    /// REVOKE and step-down.
    pub fn announcements(&self) -> Vec<Sent> {
        self.sent(|body| matches!(body, PeerBody::Revoke { .. } | PeerBody::StepDown { .. }))
    }

    /// When it stood for election.
    pub fn stood(&self) -> Vec<MonoTime> {
        let mut times: Vec<MonoTime> = self.requests().iter().map(|sent| sent.at).collect();
        times.dedup();
        times
    }

    /// The writes that it wanted.
    pub fn writes(&self) -> Vec<(WriteSerial, CibState)> {
        let write = |(_, effect): &(MonoTime, Effect)| match effect {
            Effect::Store(StoreWish::WriteCib { serial, state, .. }) => Some((*serial, *state)),
            _ => None,
        };
        self.0.iter().filter_map(write).collect()
    }

    pub fn grants(&self) -> Vec<(WriteSerial, CibState)> {
        self.writes().into_iter().filter(|(_, state)| state.granted).collect()
    }

    pub fn revokes(&self) -> Vec<(WriteSerial, CibState)> {
        self.writes().into_iter().filter(|(_, state)| !state.granted).collect()
    }

    /// The windows that the shell, and so the keeper, was told.
    pub fn windows(&self) -> Vec<Option<HoldWindow>> {
        let told = |(_, effect): &(MonoTime, Effect)| match effect {
            Effect::Store(StoreWish::Hold { window, .. }) => Some(*window),
            _ => None,
        };
        self.0.iter().filter_map(told).collect()
    }

    pub fn probes(&self) -> Vec<Asked> {
        let asked = |(_, effect): &(MonoTime, Effect)| match effect {
            Effect::Job(JobWish::StartProbe { run, expires, deadline, .. }) => {
                Some(Asked { run: *run, expires: *expires, deadline: *deadline })
            }
            _ => None,
        };
        self.0.iter().filter_map(asked).collect()
    }

    /// What a client was told: the result, why it waits, and whether that was all.
    pub fn told(&self, to: ClientId) -> Vec<(ResultCode, Option<WaitCause>, bool)> {
        let told = |(_, effect): &(MonoTime, Effect)| match effect {
            Effect::Reply { client, reply: Reply::Ticket(answer), last } if *client == to => {
                Some((answer.result, answer.cause.map(|(cause, _)| cause), *last))
            }
            Effect::Reply { client, reply: Reply::Result(code), last } if *client == to => {
                Some((*code, None, *last))
            }
            _ => None,
        };
        self.0.iter().filter_map(told).collect()
    }

    /// The last answer to a client, if it came.
    pub fn final_answer(&self, to: ClientId) -> Option<ResultCode> {
        self.told(to).into_iter().find(|(.., last)| *last).map(|(code, ..)| code)
    }
}
