// SPDX-License-Identifier: GPL-2.0-or-later
//! The settings in which every case is played: shapes of clusters, whose programs, weather.

use booth_harness::{setup_ticket, under_test, Kind, Need, Setup, Weather};
use std::time::Duration;

/// How many sites and arbitrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two sites, one arbitrator.
    TwoAndOne,
    /// Three sites, two arbitrators.
    ThreeAndTwo,
}

/// Whose programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The program under test everywhere, which is ours if nothing else is said.
    Ours,
    /// Ours at this member, the reference at all others.
    OursAt(usize),
    /// The reference at this member, ours at all others.
    TheirsAt(usize),
}

/// The weather between members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foul {
    /// Fair.
    None,
    /// One datagram of five is lost.
    Loss,
    /// Every datagram takes a fifth of `timeout`, give or take a tenth of that.
    Delay,
    /// One datagram of three arrives twice, the copies at different times.
    Duplicates,
    /// Datagrams overtake each other.
    Reordering,
}

/// Where and how a case is played.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How many members.
    pub shape: Shape,
    /// Whose programs.
    pub whose: Whose,
    /// The weather.
    pub foul: Foul,
}

impl Setting {
    /// How many sites and how many arbitrators.
    pub fn counts(self) -> (usize, usize) {
        match self.shape {
            Shape::TwoAndOne => (2, 1),
            Shape::ThreeAndTwo => (3, 2),
        }
    }

    /// Whose program a member runs.
    pub fn kind(self, member: usize) -> Kind {
        match self.whose {
            Whose::Ours => under_test(),
            Whose::OursAt(ours) if member == ours => Kind::Ours,
            Whose::OursAt(_) => Kind::Theirs,
            Whose::TheirsAt(theirs) if member == theirs => Kind::Theirs,
            Whose::TheirsAt(_) => Kind::Ours,
        }
    }

    /// What it needs of the machine.
    pub fn needs(self) -> &'static [Need] {
        if self.whose == Whose::Ours && under_test() == Kind::Ours {
            &[Need::Root, Need::Tap]
        } else {
            &[Need::Root, Need::Tap, Need::Reference]
        }
    }

    /// The cluster, with these further lines for the ticket `t1`.
    pub fn setup(self, lines: &str) -> Setup {
        let (sites, arbitrators) = self.counts();
        let kinds: Vec<Kind> = (0..sites + arbitrators).map(|member| self.kind(member)).collect();
        let setup = Setup::of(&kinds).tickets(setup_ticket("t1", lines));
        Setup { sites, arbitrators, ..setup }
    }

    /// What the links between members do.
    pub fn weather(self) -> Weather {
        let fair = Weather::default();
        let millis = Duration::from_millis;
        match self.foul {
            Foul::None => fair,
            Foul::Loss => Weather { loss: 20, ..fair },
            Foul::Delay => Weather { delay: millis(180), jitter: millis(40), ..fair },
            Foul::Duplicates => Weather { twice: 33, jitter: millis(100), ..fair },
            Foul::Reordering => Weather { jitter: millis(400), ..fair },
        }
    }

    /// A limit that is `seconds` in fair weather: what was lost is sent again after `timeout`,
    /// and an election that failed is held again.
    pub fn limit(self, seconds: u64) -> Duration {
        let times = if self.foul == Foul::None { 1 } else { 2 };
        Duration::from_secs(seconds) * times
    }
}
