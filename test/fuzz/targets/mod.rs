// SPDX-License-Identifier: GPL-2.0-or-later
//! What is fuzzed: one function of bytes for each target. It panics if a promise is broken.
//!
//! Two drivers share these: libFuzzer (`fuzz_targets`, nightly), for which this is a library, and a
//! bounded test on stable (`main.rs`), of which it is a module.

mod argv;
mod client_frame;
mod config_text;
mod datagram;
mod engine_checks;
mod engine_events;
mod key_file;
mod roundtrip;
mod source;
mod ticket_state;

use booth::auth::Key;

/// The key of the captured packets, so that seeds with a MAC open.
pub const SEED_KEY: &[u8] = b"boothlab-vector-key-0123456789";

fn seed_key() -> Option<Key> {
    Some(Key::new(SEED_KEY).expect("it is long enough"))
}

/// A target: its name and what it does with bytes.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 8] = [
    Target { name: "argv", run: argv::run },
    Target { name: "client_frame", run: client_frame::run },
    Target { name: "config_text", run: config_text::run },
    Target { name: "datagram", run: datagram::run },
    Target { name: "engine_events", run: engine_events::run },
    Target { name: "key_file", run: key_file::run },
    Target { name: "roundtrip", run: roundtrip::run },
    Target { name: "ticket_state", run: ticket_state::run },
];

/// The target with this name.
pub fn target(name: &str) -> Target {
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no target {name}"))
}
