// SPDX-License-Identifier: GPL-2.0-or-later
//! Alerts of a real daemon, whose /etc/booth is one of the test's own.

use booth_harness::{run, shell, test_name, until, Cluster, Need, Setup};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(25);

#[test]
fn each_change_of_the_holder_is_an_alert_once_and_one_that_hangs_delays_nothing() {
    run(test_name!(), &[Need::Root], |lab| {
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
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let told = |member: usize, kind: &str| {
            let line = format!("{} {kind} t1", cluster.address(member));
            let text = std::fs::read_to_string(&out).unwrap_or_default();
            text.lines().filter(|it| *it == line).count()
        };
        for (member, kind) in [(0, "granted"), (1, "moved"), (2, "moved")] {
            until(SOON, kind, || (told(member, kind) > 0).then_some(()));
        }
        shell(
            "printf '#!/bin/sh\\nsleep 1000\\n' > /etc/booth/alert.d/00-hangs; \
               chmod 755 /etc/booth/alert.d/00-hangs",
            &[],
        );
        let begun = Instant::now();
        for _ in 0..3 {
            cluster.booth(0, &["revoke", "-w", "t1"]).expect_code(0);
            cluster.booth(0, &["grant", "-C", "t1"]).expect_code(0);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!((told(0, "granted"), told(1, "moved")), (1, 1), "those before came once");
    });
}
