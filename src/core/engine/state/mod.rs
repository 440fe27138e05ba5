// SPDX-License-Identifier: GPL-2.0-or-later
//! What a ticket remembers, one subject a file: values with the rules that concern them alone. None
//! of them knows the ticket; the rules that connect them are in the files beside this folder.

mod announce;
mod attempt;
mod attrs;
pub mod backing;
mod bound;
mod cib;
mod differs;
mod grace;
mod heard;
mod known;
mod lead;
mod lease;
mod leased;
mod manual;
mod objections;
mod outward;
mod phase;
mod probe;
mod quit;
mod requests;
mod stand;
mod verified;

pub use announce::{Announce, AnnounceKind};
pub use attempt::Attempt;
pub use attrs::Attrs;
pub use bound::bound_ended;
pub use cib::{Cib, Said};
pub use differs::OTHER_UNIT;
pub use grace::Grace;
pub use heard::Told;
pub use known::{Known, Unleased, Vote};
pub use lead::{CommitWait, Lead};
pub use lease::{lease_end, lease_length, renewal_pause, resend_pause, window, Link, Promise};
pub use leased::Leased;
pub use manual::{Age, Doubt, Manual, Question, REPEAT};
pub use outward::Outward;
pub use phase::{Loading, Phase};
pub use probe::{Probe, ProbeFor, PROBE_EXTRA};
pub use quit::{Quit, QuitKind};
pub use requests::{GrantJob, Revokers, Wait, Waiter, WAITERS_MAX};
pub use stand::Stand;
pub use verified::is_newer;
