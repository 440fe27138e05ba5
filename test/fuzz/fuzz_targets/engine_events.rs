// SPDX-License-Identifier: GPL-2.0-or-later
//! libFuzzer's entry to the target of the same name.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (booth_fuzz::target("engine_events").run)(bytes));
