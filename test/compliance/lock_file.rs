// SPDX-License-Identifier: GPL-2.0-or-later
//! The lock file and `booth status` (P17).

use crate::quirk::differs;
use booth_harness::{
    finish, make_open, make_shared, run, test_name, under_test, value_within, Cluster, Finished,
    Lab, Need, Setup,
};
use std::time::Duration;

fn status(lab: &Lab, cluster: &Cluster, member: usize) -> Finished {
    let mut command = under_test().command(lab, "booth", None);
    command.args(["status", "-c", &cluster.config, "-l"]);
    finish(command.arg(cluster.members[member].lock_file()), Duration::from_secs(10))
}

#[test]
fn status_tells_what_runs() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        assert_eq!(status(lab, &cluster, 0).expect_code(7).stdout, "");
        cluster.start_all();
        for (member, role) in [(0, "site"), (1, "site"), (2, "arbitrator")] {
            let text = status(lab, &cluster, member).expect_code(0).stdout;
            let pid = cluster.members[member].pid().expect("it runs");
            let file = cluster.members[member].lock_file();
            let line = format!(
                "booth_pid={pid} booth_state=started booth_type={role} booth_cfg_name='booth' \
                 booth_id={} booth_addr_string='{}' booth_port=9929\n",
                cluster.id(member),
                cluster.address(member),
            );
            let before = format!("booth_lockpid={pid} booth_lockfile='{}' ", file.display());
            assert_eq!(text, format!("{before}{line}"));
            assert_eq!(std::fs::read_to_string(file).expect("the lock file"), line);
        }
    });
}

#[test]
fn the_lock_file_goes_with_its_daemon() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        let file = cluster.members[0].lock_file();
        cluster.stop(0);
        assert!(!file.exists(), "the lock file is still there");
        status(lab, &cluster, 0).expect_code(7);
        // A killed daemon leaves its file; nobody holds its lock.
        cluster.start(0);
        cluster.kill(0);
        assert!(file.exists(), "nobody could remove it");
        status(lab, &cluster, 0).expect_code(7);
        cluster.start(0);
        status(lab, &cluster, 0).expect_code(0);
    });
}

#[test]
fn a_second_daemon_ends_and_leaves_the_first_alone() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let file = cluster.members[0].lock_file();
        let mut command = under_test().command(lab, "boothd", None);
        command.args(["daemon", "-D", "-S", "-c", &cluster.config, "-l"]).arg(&file);
        command.args(["-s", &cluster.address(0).to_string()]);
        let second = finish(&mut command, Duration::from_secs(10));
        assert_ne!(second.code, Some(0), "{second:?}");
        assert!(!second.stderr.is_empty(), "{second:?}");
        cluster.booth(0, &["list"]).expect_code(0);
        assert_eq!(file.exists(), differs(201, true, false), "the first daemon's lock file");
        status(lab, &cluster, 0).expect_code(differs(201, 0, 7));
    });
}

#[test]
fn a_directory_in_which_everybody_can_write_is_no_place_for_it() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let setup = Setup { sites: 2, arbitrators: 2, ..Setup::of(&[under_test(); 4]) };
        let cluster = Cluster::new(lab, &setup);
        let dir = lab.dir().join("everybody's");
        std::fs::create_dir(&dir).expect("the lab can be written");
        let start = |member: usize| {
            let file = dir.join(format!("{member}.pid"));
            let mut command = under_test().command(lab, "boothd", None);
            command.args(["daemon", "-D", "-c", &cluster.config, "-l"]).arg(&file);
            command.args(["-s", &cluster.address(member).to_string()]);
            let told = finish(&mut command, Duration::from_secs(60));
            // The reference returns before its child has made the file.
            let limit = if told.code == Some(0) { Duration::from_secs(10) } else { Duration::ZERO };
            let there = value_within(limit, || file.exists().then_some(())).is_some();
            (told, there)
        };
        make_open(&dir);
        let (told, runs) = start(2);
        assert_eq!(told.code, Some(differs(219, 1, 0)), "{told:?}");
        assert_eq!(runs, differs(219, false, true), "{told:?}");
        let says = told.stderr.contains("everybody can write in it (mode 0777)");
        assert_eq!(says, differs(219, true, false), "{told:?}");
        make_shared(&dir);
        let (told, runs) = start(3);
        assert!(told.code == Some(0) && runs, "{told:?}");
    });
}
