// SPDX-License-Identifier: GPL-2.0-or-later
//! Alerts with real scripts.

use super::*;
use crate::model::{Member, MemberId, MemberIndex, MemberRole, Term, TicketName};
use crate::store::program::executables;
use crate::time::{MonoTime, Now, WallTime};
use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

fn origin() -> Origin {
    let member = |last: u8| {
        let address = IpAddr::from([192, 0, 2, last]);
        Member { id: MemberId::of_address(address), role: MemberRole::Site, address }
    };
    let roster = Roster::new(vec![member(1), member(2)], 0).expect("a roster");
    Origin { cluster: "booth".to_owned(), roster }
}

fn entry(kind: EventKind) -> Entry {
    Entry {
        number: 7,
        ticket: TicketName::new("t").ok(),
        member: MemberIndex::new(1),
        term: Some(Term::new(3)),
        ..Entry::new(
            Now { mono: MonoTime::ZERO, wall: WallTime::from_secs(1_000) },
            kind,
            "why; $(not) run".to_owned(),
        )
    }
}

struct Scripts(tempfile::TempDir);

impl Scripts {
    fn new() -> Scripts {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("settable");
        Scripts(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn add(&self, name: &str, mode: u32, text: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("settable");
    }

    fn names(&self) -> Vec<String> {
        let found = executables(self.0.path()).expect("the directory is trusted").programs;
        let name = |path: PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
        found.into_iter().map(name).collect()
    }

    fn wait_for(&self, name: &str, what: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            if what(&text) {
                return text;
            }
            assert!(Instant::now() < until, "{name} has {text:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn an_executable_is_told_everything_and_nothing_of_it_is_run() {
    let scripts = Scripts::new();
    let out = scripts.path(".out");
    scripts.add(
        "tell",
        0o755,
        &format!("env | grep BOOTH | sort > {0}.new; mv {0}.new {0}", out.display()),
    );
    let alerts = Alerts::start(scripts.0.path(), LIMIT, None, origin()).expect("a thread");
    alerts.tell(&entry(EventKind::Standing));
    alerts.tell(&entry(EventKind::Moved));
    let text = scripts.wait_for(".out", |text| !text.is_empty());
    for line in [
        "BOOTH_ALERT_CLUSTER=booth",
        "BOOTH_ALERT_DETAIL=why; $(not) run",
        "BOOTH_ALERT_KIND=moved",
        "BOOTH_ALERT_MEMBER=192.0.2.1",
        "BOOTH_ALERT_NUMBER=7",
        "BOOTH_ALERT_PEER=192.0.2.2",
        "BOOTH_ALERT_TERM=3",
        "BOOTH_ALERT_TICKET=t",
        "BOOTH_ALERT_TIME_EPOCH=1000",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
    assert_eq!(text.lines().count(), 11, "{text}");
}

#[test]
fn one_after_the_other_in_order_and_each_event_once() {
    let scripts = Scripts::new();
    let out = scripts.path(".out").display().to_string();
    for name in ["20-b", "10-a"] {
        scripts.add(
            name,
            0o700,
            &format!(
                "echo {name} $BOOTH_ALERT_KIND begins >> {out}; sleep 0.05; echo ends >> {out}"
            ),
        );
    }
    let alerts = Alerts::start(scripts.0.path(), LIMIT, None, origin()).expect("a thread");
    alerts.tell(&entry(EventKind::Lost));
    alerts.tell(&entry(EventKind::Granted));
    let text = scripts.wait_for(".out", |text| text.lines().count() == 8);
    let expected = "10-a lost begins\nends\n20-b lost begins\nends\n\
                    10-a granted begins\nends\n20-b granted begins\nends\n";
    assert_eq!(text, expected);
}

/// Whoever tells is never held up, however many events there are, and what hangs is killed with
/// all that it has started.
#[test]
fn one_that_hangs_is_killed_with_its_group_and_holds_up_only_other_alerts() {
    let scripts = Scripts::new();
    let (out, pid) = (scripts.path(".out").display().to_string(), scripts.path(".pid"));
    scripts.add("10-hangs", 0o755, &format!("sleep 1000 & echo $! > {}; wait", pid.display()));
    scripts.add("20-tells", 0o755, &format!("echo told >> {out}"));
    let limit = Duration::from_millis(300);
    let alerts = Alerts::start(scripts.0.path(), limit, None, origin()).expect("a thread");
    let begun = Instant::now();
    for _ in 0..3 * ALERT_QUEUE {
        alerts.tell(&entry(EventKind::NoMajority));
    }
    assert!(begun.elapsed() < limit, "telling took {:?}", begun.elapsed());
    assert!(alerts.lost.load(Ordering::Relaxed) > 0, "there is a bound");
    let text = scripts.wait_for(".pid", |text| text.ends_with('\n'));
    scripts.wait_for(".out", |text| !text.is_empty());
    let stat = format!("/proc/{}/stat", text.trim());
    let ended = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    let until = Instant::now() + Duration::from_secs(5);
    while !ended() {
        assert!(Instant::now() < until, "the grandchild lives");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_what_can_be_trusted_and_is_meant_is_run() {
    let scripts = Scripts::new();
    scripts.add("good", 0o755, "");
    scripts.add("not-executable", 0o644, "");
    scripts.add("others-write", 0o757, "");
    scripts.add("group-writes", 0o775, "");
    for left in [".hidden", "edited~", "old.dpkg-old", "new.rpmnew"] {
        scripts.add(left, 0o755, "");
    }
    fs::create_dir(scripts.path("folder")).expect("made");
    assert_eq!(scripts.names(), ["good"]);
    fs::set_permissions(scripts.0.path(), Permissions::from_mode(0o777)).expect("settable");
    let error = executables(scripts.0.path()).expect_err("others can write in it");
    assert!(error.to_string().contains("0777"), "{error}");
    let missing = executables(Path::new("/no/such/directory")).expect_err("it is not there");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

/// Whoever sends packets with a wrong key must not keep the administrator from what matters.
#[test]
fn what_strangers_provoke_is_told_once_and_is_in_nobodys_way() {
    let scripts = Scripts::new();
    let out = scripts.path(".out");
    scripts.add("tell", 0o755, &format!("echo $BOOTH_ALERT_KIND >>{}; sleep 0.3", out.display()));
    let alerts = Alerts::start(scripts.0.path(), LIMIT, None, origin()).expect("a thread");
    let failed = || entry(EventKind::AuthFailed).provoked();
    alerts.tell(&failed());
    scripts.wait_for(".out", |text| text == "auth-failed\n");
    for _ in 0..2 * ALERT_QUEUE {
        alerts.tell(&failed());
    }
    alerts.tell(&entry(EventKind::Lost));
    alerts.tell(&failed());
    alerts.tell(&entry(EventKind::Granted));
    let text = scripts.wait_for(".out", |text| text.contains("granted"));
    assert_eq!(text, "auth-failed\nlost\ngranted\n");
    assert_eq!(alerts.lost.load(Ordering::Relaxed), 0);
}
