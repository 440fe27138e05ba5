// SPDX-License-Identifier: GPL-2.0-or-later
//! Random lives of a site's daemon: what it holds, reads, grants and has under way, who else writes
//! to the store, how it ends, and whether the store works then. At the end of each window the store
//! must not say *granted* any more, unless somebody else's newer grant stands there; and what has
//! not ended stays as it is (`RULES.md` L6).
//!
//! All is drawn from a seed; `EXECUTOR_SEED` sets another. Nothing depends on how fast the machine
//! is: windows end when everything before has been done, and what must come is waited for.

use crate::process::{pass, signal, until};
use crate::site::{both, Driver, Kind, Site};
use booth::prng::Prng;
use booth::sys::clock;
use std::fs;
use std::time::{Duration, Instant};

/// More than are revoked one by one.
const TICKETS: usize = 12;
const LIVES: usize = 6;
const SEED: u64 = 1;

/// What the daemon does about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Nothing,
    /// It has won, and grants nothing yet.
    Holds,
    /// It reads the store and holds what that says is granted, as a restarted holder does.
    Reads,
    Grants,
    /// It grants, and once more in the same term.
    Renews,
    /// It has a grant under way, which takes its time, when its own ends.
    Hangs,
}

/// What somebody else writes, against what this node has granted or read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Nothing,
    /// A grant of a later term.
    Newer,
    /// One of the same term that is valid for longer.
    Longer,
    /// An older one of the same term, which comes late.
    Shorter,
    /// One of an earlier term.
    Earlier,
}

/// What becomes of the daemon when it has told all windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Stopped,
    Paused,
    LivesOn,
    /// It lives on, and its keeper is killed.
    LosesItsKeeper,
    /// It is killed, and the next one starts at once.
    Restarted,
}

/// What happens to a ticket in one life.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Somebody else writes this before the daemon starts.
    before: Writes,
    does: Does,
    /// And this before the window ends.
    late: Writes,
    /// The window ends after so many milliseconds; `None`: not in this life.
    ends: Option<u64>,
}

/// One life.
#[derive(Debug)]
struct Life {
    parts: Vec<Part>,
    fate: Fate,
    /// The store fails for a while when the windows end.
    fails: bool,
}

fn one_of<T: Copy>(prng: &mut Prng, all: &[T]) -> T {
    all[usize::try_from(prng.below(all.len() as u64)).expect("a small number")]
}

impl Life {
    fn draw(prng: &mut Prng) -> Life {
        use Writes::{Earlier, Longer, Newer, Nothing, Shorter};
        let does = [
            Does::Nothing,
            Does::Holds,
            Does::Reads,
            Does::Reads,
            Does::Grants,
            Does::Renews,
            Does::Hangs,
        ];
        let part = |_| {
            let before = one_of(prng, &[Nothing, Nothing, Newer, Longer]);
            let does = one_of(prng, &does);
            let late = [Nothing, Nothing, Nothing, Nothing, Newer, Longer, Shorter, Earlier];
            let late = one_of(prng, &late);
            let (ends, after) = (prng.below(4) > 0, prng.below(600));
            // What hangs may be written at any time, as long as its window lasts.
            let hangs = does == Does::Hangs;
            let late = if hangs { Nothing } else { late };
            Part { before, does, late, ends: (ends || hangs).then_some(after) }
        };
        let parts = (0..TICKETS).map(part).collect();
        let fates = [
            Fate::Killed,
            Fate::Stopped,
            Fate::Paused,
            Fate::LivesOn,
            Fate::LosesItsKeeper,
            Fate::Restarted,
        ];
        Life { parts, fate: one_of(prng, &fates), fails: prng.below(3) == 0 }
    }
}

/// What is known of a ticket.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Granted, term, expires.
    stored: Option<(bool, u64, u64)>,
    /// The newest grant of this node: term and expires, as it was written or read.
    own: Option<(u64, u64)>,
    /// The last term that was told.
    term: u64,
    /// There is a window that has not ended.
    held: bool,
    /// It may have been revoked or not.
    either: bool,
}

impl Known {
    /// Notes a grant of this node.
    fn granted(&mut self, term: u64, expires: u64) {
        let before = self.own.filter(|own| own.0 == term).map_or(0, |own| own.1);
        self.own = Some((term, expires.max(before)));
    }

    /// Whether the store has a grant that is not for this node to revoke.
    fn is_newer(&self) -> bool {
        self.stored.is_some_and(|(granted, term, expires)| {
            granted && self.own.map_or(term > self.term, |own| (term, expires) > own)
        })
    }
}

struct World {
    kind: Kind,
    site: Site,
    known: Vec<Known>,
    /// The process that knows what this node has granted.
    keeper: u32,
}

impl World {
    fn new(kind: Kind) -> World {
        let mut site = Site::new(kind);
        site.tickets = (0..TICKETS).map(|n| format!("t{n}")).collect();
        World { kind, site, known: vec![Known::default(); TICKETS], keeper: 0 }
    }

    fn live(&mut self, life: &Life) {
        for (n, part) in life.parts.iter().enumerate() {
            assert_eq!(self.site.stored(n), self.known[n].stored, "t{n} has changed since");
            self.write(n, part.before);
        }
        let mut driver = self.site.start();
        self.meet_keeper();
        self.work(life, &mut driver);
        for (n, part) in life.parts.iter().enumerate() {
            self.write(n, part.late);
        }
        if life.fails {
            self.fail();
        }
        let mut ended = Vec::new();
        for (n, part) in life.parts.iter().enumerate() {
            if let Some(after) = part.ends.filter(|_| self.known[n].held) {
                driver.tell(&format!("hold {n} {} {after} 600000 0 {after}", self.known[n].term));
                ended.push(n);
            }
        }
        told(&mut driver);
        let left = self.meet(life.fate, driver);
        if life.fails {
            pass(Duration::from_millis(700));
            self.mend(&ended);
        }
        self.check(life, &ended);
        if life.fate == Fate::LosesItsKeeper {
            self.keeper = self.site.keeper_after(self.keeper);
        }
        // What is left of the daemon is killed now.
        drop(left);
    }

    /// A keeper that has taken the place of another does not know what that one has granted.
    fn meet_keeper(&mut self) {
        until("there is one keeper", || self.site.keepers().len() == 1);
        let keeper = self.site.keeper();
        if self.keeper != keeper {
            self.known.iter_mut().for_each(|known| known.own = None);
        }
        self.keeper = keeper;
    }

    /// Somebody else writes to the store.
    fn write(&mut self, n: usize, what: Writes) {
        let known = &mut self.known[n];
        let (term, expires) = known.own.unwrap_or((known.term, 1_000));
        let (term, expires) = match what {
            Writes::Nothing => return,
            Writes::Newer => (term + 1, 5),
            Writes::Longer => (term, expires + 1),
            Writes::Shorter => (term, expires.saturating_sub(1)),
            Writes::Earlier => (term.saturating_sub(1), expires + 100),
        };
        self.site.write_to(n, true, term, expires);
        known.stored = Some((true, term, expires));
    }

    /// The daemon does its part; every window that it opens is long.
    fn work(&mut self, life: &Life, driver: &mut Driver) {
        let hangs = |n: &usize| life.parts[*n].does == Does::Hangs;
        let lines = (0..TICKETS).filter(hangs).map(|n| format!("t{n}:grant delay 1\n"));
        self.site.control(&lines.collect::<String>());
        let mut events = 0;
        for (n, part) in life.parts.iter().enumerate() {
            let known = &mut self.known[n];
            // The built-in store does not take its time.
            let grants = match part.does {
                Does::Hangs if self.kind == Kind::BuiltIn => 0,
                Does::Grants | Does::Hangs => 1,
                Does::Renews => 2,
                Does::Holds => 0,
                Does::Reads => {
                    driver.tell(&format!("load {n} 20000"));
                    events += 1;
                    continue;
                }
                Does::Nothing => continue,
            };
            known.term = known.term.max(known.stored.map_or(0, |stored| stored.1)) + 1;
            known.held = true;
            driver.tell(&format!("hold {n} {} 600000 600000 600000 600000", known.term));
            for serial in 0..grants {
                let serial = serial * 100 + n;
                driver.tell(&format!("grant {n} {serial} {} 60000", known.term));
            }
            events += if part.does == Does::Hangs { 0 } else { grants };
        }
        while events > 0 {
            let said = driver.next();
            let mut words = said.split(' ').skip(1);
            let serial: usize = words.next().and_then(|word| word.parse().ok()).expect("a number");
            // A slow one may come meanwhile; it counts as one that does not.
            let slow = said.starts_with("written") && serial < TICKETS && hangs(&serial);
            events -= usize::from(!slow);
        }
        self.take_in(life, driver);
    }

    /// Looks what has become of what the daemon did, and holds what it has read.
    fn take_in(&mut self, life: &Life, driver: &mut Driver) {
        for (n, part) in life.parts.iter().enumerate() {
            let known = &mut self.known[n];
            match part.does {
                Does::Grants | Does::Renews => {
                    known.stored = self.site.stored(n);
                    let (granted, term, expires) = known.stored.expect("written");
                    assert!(granted && term == known.term, "t{n}: {:?}", known.stored);
                    known.granted(term, expires);
                }
                Does::Hangs if self.kind == Kind::Pacemaker => {
                    let mut begun = None;
                    until("the grant has begun", || {
                        begun = begun_grant(&self.site, n, known.term);
                        begun.is_some()
                    });
                    known.granted(known.term, begun.expect("until has seen it"));
                }
                Does::Reads => match known.stored {
                    Some((true, term, expires)) => {
                        known.granted(term, expires);
                        (known.term, known.held) = (term, true);
                        driver.tell(&format!("hold {n} {term} 600000 600000 600000 600000"));
                    }
                    Some(_) | None => {
                        known.held = false;
                        driver.tell(&format!("unhold {n} {}", known.term));
                    }
                },
                Does::Nothing | Does::Holds | Does::Hangs => {}
            }
        }
    }

    /// What is left of the daemon then.
    fn meet(&self, fate: Fate, driver: Driver) -> Option<Driver> {
        match fate {
            Fate::Killed => driver.kill(),
            Fate::Stopped => driver.stop(),
            Fate::Paused => {
                driver.pause();
                return Some(driver);
            }
            Fate::LivesOn => return Some(driver),
            Fate::LosesItsKeeper => {
                signal(self.site.keeper(), libc::SIGKILL);
                return Some(driver);
            }
            Fate::Restarted => {
                driver.kill();
                return Some(self.site.start());
            }
        }
        None
    }

    /// Another keeper knows only what boothd has read. What it takes for older, and the one before
    /// for newer, is revoked or not: that depends on which of them has seen the window end.
    fn forget(&mut self, life: &Life, ended: &[usize]) {
        for (n, part) in life.parts.iter().enumerate().filter(|(_, p)| p.does != Does::Reads) {
            let newer = self.known[n].is_newer();
            self.known[n].own = None;
            if ended.contains(&n) && newer && !self.known[n].is_newer() {
                println!("t{n}: {part:?}: by either");
                self.known[n].either = true;
            }
        }
    }

    /// Every use of the store fails from now on.
    fn fail(&self) {
        match self.kind {
            Kind::Pacemaker => self.site.control("any exit 1\n"),
            Kind::BuiltIn => {
                let dir = self.site.path("tickets");
                fs::create_dir_all(&dir).expect("made");
                fs::rename(&dir, self.site.path("away")).expect("renamed");
                fs::write(dir, "no directory").expect("written");
            }
        }
    }

    /// It works again. A keeper that could not read the store revokes: where it can do that, but
    /// could not read just before, it does so with what is newer, too.
    fn mend(&mut self, ended: &[usize]) {
        match self.kind {
            Kind::Pacemaker => {
                self.site.control("grant exit 1\nrevoke exit 1\n");
                // Until each revoke has been tried again, and the store read before.
                pass(Duration::from_millis(1_200));
                self.site.control("");
            }
            Kind::BuiltIn => {
                let dir = self.site.path("tickets");
                fs::remove_file(&dir).expect("removed");
                fs::rename(self.site.path("away"), dir).expect("renamed");
                for n in ended {
                    self.known[*n].either |= self.known[*n].is_newer();
                }
            }
        }
    }

    /// Waits until the keeper has dealt with what has ended, and looks what it has done.
    fn check(&mut self, life: &Life, ended: &[usize]) {
        if life.fate == Fate::LosesItsKeeper {
            self.forget(life, ended);
        }
        let sure = |known: &Known| !known.is_newer() && !known.either;
        for n in ended.iter().copied().filter(|n| sure(&self.known[*n])) {
            until(&format!("t{n} is revoked"), || {
                self.site.stored(n).is_some_and(|stored| !stored.0)
            });
        }
        // What is left alone was looked at with the others, at the end of its window.
        let last = ended.iter().map(|n| self.site.hold_until(*n)).max();
        until("all windows have ended", || last.is_none_or(|last| clock::mono() > last));
        pass(Duration::from_millis(700));
        for (n, part) in life.parts.iter().enumerate() {
            let (known, stored) = (self.known[n], self.site.stored(n));
            let what = format!("t{n}, {part:?}, {known:?}");
            if known.either {
                assert!(stored.is_some(), "{what}");
            } else if ended.contains(&n) && !known.is_newer() {
                assert!(stored.is_some_and(|stored| !stored.0), "{what}: {stored:?}");
            } else {
                assert_eq!(stored, known.stored, "{what}: not to be touched");
            }
            let held = known.held && !ended.contains(&n);
            self.known[n] = Known { stored, held, either: false, ..known };
        }
    }
}

/// Waits until everything that was told is on its way, whatever else is said meanwhile.
fn told(driver: &mut Driver) {
    driver.tell("probe 0 1 0 20000");
    while !driver.next().starts_with("probed 1 ") {}
}

/// The `expires` of the grant in this term that `crm_ticket` was called for.
fn begun_grant(site: &Site, ticket: usize, term: u64) -> Option<u64> {
    let (name, term) = (format!("t{ticket}"), format!("--attr-value={term}"));
    let calls = site.calls();
    let args = calls.iter().rev().find_map(|(_, operation, args)| {
        let this = operation == "grant" && args.contains(&name) && args.contains(&term);
        this.then_some(args)
    })?;
    let at = args.iter().position(|arg| arg == "expires")?;
    args.get(at + 1)?.strip_prefix("--attr-value=")?.parse().ok()
}

#[test]
fn whatever_a_site_s_daemons_do_what_has_ended_is_revoked_and_nothing_else() {
    let seed = std::env::var("EXECUTOR_SEED").map_or(SEED, |text| text.parse().expect("a number"));
    both(|kind| {
        let mut prng = Prng::new(seed);
        let mut world = World::new(kind);
        for number in 0..LIVES {
            let life = Life::draw(&mut prng);
            println!("{kind:?}, seed {seed}, life {number}: {life:?}");
            let begun = Instant::now();
            world.live(&life);
            println!("{kind:?}: {:?}", begun.elapsed());
        }
    });
}
