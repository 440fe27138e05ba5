// SPDX-License-Identifier: GPL-2.0-or-later
//! A command line: arguments are separated by NUL, as they are by the kernel.

use booth::cli::args::{parse, program_of};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

pub fn run(bytes: &[u8]) {
    let mut words = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let argv0 = words.next().unwrap_or_default();
    let program = program_of(&String::from_utf8_lossy(&argv0));
    let argv: Vec<OsString> = words.map(OsString::from_vec).collect();
    let parsed = parse(program, &argv);
    if let Err(error) = &parsed {
        assert!(!error.to_string().is_empty(), "an error has words");
    }
    assert_eq!(parsed, parse(program, &argv), "the same words mean the same");
}
