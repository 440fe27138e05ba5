// SPDX-License-Identifier: GPL-2.0-or-later
//! What is left of a panic: this program starts itself again for one that panics.

use crate::daemon::logsink::{LogSink, Target};
use crate::daemon::panics;
use log::LevelFilter;
use std::process::Command;

/// Set for the run that panics.
const INSIDE: &str = "BOOTH_TEST_PANIC";

#[test]
fn a_panic_in_any_thread_is_in_the_log_before_the_process_ends() {
    if let Ok(target) = std::env::var(INSIDE) {
        panic_with(if target == "stderr" { Target::Stderr } else { Target::Syslog });
        return;
    }
    for target in ["stderr", "syslog"] {
        let name = "daemon::tests::panics::a_panic_in_any_thread_is_in_the_log_before_the_process_\
                    ends";
        let text = panicked(name, target);
        let found: Vec<&str> = text.lines().filter(|line| line.contains("because of a")).collect();
        assert_eq!(found.len(), 1, "{text}");
        let line = found[0];
        assert!(line.contains("7 is not 8 (thread engine, src/daemon/tests/panics.rs:"), "{line}");
        assert!(line.contains("boothd ends, because of a bug in it"), "{line}");
        if target == "stderr" {
            assert!(line.contains(" boothd-site: ["), "a line of the log: {line}");
        }
    }
}

#[test]
fn want_of_memory_is_no_bug() {
    if let Ok(target) = std::env::var(INSIDE) {
        assert_eq!(target, "memory");
        let sink = LogSink::start(Target::Stderr, "boothd-site", LevelFilter::Info);
        panics::to_log(sink.expect("started"));
        panic!("failed: {}", std::io::Error::from_raw_os_error(libc::ENOMEM));
    }
    let name = "daemon::tests::panics::want_of_memory_is_no_bug";
    let text = panicked(name, "memory");
    assert!(text.contains("boothd ends, for want of memory: failed: "), "{text}");
    assert!(!text.contains("report it"), "{text}");
}

/// What this program says that runs this test with this in the variable.
fn panicked(test: &str, inside: &str) -> String {
    let own = std::env::current_exe().expect("the running program has a file");
    let mut command = Command::new(own);
    let output = command.args(["--exact", test, "--nocapture"]).env(INSIDE, inside).output();
    String::from_utf8_lossy(&output.expect("run").stderr).into_owned()
}

fn panic_with(target: Target) {
    let sink = LogSink::start(target, "boothd-site", LevelFilter::Info).expect("started");
    panics::to_log(sink);
    let thread = std::thread::Builder::new().name("engine".to_owned());
    let number = 7;
    let panicked = thread.spawn(move || assert!(number == 8, "{number} is not 8"));
    // Tests unwind; the daemon ends here.
    let _ = panicked.expect("started").join();
}
