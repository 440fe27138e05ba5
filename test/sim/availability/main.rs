// SPDX-License-Identifier: GPL-2.0-or-later
//! How soon a lost ticket is held again, and what does not lose it, beside the figures at the end
//! of `RULES.md`: three members, `E` = 60 s, `τ` = 3 s, `r` = 5, `A` = 0.
//!
//! `cargo test --test availability -- --nocapture` prints them. `AVAILABILITY_FACTOR=N` in the
//! environment: N times as many runs, with further seeds.

mod healing;
mod kept;
mod lost;

use booth_sim::clock::{True, SECOND};
use booth_sim::quiet::{quiet, three, usual_ticket};
use booth_sim::world::World;

/// The seeds of a figure that is taken from `usual` runs unless more are asked for.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let factor = std::env::var("AVAILABILITY_FACTOR").ok();
    let factor = factor.map_or(1, |text| text.parse().expect("AVAILABILITY_FACTOR is a number"));
    0..usual * factor
}

/// A world of `RULES.md`'s size whose first site holds the ticket.
fn held(seed: u64) -> World {
    booth_sim::quiet::held(quiet(seed, three(), vec![usual_ticket()]))
}

/// Times of many runs.
struct Times(Vec<True>);

impl Times {
    fn of(times: impl Iterator<Item = True>) -> Times {
        let mut times: Vec<True> = times.collect();
        assert!(times.len() >= 100, "medians of a few runs mean nothing");
        times.sort_unstable();
        Times(times)
    }

    /// The time, in seconds, that this part of a thousand of the runs does not exceed.
    fn permille(&self, part: usize) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last * part).div_ceil(1000)] as f64 / SECOND as f64
    }

    /// The first line of the figure: what was measured, beside what `RULES.md` says.
    fn print(&self, what: &str, target: &str) {
        println!(
            "{what}: median {:.2} s, p99 {:.2}, most {:.2} of {} runs (RULES.md: {target})",
            self.permille(500),
            self.permille(990),
            self.permille(1000),
            self.0.len(),
        );
    }

    /// The median is at most a tenth above `RULES.md`'s.
    fn median_within(&self, target: f64) {
        let median = self.permille(500);
        assert!(median <= target * 1.1, "median {median} s, RULES.md {target}");
    }

    /// No more than this is exceeded by this part of a thousand.
    fn at_most(&self, part: usize, target: f64) {
        let time = self.permille(part);
        assert!(time <= target, "{part} in a thousand take up to {time} s, RULES.md {target}");
    }
}
