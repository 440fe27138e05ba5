// SPDX-License-Identifier: GPL-2.0-or-later
//! Other users of the machine, and what they can do to the lock file: neither make `status` say
//! that a daemon runs, nor keep one from starting.

use crate::support::{texts, wait_until, Daemon, Lab, PORT};
use booth_harness::stranger::{is_root_for, Disguise, Kind, Stranger, NOBODYS_USER};
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Which of the strangers there can be here: the same user's, and as root another's.
fn users(test: &str) -> Vec<bool> {
    if is_root_for(test) {
        vec![false, true]
    } else {
        vec![false]
    }
}

/// A lock file as an earlier version left it, that others can open.
fn leave_lock_file(lab: &Lab, mode: u32) -> PathBuf {
    let path = lab.lock_file(3);
    fs::write(&path, "").expect("written");
    set_mode(&path, mode);
    path
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("allowed");
}

/// A stranger whose title is that of the member 3.
fn impostor(lab: &Lab, foreign: bool, lock: Option<(&Path, Kind)>) -> Stranger {
    let (config, address) = (lab.config(), lab.address(3));
    let title = format!("boothd {} arbitrator for [{address}]:9971", config.display());
    let program = Path::new("/bin/sleep");
    Stranger::start(&Disguise { program, title: &title, foreign, lock })
}

#[test]
fn a_strangers_lock_is_no_daemon_and_keeps_none_from_starting() {
    let lab = Lab::new(120);
    for foreign in users("a_strangers_lock_is_no_daemon_and_keeps_none_from_starting") {
        for kind in [Kind::Read, Kind::Write, Kind::Byte, Kind::OpenFile] {
            let path = leave_lock_file(&lab, if kind == Kind::Read { 0o644 } else { 0o666 });
            let mut stranger = impostor(&lab, foreign, Some((&path, kind)));
            let output = lab.status(3);
            let (stdout, stderr) = texts(&output);
            assert_eq!(output.status.code(), Some(7), "{kind:?}: {stdout}{stderr}");
            assert_eq!(stdout, "", "{kind:?}");
            let begin = format!("not running: {} is locked by ", path.display());
            assert!(stderr.starts_with(&begin) && stderr.contains("end that process"), "{stderr}");
            if kind != Kind::OpenFile {
                assert!(stderr.contains(&format!("by process {} (", stranger.pid())), "{stderr}");
                assert!(!foreign || stderr.contains("of user 4242"), "{stderr}");
            }
            let mut daemon = lab.start(3);
            let log = daemon.log();
            assert!(log.contains("which is no boothd; a new one takes its place"), "{log}");
            let (stdout, _) = texts(&lab.status(3));
            assert!(stdout.starts_with(&format!("booth_lockpid={} ", daemon.pid())), "{stdout}");
            assert_eq!(daemon.stop().0.code(), Some(0));
            assert!(stranger.lives(), "nobody has sent it a signal");
        }
    }
}

#[test]
fn what_a_stranger_has_written_is_not_believed() {
    let lab = Lab::new(121);
    let path = leave_lock_file(&lab, 0o644);
    let stranger = impostor(&lab, false, Some((&path, Kind::Write)));
    let line = format!("booth_pid={} booth_state=started booth_type=arbitrator\n", stranger.pid());
    fs::write(&path, &line).expect("written");
    assert_eq!(lab.status(3).status.code(), Some(7));
    drop(stranger);
    // Nor is the line of a daemon that was killed, before the next one has written its own.
    let daemon = lab.start(3);
    // The file is there, and the kernel would not make another user's in a directory like /tmp.
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()))
        .expect("written");
    let output = lab.status(3);
    let pid = daemon.pid();
    let (stdout, _) = texts(&output);
    assert!(stdout.starts_with(&format!("booth_lockpid={pid} ")), "{stdout}");
    assert!(stdout.ends_with(&format!(" booth_pid={pid} booth_state=starting\n")), "{stdout}");
}

#[test]
fn a_lock_file_is_closed_to_other_users() {
    if !is_root_for("a_lock_file_is_closed_to_other_users") {
        return;
    }
    let lab = Lab::new(122);
    leave_lock_file(&lab, 0o644);
    let daemon = lab.start(3);
    assert_eq!(fs::metadata(lab.lock_file(3)).expect("there").mode() & 0o777, 0o600);
    let mut status = lab.booth(&["status", "-l"]);
    let output = status.arg(lab.lock_file(3)).uid(NOBODYS_USER).gid(NOBODYS_USER).output();
    let output = output.expect("run");
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("only root and the daemon's user may read it"), "{stderr}");
    drop(daemon);
}

#[test]
fn a_planted_lock_file_is_replaced() {
    if !is_root_for("a_planted_lock_file_is_replaced") {
        return;
    }
    let lab = Lab::new(123);
    let path = leave_lock_file(&lab, 0o666);
    chown(&path, Some(NOBODYS_USER), Some(NOBODYS_USER)).expect("given");
    let planted = fs::File::open(&path).expect("open");
    let daemon = lab.start(3);
    let there = fs::metadata(&path).expect("there");
    assert_ne!(there.ino(), planted.metadata().expect("open").ino());
    assert_ne!(there.uid(), NOBODYS_USER);
    assert!(daemon.log().contains("belonged to user 4242; a new one takes its place"));
    // In a directory like /tmp, too, where the kernel is careful with files of others.
    drop(daemon);
    set_mode(lab.path(), 0o1777);
    fs::remove_file(&path).expect("removed");
    leave_lock_file(&lab, 0o666);
    chown(&path, Some(NOBODYS_USER), Some(NOBODYS_USER)).expect("given");
    let _daemon = lab.start(3);
    assert_ne!(fs::metadata(&path).expect("there").uid(), NOBODYS_USER);
}

/// The real program, but of a user whom nobody has asked to run it.
#[test]
fn another_users_boothd_is_not_ours() {
    if !is_root_for("another_users_boothd_is_not_ours") {
        return;
    }
    let lab = Lab::new(124);
    // A program that this user may reach, wherever the tests were built.
    let program = copy_program(&lab, "boothd-theirs");
    let mut command = lab.daemon_of(&program, 3);
    command.uid(NOBODYS_USER).gid(NOBODYS_USER);
    let daemon = Daemon::adopt(command.spawn().expect("started"), lab.path().join("none"));
    wait_until("it has the lock", || {
        fs::read_to_string(lab.lock_file(3)).is_ok_and(|line| line.contains("started"))
    });
    let output = lab.status(3);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(7), ""), "{stderr}");
    let who = format!("process {} ({}) of user 4242", daemon.pid(), program.display());
    assert!(stderr.contains(&who), "{stderr}");
}

/// A copy of the program, which can be upgraded.
fn copy_program(lab: &Lab, name: &str) -> PathBuf {
    let path = lab.path().join(name);
    // Not by this process: others of its threads start programs, which would have it open, too.
    let copy = Command::new("cp").arg(env!("CARGO_BIN_EXE_booth")).arg(&path).status();
    assert!(copy.expect("run").success());
    set_mode(&path, 0o755);
    path
}

#[test]
fn a_daemon_counts_after_its_program_was_replaced() {
    let lab = Lab::new(125);
    // By its name for every version of the program; by its path for the same program.
    let by_name = copy_program(&lab, "boothd-dir");
    fs::remove_file(&by_name).expect("removed");
    fs::create_dir(&by_name).expect("made");
    let copy = copy_program(&lab, "boothd-dir/boothd");
    let child = lab.daemon_of(&copy, 3).spawn().expect("started");
    let mut daemon = Daemon::adopt(child, lab.path().join("none"));
    wait_until("it is up", || lab.status(3).status.code() == Some(0));
    fs::remove_file(&copy).expect("removed");
    fs::copy("/bin/sleep", &copy).expect("replaced");
    assert_eq!(lab.status(3).status.code(), Some(0), "{:?}", texts(&lab.status(3)));
    daemon.stop();
    assert_eq!(lab.status(3).status.code(), Some(7));
}

/// As a user of the configuration one may run anything, under any name.
#[test]
fn a_program_that_its_user_calls_boothd_is_no_daemon() {
    if !is_root_for("a_program_that_its_user_calls_boothd_is_no_daemon") {
        return;
    }
    let lab = Lab::with(128, "arbitrator-user = 4242\narbitrator-group = 4242");
    let directory = lab.path().join("theirs");
    fs::create_dir(&directory).expect("made");
    set_mode(&directory, 0o755);
    let program = directory.join("boothd");
    fs::copy("/bin/sleep", &program).expect("copied");
    set_mode(&program, 0o755);
    chown(&program, Some(NOBODYS_USER), Some(NOBODYS_USER)).expect("given");
    let path = leave_lock_file(&lab, 0o666);
    let lock = Some((path.as_path(), Kind::Write));
    let disguise = Disguise { program: &program, title: "boothd", foreign: true, lock };
    let mut stranger = Stranger::start(&disguise);
    let output = lab.status(3);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(7), ""), "{stderr}");
    assert!(stderr.contains(&format!("is locked by process {} (", stranger.pid())), "{stderr}");
    assert!(stranger.lives());
}

/// It shares our network and our root directory, but what it sees in the directory is not ours.
#[test]
fn a_daemon_with_another_directory_under_the_same_name_is_not_this_one() {
    if !is_root_for("a_daemon_with_another_directory_under_the_same_name_is_not_this_one") {
        return;
    }
    let lab = Lab::new(129);
    let directory = lab.path().join("locks");
    fs::create_dir(&directory).expect("made");
    let lock = directory.join("x.pid");
    let log = lab.path().join("log");
    let address = lab.address(3).to_string();
    let daemon = lab.booth(&["daemon", "-D", "-S", "-s", &address, "-l"]);
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o mode=755 none \"$0\" && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(&directory);
    command.arg(daemon.get_program()).args(daemon.get_args()).arg(&lock);
    command.stderr(fs::File::create(&log).expect("created"));
    let daemon = Daemon::adopt(command.spawn().expect("started"), log);
    daemon.says("daemon started");
    let status = || lab.booth(&["status", "-l"]).arg(&lock).output().expect("run");
    let (stdout, stderr) = texts(&status());
    assert_eq!((status().status.code(), stdout.as_str()), (Some(7), ""), "{stderr}");
    // From where it lives it is found, also without its file.
    let pid = daemon.pid().to_string();
    let script = "rm -f \"$0\"; exec \"$@\"";
    let status = lab.booth(&["status", "-l"]);
    let mut inside = Command::new("nsenter");
    inside.args(["--mount", "--target", &pid, "sh", "-c", script]).arg(&lock);
    inside.arg(status.get_program()).args(status.get_args()).arg(&lock);
    let (stdout, stderr) = texts(&inside.output().expect("run"));
    assert!(stdout.contains(&format!("booth_lockpid={pid} ")), "{stdout}{stderr}");
}

/// Root gave the file to that user, and nobody else could put one there.
#[test]
fn a_daemon_counts_when_its_configuration_names_another_user_by_now() {
    if !is_root_for("a_daemon_counts_when_its_configuration_names_another_user_by_now") {
        return;
    }
    let lab = Lab::with(126, "arbitrator-user = nobody\nsite-user = root\nsite-group = root");
    set_mode(lab.path(), 0o755);
    let daemon = lab.start(3);
    let config = fs::read_to_string(lab.config()).expect("readable");
    fs::write(lab.config(), config.replace("= nobody", "= root")).expect("written");
    assert_eq!(lab.status(3).status.code(), Some(0));
    let (_, stderr) = texts(&lab.daemon(3).output().expect("run"));
    assert!(stderr.contains(&format!("is held by process {}", daemon.pid())), "{stderr}");
    // In a directory of everybody's, anybody can have put it there.
    set_mode(lab.path(), 0o777);
    assert_eq!(lab.status(3).status.code(), Some(7));
}

/// The daemon's user cannot make the file again, and must not become unfindable by that.
#[test]
fn root_finds_a_daemon_whose_lock_file_was_removed_for_good() {
    if !is_root_for("root_finds_a_daemon_whose_lock_file_was_removed_for_good") {
        return;
    }
    let lab = Lab::with(127, "arbitrator-user = nobody");
    set_mode(lab.path(), 0o755);
    let mut daemon = lab.start(3);
    fs::remove_file(lab.lock_file(3)).expect("removed");
    daemon.says("the lock file was removed");
    for planted in [false, true] {
        if planted {
            leave_lock_file(&lab, 0o644);
        }
        let output = lab.status(3);
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(stdout.starts_with(&format!("booth_lockpid={} ", daemon.pid())), "{stdout}");
        assert!(stdout.contains(" booth_state=started "), "{stdout}");
    }
    daemon.stop();
    assert_eq!(lab.status(3).status.code(), Some(7));
}

/// A client that resets its connection after a request that is refused: the socket does not know
/// any more whose it was.
#[test]
fn a_refused_request_is_logged_with_the_address_even_if_its_client_has_gone() {
    let lab = Lab::new(136);
    let daemon = lab.start(3);
    daemon.signal(libc::SIGSTOP);
    let mut client = TcpStream::connect((lab.address(3), PORT)).expect("the kernel accepts");
    let address = client.local_addr().expect("its address");
    client.write_all(&[b'x'; 200]).expect("sent");
    let linger = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
    linger.expect("settable");
    drop(client);
    daemon.signal(libc::SIGCONT);
    daemon.says("refused a request of ");
    daemon.says(&format!("refused a request of {address}: magic number 0x78787878, not Booth's"));
}
