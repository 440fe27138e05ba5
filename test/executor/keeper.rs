// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper as a process: what it costs, what ends with it, what it survives, and who revokes
//! when it, or boothd, or both are killed or stopped.

use crate::guarding::revoked_at;
use crate::process::{
    arguments, lives, memory, named, pass, session_and_group, signal, sleeps, status, until,
};
use crate::site::{both, Driver, Kind, Site};
use booth::sys::clock;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn sleeps_now(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| state.starts_with('S'))
}

#[test]
fn the_keeper_is_small_has_its_own_session_and_no_name_that_agents_look_for() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 60_000);
        let keeper = site.keeper();
        assert_eq!(session_and_group(keeper), (keeper, keeper));
        let arguments = arguments(keeper).join(" ");
        assert!(arguments.starts_with("booth-keeper "), "{arguments}");
        assert!(!arguments.contains("boothd"), "{arguments}");
        let name = status(keeper, "Name").expect("it lives");
        assert_eq!(name, "booth-keeper");
        let program = fs::read_link(format!("/proc/{keeper}/exe")).expect("it lives");
        assert!(!program.ends_with("boothd"), "{program:?}");
        let anonymous = status(keeper, "RssAnon").expect("it lives");
        let kilobytes: u64 = anonymous.split(' ').next().and_then(|n| n.parse().ok()).expect("kB");
        println!("the keeper has {kilobytes} kB of its own");
        assert!(kilobytes <= 1024, "{kilobytes} kB");
        let [private, anonymous] = ["Private_Dirty", "Anonymous"].map(|f| memory(keeper, f));
        println!("Private_Dirty {private} kB, Anonymous {anonymous} kB");
        assert!(private <= 1024 && anonymous <= 1024, "{private} kB, {anonymous} kB");
    });
}

/// What the descriptors of a process are, without numbers.
fn descriptors(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let mut names: Vec<String> = links
        .map(|link| link.to_string_lossy().split(":[").next().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

/// Whoever has started boothd may have left some open; what jobs need is closed when they end.
#[test]
fn the_keeper_has_no_descriptors_but_those_that_it_needs() {
    both(|kind| {
        let site = Site::new(kind);
        site.program("outer", "exec 7</dev/zero 8</dev/zero; exec \"$@\"");
        let inner = site.command();
        let mut command = Command::new(site.path("outer"));
        command.arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut driver = site.start_with(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        driver.grant(0, 7, 60_000);
        driver.tell("set 0 1 geo v 20000");
        assert_eq!(driver.next(), "attr 1 Written");
        let keeper = site.keeper();
        let run = site.path("run").display().to_string();
        let mut expected: Vec<String> =
            ["/dev/null", "/dev/null", "/dev/null", "anon_inode", "socket", "socket"]
                .map(str::to_owned)
                .to_vec();
        expected.extend([run.clone(), format!("{run}/in-flight")]);
        let wanted = |expected: &[String]| {
            let mut expected = expected.to_vec();
            expected.sort();
            until("only those are open", || descriptors(keeper) == expected);
        };
        wanted(&expected);
        // Without boothd there is only the socket on which the next one comes.
        driver.kill();
        expected.remove(5);
        wanted(&expected);
    });
}

#[test]
fn a_keeper_with_nothing_near_does_not_wake() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 600_000);
        let keeper = site.keeper();
        pass(Duration::from_millis(700));
        until("the keeper sleeps", || sleeps_now(keeper));
        let before = sleeps(keeper);
        pass(Duration::from_secs(4));
        assert_eq!(sleeps(keeper), before, "{kind:?}: woken");
        // Nor when its daemon is gone: it has only to notice that, once.
        driver.kill();
        until("it has noticed", || sleeps_now(keeper) && sleeps(keeper) > before);
        let before = sleeps(keeper);
        pass(Duration::from_secs(4));
        assert_eq!(sleeps(keeper), before, "{kind:?}: woken");
        assert!(lives(keeper));
    });
}

/// As an init script or an agent may do it.
#[test]
fn a_signal_to_the_group_and_session_of_boothd_leaves_the_keeper() {
    both(|kind| {
        let site = Site::new(kind);
        let mut command = site.command();
        // SAFETY: the call takes nothing and is allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                Ok(())
            });
        }
        let mut driver = site.start_with(&mut command);
        let begun = Instant::now();
        driver.grant(0, 7, 2_000);
        let (keeper, pid) = (site.keeper(), driver.id());
        assert_eq!(session_and_group(pid), (pid, pid));
        let group = i32::try_from(pid).expect("a pid");
        // SAFETY: the call takes two numbers; the group is that of the driver.
        assert_eq!(unsafe { libc::kill(-group, libc::SIGKILL) }, 0);
        until("the driver is dead", || !lives(pid));
        assert!(lives(keeper));
        assert_ne!(session_and_group(keeper).0, pid);
        revoked_at(&site, begun, Duration::from_millis(2_000));
    });
}

/// Otherwise a change could come late that nobody waits for.
#[test]
fn what_the_keeper_has_started_ends_with_it() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.hold(0, 1, 600_000);
    for (n, operation) in ["grant", "attr", "revoke"].into_iter().enumerate() {
        site.control(&format!("{operation} stubborn\n"));
        match operation {
            "attr" => driver.tell(&format!("set 0 {n} geo v 60000")),
            _ => driver.tell(&format!("{operation} 0 {n} 1 60000")),
        }
        let calls = site.calls().len();
        let hung = site.call(operation, 0);
        assert!(site.calls().len() >= calls.max(1));
        signal(site.keeper(), libc::SIGKILL);
        until("it has ended", || !lives(hung));
        site.control("");
        let said = driver.next();
        assert!(said.ends_with(" Written"), "{said}: the next keeper makes it");
    }
}

/// A grant in flight when the keeper is killed is made once more, after *g*, or not at all if its
/// time has come; a revoke at once.
#[test]
fn a_keeper_killed_while_it_changes_the_store_loses_nothing() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = Duration::from_millis(1_500);
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    driver.hold(0, 1, 600_000);
    site.control("grant delay 0.7\n");
    driver.tell("grant 0 1 1 60000");
    site.call("grant", 0);
    let killed = Instant::now();
    signal(site.keeper(), libc::SIGKILL);
    site.call("grant", 1);
    assert!(killed.elapsed() >= site.guard, "again after {:?}", killed.elapsed());
    assert_eq!(driver.next(), "written 1 Written");
    site.control("revoke delay 0.7\n");
    driver.tell("revoke 0 2 1 60000");
    site.call("revoke", 0);
    let killed = Instant::now();
    signal(site.keeper(), libc::SIGKILL);
    site.call("revoke", 1);
    assert!(killed.elapsed() < site.guard, "again after {:?}", killed.elapsed());
    assert_eq!(driver.next(), "written 2 Written");
    assert!(!site.is_granted(0));
    // Its window ends before *g* is over.
    driver.tell("hold 0 2 4000 6000 1200 2500");
    site.control("grant stubborn\n");
    driver.tell("grant 0 3 2 60000");
    site.call("grant", 2);
    signal(site.keeper(), libc::SIGKILL);
    assert_eq!(driver.next(), "written 3 TooLate");
    assert!(!site.is_granted(0));
}

/// At the end of the window boothd wants the ticket revoked, and sees that nobody listens.
#[test]
fn a_stopped_keeper_with_a_window_near_is_replaced_in_time() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(2_500);
        let mut driver = site.start();
        driver.tell("hold 0 1 600000 640000 500000 550000");
        driver.tell("grant 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written");
        driver.tell("hold 0 1 3000 6000 0 500");
        driver.all_told();
        let old = site.keeper();
        signal(old, libc::SIGSTOP);
        let hold_until = site.hold_until(0);
        until("the window ends", || clock::mono() >= hold_until);
        driver.tell("revoke 0 2 1 60000");
        assert_eq!(driver.next(), "written 2 Written", "{kind:?}");
        let late = clock::mono().since(hold_until).as_duration();
        println!("{kind:?}: {late:?} after the end of the window");
        assert!(late < site.guard, "{kind:?}: {late:?}");
        assert!(!site.is_granted(0) && !lives(old));
        // One that goes on by itself is not replaced.
        let keeper = site.keeper();
        signal(keeper, libc::SIGSTOP);
        driver.tell("set 0 3 geo v 60000");
        pass(Duration::from_millis(200));
        signal(keeper, libc::SIGCONT);
        assert_eq!(driver.next(), "attr 3 Written");
        assert_eq!(site.keepers(), [keeper]);
    });
}

/// What was told while it was stopped counts.
#[test]
fn a_keeper_that_goes_on_has_heard_everything() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 600_000);
        let keeper = site.keeper();
        signal(keeper, libc::SIGSTOP);
        let begun = Instant::now();
        driver.hold(0, 7, 2_000);
        driver.all_told();
        driver.kill();
        signal(keeper, libc::SIGCONT);
        revoked_at(&site, begun, Duration::from_millis(2_000));
    });
}

/// Nobody is left who could revoke (condition 4 of the promise): the next boothd of this node
/// learns what the store says, after *g* where others may have changed it, and guards it anew.
#[test]
fn when_both_are_killed_the_next_daemon_finds_what_the_store_says() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(1_500);
        let mut driver = site.start();
        driver.tell("hold 0 7 600000 640000 500000 550000");
        driver.tell("grant 0 1 7 60000");
        assert_eq!(driver.next(), "written 1 Written");
        let (_, _, expires) = site.stored(0).expect("there");
        driver.tell("hold 0 7 1000 2600 0 500");
        driver.all_told();
        until("nothing is in flight", || site.mark() != "1");
        let keeper = site.keeper();
        driver.kill();
        signal(keeper, libc::SIGKILL);
        pass(Duration::from_secs(2));
        assert!(site.is_granted(0), "{kind:?}");
        // The guard is counted from the start, which may take a while.
        let begun = Instant::now();
        let mut driver = site.start();
        driver.tell("load 0 60000");
        let said = driver.next();
        assert_eq!(expires_in(&said), Some(expires), "{said}");
        assert_eq!(begun.elapsed() >= site.guard, kind == Kind::Pacemaker, "{kind:?}");
        driver.tell("hold 0 7 500 2600 0 500");
        until("the keeper has revoked the ticket", || !site.is_granted(0));
    });
}

/// The `expires` of a ticket that was read, in seconds.
fn expires_in(said: &str) -> Option<u64> {
    assert!(said.starts_with("loaded 0 Loaded(CibTicket { granted: true"), "{said}");
    let (_, rest) = said.split_once("expires: Some(WallTime")?;
    let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    Some(digits[..end].parse::<u64>().ok()? / 1_000_000)
}

fn load(driver: &mut Driver) -> u64 {
    driver.tell("load 0 20000");
    let said = driver.next();
    expires_in(&said).unwrap_or_else(|| panic!("{said}"))
}

/// The keeper that lives knows the window by a clock that nobody sets, and that goes on while the
/// machine sleeps; the store has only what a wall clock said.
#[test]
fn a_new_daemon_is_ready_at_once_and_has_the_rest_of_its_window() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_secs(6);
        let mut driver = site.start();
        driver.tell("hold 0 7 600000 640000 500000 550000");
        driver.tell("grant 0 1 7 60000");
        assert_eq!(driver.next(), "written 1 Written");
        let (_, _, expires) = site.stored(0).expect("there");
        let keeper = site.keeper();
        // As if the wall clock had been set since.
        site.write(true, 7, expires - 630);
        driver.kill();
        let begun = Instant::now();
        let mut driver = site.start();
        let ready = driver.ready_after;
        let read = load(&mut driver);
        let after = begun.elapsed();
        println!("{kind:?}: ready after {ready:?}, read after {after:?}");
        assert!(ready < site.guard / 2 && after < site.guard, "{ready:?}, {after:?}");
        assert!(read.abs_diff(expires) <= 1, "{read} and not {expires}");
        assert_eq!(site.keepers(), [keeper]);
        // One that the last daemon had prolonged without a grant that was begun.
        driver.tell("hold 0 7 600000 700000 500000 550000");
        driver.all_told();
        driver.kill();
        let mut driver = site.start();
        let read = load(&mut driver);
        assert!((expires + 59..expires + 90).contains(&read), "{read} and not {expires} + 60");
        // What is newer is another node's.
        driver.kill();
        site.write(true, 8, 77);
        let mut driver = site.start();
        assert_eq!(load(&mut driver), 77);
        assert_eq!(site.keepers(), [keeper]);
    });
}

/// boothd is killed, and the keeper with its grant in flight: the next one waits for *g*.
#[test]
fn a_grant_in_flight_when_both_are_killed_is_waited_for() {
    let mut site = Site::new(Kind::Pacemaker);
    site.guard = Duration::from_millis(2_000);
    let mut driver = site.start();
    driver.hold(0, 1, 600_000);
    site.control("grant stubborn\n");
    driver.tell("grant 0 1 1 60000");
    let hung = site.call("grant", 0);
    let keeper = site.keeper();
    driver.kill();
    pass(Duration::from_millis(100));
    assert!(lives(hung) && lives(keeper));
    signal(keeper, libc::SIGKILL);
    let begun = Instant::now();
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    assert!(begun.elapsed() >= site.guard, "{:?}", begun.elapsed());
    assert!(!lives(hung));
}

/// It has learned nothing, so nothing can be lost.
#[test]
fn a_keeper_whose_boothd_died_before_it_said_anything_ends() {
    both(|kind| {
        let site = Site::new(kind);
        let mut args = vec!["12345", "500000", "first", "some"];
        let store = site.path("tickets").display().to_string();
        if kind == Kind::BuiltIn {
            args.push(&store);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_booth"));
        command.arg0("booth-keeper").args(args).env(crate::driver::DIR, site.text());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        command.stdin(fs::File::open(site.path("run")).expect("there"));
        command.stdout(std::os::fd::OwnedFd::from(theirs)).stderr(Stdio::null());
        let mut child = command.spawn().expect("started");
        drop(command);
        until("it is there", || named("booth-keeper", site.text()) == [child.id()]);
        drop(ours);
        until("it ends", || !lives(child.id()));
        child.wait().expect("collected");
    });
}
