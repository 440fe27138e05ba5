// SPDX-License-Identifier: GPL-2.0-or-later
//! Members that are configured with different values of `expire`, as they are while it is being
//! changed (`RULES.md` L4, L5, L9).
//!
//! A lease is a majority of words that are still binding. A member's memory ends with its process,
//! and the only thing that keeps a forgotten word is the grace of the next start, which lasts for
//! the member's *own* `expire` (and more). So no lease may count on a word for longer than that,
//! whatever was promised:
//!
//! - a follower keeps its promise for its own `expire`, or for the validity that the leader states
//!   if that is longer (leaders that count by their own `expire` are served by that, too), but its
//!   ACK states its own `expire`;
//! - the leader counts each word from its send, for its own `expire` or for what the ACK states,
//!   whichever is shorter, so that the lease ends before any member that bears it could have
//!   forgotten its word and be out of grace: a restart after the ACK is a restart after the send,
//!   and its grace lasts for at least what the ACK stated;
//! - where the lease is shorter than `expire`, it is renewed as much more often, and its guard
//!   time is that of the shorter `expire` too: a longer one could leave no time to grant.
//!
//! **Raising** `expire` is therefore safe in any order, with any restarts: a member that starts
//! with the longer value has a grace that covers every word of its earlier life.
//!
//! **Lowering** it by a restart leaves words that the new grace does not cover, and nobody could
//! know. It is safe if the member stays down for the old `expire` first: whatever lease counted on
//! a word of it has ended when it comes back. That holds for each member by itself, so the order
//! does not matter. Who holds the ticket may be restarted at once: while it could grant it was
//! bound to itself only, what it holds after the start is bounded by the start and the *new*
//! `expire`, and its store is revoked then.
//!
//! `tests/expire.rs` shows all of it, and two holders where the pause is left out.

use super::cx::Cx;
use super::effect::{EventKind, NoteLevel};
use super::state::{Leased, OTHER_UNIT};
use super::ticket::Ticket;
use crate::model::MemberIndex;
use crate::time::Span;
use alloc::format;

impl Ticket<Leased> {
    /// The validity that a leader states, as far as it can be its `expire`: nothing if it must be
    /// counted in another unit than this member's.
    pub fn stated_expire(&self, stated: Span) -> Span {
        if stated > self.spec.expire.times(OTHER_UNIT) {
            return Span::ZERO;
        }
        stated
    }

    /// The longest `expire` of all members, as far as they have stated theirs.
    pub fn longest_expire(&self) -> Span {
        self.kind
            .differs
            .0
            .iter()
            .map(|(_, stated)| *stated)
            .max()
            .max(Some(self.spec.expire))
            .unwrap_or_default()
    }

    /// A member that numbers its sends states its `expire`: a difference is logged when it is
    /// first seen, when it changes, and when it is over.
    pub fn note_expire(&mut self, cx: &mut Cx<'_>, from: MemberIndex, stated: Span) {
        let own = self.spec.expire;
        let differing = Some(stated).filter(|stated| *stated != own);
        let before = self.kind.differs.note(from, differing);
        if before == differing {
            return;
        }
        let name = cx.name(from);
        match differing {
            Some(stated) => {
                let text = format!(
                    "expire differs: {stated} at {name}, {own} here; leases count by the shorter"
                );
                self.note(cx, NoteLevel::Warning, &text);
                self.tell(cx, EventKind::ConfigDiffers, Some(from), &text);
            }
            None => {
                let text = format!("expire does not differ at {name} any more");
                self.tell(cx, EventKind::ConfigAgrees, Some(from), &text);
            }
        }
    }

    /// A leader that is followed counts on words of this length: while grace lasts, so may the
    /// words do that this member gave before it started.
    pub fn outlast(&mut self, length: Span) {
        if let Some(grace) = &mut self.kind.grace {
            grace.outlast(length);
        }
    }
}
