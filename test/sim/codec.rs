// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages to bytes and back, by the codec and the seal that ship.

use super::choice::Dice;
use super::clock::True;
use booth_core::auth::{Key, Opener, ReplayGuard, Sealer};
use booth_core::engine::{Event, RejectKind};
use booth_core::model::{Holder, MemberId, Roster};
use booth_core::time::{Span, WallTime};
use booth_core::wire::{decode_peer, encode_peer, PeerMessage, TimeUnit};
use std::rc::Rc;

/// `maxtimeskew` of every member.
pub const MAX_SKEW: Span = Span::from_secs(600);
/// How many packets of one member a replay guard remembers here; the daemon's bound is larger.
const REMEMBERED: usize = 1 << 16;

/// A datagram on its way; one that was sent once can arrive many times.
pub type Mail = Rc<Datagram>;

/// A datagram.
#[derive(Debug)]
pub struct Datagram {
    /// What it says.
    pub bytes: Vec<u8>,
    /// When it was sent.
    pub sent: True,
}

/// What every member uses to speak, and to check what it hears.
#[derive(Debug)]
pub struct Codec {
    sealer: Sealer,
    opener: Opener,
    unit: TimeUnit,
    keyed: bool,
    ids: Vec<MemberId>,
}

/// What one process remembers of what it heard.
#[derive(Debug)]
pub struct Ears {
    replay: ReplayGuard,
}

impl Codec {
    /// With a key or without, in whole seconds or milliseconds.
    pub fn new(keyed: bool, millis: bool, ids: Vec<MemberId>) -> Codec {
        // Twenty bytes are a key.
        let key = || keyed.then(|| Key::new(b"a key of the simulator").expect("a long key"));
        let unit = if millis { TimeUnit::Millis } else { TimeUnit::Seconds };
        Codec { sealer: Sealer::new(key()), opener: Opener::new(key(), MAX_SKEW), unit, keyed, ids }
    }

    /// Whether packets are authenticated.
    pub fn keyed(&self) -> bool {
        self.keyed
    }

    /// The memory of a new process.
    pub fn ears(&self) -> Ears {
        let ids = self.ids.iter().copied();
        Ears { replay: ReplayGuard::with_room_for(REMEMBERED, ids, MAX_SKEW) }
    }

    /// Encodes and seals.
    pub fn seal(&self, from: usize, message: &PeerMessage, sent: True, wall: WallTime) -> Mail {
        let bytes = self.sealer.seal(encode_peer(self.ids[from], message, self.unit), wall);
        Rc::new(Datagram { bytes, sent })
    }

    /// What a message reads like once decoded again (S10); times lose what the wire cannot say.
    pub fn again(&self, from: usize, message: &PeerMessage) -> Option<PeerMessage> {
        let packet = encode_peer(self.ids[from], message, self.unit);
        let (id, message) = decode_peer(&packet, self.unit).ok()?;
        (id == self.ids[from]).then_some(message)
    }

    /// How a message reads that does not read as it was meant; `None`: it does.
    pub fn misread(&self, from: usize, message: &PeerMessage) -> Option<String> {
        // *Unknown* is never sent between members.
        let leader = match message.leader {
            Holder::Unknown | Holder::Nobody => Holder::Nobody,
            Holder::Member(id) => Holder::Member(id),
        };
        let again = self.again(from, message);
        let right = again.as_ref().is_some_and(|again| {
            again.body == message.body
                && again.term == message.term
                && again.leader == leader
                && again.valid_for == self.rounded(message.valid_for)
        });
        (!right).then(|| format!("{again:?}"))
    }

    /// The validity as the wire can say it.
    pub fn rounded(&self, span: Span) -> Span {
        self.unit.span(self.unit.number(span))
    }

    /// Opens, checks and decodes a datagram, as the receiver thread of the daemon does.
    pub fn open(&self, ears: &mut Ears, bytes: &[u8], wall: WallTime, roster: &Roster) -> Event {
        let rejected = |from, why| Event::PeerRejected { from, why, count: 1 };
        let opened = match self.opener.open(bytes, wall) {
            Ok(opened) => opened,
            Err(error) => {
                let why = if error.is_invalid() { RejectKind::Invalid } else { RejectKind::Auth };
                return rejected(error.sender(), why);
            }
        };
        let (id, message) = match decode_peer(&opened.packet, self.unit) {
            Ok(decoded) => decoded,
            Err(_) => return rejected(None, RejectKind::Invalid),
        };
        match roster.index_of(id) {
            None => rejected(Some(id), RejectKind::Invalid),
            Some(from) if from == roster.me() => rejected(Some(id), RejectKind::Invalid),
            Some(from) => match ears.replay.admit(opened.proof, wall) {
                Ok(()) => Event::Peer { from, message },
                Err(_) => rejected(Some(id), RejectKind::Auth),
            },
        }
    }
}

/// A copy of a datagram that was damaged on its way. Without keys only such damage is done as
/// no checksum is needed for: the wrong length, a bad magic, version or command.
pub fn damaged(mail: &Datagram, keyed: bool, dice: &mut Dice) -> Mail {
    let mut copy = mail.bytes.clone();
    let places: &[usize] = &[12, 13, 16, 19, 24, 27, 28, 31];
    match dice.below(4) {
        0 => {
            let len = usize::try_from(dice.below(copy.len() as u64)).unwrap_or(0);
            copy.truncate(len);
        }
        1 => copy.extend_from_slice(&[0; 9]),
        _ if keyed => {
            let at = usize::try_from(dice.below(copy.len() as u64)).unwrap_or(0);
            copy[at] ^= 1 << dice.below(8);
        }
        _ => {
            let at = places[usize::try_from(dice.below(places.len() as u64)).unwrap_or(0)];
            copy[at] ^= 0x80;
        }
    }
    Rc::new(Datagram { bytes: copy, sent: mail.sent })
}
