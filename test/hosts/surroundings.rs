// SPDX-License-Identifier: GPL-2.0-or-later
//! What lies around a daemon: a read-only `/etc`, no resolver, no such user, a `/proc` that hides
//! others' processes, no umask, closed standard descriptors.

use crate::support::{
    all_but, answers, fate, frees, granted, holds, keepers, use_directory, works, ARBITRATOR,
    GRANTED, NEEDS, POOR, SOON,
};
use booth_harness::{
    finish, overlaps, pass, run, shell, signal, test_name, until, Cluster, Kind, Lab, Need, Setup,
};
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// In the background a daemon has to find its own address: in a network of its own.
const BACKGROUND_NEEDS: &[Need] = &[Need::Root, Need::Tap];
/// A renewal comes every 5 s.
const RENEWED: Duration = Duration::from_secs(7);
/// The bits of a mode that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

#[test]
fn with_a_read_only_etc_everything_works() {
    run(test_name!(), NEEDS, |lab| {
        shell("mount --rbind /etc /etc && mount -o remount,ro,bind /etc", &[]);
        shell("! touch /etc/booth-test 2>/dev/null", &[]);
        let cluster = Cluster::started(lab, &Setup::usual().with_key());
        for index in 0..3 {
            works(&cluster, index);
        }
    });
}

#[test]
fn with_nothing_that_can_be_written_but_its_directories_it_works() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        use_directory(lab, &mut cluster, POOR);
        let dir = lab.dir().display().to_string();
        // The lab lies in /tmp.
        shell("mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind /", &[&dir]);
        shell("! touch /etc/booth-test 2>/dev/null", &[]);
        shell("! touch /var/booth-test 2>/dev/null", &[]);
        cluster.start_all();
        for index in 0..3 {
            works(&cluster, index);
        }
        shell("mount -o remount,rw,bind / && umount -l \"$1\"", &[&dir]);
    });
}

/// Gives the lab these as `/etc/resolv.conf` and `/etc/hosts`.
#[track_caller]
fn resolve_by(lab: &Lab, resolver: &str, hosts: &str) {
    for (name, text) in [("resolv.conf", resolver), ("hosts", hosts), ("nsswitch.conf", "")] {
        let file = lab.write(name, text, 0o644);
        let place = format!("/etc/{name}");
        shell("[ -e \"$2\" ] || exit 0; mount --bind \"$1\" \"$2\"", &[&file, &place]);
    }
}

/// A configuration with the first site's address as a name.
#[track_caller]
fn with_a_name(lab: &Lab, cluster: &mut Cluster, index: usize, name: &str) {
    let text = std::fs::read_to_string(&cluster.config).expect("it was written");
    let text = text.replacen(&cluster.address(index).to_string(), name, 1);
    cluster.members[POOR].config = lab.write("named.conf", text, 0o644);
}

#[test]
fn without_a_resolver_addresses_work_and_names_are_errors() {
    run(test_name!(), NEEDS, |lab| {
        resolve_by(lab, "", "");
        let mut cluster = all_but(lab, POOR);
        assert!(fate(lab, &mut cluster, POOR, &[]).is_alive(), "addresses need no resolver");
        cluster.stop(POOR);
        with_a_name(lab, &mut cluster, 1, "there.invalid");
        let said = fate(lab, &mut cluster, POOR, &["there.invalid"]).said();
        assert!(said.contains("named.conf"), "{said}");
        let mut check = Kind::Ours.command(lab, "booth", None);
        check.args(["check", "-c", &cluster.members[POOR].config]);
        let told = finish(&mut check, SOON).expect_code(1).stderr;
        assert!(told.contains("there.invalid"), "{told}");
    });
}

#[test]
fn a_name_server_that_says_nothing_holds_nobody_up_for_long() {
    run(test_name!(), NEEDS, |lab| {
        let silent = UdpSocket::bind("127.0.0.53:53").expect("the lab's own network");
        resolve_by(lab, "nameserver 127.0.0.53\noptions timeout:1 attempts:2\n", "");
        let mut cluster = all_but(lab, POOR);
        // With addresses nobody is asked.
        let begun = Instant::now();
        cluster.start(POOR);
        answers(&cluster, POOR);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        silent.set_nonblocking(true).expect("a socket of our own");
        assert!(silent.recv_from(&mut [0; 512]).is_err(), "the name server was asked");
        cluster.stop(POOR);
        with_a_name(lab, &mut cluster, 1, "there.invalid");
        let said = fate(lab, &mut cluster, POOR, &["there.invalid"]).said();
        assert!(said.contains("named.conf"), "{said}");
    });
}

/// Takes a user or a group away from this host.
#[track_caller]
fn forget(lab: &Lab, names: &[&str]) {
    for table in ["passwd", "group"] {
        let place = format!("/etc/{table}");
        let text = std::fs::read_to_string(&place).expect("it is there");
        let is_kept = |line: &&str| !names.iter().any(|name| line.starts_with(&format!("{name}:")));
        let kept: Vec<&str> = text.lines().filter(is_kept).collect();
        let file = lab.write(table, kept.join("\n") + "\n", 0o644);
        shell("mount --bind \"$1\" \"$2\"", &[&file, &place]);
    }
}

/// A daemon that is started as root and has no user to become does not stay root.
#[test]
fn without_the_default_user_it_is_said() {
    run(test_name!(), NEEDS, |lab| {
        forget(lab, &["hacluster", "haclient"]);
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let reason = "there is no user \"hacluster\" on this host";
        fate(lab, &mut cluster, POOR, &[reason]).said();
    });
}

#[test]
fn without_the_configured_user_it_does_not_start() {
    run(test_name!(), NEEDS, |lab| {
        let setup = Setup::usual().global("site-user = nosuch\narbitrator-user = nosuch\n");
        let mut cluster = Cluster::new(lab, &setup);
        for index in [POOR, ARBITRATOR] {
            let reason = "there is no user \"nosuch\" on this host";
            fate(lab, &mut cluster, index, &[reason]).said();
        }
    });
}

#[test]
fn without_the_configured_group_it_does_not_start() {
    run(test_name!(), NEEDS, |lab| {
        let setup = Setup::usual().global("site-group = nosuch\narbitrator-group = nosuch\n");
        let mut cluster = Cluster::new(lab, &setup);
        for index in [POOR, ARBITRATOR] {
            let reason = "there is no group \"nosuch\" on this host";
            fate(lab, &mut cluster, index, &[reason]).said();
        }
    });
}

/// Runs a client as the user of a site.
#[track_caller]
fn status_as_its_user(lab: &Lab, cluster: &Cluster, index: usize) -> (Option<i32>, String) {
    let member = &cluster.members[index];
    let own = Kind::Ours.command(lab, "booth", None);
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=hacluster", "--regid=haclient", "--clear-groups"]);
    command.arg(own.get_program()).args(["status", "-c", &member.config, "-l"]);
    let ended = finish(command.arg(member.lock_file()), SOON);
    (ended.code, ended.text())
}

#[test]
fn with_a_proc_that_hides_processes_daemon_keeper_and_status_find_each_other() {
    run(test_name!(), NEEDS, |lab| {
        shell("mount -o remount,hidepid=2 /proc", &[]);
        let mut cluster = Cluster::started(lab, &Setup::usual());
        holds(&cluster, POOR);
        // The next daemon finds the keeper, and only one is left.
        let keeper = cluster.keeper(POOR).expect("a site has one");
        cluster.kill(POOR);
        cluster.start(POOR);
        pass(RENEWED);
        assert!(granted(&cluster, POOR), "it has gone on with its ticket");
        assert_eq!(cluster.keeper(POOR), Some(keeper));
        // Without the socket, the keeper is ended and replaced, whom it can see or not.
        cluster.kill(POOR);
        let run_dir = cluster.members[POOR].dir().display().to_string();
        shell("rm \"$1\"/*.keeper/keeper", &[&run_dir]);
        cluster.start(POOR);
        works(&cluster, POOR);
        until(SOON, "one keeper is left", || (keepers(&cluster, POOR) == 1).then_some(()));
        assert_ne!(cluster.keeper(POOR), Some(keeper));
        let (code, text) = status_as_its_user(lab, &cluster, POOR);
        assert!(code == Some(0) && text.contains("booth_state=started"), "{code:?} {text}");
        // A second daemon with the same lock file sees that there is one.
        let pid = cluster.members[POOR].pid();
        let fake = cluster.crm(POOR).bin();
        let mut second = Kind::Ours.command(lab, "boothd", Some(&fake));
        second.args(["daemon", "-D", "-S", "-c", &cluster.config, "-s"]);
        second
            .arg(cluster.address(POOR).to_string())
            .arg("-l")
            .arg(cluster.members[POOR].lock_file());
        let told = finish(&mut second, SOON).expect_code(1).stderr;
        assert!(told.contains(&format!("is held by process {}", pid.expect("it runs"))), "{told}");
        assert!(overlaps(&cluster.histories("t1")).is_empty());
    });
}

/// All files below a directory.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn without_a_umask_nothing_that_is_made_can_be_written_by_others() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        for index in [0, 1] {
            use_directory(lab, &mut cluster, index);
            cluster.members[index].run_dir = Some(cluster.members[index].dir().join("run"));
        }
        let dirs: Vec<PathBuf> = (0..2)
            .flat_map(|index| {
                let dir = cluster.members[index].dir();
                [dir.join("run"), dir.join("tickets")]
            })
            .collect();
        for dir in &dirs {
            std::fs::create_dir_all(dir).expect("the lab can be written");
            booth_harness::make_shared(dir);
        }
        for member in &mut cluster.members {
            member.before = Some("umask 0".to_owned());
        }
        cluster.start_all();
        holds(&cluster, POOR);
        let files: Vec<PathBuf> = dirs.iter().flat_map(|dir| files_below(dir)).collect();
        // Lock files, the keepers' directories with what is in them, the ticket.
        assert!(files.len() >= 7, "{files:?}");
        for file in files {
            let found = std::fs::symlink_metadata(&file).expect("it is there");
            let is_open = found.mode() & OTHERS_WRITE != 0;
            assert!(!is_open, "{}: {:o}", file.display(), found.mode());
        }
        frees(&cluster, POOR);
    });
}

#[test]
fn with_closed_standard_descriptors_it_works_and_nothing_gets_in_their_place() {
    run(test_name!(), NEEDS, |lab| {
        for closed in ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"] {
            let mut cluster = all_but(lab, POOR);
            cluster.members[POOR].before = Some(format!("exec {closed}"));
            cluster.start(POOR);
            works(&cluster, POOR);
            let pids = [cluster.members[POOR].pid(), cluster.keeper(POOR)];
            for pid in pids.map(|pid| pid.expect("it runs")) {
                for number in 0..3 {
                    let link = std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
                    let link = link.expect("it is open").display().to_string();
                    let is_harmless = link == "/dev/null" || link.ends_with("/log");
                    assert!(is_harmless, "{closed}: descriptor {number} of {pid} is {link}");
                }
            }
            signal(cluster.keeper(POOR).expect("it runs"), "TERM");
        }
    });
}

#[test]
fn in_the_background_with_closed_standard_descriptors_it_works() {
    run(test_name!(), BACKGROUND_NEEDS, |lab| {
        lab.plug(3, 4);
        let mut cluster = Cluster::new(lab, &Setup::usual());
        for member in &mut cluster.members {
            member.background = true;
            member.before = Some("exec 0<&- 1>&- 2>&-".to_owned());
        }
        cluster.start_all();
        holds(&cluster, POOR);
        cluster.wait_leader(&[0, 1, 2], POOR, GRANTED);
        frees(&cluster, POOR);
    });
}
