// SPDX-License-Identifier: GPL-2.0-or-later
//! What one run is made of, drawn from its seed: members, tickets, clocks, rates of faults and a
//! list of disturbances. In every run some faults are off, because a run with all faults hides
//! the ones that need quiet.

use super::aimed::Aimed;
use super::choice::mix;
use super::clock::{True, SECOND};
use super::worlds::Worlds;
use booth_core::model::{MemberRole, TicketMode, TicketName, TicketSpec};
use booth_core::prng::Prng;
use booth_core::time::Span;

/// Everything that a seed decides before the run starts.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The members' roles in configuration order; the first is a site.
    pub roles: Vec<MemberRole>,
    /// The tickets, the same at all members.
    pub tickets: Vec<TicketSpec>,
    /// Whether packets are authenticated.
    pub keyed: bool,
    /// How long the chaos lasts.
    pub chaos: True,
    /// Each member's clocks, for each of the two machines that its boothd may run on.
    pub clocks: Vec<[ClockPlan; 2]>,
    /// The network on an ordinary day and its faults.
    pub net: NetPlan,
    /// The ticket stores' faults.
    pub store: StorePlan,
    /// Chance that a run of a handler fails or hangs.
    pub handler_ppm: u32,
    /// Chance that a ring of a timer is lost, and the next ones with it, for a second at most.
    pub timer_ppm: u32,
    /// Chance that a process is hit between two effects of a step.
    pub split_ppm: u32,
    /// Chance of something aimed at a restart.
    pub at_restart_ppm: u32,
    /// Chance of something aimed at a member that has just renewed.
    pub at_leader_ppm: u32,
    /// Chance of something aimed at a change in a store.
    pub at_store_ppm: u32,
    /// Whether operators override (`-F`): safety is then measured, not asserted.
    pub force: bool,
    /// Kinds of worlds beyond these.
    pub worlds: Worlds,
    /// What happens from outside, by time.
    pub disturbances: Vec<Disturbance>,
}

/// One machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockPlan {
    /// What its boot-time clock shows at the beginning, in microseconds.
    pub boot: u64,
    /// How fast it runs, in millionths.
    pub ppm: i64,
    /// How far its wall clock is off, in microseconds.
    pub wall: i64,
}

/// The network.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetPlan {
    /// Shortest ordinary delay.
    pub delay_min: True,
    /// Longest ordinary delay.
    pub delay_max: True,
    /// Chance that something happens to a datagram.
    pub fault_ppm: u32,
    /// Weights of loss, duplication, lateness and corruption among those.
    pub weights: [u64; 4],
    /// How late a late datagram can be.
    pub late_max: True,
    /// What the links of some pairs of members take longer than the others, both ways.
    pub far: True,
}

/// The ticket stores.
#[derive(Clone, Copy, Debug, Default)]
pub struct StorePlan {
    /// Longest ordinary run in thousandths of the guard time *g*.
    pub usual_permille: u64,
    /// Chance that a call goes wrong.
    pub fault_ppm: u32,
    /// Weights of slow, failing, hanging and lying among those.
    pub weights: [u64; 4],
}

/// Whom a disturbance hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This member.
    Member(u8),
    /// Whoever is granted this ticket at that instant, else the first member.
    Holder(u8),
}

/// Something that happens from outside.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    /// When.
    pub at: True,
    /// To whom.
    pub target: Target,
    /// What.
    pub what: Trouble,
}

/// What can happen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process ends and starts again later with an empty memory.
    Crash {
        /// How long it is away.
        down: True,
        /// It comes back on the site's other machine.
        moves: bool,
        /// It was asked to end (SIGTERM).
        clean: bool,
    },
    /// Its engine's loop has too much to do.
    Busy {
        /// For how long.
        length: True,
        /// The longest time from one round of the loop to the next.
        pause: True,
        /// Old datagrams come in a flood meanwhile.
        flood: bool,
    },
    /// The store of its site loses a ticket.
    Lose {
        /// Which.
        ticket: u8,
    },
    /// The store of its site is ill.
    Sick {
        /// For how long.
        length: True,
        /// In which way.
        what: super::sick::Ailment,
    },
    /// Its configuration is changed; that counts from its next start.
    Configure {
        /// `expire` is this many times the plan's from then on.
        expire: u8,
    },
    /// The machine dies, boothd and its keeper with it.
    MachineDies {
        /// How long boothd is away.
        down: True,
        /// The site has no other machine; the store is lost, too.
        alone: bool,
    },
    /// The keeper of its machine is killed or stopped.
    Keeper {
        /// For how long it is stopped; 0: it is killed.
        length: True,
        /// boothd is, too: down, or stopped, for so long; 0: it is not.
        both: True,
    },
    /// The process is stopped and continued.
    Pause {
        /// For how long.
        length: True,
    },
    /// Links of the member are cut.
    Cut {
        /// For how long.
        length: True,
        /// What it sends is lost.
        out: bool,
        /// What is sent to it is lost.
        into: bool,
        /// Only towards these members.
        peers: u16,
    },
    /// The members split into two groups; bit set: the target's side.
    Split {
        /// For how long.
        length: True,
        /// Which members are on the target's side.
        side: u16,
    },
    /// Only some members hear each other from now on, whatever was cut before.
    Only {
        /// For how long.
        length: True,
        /// Which.
        side: u16,
        /// The others hear each other, too.
        rest: bool,
    },
    /// Links of the member hold everything back and let it all go at the end.
    Clog {
        /// For how long.
        length: True,
        /// Also what is sent to it.
        into: bool,
    },
    /// Its wall clock is set.
    WallJump {
        /// By how much, in microseconds.
        by: i64,
    },
    /// Old datagrams arrive once more.
    Replay {
        /// How many.
        count: u8,
    },
    /// An administrator's command.
    Admin {
        /// Which ticket.
        ticket: u8,
        /// What.
        order: Order,
        /// The connection is closed this early; 0: never.
        patience: True,
    },
    /// Somebody sets an attribute.
    Attribute {
        /// Which ticket.
        ticket: u8,
    },
    /// Something aimed.
    Aim(Aimed),
    /// Garbage arrives.
    Garbage {
        /// How many datagrams.
        count: u8,
    },
}

/// What an administrator orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Grant to the site.
    Grant,
    /// Grant at once, whatever the others say.
    Force,
    /// Revoke, wherever it is.
    Revoke,
}

pub fn pick<T: Copy>(prng: &mut Prng, from: &[T]) -> T {
    let index = usize::try_from(prng.below(from.len() as u64)).unwrap_or(0);
    from[index]
}

/// True with a chance of `percent` in a hundred.
pub fn chance(prng: &mut Prng, percent: u64) -> bool {
    prng.below(100) < percent
}

/// A number in `low..=high`.
pub fn between(prng: &mut Prng, low: u64, high: u64) -> u64 {
    low + prng.below(high.saturating_sub(low) + 1)
}

/// A length between `low` and `high`, every order of magnitude about equally likely.
pub fn spread(prng: &mut Prng, low: u64, high: u64) -> u64 {
    let octaves = u64::from((high.max(low) / low.max(1)).max(1).ilog2());
    let base = low << prng.below(octaves + 1);
    between(prng, base, (base * 2).min(high.max(base)))
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Plan {
        let prng = &mut Prng::new(super::choice::mix(seed ^ 0x706C_616E));
        let roles = super::worlds::crowd(seed).unwrap_or(draw_roles(prng));
        let tickets = draw_tickets(prng, roles.len());
        let mut plan = Plan::draw_around(seed, prng, roles, tickets);
        super::worlds::finish(seed, &mut plan);
        plan
    }

    /// Everything but members and tickets.
    pub fn draw_around(
        seed: u64,
        prng: &mut Prng,
        roles: Vec<MemberRole>,
        tickets: Vec<TicketSpec>,
    ) -> Plan {
        let expire = tickets.iter().map(|spec| spec.expire.as_micros()).max().unwrap_or(SECOND);
        let chaos = expire * between(prng, 6, 24);
        let mut plan = Plan {
            seed,
            keyed: chance(prng, 30),
            chaos,
            clocks: draw_clocks(prng, roles.len()),
            net: draw_net(seed, prng, &tickets),
            store: draw_store(prng),
            handler_ppm: if chance(prng, 30) { pick(prng, &[5_000, 50_000, 200_000]) } else { 0 },
            timer_ppm: if chance(prng, 40) { pick(prng, &[2_000, 20_000]) } else { 0 },
            split_ppm: if chance(prng, 40) { pick(prng, &[1_000, 5_000, 20_000]) } else { 0 },
            at_restart_ppm: if chance(prng, 60) { 400_000 } else { 0 },
            at_leader_ppm: if chance(prng, 40) {
                pick(prng, &[10_000, 50_000, 150_000])
            } else {
                0
            },
            at_store_ppm: if chance(prng, 40) { pick(prng, &[20_000, 100_000]) } else { 0 },
            force: chance(prng, 12),
            worlds: Worlds::default(),
            disturbances: Vec::new(),
            roles,
            tickets,
        };
        super::disturb::draw_disturbances(prng, &mut plan, expire);
        super::machine::draw_deaths(
            &mut Prng::new(super::choice::mix(seed ^ 0x6465_6164)),
            &mut plan,
            expire,
        );
        plan
    }

    /// How many members there are.
    pub fn members(&self) -> usize {
        self.roles.len()
    }

    /// The indices of the sites.
    pub fn sites(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.roles.len()).filter(|m| self.roles[*m] == MemberRole::Site)
    }

    /// Whether the configuration has a time with a millisecond part.
    pub fn millis(&self) -> bool {
        let odd = |span: Span| span.as_micros() % SECOND != 0;
        self.tickets.iter().any(|spec| {
            odd(spec.expire) || odd(spec.timeout) || odd(spec.renewal) || odd(spec.acquire_after)
        })
    }

    /// The longest `expire` of the tickets.
    pub fn expire_max(&self) -> True {
        self.tickets.iter().map(|spec| spec.expire.as_micros()).max().unwrap_or(SECOND)
    }
}

fn draw_roles(prng: &mut Prng) -> Vec<MemberRole> {
    let members = pick(prng, &[2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7, 9]);
    let arbitrators = match members {
        2 => 0,
        3 => pick(prng, &[0, 1, 1, 1]),
        _ => between(prng, 0, members / 2),
    };
    let sites = members - arbitrators;
    (0..members)
        .map(|m| if m < sites { MemberRole::Site } else { MemberRole::Arbitrator })
        .collect()
}

fn draw_tickets(prng: &mut Prng, members: usize) -> Vec<TicketSpec> {
    let count = pick(prng, &[1, 1, 1, 1, 1, 2, 2, 3, 4]);
    let expire = pick(prng, &[10, 20, 30, 60, 60, 600]);
    (0..count).map(|number| draw_ticket(prng, number, expire, members)).collect()
}

fn draw_ticket(prng: &mut Prng, number: u64, expire: u64, members: usize) -> TicketSpec {
    let expire = Span::from_secs(expire);
    let renewal = match prng.below(10) {
        0..=6 => expire.divided(2),
        7 => expire.divided(3),
        8 => expire.divided(4),
        _ => expire.divided(2).plus(expire.divided(5)),
    };
    let retries = pick(prng, &[3, 3, 4, 5, 10]);
    let most = renewal.divided(u64::from(retries) + 2).as_millis();
    let timeout = between(prng, most / 3, most);
    let timeout = if timeout > 1_000 { timeout / 1_000 * 1_000 } else { timeout.max(50) };
    let acquire_after = match prng.below(10) {
        0..=5 => Span::ZERO,
        6..=7 => expire.divided(10),
        8 => expire.divided(3),
        _ => expire,
    };
    let weights = if chance(prng, 30) {
        (0..members).map(|_| i32::try_from(prng.below(4)).unwrap_or(0)).collect()
    } else {
        Vec::new()
    };
    TicketSpec {
        // Letters and a digit are a ticket name.
        name: TicketName::new(&format!("t{number}")).expect("a plain name"),
        mode: if number > 0 && chance(prng, 15) {
            TicketMode::Manual
        } else {
            TicketMode::Automatic
        },
        expire,
        acquire_after,
        timeout: Span::from_millis(timeout),
        retries,
        renewal,
        weights,
        rules: Vec::new(),
        has_handler: chance(prng, 30),
    }
}

fn draw_clocks(prng: &mut Prng, members: usize) -> Vec<[ClockPlan; 2]> {
    let apart = pick(prng, &[0, 100, 2_490, 2_490]);
    let wall_off = pick(prng, &[0, SECOND, 200 * SECOND]);
    (0..members)
        .map(|_| {
            let wall = between(prng, 0, 2 * wall_off) as i64 - wall_off as i64;
            let mut one = || ClockPlan {
                boot: between(prng, SECOND, 1_000_000 * SECOND),
                // The extremes are the interesting rates.
                ppm: pick(prng, &[-1, 1, 1, -1, 0]) * apart,
                wall,
            };
            [one(), one()]
        })
        .collect()
}

fn draw_net(seed: u64, prng: &mut Prng, tickets: &[TicketSpec]) -> NetPlan {
    let timeout = tickets.iter().map(|spec| spec.timeout.as_micros()).min().unwrap_or(SECOND);
    let expire = tickets.iter().map(|spec| spec.expire.as_micros()).max().unwrap_or(SECOND);
    let delay_min = pick(prng, &[100, 1_000, 10_000, 40_000]).min(timeout / 4);
    let delay_max = match prng.below(10) {
        0..=4 => delay_min * 2,
        5..=7 => timeout / 3,
        8 => timeout,
        _ => timeout * 2,
    };
    let mut weights = [0, 0, 0, 0];
    for weight in &mut weights {
        if chance(prng, 60) {
            *weight = between(prng, 1, 8);
        }
    }
    weights[3] = weights[3].min(1);
    let fault_ppm = if weights.iter().sum::<u64>() == 0 {
        0
    } else {
        pick(prng, &[0, 2_000, 20_000, 50_000, 150_000, 300_000])
    };
    let late_max = pick(prng, &[expire / 10, expire, expire * 2, expire * 5]);
    let delay_max = delay_max.max(delay_min);
    NetPlan { delay_min, delay_max, fault_ppm, weights, late_max, far: draw_far(seed, timeout) }
}

/// In one plan of six some pairs of members are farther apart than the others: two that vote are
/// heard before a third one that objects.
pub fn draw_far(seed: u64, timeout: True) -> True {
    let roll = mix(seed ^ 0xFA12);
    let parts = [4, 8, 20, 50][usize::try_from((roll >> 32) % 4).unwrap_or(0)];
    if roll % 6 == 0 {
        timeout / parts
    } else {
        0
    }
}

fn draw_store(prng: &mut Prng) -> StorePlan {
    let mut weights = [0, 0, 0, 0];
    for weight in &mut weights {
        if chance(prng, 60) {
            *weight = between(prng, 1, 8);
        }
    }
    let none = weights.iter().sum::<u64>() == 0;
    StorePlan {
        usual_permille: pick(prng, &[5, 50, 300, 950]),
        fault_ppm: if none { 0 } else { pick(prng, &[0, 0, 10_000, 50_000, 200_000]) },
        weights,
    }
}
