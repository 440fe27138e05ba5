// SPDX-License-Identifier: GPL-2.0-or-later
//! Binds what leaves to its receiver's present life, and tells what is bound to ours (P9).
//!
//! Who has recorded a packet can send it again: to a member that has not seen it, or to one that
//! has forgotten it because it was restarted. So members of ours bind each packet to the id and
//! the life of its receiver, and let in no bound packet but one for their own. How the lives
//! become known:
//!
//! * Every bound packet carries the life of its sender.
//! * A packet that is not bound to our life is not let in. Its sender does not know it (yet, or
//!   any more) and is told by a HELLO, which is bound to the life that the packet carried: so it
//!   is believed by that sender, and by nobody who has started since.
//! * Who learns a life seals again what it has sent lately to that member, and sends it.
//!
//! A HELLO is half as long as what it answers, there is at most one for a packet, and it is never
//! answered: nobody can multiply packets with it. It goes to the address of the configuration.
//! Members that know each other send none.
//!
//! Packets of the C version, and of clients of it, are bound to nothing, and are let in as ever.
//! Without a key nothing is bound.

use crate::auth::{Bond, Opened, Sealer};
use crate::model::{MemberId, MemberIndex, Roster};
use crate::time::{Now, Span, WallTime};
use crate::wire::{encode_hello, put_life, Life};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was sent to a member that turns out to have been restarted is sent again if it is not
/// older than this: what is older, the engine has sent again itself, or gives up soon.
const AGAIN_WITHIN: Duration = Duration::from_secs(1);
/// So many packets of each member are kept for that: 256 * 124 bytes and 15 members make 0.5 MB.
const AGAIN_MAX: usize = 256;
/// One life of a member is told ours at most this often: packets come in bursts, and one will do.
const HELLO_EVERY: Duration = Duration::from_millis(10);
/// For so many lives of a member that is remembered. Who plays packets of more of them gets more
/// answers, but cannot keep the member from getting its own.
const TOLD_MAX: usize = 8;

/// One daemon, from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    /// Its number.
    pub life: Life,
    /// When it began.
    pub at: Now,
}

/// The bonds between this member and the others.
pub(super) struct Bonds {
    sealer: Sealer,
    me: MemberId,
    life: Life,
    /// What packets for us in this life are bound to; `None` without a key.
    own: Option<Bond>,
    /// In configuration order.
    others: Mutex<Vec<Other>>,
}

/// What is known of a member.
struct Other {
    id: MemberId,
    /// Its life, if it is known.
    life: Option<Life>,
    /// What packets for it are bound to, as far as its life is known.
    bond: Option<Bond>,
    /// The same for a life that is not known.
    unknown: Option<Bond>,
    /// What was sent to it lately, unsealed, the oldest first.
    sent: VecDeque<Sent>,
    /// When which life of it was told ours, the latest last.
    told: VecDeque<(Life, Instant)>,
}

struct Sent {
    at: Instant,
    bond: Bond,
    packet: Vec<u8>,
}

/// To whom a received packet is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// To this member in this life.
    Ours,
    /// To another member.
    Elsewhere,
    /// To this member, in another life or in one that the sender did not know; or to an unknown
    /// life of another member.
    Unsure,
}

impl Bonds {
    /// The bonds of the member of this roster that has begun this life.
    pub(super) fn new(roster: &Roster, sealer: Sealer, life: Life) -> Bonds {
        let other = |index| {
            let id = roster.member(index).id;
            let unknown = sealer.bond(id, None);
            let (sent, told) = (VecDeque::new(), VecDeque::new());
            Other { id, life: None, bond: unknown, unknown, sent, told }
        };
        let others = roster.everyone().iter().map(other).collect();
        let me = roster.my_id();
        let own = sealer.bond(me, Some(life));
        Bonds { sealer, me, life, own, others: Mutex::new(others) }
    }

    fn others(&self) -> MutexGuard<'_, Vec<Other>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals a message for a member, what [`crate::wire::encode_peer`] made, and remembers it
    /// for a while.
    pub(super) fn seal(&self, to: MemberIndex, mut packet: Vec<u8>, wall: WallTime) -> Vec<u8> {
        let mut others = self.others();
        let other = &mut others[to.get()];
        let Some(bond) = other.bond else {
            return self.sealer.seal(packet, wall);
        };
        put_life(&mut packet, self.life);
        if other.sent.len() == AGAIN_MAX {
            other.sent.pop_front();
        }
        other.sent.push_back(Sent { at: Instant::now(), bond, packet: packet.clone() });
        drop(others);
        self.sealer.seal_bound(packet, wall, Some(bond))
    }

    /// To whom a packet with this bond is bound.
    pub(super) fn tie(&self, bond: Bond) -> Tie {
        if self.own == Some(bond) {
            return Tie::Ours;
        }
        let is_for = |other: &Other| {
            other.id != self.me && [other.bond, other.unknown].contains(&Some(bond))
        };
        if self.others().iter().any(is_for) {
            Tie::Elsewhere
        } else {
            Tie::Unsure
        }
    }

    /// Notes the life of a member that has told it in a packet bound to ours. Returns what has
    /// to be sent to it again, because it was not bound to that life.
    pub(super) fn learn(&self, from: MemberIndex, life: Life, wall: WallTime) -> Vec<Vec<u8>> {
        let mut others = self.others();
        let other = &mut others[from.get()];
        if other.life == Some(life) {
            return Vec::new();
        }
        let bond = self.sealer.bond(other.id, Some(life));
        (other.life, other.bond) = (Some(life), bond);
        let now = Instant::now();
        let recent =
            |sent: &Sent| Some(sent.bond) != bond && now.duration_since(sent.at) < AGAIN_WITHIN;
        let sent = std::mem::take(&mut other.sent).into_iter().filter(recent);
        // The same twice, with one stamp, would be a replay.
        let packets: BTreeSet<Vec<u8>> = sent.map(|sent| sent.packet).collect();
        drop(others);
        packets.into_iter().map(|packet| self.sealer.seal_bound(packet, wall, bond)).collect()
    }

    /// The HELLO that tells our life to a member whose packet is not bound to it; `life` is the
    /// one that the packet carried. `None`: it was told a moment ago.
    pub(super) fn hello(&self, to: MemberIndex, life: Life, wall: WallTime) -> Option<Vec<u8>> {
        let mut others = self.others();
        let other = &mut others[to.get()];
        let now = Instant::now();
        let lately = |at: Instant| now.duration_since(at) < HELLO_EVERY;
        if other.told.iter().any(|(told, at)| *told == life && lately(*at)) {
            return None;
        }
        if other.told.len() == TOLD_MAX {
            other.told.pop_front();
        }
        other.told.push_back((life, now));
        let bond = self.sealer.bond(other.id, Some(life));
        drop(others);
        let packet = encode_hello(self.me, self.life);
        Some(self.sealer.seal_bound(packet, wall, bond))
    }
}

/// What a client's request that changes something gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Its way to the memory against replays, which decides.
    Granted,
    /// Our life, to ask again with it: it could be one that our predecessor has let in.
    AskAgain(Life),
    /// A refusal.
    Refused,
}

/// Judges requests of clients by what they are bound to.
///
/// A client does not know the life of the daemon that it asks. It need not: what our
/// predecessor has let in was stamped at most `maxtimeskew` after our start, and later ones
/// are remembered. Only within that time a client has to ask twice.
#[derive(Clone, Debug)]
pub(super) struct ClientBonds {
    life: Life,
    own: Option<Bond>,
    unknown: Option<Bond>,
    /// Our predecessor cannot have let in what is stamped later.
    doubtful: WallTime,
}

impl ClientBonds {
    /// Judges for the member with this id, with the key of `sealer`.
    pub(super) fn new(sealer: &Sealer, me: MemberId, birth: Birth, max_skew: Span) -> ClientBonds {
        let own = sealer.bond(me, Some(birth.life));
        let unknown = sealer.bond(me, None);
        let doubtful = WallTime::from_secs(birth.at.wall.plus(max_skew).as_secs());
        ClientBonds { life: birth.life, own, unknown, doubtful }
    }

    /// What a request gets that was opened. One that is bound to nothing passes: a client of
    /// the C version has sent it, or there is no key.
    pub(super) fn judge(&self, opened: &Opened<'_>) -> Pass {
        let (Some(bond), Some(proof)) = (opened.bond, opened.proof) else {
            return Pass::Granted;
        };
        if self.own == Some(bond) {
            Pass::Granted
        } else if self.unknown != Some(bond) {
            Pass::Refused
        } else if proof.stamp() > self.doubtful {
            Pass::Granted
        } else {
            Pass::AskAgain(self.life)
        }
    }
}
