// SPDX-License-Identifier: GPL-2.0-or-later
//! Alerts of a real daemon, whose /etc/booth is one of the test's own.

use booth_harness::{run_for, shell, test_name, until, Cluster, Need, Setup};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(25);
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn each_change_of_the_holder_is_an_alert_once_and_one_that_hangs_delays_nothing() {
    run_for(test_name!(), &[Need::Root], LIMIT, |lab| {
        let out = lab.write("alerts.out", "", 0o666);
        let script = format!(
            "#!/bin/sh\n\
             echo \"$BOOTH_ALERT_MEMBER $BOOTH_ALERT_KIND $BOOTH_ALERT_TICKET\" >> {out}\n"
        );
        let dir = lab.dir().join("alert.d");
        std::fs::create_dir(&dir).expect("the lab can be written");
        lab.write("alert.d/10-tell", script, 0o755);
        let dir = dir.display().to_string();
        shell(
            "mkdir -p /etc/booth && mount -t tmpfs none /etc/booth && \
             cp -r \"$1\" /etc/booth/alert.d && chmod 755 /etc/booth /etc/booth/alert.d",
            &[&dir],
        );
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let told = |member: usize, kind: &str| {
            let line = format!("{} {kind} t1", cluster.address(member));
            let text = std::fs::read_to_string(&out).unwrap_or_default();
            text.lines().filter(|it| *it == line).count()
        };
        for (member, kind) in [(0, "granted"), (1, "moved"), (2, "moved")] {
            until(SOON, kind, || (told(member, kind) > 0).then_some(()));
        }
        let hanging = lab.write("hanging", "", 0o666);
        let script =
            format!("#!/bin/sh\necho $$ >> {hanging}; sleep 1000 & echo $! >> {hanging}; wait\n");
        let script = lab.write("hangs", script, 0o755);
        shell("cp -p \"$1\" /etc/booth/alert.d/00-hangs", &[&script]);
        let begun = Instant::now();
        for _ in 0..3 {
            cluster.booth(0, &["revoke", "-w", "t1"]).expect_code(0);
            cluster.booth(0, &["grant", "-C", "t1"]).expect_code(0);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!((told(0, "granted"), told(1, "moved")), (1, 1), "those before came once");
        // Their daemons do not live to end them.
        let started = std::fs::read_to_string(&hanging).expect("written");
        assert!(started.lines().count() >= 2, "at least one hangs: {started}");
        for member in 0..3 {
            cluster.kill(member);
        }
        let hangs = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(") ") && !stat.contains(") Z ")
        };
        assert!(started.lines().any(hangs), "killed with the daemon");
        until(Duration::from_secs(40), "all that hang are ended", || {
            let started = std::fs::read_to_string(&hanging).expect("written");
            (!started.lines().any(hangs)).then_some(())
        });
    });
}
