// SPDX-License-Identifier: GPL-2.0-or-later
//! The way to the other members, as the engine's loop sees it.

use crate::model::{MemberIndex, TicketName};
use crate::wire::{PeerMessage, Probe};

/// The way to the other members; never waits.
pub trait Transport {
    /// Sends a message. False: the kernel did not take it.
    fn send(&mut self, to: MemberIndex, message: &PeerMessage) -> bool;
    /// Sends a probe or its answer, about this ticket.
    fn probe(&mut self, to: MemberIndex, ticket: &TicketName, probe: Probe);
}
