// SPDX-License-Identifier: GPL-2.0-or-later
//! A keeper that lives but cannot be reached, and what scripts in the place of `crm_ticket` have
//! started: at most one keeper works, and nothing takes effect that nobody waits for.

use crate::process::{lives, pass, signal, until};
use crate::site::{both, Driver, Kind, Site};
use booth::sys::clock;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::time::{Duration, Instant};

/// Connects to the keeper of a site until it has no room for more.
fn fill(site: &Site) -> Vec<Socket> {
    let address = SockAddr::unix(site.path("run/keeper")).expect("short");
    let mut callers = Vec::new();
    for _ in 0..1_000 {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
        socket.set_nonblocking(true).expect("set");
        match socket.connect(&address) {
            Ok(()) => callers.push(socket),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return callers,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("there is always room");
}

/// Grants a ticket for so many milliseconds.
fn granted(site: &Site, kind: Kind, millis: u64) -> Driver {
    let mut driver = site.start();
    driver.grant(0, 7, millis);
    assert!(site.is_granted(0), "{kind:?}");
    until("nothing is in flight", || site.mark() != "1");
    driver
}

#[test]
fn a_stopped_keeper_that_nobody_can_connect_to_is_replaced() {
    both(|kind| {
        let site = Site::new(kind);
        let driver = granted(&site, kind, 600_000);
        let old = site.keeper();
        signal(old, libc::SIGSTOP);
        driver.kill();
        let callers = fill(&site);
        let mut driver = site.start();
        assert!(!lives(old), "{kind:?}: two keepers at a time");
        site.keeper();
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"), "{kind:?}");
        driver.grant(0, 8, 600_000);
        drop(callers);
        site.keeper();
    });
}

/// What it has begun may take effect after it was killed: the mark tells the next one to wait.
#[test]
fn a_stopped_keeper_that_nobody_can_connect_to_is_waited_for() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(2_000);
        let mut driver = site.start();
        driver.tell("hold 0 7 600000 640000 500000 550000");
        driver.tell("grant 0 1 7 60000");
        assert_eq!(driver.next(), "written 1 Written");
        until("nothing is in flight", || site.mark() != "1");
        let old = site.keeper();
        signal(old, libc::SIGSTOP);
        fs::write(site.path("run/in-flight"), "1").expect("written");
        driver.kill();
        let callers = fill(&site);
        let begun = Instant::now();
        let mut driver = site.start();
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"), "{kind:?}");
        // It had *g* to answer, and what it may have begun has as much after its end.
        assert!(begun.elapsed() >= 2 * site.guard, "{kind:?}: {:?}", begun.elapsed());
        assert!(!lives(old), "{kind:?}");
        drop(callers);
    });
}

/// One that is only busy answers in the end.
#[test]
fn a_keeper_that_has_many_callers_for_a_moment_is_taken_over() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_secs(4);
        let mut driver = site.start();
        driver.tell("hold 0 7 600000 640000 500000 550000");
        driver.tell("grant 0 1 7 60000");
        assert_eq!(driver.next(), "written 1 Written");
        let old = site.keeper();
        signal(old, libc::SIGSTOP);
        driver.kill();
        let callers = fill(&site);
        let next = site.begin();
        pass(Duration::from_millis(700));
        signal(old, libc::SIGCONT);
        let said = next.next();
        assert!(said.starts_with("ready"), "{said}");
        assert_eq!(site.keepers(), [old], "{kind:?}");
        drop(callers);
    });
}

/// It guards its ticket: a second one beside it could write what it does not expect.
#[test]
fn a_keeper_whose_socket_is_gone_is_replaced_and_not_joined() {
    both(|kind| {
        let site = Site::new(kind);
        let driver = granted(&site, kind, 600_000);
        let old = site.keeper();
        driver.kill();
        fs::remove_file(site.path("run/keeper")).expect("removed");
        let mut driver = site.start();
        assert!(!lives(old), "{kind:?}: two keepers at a time");
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"), "{kind:?}");
        site.keeper();
    });
}

/// Why nobody waits any more for what a script has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The grant reaches its time.
    Deadline,
    /// The keeper is killed.
    Keeper,
    /// boothd and the keeper are killed, and boothd is started again.
    Both,
}

/// Puts a script in the place of `crm_ticket` that runs the real one by way of `how`; a grant
/// takes a minute.
fn wrap(site: &Site, how: &str) {
    let real = format!("{}/test/fixtures/fake_crm_ticket", env!("CARGO_MANIFEST_DIR"));
    symlink(real, site.path("bin/real")).expect("linked");
    let text = "dir=${0%/*}\n\
        case \" $* \" in\n\
        *' -g '*) ;;\n\
        *) exec \"$dir/real\" \"$@\" ;;\n\
        esac\n\
        [ ! -e \"$dir/inner\" ] || exit 1\n\
        HOW sh -c 'echo $$ >\"$0/inner.new\"; mv \"$0/inner.new\" \"$0/inner\"
            sleep 60; exec \"$0/real\" \"$@\"' \"$dir\" \"$@\" &\n\
        wait";
    site.script(&text.replace("HOW", how));
}

/// The process of the real `crm_ticket` behind the script.
fn inner(site: &Site) -> u32 {
    let read = || fs::read_to_string(site.path("bin/inner")).ok()?.trim().parse().ok();
    until("the grant runs", || read().is_some());
    read().expect("until has seen it")
}

#[track_caller]
fn ends(how: &str, end: End) {
    let site = Site::new(Kind::Pacemaker);
    wrap(&site, how);
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    match end {
        End::Deadline => driver.tell("hold 0 1 20000 40000 2500 3000"),
        End::Keeper | End::Both => driver.hold(0, 1, 600_000),
    }
    driver.tell("grant 0 1 1 600000");
    let inner = inner(&site);
    assert!(lives(inner), "{how} {end:?}");
    match end {
        End::Deadline => {}
        End::Keeper => signal(site.keeper(), libc::SIGKILL),
        End::Both => {
            let keeper = site.keeper();
            driver.kill();
            signal(keeper, libc::SIGKILL);
            driver = site.start();
        }
    }
    until(&format!("{how} {end:?}: what the script has started ends"), || !lives(inner));
    assert!(!site.is_granted(0), "{how} {end:?}");
    drop(driver);
}

#[test]
fn what_a_script_has_started_ends_with_its_grant_or_keeper() {
    std::thread::scope(|scope| {
        for how in ["", "timeout 300", "setsid"] {
            for end in [End::Deadline, End::Keeper, End::Both] {
                scope.spawn(move || ends(how, end));
            }
        }
    });
}

/// boothd has nothing to say, and nobody listens: that is seen before the lease ends.
#[test]
fn a_stopped_keeper_is_replaced_before_a_window_ends_though_boothd_is_silent() {
    both(|kind| {
        let mut site = Site::new(kind);
        site.guard = Duration::from_millis(2_000);
        let mut driver = site.start();
        driver.tell("hold 0 1 600000 640000 500000 550000");
        driver.tell("grant 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written");
        // As the engine tells it: a grant can begin until 2 g before the end.
        driver.tell("hold 0 1 8000 10000 4000 6000");
        driver.all_told();
        until("nothing is in flight", || site.mark() != "1");
        let old = site.keeper();
        // It has heard everything.
        pass(Duration::from_millis(200));
        signal(old, libc::SIGSTOP);
        let hold_until = site.hold_until(0);
        until("it is replaced", || !lives(old) || clock::mono() >= hold_until);
        let left = hold_until.since(clock::mono()).as_duration();
        println!("{kind:?}: replaced {left:?} before the end of the window");
        assert!(!lives(old) && left > Duration::from_millis(500), "{kind:?}: {left:?} before");
        let new = site.keeper_after(old);
        until("the window ends", || clock::mono() >= hold_until);
        until("it is revoked by the new one", || !site.is_granted(0));
        let late = clock::mono().since(hold_until).as_duration();
        assert!(late < site.guard, "{kind:?}: {late:?}");
        assert_eq!(site.keepers(), [new]);
        drop(driver);
    });
}

/// The directory is the daemon's own: it may give itself what it lacks there.
#[test]
fn a_run_directory_without_permissions_is_mended_and_the_keeper_found() {
    both(|kind| {
        for mode in [0o500, 0o600, 0o000] {
            let site = Site::new(kind);
            let driver = granted(&site, kind, 600_000);
            let old = site.keeper();
            driver.kill();
            fs::set_permissions(site.path("run"), fs::Permissions::from_mode(mode)).expect("set");
            let driver = site.start();
            assert_eq!(site.keepers(), [old], "{kind:?} {mode:o}");
            let now = fs::metadata(site.path("run")).expect("there").permissions().mode();
            assert_eq!(now & 0o777, 0o700, "{kind:?} {mode:o}");
            drop(driver);
        }
    });
}
