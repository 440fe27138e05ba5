// SPDX-License-Identifier: GPL-2.0-or-later
//! Which leaders have answered a member in its grace (L9).

use crate::model::Term;
use crate::wire::{PeerBody, PeerMessage, Round};
use alloc::vec;
use alloc::vec::Vec;

/// What is known of one member while grace lasts.
#[derive(Clone, Debug, Default)]
pub struct Leader {
    /// It has answered this start's STATUS that it leads, in this term.
    pub leads: Option<Term>,
    /// Its newest heartbeat or update, which came before that.
    pub kept: Option<PeerMessage>,
}

/// What a member in grace knows of those who say that they lead.
#[derive(Clone, Debug)]
pub struct Verified(pub Vec<Leader>);

impl Verified {
    /// Nobody has said anything.
    pub fn new(members: usize) -> Verified {
        Verified(vec![Leader::default(); members])
    }

    /// Grace is over: nothing of this is needed any more.
    pub fn clear(&mut self) {
        self.0.fill(Leader::default());
    }
}

/// The round of a heartbeat or update.
fn round_of(message: &PeerMessage) -> Option<Round> {
    match message.body {
        PeerBody::Heartbeat { stamp } | PeerBody::Update { stamp } => stamp.round,
        _ => None,
    }
}

/// Whether `message` was sent after `other`, as far as can be told.
pub fn is_newer(message: &PeerMessage, other: &PeerMessage) -> bool {
    if message.term != other.term {
        return message.term > other.term;
    }
    match (round_of(message), round_of(other)) {
        (Some(new), Some(old)) => new.distance_from(old) >= 0,
        _ => true,
    }
}
