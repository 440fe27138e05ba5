// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth-after-boot`: what an earlier boot granted in the built-in store is revoked, what this one
//! granted is not. Another boot is stood in for by another first process, as a container has it.

use crate::support::{texts, wait_until, Lab};
use booth_harness::stranger::{Disguise, Kind, Stranger, NOBODYS_USER};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{chown, symlink, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A grant of a kernel that does not run any more.
const LEFT: &str = ".boot=11111111-2222-3333-4444-555555555555 7\nbooth-cfg-name=lab\n\
                    expires=2000000000\ngeo=1\ngranted=true\nlast-granted=5\nowner=77\nterm=3\n";

/// A lab with a configuration of which no other test leaves a keeper in `/run/booth`.
fn lab(net: u8) -> Lab {
    Lab::with(net, &format!("name = after-boot-{net}-{}", std::process::id()))
}

fn stored(lab: &Lab) -> PathBuf {
    lab.path().join("store/t1")
}

fn text(lab: &Lab) -> String {
    fs::read_to_string(stored(lab)).unwrap_or_default()
}

/// The program in this boot, or, behind the words of another program, in another one.
fn after_boot(lab: &Lab, around: &[&str]) -> Output {
    let program = lab.path().join("booth-after-boot");
    if !program.exists() {
        symlink(env!("CARGO_BIN_EXE_booth"), &program).expect("linked");
    }
    let mut words: Vec<_> = around.iter().map(Into::into).collect();
    words.extend([program.into_os_string(), lab.config().into_os_string()]);
    Command::new(&words[0]).args(&words[1..]).output().expect("run")
}

fn is_root(name: &str) -> bool {
    let root = fs::metadata("/proc/self").expect("mounted").uid() == 0;
    if !root {
        booth_harness::not_run(name, "needs root");
    }
    root
}

#[test]
fn a_grant_of_an_earlier_boot_is_revoked_and_all_else_stays() {
    let lab = lab(140);
    // Names are not looked up, and other mistakes do not matter: there is no network yet.
    let config = fs::read_to_string(lab.config()).expect("readable");
    let config = format!("site = no-such-host.invalid\nunheard-of = 1\n{config}");
    fs::write(lab.config(), config).expect("written");
    fs::write(stored(&lab), LEFT).expect("written");
    let output = after_boot(&lab, &[]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("ticket t1 was granted before this machine was booted"), "{stderr}");
    let (_, rest) = LEFT.split_once('\n').expect("lines");
    assert_eq!(text(&lab), rest.replace("granted=true", "granted=false"));
    // Once more: there is nothing to do, and nothing to say.
    let output = after_boot(&lab, &[]);
    assert_eq!((output.status.code(), texts(&output).1.as_str()), (Some(0), ""));
}

#[test]
fn what_was_written_without_a_mark_is_over_and_a_manual_ticket_is_not() {
    let lab = lab(141);
    let (_, unmarked) = LEFT.split_once('\n').expect("lines");
    let manual = LEFT.replace("2000000000", "0");
    for (before, granted) in [(unmarked, "granted=false"), (&manual, "granted=true")] {
        fs::write(stored(&lab), before).expect("written");
        assert_eq!(after_boot(&lab, &[]).status.code(), Some(0));
        assert!(text(&lab).lines().any(|line| line == granted), "{}", text(&lab));
    }
    assert_eq!(text(&lab), manual);
}

#[test]
fn what_is_damaged_is_said_and_the_others_are_revoked() {
    let lab = lab(142);
    fs::write(lab.path().join("store/a"), "granted=true\nowner").expect("written");
    // Whoever owns the store could hold up the start of the machine.
    fifo(&lab.path().join("store/b"));
    fs::write(stored(&lab), LEFT).expect("written");
    let output = after_boot(&lab, &[]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("store/a: line 2 is no key=value"), "{stderr}");
    assert!(stderr.contains("store/b: it is no ordinary file"), "{stderr}");
    assert!(text(&lab).contains("granted=false"), "{}", text(&lab));
    // A site with Pacemaker, and one whose store is not there, have nothing to do.
    fs::remove_dir_all(lab.path().join("store")).expect("removed");
    assert_eq!(after_boot(&lab, &[]).status.code(), Some(0));
    fs::write(lab.config(), "site = 192.0.2.1\n").expect("written");
    assert_eq!(after_boot(&lab, &[]).status.code(), Some(0));
    fs::write(lab.config(), "ticket-store = somewhere\n").expect("written");
    assert_eq!(after_boot(&lab, &[]).status.code(), Some(1));
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("run").success());
}

/// A configuration on a disk that does not answer, here a FIFO, keeps no other waiting.
#[test]
fn one_that_hangs_holds_up_no_other() {
    let lab = lab(146);
    fs::write(stored(&lab), LEFT).expect("written");
    let hung = lab.path().join("hung.conf");
    fifo(&hung);
    let program = lab.path().join("booth-after-boot");
    symlink(env!("CARGO_BIN_EXE_booth"), &program).expect("linked");
    let mut sweeper = Command::new(program).arg(&hung).arg(lab.config()).spawn().expect("started");
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until && !text(&lab).contains("granted=false") {
        std::thread::sleep(Duration::from_millis(2));
    }
    let revoked = text(&lab);
    // Lets it end, however this goes; where nobody reads, nobody has to be let go.
    let pipe = fs::File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&hung);
    if let Ok(mut pipe) = pipe {
        pipe.write_all(b"ticket-store = pacemaker\n").expect("written");
    }
    assert!(revoked.contains("granted=false"), "{revoked}");
    assert!(sweeper.wait().expect("ended").success());
}

/// Without arguments it looks for configurations itself, and waits for nothing that is none.
#[test]
fn a_pipe_among_the_configurations_is_passed_over() {
    if !is_root("a_pipe_among_the_configurations_is_passed_over") {
        return;
    }
    let lab = lab(147);
    fs::write(stored(&lab), LEFT).expect("written");
    let directory = lab.path().join("etc");
    fs::create_dir(&directory).expect("made");
    fifo(&directory.join("a.conf"));
    fs::create_dir(directory.join("b.conf")).expect("made");
    fs::copy(lab.config(), directory.join("c.conf")).expect("copied");
    let program = lab.path().join("booth-after-boot");
    symlink(env!("CARGO_BIN_EXE_booth"), &program).expect("linked");
    let script = format!(
        "mkdir -p /etc/booth && mount --bind '{}' /etc/booth && exec timeout 20 '{}'",
        directory.display(),
        program.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", &script]);
    let output = command.output().expect("run");
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(text(&lab).contains("granted=false"), "{stderr}");
    for passed_over in ["a.conf", "b.conf"] {
        assert!(stderr.contains(&format!("{passed_over} is no file")), "{stderr}");
    }
}

/// The daemon's user has to be able to use what root has written.
#[test]
fn the_file_keeps_its_owner() {
    if !is_root("the_file_keeps_its_owner") {
        return;
    }
    let lab = lab(143);
    fs::write(stored(&lab), LEFT).expect("written");
    let store = lab.path().join("store");
    for path in [&stored(&lab), &store] {
        chown(path, Some(NOBODYS_USER), Some(NOBODYS_USER)).expect("given");
    }
    fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("set");
    let output = after_boot(&lab, &[]);
    assert_eq!(output.status.code(), Some(0), "{:?}", texts(&output));
    assert!(text(&lab).contains("granted=false"), "{}", text(&lab));
    let found = fs::metadata(stored(&lab)).expect("there");
    assert_eq!((found.uid(), found.gid()), (NOBODYS_USER, NOBODYS_USER));
}

/// What a daemon of this boot has read, it sees to itself, also if the file has no mark. Of an
/// earlier boot only directories are left, where `/run` survives one as in a container.
#[test]
fn what_a_keeper_that_lives_guards_is_left_alone_and_a_directory_is_no_keeper() {
    if !is_root("what_a_keeper_that_lives_guards_is_left_alone_and_a_directory_is_no_keeper") {
        return;
    }
    let lab = lab(145);
    let name = format!("after-boot-145-{}", std::process::id());
    let run = lab.path().join("run");
    let own_run = |locked: &str| {
        fs::write(stored(&lab), LEFT).expect("written");
        let path = run.join("booth").join(locked);
        let disguise = Disguise {
            program: Path::new("/bin/sleep"),
            title: "booth-keeper",
            foreign: false,
            lock: Some((&path, Kind::Read)),
        };
        let keeper = path.exists().then(|| Stranger::start(&disguise));
        let script = format!("mount --bind {} /run; exec \"$@\"", run.display());
        let around = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", &script, "-"];
        let output = after_boot(&lab, &around);
        assert_eq!(output.status.code(), Some(0), "{:?}", texts(&output));
        drop(keeper);
        text(&lab)
    };
    let own = format!("{name}-127.20.145.1.keeper");
    for directory in [own.as_str(), "other-127.20.145.1.keeper"] {
        fs::create_dir_all(run.join("booth").join(directory)).expect("made");
    }
    assert_eq!(own_run(&own), LEFT);
    assert_ne!(own_run("other-127.20.145.1.keeper"), LEFT);
    assert_ne!(own_run("none"), LEFT, "nobody has locked the directory of an earlier boot");
    // What is no directory is no keeper's, wherever it leads.
    fs::remove_dir(run.join("booth").join(&own)).expect("removed");
    symlink("other-127.20.145.1.keeper", run.join("booth").join(&own)).expect("linked");
    assert_ne!(own_run("other-127.20.145.1.keeper"), LEFT);
}

#[test]
fn a_daemons_grant_of_this_boot_is_not_touched_and_is_over_on_the_next_one() {
    let lab = lab(144);
    let daemons = [1, 3].map(|member| lab.start(member));
    assert!(lab.client(&["grant", "-F", "t1"], 1).status.success());
    wait_until("granted", || text(&lab).contains("granted=true"));
    let before = text(&lab);
    let output = after_boot(&lab, &[]);
    assert_eq!((output.status.code(), texts(&output).1.as_str()), (Some(0), ""));
    assert_eq!(text(&lab), before);
    // No attribute, neither for clients nor in the way of one.
    let listed = lab.geostore(&["list", "-t", "t1", "-s"]).arg(lab.address(1).to_string()).output();
    let (attributes, _) = texts(&listed.expect("run"));
    assert!(!attributes.contains("boot"), "{attributes}");
    for mut daemon in daemons {
        daemon.signal(libc::SIGKILL);
        daemon.end();
    }
    if !is_root("a_daemons_grant_of_this_boot_is_not_touched_and_is_over_on_the_next_one") {
        return;
    }
    let output = after_boot(&lab, &["unshare", "--pid", "--fork", "--mount-proc"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let expected = before.replace("granted=true", "granted=false");
    assert_eq!(format!("{}\n{}", before.lines().next().expect("a mark"), text(&lab)), expected);
}
