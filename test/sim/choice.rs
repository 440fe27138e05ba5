// SPDX-License-Identifier: GPL-2.0-or-later
//! The one source of every choice that the world makes.
//!
//! A choice is asked for by *place* (what kind, between whom, the how-manieth) and its answer is
//! computed from the seed and the place alone. So one choice can be taken out of a run without
//! disturbing the others, which is what shrinking does, and the explorer can put its own answers
//! in place of the seed's.

use booth_core::engine::Effect;
use booth_core::prng::Prng;
use std::collections::BTreeSet;

/// Kinds of choices. Every kind except [`Kind::Jitter`] and [`Kind::Seed`] is a fault: without
/// it the world is calm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Everyday variation: delays within the normal, durations of writes. Not a fault.
    Jitter,
    /// Seeds of engines. Not a fault.
    Seed,
    /// What happens to one datagram on a link.
    Datagram,
    /// How one call of the ticket store's tool goes.
    Store,
    /// How one run of a handler goes.
    Handler,
    /// A timer whose rings are lost until the loop's next look.
    Timer,
    /// A disturbance of the plan, by its number.
    Disturbance,
    /// A process ends, is stopped or cut off in the middle of a step's effects.
    Split,
    /// Something aimed at a restart.
    AtRestart,
    /// Something aimed at a member that has just won or renewed.
    AtLeader,
    /// Something aimed at the instant of a change in a ticket store.
    AtStore,
    /// How long something waits in a queue inside a daemon.
    Queue,
}

/// How many kinds there are.
const KINDS: usize = 12;
/// Places are told apart by two numbers below this.
const SPREAD: usize = 32;

/// The name of one choice of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId {
    /// What kind.
    pub kind: Kind,
    /// Where: usually a member.
    pub a: u8,
    /// Where: usually another member or a ticket.
    pub b: u8,
    /// The how-manieth at this place.
    pub n: u32,
}

/// A question that was asked, for the explorer.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Which.
    pub id: FaultId,
    /// Of a step: at which places of its effects a hit makes a difference, as bits.
    pub places: u64,
    /// The digest of everything that had happened.
    pub digest: u64,
}

/// Where the answers come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From the seed.
    Seed,
    /// From the seed, but only these faults happen; shrinking.
    Only(BTreeSet<FaultId>),
    /// These faults happen, with these answers, and no others; the explorer.
    Script(Vec<(FaultId, u64)>),
}

/// The places of a step at which a hit makes a difference, as bits: before the first effect that
/// others can see, and right after each of them.
pub fn places(effects: &[Effect]) -> u64 {
    let inside = |effect: &Effect| {
        matches!(effect, Effect::Arm { .. } | Effect::Disarm { .. } | Effect::Note(_))
    };
    let mut places = 0;
    for (at, _) in effects.iter().enumerate().filter(|(_, effect)| !inside(effect)) {
        let before = if places == 0 { 1 } else { 0 };
        places |= before | 1u64.checked_shl(at as u32 + 1).unwrap_or(0);
    }
    places
}

/// Answers every choice of a run.
#[derive(Debug)]
pub struct Choices {
    seed: u64,
    source: Source,
    /// Normal variation is the same every time.
    pub calm: bool,
    counters: Vec<u32>,
    taken: Option<Vec<FaultId>>,
    asked: Option<Vec<Asked>>,
}

/// Packs the answers to the questions of one fault, first one first, for [`Source::Script`]. What
/// is asked beyond them gets the highest answer, and so does 255.
pub fn answers(list: &[u8]) -> u64 {
    list.iter().rev().fold(u64::MAX, |packed, answer| (packed << 8) | u64::from(*answer))
}

/// Mixes a number well (the finaliser of a 64-bit split generator).
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Choices {
    /// The choices of a seed.
    pub fn new(seed: u64, source: Source) -> Choices {
        let counters = vec![0; KINDS * SPREAD * SPREAD];
        Choices { seed, source, calm: false, counters, taken: None, asked: None }
    }

    /// Remembers from now on which faults happened.
    pub fn record(&mut self) {
        self.taken = Some(Vec::new());
    }

    /// Remembers from now on which questions were asked.
    pub fn record_questions(&mut self) {
        self.asked = Some(Vec::new());
    }

    /// The faults that happened, in order.
    pub fn taken(&self) -> &[FaultId] {
        self.taken.as_deref().unwrap_or(&[])
    }

    /// The questions that were asked, in order; no more are remembered.
    pub fn stop_asking(&mut self) -> Vec<Asked> {
        self.asked.take().unwrap_or_default()
    }

    /// Whether questions are remembered.
    pub fn asking(&self) -> bool {
        self.asked.is_some()
    }

    /// What is to be known of the question that was asked last.
    pub fn note_asked(&mut self, places: u64, digest: u64) {
        if let Some(last) = self.asked.as_mut().and_then(|asked| asked.last_mut()) {
            (last.places, last.digest) = (places, digest);
        }
    }

    fn place(&mut self, kind: Kind, a: usize, b: usize) -> FaultId {
        let slot = (kind as usize * SPREAD + a % SPREAD) * SPREAD + b % SPREAD;
        let n = self.counters[slot];
        self.counters[slot] = n.wrapping_add(1);
        let low = |x: usize| u8::try_from(x % SPREAD).unwrap_or(0);
        FaultId { kind, a: low(a), b: low(b), n }
    }

    fn hash(&self, id: FaultId) -> u64 {
        let place = (u64::from(id.n) << 24)
            | ((id.kind as u64) << 16)
            | (u64::from(id.a) << 8)
            | u64::from(id.b);
        mix(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(mix(place)))
    }

    /// Whether the next fault of this kind happens here, with a chance of `ppm` in a million;
    /// if it does, the dice for its details.
    pub fn fault(&mut self, kind: Kind, a: usize, b: usize, ppm: u32) -> Option<Dice> {
        let id = self.place(kind, a, b);
        if let Some(asked) = &mut self.asked {
            asked.push(Asked { id, places: 0, digest: 0 });
        }
        let hash = match &self.source {
            Source::Script(script) => {
                let at = script.iter().find(|(place, _)| *place == id)?;
                return Some(Dice::Fixed(at.1));
            }
            Source::Only(keep) if !keep.contains(&id) => return None,
            Source::Only(_) | Source::Seed => self.hash(id),
        };
        if hash % 1_000_000 >= u64::from(ppm) {
            return None;
        }
        if let Some(taken) = &mut self.taken {
            taken.push(id);
        }
        Some(Dice::Random(Prng::new(hash)))
    }

    /// Whether a disturbance of the plan happens at all.
    pub fn disturbance(&mut self, number: usize) -> bool {
        let id = FaultId {
            kind: Kind::Disturbance,
            a: 0,
            b: 0,
            n: u32::try_from(number).unwrap_or(u32::MAX),
        };
        let happens = match &self.source {
            Source::Seed => true,
            Source::Only(keep) => keep.contains(&id),
            Source::Script(script) => script.iter().any(|(place, _)| *place == id),
        };
        if happens {
            if let Some(taken) = &mut self.taken {
                taken.push(id);
            }
        }
        happens
    }

    /// A number in `low..=high`, by everyday variation.
    pub fn jitter(&mut self, a: usize, b: usize, low: u64, high: u64) -> u64 {
        let id = self.place(Kind::Jitter, a, b);
        if self.calm || matches!(self.source, Source::Script(_)) || high <= low {
            return low;
        }
        low + self.hash(id) % (high - low + 1)
    }

    /// A seed for an engine or a guard.
    pub fn seed(&mut self, a: usize) -> u64 {
        let id = self.place(Kind::Seed, a, 0);
        self.hash(id)
    }
}

/// The details of one fault.
#[derive(Debug)]
pub enum Dice {
    /// Drawn.
    Random(Prng),
    /// Given by the explorer: see [`answers`].
    Fixed(u64),
}

impl Dice {
    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        match self {
            Dice::Random(prng) => prng.below(bound),
            Dice::Fixed(answer) => {
                let digit = *answer & 0xFF;
                *answer = (*answer >> 8) | (0xFF << 56);
                let most = bound.saturating_sub(1);
                if digit == 0xFF {
                    most
                } else {
                    digit.min(most)
                }
            }
        }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True with a chance of `percent` in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A length between `low` and `high`, with short and long ones about equally likely.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let low = low.max(1);
        let octaves = u64::from((high.max(low) / low).ilog2());
        let base = low << self.below(octaves + 1);
        self.between(base, (base * 2).min(high.max(base)))
    }
}
