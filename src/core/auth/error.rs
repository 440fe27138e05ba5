// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a packet is not accepted.

use crate::model::MemberId;
use crate::time::{Span, WallTime};
use crate::wire::WireError;
use core::fmt;

/// Why a packet is not accepted. [`AuthError::is_invalid`] says how it counts in `booth peers`. The
/// sender is the one that the packet names; it is proven only if the MAC was right, as stated
/// below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// The bytes are not a packet.
    Malformed {
        /// The sender that it names, if that could be read.
        from: Option<MemberId>,
        /// Why they are not a packet.
        error: WireError,
    },
    /// A key is configured here, and the packet has no authentication.
    NotAuthenticated {
        /// The sender that it names.
        from: MemberId,
    },
    /// The packet is authenticated, and no key is configured here.
    NoKeyHere {
        /// The sender that it names.
        from: MemberId,
    },
    /// The packet is authenticated by another kind of hash.
    HashId {
        /// The sender that it names.
        from: MemberId,
        /// The hash id; that of HMAC-SHA1 is 2.
        id: u32,
    },
    /// The MAC is wrong: another key, or changed bytes.
    WrongMac {
        /// The sender that it names.
        from: MemberId,
    },
    /// The stamp is older than `maxtimeskew` allows; the MAC is right.
    TooOld {
        /// The sender, proven by the MAC.
        from: MemberId,
        /// How far the stamp is behind our clock.
        by: Span,
    },
    /// The stamp is newer than `maxtimeskew` allows; the MAC is right.
    TooNew {
        /// The sender, proven by the MAC.
        from: MemberId,
        /// How far the stamp is ahead of our clock.
        by: Span,
    },
    /// The packet was accepted before; the MAC is right.
    Replay {
        /// The sender, proven by the MAC.
        from: MemberId,
    },
    /// The packet is so old that we no longer know whether it was accepted before; the MAC is
    /// right. This happens after a flood, or if the sender's clock was set back.
    Forgotten {
        /// The sender, proven by the MAC.
        from: MemberId,
        /// Stamps of this sender must be later than this.
        after: WallTime,
    },
    /// There is no room to remember another packet of this sender; the MAC is right.
    Crowded {
        /// The sender, proven by the MAC.
        from: MemberId,
    },
    /// The packet is bound to another member; the MAC is right.
    Elsewhere {
        /// The sender, proven by the MAC.
        from: MemberId,
    },
    /// The packet is bound to another member or to an earlier life of this one; the MAC is right.
    OtherLife {
        /// The sender, proven by the MAC.
        from: MemberId,
    },
    /// The answer is bound to another request; the MAC is right.
    OtherRequest {
        /// The sender, proven by the MAC.
        from: MemberId,
    },
    /// The sender is not a member; the MAC is right.
    Stranger {
        /// The sender, proven by the MAC.
        from: MemberId,
    },
}

impl AuthError {
    /// Whether the packet counts as `invalid` and not as `authfail`.
    pub const fn is_invalid(&self) -> bool {
        match self {
            AuthError::Malformed { .. } | AuthError::Stranger { .. } => true,
            AuthError::NotAuthenticated { .. }
            | AuthError::NoKeyHere { .. }
            | AuthError::HashId { .. }
            | AuthError::WrongMac { .. }
            | AuthError::TooOld { .. }
            | AuthError::TooNew { .. }
            | AuthError::Replay { .. }
            | AuthError::Forgotten { .. }
            | AuthError::Crowded { .. }
            | AuthError::Elsewhere { .. }
            | AuthError::OtherLife { .. }
            | AuthError::OtherRequest { .. } => false,
        }
    }

    /// The sender that the packet names, if it names one.
    pub const fn sender(&self) -> Option<MemberId> {
        match self {
            AuthError::Malformed { from, .. } => *from,
            AuthError::NotAuthenticated { from }
            | AuthError::NoKeyHere { from }
            | AuthError::HashId { from, .. }
            | AuthError::WrongMac { from }
            | AuthError::TooOld { from, .. }
            | AuthError::TooNew { from, .. }
            | AuthError::Replay { from }
            | AuthError::Forgotten { from, .. }
            | AuthError::Crowded { from }
            | AuthError::Elsewhere { from }
            | AuthError::OtherLife { from }
            | AuthError::OtherRequest { from }
            | AuthError::Stranger { from } => Some(*from),
        }
    }
}

/// Only the reason; the caller adds the sender from [`AuthError::sender`].
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Malformed { error, .. } => error.fmt(f),
            AuthError::NotAuthenticated { .. } => {
                write!(f, "not authenticated, but a key is configured here")
            }
            AuthError::NoKeyHere { .. } => {
                write!(f, "authenticated, but no key is configured here")
            }
            AuthError::HashId { id, .. } => {
                write!(f, "authenticated by hash {id}, only 2 (HMAC-SHA1) is known")
            }
            AuthError::WrongMac { .. } => write!(f, "wrong MAC; is the key the same everywhere?"),
            AuthError::TooOld { by, .. } => {
                write!(f, "stamped {by} before our time: a clock is off, or it is a replay")
            }
            AuthError::TooNew { by, .. } => {
                write!(f, "stamped {by} after our time: a clock is off")
            }
            AuthError::Replay { .. } => write!(f, "replay of a packet that came before"),
            AuthError::Forgotten { after, .. } => write!(
                f,
                "too old to tell whether it came before (not after {} s since the epoch); \
                 was its clock set back?",
                after.as_secs()
            ),
            AuthError::Crowded { .. } => write!(f, "more packets than can be remembered"),
            AuthError::Elsewhere { .. } => {
                write!(f, "meant for another member: a replay, or the configurations differ")
            }
            AuthError::OtherLife { .. } => write!(
                f,
                "meant for another member, or for this one before it was restarted: a replay, or \
                 the configurations differ"
            ),
            AuthError::OtherRequest { .. } => write!(f, "answers another request: a replay"),
            AuthError::Stranger { .. } => write!(f, "sender is no member"),
        }
    }
}

impl core::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            AuthError::Malformed { error, .. } => Some(error),
            AuthError::NotAuthenticated { .. }
            | AuthError::NoKeyHere { .. }
            | AuthError::HashId { .. }
            | AuthError::WrongMac { .. }
            | AuthError::TooOld { .. }
            | AuthError::TooNew { .. }
            | AuthError::Replay { .. }
            | AuthError::Forgotten { .. }
            | AuthError::Crowded { .. }
            | AuthError::Elsewhere { .. }
            | AuthError::OtherLife { .. }
            | AuthError::OtherRequest { .. }
            | AuthError::Stranger { .. } => None,
        }
    }
}
