// SPDX-License-Identifier: GPL-2.0-or-later
//! libFuzzer's entry to the target of the same name.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (targets::target("argv").run)(bytes));
