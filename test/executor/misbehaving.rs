// SPDX-License-Identifier: GPL-2.0-or-later
//! Stores that hang, fail, lie, flood, or leave things behind.

use crate::process::{arguments, lives, named, of_site, pass, signal, until};
use crate::site::{both, Driver, Kind, Site};
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::Command;
use std::time::{Duration, Instant};

/// What boothd hears of a revoke that takes longer than its limit.
const LATE: &str = "written 2 Failed(\"it has not ended in time, and goes on\")";

#[test]
fn a_hung_grant_is_killed_at_the_deadline_that_moves() {
    let site = Site::new(Kind::Pacemaker);
    site.control("grant hang\n");
    let mut driver = site.start();
    driver.tell("hold 0 1 600000 600600 599000 4000");
    driver.tell("grant 0 1 1 60000");
    let hung = site.call("grant", 0);
    let moved = Instant::now();
    driver.hold(0, 1, 5_500);
    assert_eq!(driver.next(), "written 1 Killed");
    let after = moved.elapsed();
    assert!(after >= Duration::from_millis(5_000), "{after:?}");
    assert!(!lives(hung));
    assert!(!site.is_granted(0));
}

#[test]
fn a_revoke_kills_a_running_grant_at_once() {
    let site = Site::new(Kind::Pacemaker);
    site.control("grant stubborn\n");
    let mut driver = site.start();
    driver.hold(0, 1, 600_000);
    driver.tell("grant 0 1 1 600000");
    let hung = site.call("grant", 0);
    driver.tell("revoke 0 2 1 600000");
    assert_eq!(driver.next(), "written 1 Killed");
    assert_eq!(driver.next(), "written 2 Written");
    assert!(!lives(hung));
}

/// Boothd hears when its limit is over, and the keeper goes on until one works.
#[test]
fn a_hung_revoke_is_joined_by_another_that_works() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 600_000);
    site.control("revoke stubborn\n");
    driver.tell("revoke 0 2 1 100");
    let hung = site.call("revoke", 0);
    pass(Duration::from_millis(200));
    assert!(lives(hung), "it was ended");
    assert_eq!(driver.next(), LATE);
    // What waits goes on waiting for its own control file; another does not.
    site.control("revoke late 0\nattr stubborn\n");
    until("the other one has revoked it", || !site.is_granted(0));
    until("the one that hung is ended", || !lives(hung));
}

#[test]
fn a_revoke_kills_a_running_change_of_an_attribute_at_once() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 600_000);
    site.control("attr stubborn\n");
    driver.tell("set 0 1 geo v 600000");
    let hung = site.call("attr", 0);
    driver.tell("revoke 0 2 1 600000");
    assert_eq!(driver.next(), "attr 1 Killed");
    assert_eq!(driver.next(), "written 2 Written");
    assert!(!lives(hung));
}

#[test]
fn writes_that_wait_are_one() {
    let site = Site::new(Kind::Pacemaker);
    site.control("grant delay 1\n");
    let mut driver = site.start();
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
    driver.hold(0, 1, 600_000);
    for serial in 1..=3 {
        driver.tell(&format!("grant 0 {serial} {serial} 60000"));
    }
    assert_eq!(driver.next(), "written 2 Superseded");
    assert_eq!(driver.next(), "written 1 Written");
    assert_eq!(driver.next(), "written 3 Written");
    assert_eq!(site.calls().iter().filter(|call| call.1 == "grant").count(), 2);
    assert_eq!(site.stored(0).expect("there").1, 3);
}

#[test]
fn a_grant_behind_its_time_is_not_started() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.tell("grant 0 1 1 20000");
    assert_eq!(driver.next(), "written 1 TooLate", "no window");
    driver.hold(0, 1, 900);
    driver.tell("grant 0 2 1 20000");
    assert_eq!(driver.next(), "written 2 TooLate", "less than 2 g");
    assert!(site.calls().is_empty());
}

#[test]
fn failures_say_how() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    site.control("grant exit 13\nquery exit 102\n");
    driver.hold(0, 1, 600_000);
    driver.tell("grant 0 1 1 20000");
    assert_eq!(driver.next(), "written 1 Failed(\"crm_ticket: exit code 13\")");
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Failed(\"crm_ticket: exit code 102\")");
    fs::write(site.path("crm/garbage"), "State XML:\n\n<ticket_state id=\"t0").expect("written");
    site.control("query output garbage\n");
    driver.tell("load 0 20000");
    let said = driver.next();
    assert!(said.contains("crm_ticket: the answer's XML is damaged"), "{said}");
    site.script("echo 'you may not' >&2; exit 4");
    driver.tell("revoke 0 2 1 20000");
    assert_eq!(driver.next(), "written 2 Failed(\"crm_ticket: exit code 4: you may not\")");
}

#[test]
fn a_revoke_that_only_claims_success_has_failed() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 1, 600_000);
    site.control("revoke exit 0\n");
    driver.tell("revoke 0 2 1 20000");
    let said = driver.next();
    assert!(said.contains("it was reported as revoked, but is still granted"), "{said}");
    // What cannot be looked at is believed.
    site.control("revoke exit 0\nquery exit 1\n");
    driver.tell("revoke 0 3 1 20000");
    assert_eq!(driver.next(), "written 3 Written");
}

/// Nor is what cannot be asked any evidence against it.
#[test]
fn a_revoke_whose_look_cannot_be_started_is_done() {
    let site = Site::new(Kind::Pacemaker);
    // It cannot be run again once it has revoked.
    site.script("case $* in *' -r'*) chmod 644 \"$0\" ;; *) exit 105 ;; esac");
    let mut driver = site.start();
    driver.tell("revoke 0 1 1 20000");
    assert_eq!(driver.next(), "written 1 Written");
    let mode = fs::metadata(site.path("bin/crm_ticket")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "it was run, and nothing was run behind it");
    // It is looked for each time until one look has succeeded.
    driver.tell("revoke 0 2 1 2000");
    let said = driver.next();
    assert!(said.contains("cannot run"), "{said}");
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let site = Site::new(Kind::Pacemaker);
    let path = site.path("bin/crm_ticket");
    site.script("exit 0");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    let mut driver = site.start();
    driver.tell("load 0 20000");
    let said = driver.next();
    assert!(said.contains("cannot run") && said.contains("bin/crm_ticket"), "{said}");
    driver.tell("revoke 0 1 1 20000");
    let said = driver.next();
    assert!(said.contains("cannot run") && said.contains("bin/crm_ticket"), "{said}");
    fs::remove_file(&path).expect("removed");
    driver.tell("manual 0 2 1 20000");
    let said = driver.next();
    // Unless this machine has the real one, which has no cluster to talk to.
    assert!(said.contains("crm_ticket is not in PATH") || said.contains("exit code"), "{said}");
}

#[test]
fn floods_and_grandchildren_with_open_pipes_hold_nobody_up() {
    let site = Site::new(Kind::Pacemaker);
    site.script(
        "case $* in
        *-q*) yes | head -c 3000000; exit 0;;
        *-g*) yes | head -c 3000000 >&2; sleep 600 & echo $! >\"${0%/*}/left\"; exit 0;;
        *) exit 3;;
        esac",
    );
    let mut driver = site.start();
    for term in 1..3 {
        driver.hold(0, term, 600_000);
        driver.tell(&format!("grant 0 {term} {term} 60000"));
        assert_eq!(driver.next(), format!("written {term} Written"));
        // Nothing of a change may go on once it is over.
        let left = fs::read_to_string(site.path("bin/left")).expect("written");
        let left = left.trim().parse().expect("a pid");
        until("what it left has been ended", || !lives(left));
    }
    driver.tell("load 0 60000");
    let said = driver.next();
    assert!(said.contains("more than 1048576 bytes"), "{said}");
}

#[test]
fn a_hung_read_is_reported_in_time_and_ended() {
    let site = Site::new(Kind::Pacemaker);
    site.control("query stubborn\n");
    let mut driver = site.start();
    let begun = Instant::now();
    driver.tell("load 0 1000");
    let said = driver.next();
    let after = begun.elapsed();
    assert!(said.starts_with("loaded 0 Failed"), "{said}");
    assert!(after >= Duration::from_secs(1), "{after:?}");
    let hung = site.call("query", 0);
    assert!(lives(hung), "it ignores SIGTERM");
    until("it is killed", || !lives(hung));
    assert!(begun.elapsed() >= Duration::from_secs(3));
    site.control("");
    driver.tell("load 0 20000");
    assert_eq!(driver.next(), "loaded 0 Absent");
}

#[test]
fn hung_tickets_do_not_hold_up_the_others() {
    let mut site = Site::new(Kind::Pacemaker);
    site.tickets = (0..40).map(|n| format!("t{n}")).collect();
    site.script("case \"$*\" in *'t39 '*) exit 0;; esac; exec sleep 600");
    let mut driver = site.start();
    for ticket in 0..39 {
        driver.hold(ticket, 1, 600_000);
        driver.tell(&format!("grant {ticket} {ticket} 1 600000"));
    }
    driver.hold(39, 1, 600_000);
    driver.tell("grant 39 39 1 600000");
    assert_eq!(driver.next(), "written 39 Written");
    driver.tell("revoke 39 40 1 600000");
    assert_eq!(driver.next(), "written 40 Written");
}

#[test]
fn deadlines_are_kept_while_nobody_takes_the_results_and_none_is_lost() {
    let mut site = Site::new(Kind::Pacemaker);
    site.tickets = (0..200).map(|n| format!("t{n}")).collect();
    // Reads answer at once; there is no call for all.
    site.script("case \"$*\" in *-g*) exec sleep 600;; *'-q'*) exit 105;; esac");
    let mut command = site.command();
    let mut driver = site.start_with(command.env(crate::driver::DEAF, "1"));
    // Three times what the queue to the engine takes.
    (0..199).for_each(|n| driver.tell(&format!("load {n} 60000")));
    driver.tell("hold 199 1 60000 60000 60000 1500");
    driver.tell("grant 199 500 1 60000");
    let grants = || {
        let hung = |pid: &u32| arguments(*pid).first().is_some_and(|name| name == "sleep");
        of_site(site.text()).into_iter().filter(hung).count()
    };
    until("the grant hangs", || grants() == 1);
    until("the grant is killed at its time", || grants() == 0);
    driver.tell("listen");
    let mut absent = 0;
    let mut killed = false;
    for _ in 0..200 {
        let said = driver.next();
        absent += usize::from(said.ends_with(" Absent"));
        killed |= said == "written 500 Killed";
    }
    assert_eq!((absent, killed), (199, true));
}

/// Two changes of an attribute must not be told in the wrong order.
#[test]
fn events_that_wait_for_the_engine_keep_their_order() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start_with(site.command().env(crate::driver::DEAF, "1"));
    // There is no handler: each fails at once.
    (0..400).for_each(|run| driver.tell(&format!("probe 0 {run} 0 60000")));
    driver.tell("listen");
    for run in 0..400 {
        let said = driver.next();
        assert!(said.starts_with(&format!("probed {run} ")), "{run}: {said}");
    }
}

#[test]
fn a_hung_process_of_the_built_in_store_is_ended_and_only_its_job_is_lost() {
    let mut site = Site::new(Kind::BuiltIn);
    site.tickets = (0..3).map(|n| format!("t{n}")).collect();
    let mut driver = site.start();
    driver.grant(0, 1, 600_000);
    // Nobody reads what it writes.
    let pipe = site.path("tickets/.t1.new");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("started").success());
    driver.tell("set 1 2 geo v 1000");
    let writers = || named("booth-ticket-writer", site.text());
    until("it hangs", || writers().len() == 1);
    let hung = writers()[0];
    driver.tell("manual 2 3 1 60000");
    assert_eq!(driver.next(), "written 3 Written");
    assert_eq!(driver.next(), "attr 2 Killed");
    until("it is gone", || !lives(hung));
    driver.tell("revoke 0 4 1 600000");
    assert_eq!(driver.next(), "written 4 Written");
}

/// One after the other, in the order of the wishes.
#[test]
fn changes_of_a_ticket_never_run_beside_each_other() {
    let site = Site::new(Kind::Pacemaker);
    site.control("any delay 1\n");
    let mut driver = site.start();
    driver.tell("set 0 1 geo v 60000");
    site.call("attr", 0);
    driver.tell("manual 0 2 1 60000");
    driver.tell("set 0 3 geo w 60000");
    for expected in ["attr 1 Written", "written 2 Written", "attr 3 Written"] {
        let begun = Instant::now();
        assert_eq!(driver.next(), expected);
        assert!(expected.starts_with("attr 1") || begun.elapsed().as_millis() >= 800);
    }
}

/// A grant whose time passes while the keeper hears nothing, or another change runs.
#[test]
fn a_grant_that_gets_its_turn_after_its_time_is_not_written() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.tell("manual 0 1 1 60000");
        assert_eq!(driver.next(), "written 1 Written");
        driver.tell("revoke 0 2 1 60000");
        assert_eq!(driver.next(), "written 2 Written");
        // It may begin for one second, and would be killed much later.
        signal(site.keeper(), libc::SIGSTOP);
        driver.tell("hold 0 1 600000 640000 1000 590000");
        driver.tell("grant 0 3 1 60000");
        driver.all_told();
        pass(Duration::from_millis(1_200));
        site.keepers().into_iter().for_each(|pid| signal(pid, libc::SIGCONT));
        assert_eq!(driver.next(), "written 3 TooLate", "{kind:?}");
        assert!(!site.is_granted(0), "{kind:?}");
    });
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    site.control("attr delay 1.5\n");
    driver.tell("set 0 1 geo v 60000");
    site.call("attr", 0);
    driver.tell("hold 0 1 600000 640000 1000 590000");
    driver.tell("grant 0 2 1 60000");
    assert_eq!(driver.next(), "written 2 TooLate");
    assert_eq!(driver.next(), "attr 1 Written");
    assert!(!site.is_granted(0));
}

/// A wish waits for the keeper, and nobody else carries it out.
#[test]
fn nothing_is_granted_while_there_is_no_keeper() {
    both(|kind| {
        let site = Site::new(kind);
        let program = site.path("bin/booth");
        symlink(env!("CARGO_BIN_EXE_booth"), &program).expect("linked");
        let mut command = site.command();
        let mut driver = site.start_with(command.env(crate::driver::PROGRAM, &program));
        driver.hold(0, 1, 600_000);
        driver.all_told();
        fs::rename(&program, site.path("bin/away")).expect("renamed");
        signal(site.keeper(), libc::SIGKILL);
        until("the keeper is gone", || site.keepers().is_empty());
        driver.tell("grant 0 1 1 20000");
        pass(Duration::from_millis(1_500));
        assert_eq!(site.stored(0), None, "{kind:?}");
        fs::rename(site.path("bin/away"), &program).expect("renamed");
        assert_eq!(driver.next(), "written 1 Written", "{kind:?}");
        site.keeper();
    });
}

/// Starts the driver of a site whose keepers note each of their starts in `starts`, end at once
/// while there is a file `broken`, and get ready only when there is no file `wait`.
fn with_sick_keepers(site: &Site) -> Driver {
    for name in ["booth-keeper", "booth-ticket-writer"] {
        symlink(env!("CARGO_BIN_EXE_booth"), site.path("bin").join(name)).expect("linked");
    }
    // The arguments of a keeper begin with a number.
    let text = "dir=${0%/*}\n\
        case $1 in [0-9]*) ;; *) exec \"$dir/booth-ticket-writer\" \"$@\";; esac\n\
        echo started >>\"$dir/starts\"\n\
        [ ! -e \"$dir/broken\" ] || exit 1\n\
        while [ -e \"$dir/wait\" ]; do sleep 0.02; done\n\
        exec \"$dir/booth-keeper\" \"$@\"";
    site.program("bin/booth", text);
    site.start_with(site.command().env(crate::driver::PROGRAM, site.path("bin/booth")))
}

/// How many keepers have been started.
fn starts(site: &Site) -> usize {
    fs::read_to_string(site.path("bin/starts")).expect("there").lines().count()
}

/// A keeper that has been started knows nothing yet.
#[test]
fn nothing_is_granted_before_another_keeper_is_ready() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = with_sick_keepers(&site);
    driver.grant(0, 1, 600_000);
    fs::write(site.path("bin/wait"), "").expect("written");
    signal(site.keeper(), libc::SIGKILL);
    until("another keeper is started", || starts(&site) > 1);
    let calls = site.calls().len();
    driver.tell("grant 0 1 1 20000");
    pass(Duration::from_millis(1_000));
    assert_eq!(site.calls().len(), calls);
    fs::remove_file(site.path("bin/wait")).expect("removed");
    assert_eq!(driver.next(), "written 1 Written");
}

#[test]
fn keepers_that_end_at_once_are_replaced_in_growing_pauses() {
    let site = Site::new(Kind::Pacemaker);
    let driver = with_sick_keepers(&site);
    fs::write(site.path("bin/broken"), "").expect("written");
    let before = starts(&site);
    let begun = Instant::now();
    signal(site.keeper(), libc::SIGKILL);
    until("six more have been started", || starts(&site) >= before + 6);
    let after = begun.elapsed();
    // 0.1 s after the first, then twice as long each time.
    assert!(after >= Duration::from_millis(3_100), "{after:?}");
    driver.stop();
}

#[test]
fn a_daemon_whose_keeper_does_not_start_says_so() {
    let site = Site::new(Kind::Pacemaker);
    fs::write(site.path("bin/broken"), "").expect("written");
    site.program("bin/booth", "exit 1");
    let mut command = site.command();
    command.env(crate::driver::PROGRAM, site.path("bin/booth"));
    let said = site.begin_with(&mut command).next();
    assert!(said.starts_with("error cannot start the keeper of the tickets: "), "{said}");
    command.env(crate::driver::PROGRAM, site.path("bin/none"));
    let said = site.begin_with(&mut command).next();
    assert!(said.contains("/bin/none: "), "{said}");
}
