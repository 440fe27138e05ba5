// SPDX-License-Identifier: GPL-2.0-or-later
//! What happens in the random run, and when: drawn from a seed beforehand, or read from a file.
//!
//! All of it stays inside the conditions of the promise (`RULES.md`, "The promise"):
//! a revoke of `crm_ticket` ends within `g` and works, the guards are left alone, nobody says
//! `grant -F`, and no daemon is down, stopped or kept from writing between a step of its wall
//! clock and its next write. A grant may fail, hang or be slow: the program has to end it.
//!
//! Every half minute another choice of kinds is on: a run in which all happen at once hides what
//! needs quiet.

use booth_harness::Weather;
use std::fmt;
use std::time::Duration;

/// Members: two sites, then an arbitrator.
pub const MEMBERS: usize = 3;
/// For how long one choice of kinds is on.
const PHASE: u64 = 30_000;
/// After a step of a wall clock the CIB has been written anew within this, in milliseconds: a
/// renewal or, if there is none, the end of the lease.
const REWRITTEN: u64 = 12_000;
/// The ways in which `crm_ticket` may behave, as its control file has them.
const MOODS: &[&str] = &[
    "grant hang",
    "grant stubborn",
    "grant exit 1",
    "grant delay 3",
    "grant late 3",
    "any delay 0.2",
    "revoke delay 0.4",
    "query delay 1",
];

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL.
    Kill(usize),
    /// A killed daemon starts.
    Start(usize),
    /// SIGSTOP.
    Stop(usize),
    /// SIGCONT.
    Go(usize),
    /// The weather from one member to another.
    Link(usize, usize, Weather),
    /// How a site's `crm_ticket` behaves; "" is well.
    Crm(usize, String),
    /// The syslog daemon reads no more, or again.
    Syslog(bool),
    /// Garbage datagrams to a member, or none any more.
    Flood(usize, bool),
    /// Clients that connect to a member and say nothing, or leave.
    Idle(usize, bool),
    /// A member's wall clock is so many seconds ahead.
    Clock(usize, i64),
    /// A client wants a ticket granted at a site.
    Grant(usize),
    /// A client wants it revoked.
    Revoke(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |is_on: bool| if is_on { "on" } else { "off" };
        match self {
            Fault::Kill(member) => write!(f, "kill {member}"),
            Fault::Start(member) => write!(f, "start {member}"),
            Fault::Stop(member) => write!(f, "stop {member}"),
            Fault::Go(member) => write!(f, "go {member}"),
            Fault::Link(from, to, w) => write!(
                f,
                "link {from} {to} {} {} {} {} {} {}",
                w.loss,
                w.twice,
                w.delay.as_millis(),
                w.jitter.as_millis(),
                on(w.cut),
                on(w.clogged)
            ),
            Fault::Crm(site, mood) => write!(f, "crm {site} {mood}"),
            Fault::Syslog(frozen) => write!(f, "syslog {}", on(*frozen)),
            Fault::Flood(member, is_on) => write!(f, "flood {member} {}", on(*is_on)),
            Fault::Idle(member, is_on) => write!(f, "idle {member} {}", on(*is_on)),
            Fault::Clock(member, ahead) => write!(f, "clock {member} {ahead}"),
            Fault::Grant(site) => write!(f, "grant {site}"),
            Fault::Revoke(site) => write!(f, "revoke {site}"),
        }
    }
}

impl Fault {
    /// Reads what `Display` writes.
    pub fn read(text: &str) -> Option<Fault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (kind, rest) = words.split_first()?;
        let number = |at: usize| rest.get(at)?.parse::<usize>().ok();
        let member = |at: usize| number(at).filter(|member| *member < MEMBERS);
        let is_on = |at: usize| match *rest.get(at)? {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        let millis = |at: usize| Some(Duration::from_millis(number(at)? as u64));
        Some(match *kind {
            "kill" => Fault::Kill(member(0)?),
            "start" => Fault::Start(member(0)?),
            "stop" => Fault::Stop(member(0)?),
            "go" => Fault::Go(member(0)?),
            "link" => {
                let weather = Weather {
                    loss: u8::try_from(number(2)?).ok()?,
                    twice: u8::try_from(number(3)?).ok()?,
                    delay: millis(4)?,
                    jitter: millis(5)?,
                    cut: is_on(6)?,
                    clogged: is_on(7)?,
                };
                Fault::Link(member(0)?, member(1)?, weather)
            }
            "crm" => Fault::Crm(member(0)?, rest[1..].join(" ")),
            "syslog" => Fault::Syslog(is_on(0)?),
            "flood" => Fault::Flood(member(0)?, is_on(1)?),
            "idle" => Fault::Idle(member(0)?, is_on(1)?),
            "clock" => Fault::Clock(member(0)?, rest.get(1)?.parse().ok()?),
            "grant" => Fault::Grant(member(0)?),
            "revoke" => Fault::Revoke(member(0)?),
            _ => return None,
        })
    }
}

/// What happens when, in milliseconds since the beginning, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan(pub Vec<(u64, Fault)>);

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(at, fault)| writeln!(f, "{at} {fault}"))
    }
}

impl Plan {
    /// Reads what `Display` writes. Panics at a line that makes no sense.
    #[track_caller]
    pub fn read(text: &str) -> Plan {
        let event = |line: &str| {
            let (at, fault) = line.trim().split_once(' ')?;
            Some((at.parse().ok()?, Fault::read(fault)?))
        };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let read = |line| event(line).unwrap_or_else(|| panic!("no such fault: {line:?}"));
        Plan(lines.map(read).collect())
    }

    /// Draws a plan for so many milliseconds.
    pub fn draw(seed: u64, time: u64) -> Plan {
        let random = fastrand::Rng::with_seed(seed);
        let mut planner = Planner { random, at: 0, busy: Vec::new(), plan: Plan::default() };
        let (mut kinds, mut gap) = (0, 1000);
        let mut phase_ends = 0;
        while planner.at < time {
            if planner.at >= phase_ends {
                phase_ends = planner.at + PHASE;
                kinds = planner.random.u32(..) | planner.random.u32(..);
                gap = *planner.random.choice(&[800, 2400, 6000]).unwrap_or(&800);
            }
            let kind = planner.random.u32(0..KINDS);
            if kinds & (1 << kind) != 0 {
                planner.draw(kind);
            }
            planner.at += planner.random.u64(1..gap);
        }
        let mut plan = planner.plan;
        plan.0.retain(|(at, _)| *at < time);
        // In order; what was drawn first comes first among those of one time.
        plan.0.sort_by_key(|(at, _)| *at);
        plan
    }
}

/// How many kinds of faults are drawn.
const KINDS: u32 = 14;

/// Something to which only one fault happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Life(usize),
    Link(usize, usize),
    Crm(usize),
    Syslog,
    Flood(usize),
    Idle(usize),
    Administrator,
}

struct Planner {
    random: fastrand::Rng,
    at: u64,
    busy: Vec<(Part, u64)>,
    plan: Plan,
}

impl Planner {
    /// Whether nothing happens to this part now.
    fn is_free(&self, part: Part) -> bool {
        !self.busy.iter().any(|(busy, until)| *busy == part && *until >= self.at)
    }

    /// Something happens for a time, if nothing does to this part already.
    fn episode(&mut self, part: Part, begin: Fault, end: Fault, length: u64) {
        if self.is_free(part) {
            self.busy.push((part, self.at + length));
            self.plan.0.push((self.at, begin));
            self.plan.0.push((self.at + length, end));
        }
    }

    fn draw(&mut self, kind: u32) {
        let member = self.random.usize(0..MEMBERS);
        let other = (member + self.random.usize(1..MEMBERS)) % MEMBERS;
        let site = self.random.usize(0..2);
        // Half of everything is short; a lease is 10 s.
        let most = if self.random.bool() { 4_000 } else { 18_000 };
        let length = self.random.u64(100..most);
        match kind {
            0 => self.episode(Part::Life(member), Fault::Kill(member), Fault::Start(member), 1),
            1 => {
                let (kill, start) = (Fault::Kill(member), Fault::Start(member));
                self.episode(Part::Life(member), kill, start, length);
            }
            2 => self.episode(Part::Life(member), Fault::Stop(member), Fault::Go(member), length),
            3 => self.weather(member, other, length),
            4 => {
                // All that one member says, or all that it hears.
                let says = self.random.bool();
                for other in (0..MEMBERS).filter(|other| *other != member) {
                    let (from, to) = if says { (member, other) } else { (other, member) };
                    self.cut(from, to, length);
                }
            }
            5 => {
                for other in (0..MEMBERS).filter(|other| *other != member) {
                    self.cut(member, other, length);
                    self.cut(other, member, length);
                }
            }
            6 => self.cut(member, other, length),
            7 | 8 => {
                let mood = (*self.random.choice(MOODS).unwrap_or(&"")).to_owned();
                let well = Fault::Crm(site, String::new());
                self.episode(Part::Crm(site), Fault::Crm(site, mood), well, length);
            }
            9 => self.episode(Part::Syslog, Fault::Syslog(true), Fault::Syslog(false), length),
            10 => {
                let (on, off) = (Fault::Flood(member, true), Fault::Flood(member, false));
                self.episode(Part::Flood(member), on, off, length.min(6_000));
            }
            11 => {
                let (on, off) = (Fault::Idle(member, true), Fault::Idle(member, false));
                self.episode(Part::Idle(member), on, off, length);
            }
            12 => self.step(member),
            _ => self.administrator(site),
        }
    }

    /// The weather from one member to another, or everywhere.
    fn weather(&mut self, from: usize, to: usize, length: u64) {
        let mut pick = |from: &[u64]| *self.random.choice(from).unwrap_or(&0);
        let weather = Weather {
            loss: u8::try_from(pick(&[0, 5, 30, 60])).unwrap_or(0),
            twice: u8::try_from(pick(&[10, 20, 50])).unwrap_or(0),
            delay: Duration::from_millis(pick(&[0, 20, 400])),
            jitter: Duration::from_millis(pick(&[0, 100, 2500])),
            cut: false,
            clogged: pick(&[0, 0, 0, 0, 1]) == 1,
        };
        let everywhere = self.random.bool();
        for one in 0..MEMBERS {
            for other in (0..MEMBERS).filter(|other| *other != one) {
                if everywhere || (one, other) == (from, to) {
                    self.link(one, other, weather, length);
                }
            }
        }
    }

    fn cut(&mut self, from: usize, to: usize, length: u64) {
        self.link(from, to, Weather { cut: true, ..Weather::default() }, length);
    }

    fn link(&mut self, from: usize, to: usize, weather: Weather, length: u64) {
        let fair = Fault::Link(from, to, Weather::default());
        self.episode(Part::Link(from, to), Fault::Link(from, to, weather), fair, length);
    }

    /// A step of a wall clock, and time for the CIB to be written by it.
    fn step(&mut self, member: usize) {
        let parts = [Part::Life(member), Part::Crm(member)];
        if parts.iter().all(|part| self.is_free(*part)) {
            self.busy.extend(parts.map(|part| (part, self.at + REWRITTEN)));
            let far = *self.random.choice(&[20, 600]).unwrap_or(&20);
            let ahead = self.random.i64(-far..=far);
            self.plan.0.push((self.at, Fault::Clock(member, ahead)));
        }
    }

    /// Somebody revokes the ticket and wants it somewhere, with some patience.
    fn administrator(&mut self, site: usize) {
        if self.is_free(Part::Administrator) {
            self.busy.push((Part::Administrator, self.at + 60_000));
            for asked in [0, 1] {
                self.plan.0.push((self.at, Fault::Revoke(asked)));
            }
            // Again and again, first where it is wanted, then at both; a ticket that is held
            // already stays where it is.
            for time in 0..15 {
                let asked = if time < 5 || time % 2 == 0 { site } else { 1 - site };
                self.plan.0.push((self.at + 300 + 3_000 * time, Fault::Grant(asked)));
            }
        }
    }
}

#[test]
fn a_plan_can_be_read_again_and_comes_from_its_seed() {
    let plan = Plan::draw(1, 600_000);
    assert!(plan.0.len() > 200, "{} faults", plan.0.len());
    assert_eq!(Plan::read(&plan.to_string()), plan);
    assert_eq!(Plan::draw(1, 600_000), plan);
    assert_ne!(Plan::draw(2, 600_000), plan);
    let all: String = (0..20).map(|seed| Plan::draw(seed, 600_000).to_string()).collect();
    let kinds = "kill start stop go link crm syslog flood idle clock grant revoke";
    for kind in kinds.split(' ') {
        assert!(all.contains(&format!(" {kind} ")), "{kind} never happens");
    }
}

#[test]
fn no_member_is_down_soon_after_its_clock_was_set() {
    for seed in 0..50 {
        let plan = Plan::draw(seed, 600_000).0;
        for (index, (at, fault)) in plan.iter().enumerate() {
            let Fault::Clock(member, _) = fault else { continue };
            let before = plan[..index].iter().rev().find_map(|(_, fault)| match fault {
                Fault::Kill(who) | Fault::Stop(who) if who == member => Some(false),
                Fault::Start(who) | Fault::Go(who) if who == member => Some(true),
                _ => None,
            });
            assert_ne!(before, Some(false), "seed {seed}: set at {at} while it is down");
            let soon = plan[index..].iter().take_while(|(then, _)| *then < at + REWRITTEN);
            for (then, fault) in soon {
                let harmless = match fault {
                    Fault::Kill(who) | Fault::Stop(who) => who != member,
                    Fault::Crm(who, mood) => who != member || mood.is_empty(),
                    _ => true,
                };
                assert!(harmless, "seed {seed}: {fault} at {then}, clock set at {at}");
            }
        }
    }
}
