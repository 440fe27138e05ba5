// SPDX-License-Identifier: GPL-2.0-or-later
//! Looking at processes through /proc, and waiting for what must come true.

use std::fs;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is true; fails with `what` if that does not come.
pub fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(2);
    while !true_now() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(pause);
        // A look at all processes costs something, and others need the machine, too.
        pause = (pause * 2).min(Duration::from_millis(40));
    }
}

/// The sum of a field of /proc/PID/smaps_rollup in kB.
pub fn memory(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} in {text}"))
}

/// How often a process has gone to sleep by itself.
pub fn sleeps(pid: u32) -> u64 {
    let text = status(pid, "voluntary_ctxt_switches").expect("it lives");
    text.parse().expect("a number")
}

/// A field of /proc/PID/status.
pub fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

/// Whether a process runs; one that has ended and only waits to be collected does not.
pub fn lives(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// The arguments of a process.
pub fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// All processes that a site's driver has started, and the driver: they have it in the
/// environment.
pub fn of_site(dir: &str) -> Vec<u32> {
    let wanted = format!("{}={dir}", crate::driver::DIR);
    let entries = fs::read_dir("/proc").expect("there is /proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

/// Those of them whose arguments begin with this name, or a path that ends with it.
pub fn named(name: &str, dir: &str) -> Vec<u32> {
    let named = |pid: &u32| {
        let all = arguments(*pid);
        all.first().and_then(|first| first.rsplit('/').next()).is_some_and(|last| last == name)
    };
    of_site(dir).into_iter().filter(named).collect()
}

/// The session and the process group of a process.
pub fn session_and_group(pid: u32) -> (u32, u32) {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = text.rsplit_once(')').expect("a name in parentheses").1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    (fields[3].parse().expect("a number"), fields[2].parse().expect("a number"))
}

/// The process that has started another.
pub fn parent(pid: u32) -> Option<u32> {
    status(pid, "PPid")?.parse().ok()
}

/// Waits for a time that is part of the test.
pub fn pass(time: Duration) {
    let begun = Instant::now();
    until("time has passed", || begun.elapsed() >= time);
}

/// Sends a signal to one process.
pub fn signal(pid: u32, number: i32) {
    let pid = i32::try_from(pid).expect("a pid");
    assert!(pid > 1);
    // SAFETY: the call takes two numbers, and the process is one that this test started.
    let result = unsafe { libc::kill(pid, number) };
    assert_eq!(result, 0, "the process is there");
}
