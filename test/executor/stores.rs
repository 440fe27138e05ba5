// SPDX-License-Identifier: GPL-2.0-or-later
//! Both stores when all goes well.

use crate::driver::SITE_ID;
use crate::process::until;
use crate::site::{both, Kind, Site};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn wall_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn a_ticket_is_read_granted_renewed_and_revoked() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.tell("load 0 20000");
        assert_eq!(driver.next(), "loaded 0 Absent", "{kind:?}");
        for term in [7, 8] {
            driver.hold(0, term, 100_000);
            let before = wall_secs();
            driver.tell(&format!("grant 0 {term} {term} 20000"));
            assert_eq!(driver.next(), format!("written {term} Written"), "{kind:?}");
            let (granted, written, expires) = site.stored(0).expect("there");
            assert!(granted && written == u64::from(term), "{kind:?}");
            assert!((before + 99..=wall_secs() + 101).contains(&expires), "{kind:?} {expires}");
        }
        driver.tell("load 0 20000");
        let said = driver.next();
        assert!(said.contains("granted: true") && said.contains("12345"), "{said}");
        driver.tell("revoke 0 9 8 20000");
        assert_eq!(driver.next(), "written 9 Written", "{kind:?}");
        assert_eq!(site.stored(0), Some((false, 8, 0)), "{kind:?}");
        driver.stop();
    });
}

#[test]
fn crm_ticket_gets_the_arguments_of_the_reference() {
    let site = Site::new(Kind::Pacemaker);
    let mut driver = site.start();
    driver.grant(0, 3, 100_000);
    driver.tell("revoke 0 2 3 20000");
    assert_eq!(driver.next(), "written 2 Written");
    driver.tell("set 0 3 geo a&b 20000");
    assert_eq!(driver.next(), "attr 3 Written");
    let (_, _, expires) = site.stored(0).expect("there");
    assert_eq!(expires, 0);
    let calls: Vec<String> = site.calls().iter().map(|call| call.2.join(" ")).collect();
    let end = "-S term --attr-value=3 -S booth-cfg-name --attr-value=some";
    assert!(calls[0].starts_with(&format!(
        "-t t0 -g --force -S owner --attr-value={SITE_ID} -S expires --attr-value="
    )));
    assert!(calls[0].ends_with(end), "{}", calls[0]);
    let revoke = "-t t0 -r --force -S owner --attr-value=-1 -S expires --attr-value=0";
    assert_eq!(calls[1], format!("{revoke} {end}"));
    assert_eq!(calls[2], "-t t0 -q", "a revoke is read back");
    assert_eq!(calls[3], "-t t0 -S geo --attr-value=a&b");
    assert_eq!(calls.len(), 4, "a grant is not read back");
}

#[test]
fn attributes_are_kept_through_grants_and_read() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.tell("set 0 1 geo one 20000");
        assert_eq!(driver.next(), "attr 1 Written");
        driver.grant(0, 3, 100_000);
        driver.tell("set 0 2 more two 20000");
        assert_eq!(driver.next(), "attr 2 Written");
        driver.tell("delete 0 3 geo 20000");
        assert_eq!(driver.next(), "attr 3 Written");
        driver.tell("load 0 20000");
        let said = driver.next();
        assert!(said.contains("\"more\"") && !said.contains("\"geo\""), "{kind:?} {said}");
        assert!(said.contains("granted: true"), "{kind:?} {said}");
    });
}

/// A library that records what is done to files; see the source.
fn recorder(site: &Site) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fixtures/record_writes.c");
    let library = site.path("record_writes.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    assert!(compiler.status().expect("there is a C compiler").success());
    library
}

#[test]
fn a_change_of_the_built_in_store_is_on_the_disk_before_it_is_answered() {
    let site = Site::new(Kind::BuiltIn);
    let record = site.path("record");
    let mut command = site.command();
    command.env("LD_PRELOAD", recorder(&site)).env("RECORD", &record);
    let mut driver = site.start_with(command.env("RECORDED_DIR", site.text()));
    let done_since_last_time = || {
        let text = fs::read_to_string(&record).unwrap_or_default();
        fs::write(&record, "").expect("written");
        // One write is as good as many.
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.retain(|line| line.contains("tickets") || line.ends_with(" ."));
        lines.dedup();
        lines
    };
    // Without its entry in the directory above it would be gone after a loss of power.
    assert_eq!(done_since_last_time(), ["mkdir tickets", "fsync ."]);
    let change = [
        "write tickets/.t0.new",
        // Without this the new name could have an empty file.
        "fsync tickets/.t0.new",
        "rename tickets/.t0.new tickets/t0",
        // Without this the old content could come back after the change was reported.
        "fsync tickets",
    ];
    driver.hold(0, 1, 600_000);
    for (wish, answer) in [
        ("grant 0 1 1 20000", "written 1 Written"),
        ("set 0 2 geo v 20000", "attr 2 Written"),
        ("grant 0 3 1 20000", "written 3 Written"),
        ("revoke 0 4 1 20000", "written 4 Written"),
        ("delete 0 5 geo 20000", "attr 5 Written"),
    ] {
        driver.tell(wish);
        assert_eq!(driver.next(), answer);
        assert_eq!(done_since_last_time(), change, "{wish}");
    }
    // The revoke at the end of the window, too.
    driver.grant(0, 1, 500);
    done_since_last_time();
    driver.kill();
    until("the keeper has revoked it and ends", || site.keepers().is_empty());
    assert_eq!(done_since_last_time(), change);
    // The directory is there by now.
    let mut driver = site.start_with(&mut command);
    driver.tell("load 0 20000");
    assert!(driver.next().contains("granted: false"));
    assert!(done_since_last_time().is_empty());
}

#[test]
fn a_manual_ticket_is_granted_without_a_window_and_without_an_end() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.tell("manual 0 1 4 20000");
        assert_eq!(driver.next(), "written 1 Written");
        assert_eq!(site.stored(0), Some((true, 4, 0)));
    });
}

#[test]
fn a_thousand_tickets_are_read_in_one_call() {
    let mut site = Site::new(Kind::Pacemaker);
    site.tickets = (0..1000).map(|n| format!("t{n}")).collect();
    let script = "echo call >>\"${0%/*}/../crm/calls\"; sleep 0.03; echo 'State XML:'; echo; \
         echo '<tickets>'; i=0; while [ $i -lt 1000 ]; do \
         echo \"<ticket_state id=\\\"t$i\\\" granted=\\\"false\\\" term=\\\"$i\\\"/>\"; \
         i=$((i+1)); done; echo '</tickets>'";
    site.script(script);
    let mut driver = site.start();
    (0..1000).for_each(|n| driver.tell(&format!("load {n} 20000")));
    let mut seen: Vec<String> = (0..1000).map(|_| driver.next()).collect();
    seen.sort();
    assert!(seen[0].starts_with("loaded 0 Loaded(CibTicket { granted: false"), "{}", seen[0]);
    assert!(seen.iter().all(|said| said.contains("Loaded")));
    assert_eq!(fs::read_to_string(site.path("crm/calls")).expect("read"), "call\n");
}

#[test]
fn tickets_are_read_several_at_a_time_where_one_call_cannot() {
    let mut site = Site::new(Kind::Pacemaker);
    site.tickets = (0..200).map(|n| format!("t{n}")).collect();
    // As Pacemaker 2: without a ticket there is no query.
    site.script("[ $# -gt 1 ] || exit 64; sleep 0.3; exit 105");
    let mut driver = site.start();
    let begun = Instant::now();
    (0..200).for_each(|n| driver.tell(&format!("load {n} 60000")));
    for _ in 0..200 {
        assert!(driver.next().ends_with("Absent"));
    }
    // One after the other they take a minute; the rest is for machines with other work.
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    println!("200 tickets, 300 ms each: {:?}", begun.elapsed());
}
