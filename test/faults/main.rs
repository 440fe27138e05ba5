// SPDX-License-Identifier: GPL-2.0-or-later
//! Faults with real processes: kills, stops, hung children, cut links, floods. What is proven
//! each time is the promise of `RULES.md`: no two sites' CIBs say *granted* at one instant,
//! and a healthy majority gets or keeps its ticket. Needs root, and nft for the links.
//!
//! `BOOTH_FAULTS_SECONDS` (default 60) and `BOOTH_FAULTS_SEED` (default 1) steer the random run.

mod children;
mod clocks;
mod floods;
mod guards;
mod keeper_kills;
mod keepers;
mod keepers_found;
mod links;
mod machine;
mod many;
mod plan;
mod processes;
mod random;
mod record;
mod rules;
mod silence;
mod watch;
mod weather;
