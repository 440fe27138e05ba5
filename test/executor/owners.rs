// SPDX-License-Identifier: GPL-2.0-or-later
//! Whose the run directory is, who may take a keeper over, and what becomes of one that a boothd
//! with another configuration, or of another version, finds.

use crate::driver;
use crate::guarding::revoked_at;
use crate::process::{lives, pass, signal, until};
use crate::site::{both, Driver, Kind, Site};
use booth::keeper::words::{self, Message, VERSION};
use booth_harness::not_run;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{chown, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A user without rights, `nobody` on most machines.
const USER: u32 = 65_534;

/// Whether a test that needs root has it; otherwise that is said.
fn has_root(name: &str) -> bool {
    // SAFETY: the call takes nothing.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        not_run(name, "needs root");
    }
    root
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("given away");
}

fn may(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// Gives everything in a directory, and itself, to a user.
fn give_all(path: &Path, user: u32) {
    for entry in fs::read_dir(path).expect("there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            give_all(&path, user);
        } else if !path.is_symlink() {
            give(&path, user);
        }
    }
    give(path, user);
}

/// A site of a user without rights; `None`, and that is said, where that user cannot run this
/// program.
fn site_of_user(name: &str, kind: Kind) -> Option<(Site, Driver)> {
    let site = Site::new(kind);
    for program in ["crm_ticket", "cibadmin"] {
        let path = site.path("bin").join(program);
        let source = fs::canonicalize(&path).expect("there");
        fs::remove_file(&path).expect("removed");
        let status = Command::new("install").arg("-m755").args([source, path]).status();
        assert!(status.expect("started").success());
    }
    give_all(&site.path(""), USER);
    let mut command = site.command();
    let mut look = Command::new(command.get_program());
    look.arg("--list").stdout(Stdio::null()).uid(USER).gid(USER);
    if !look.status().is_ok_and(|status| status.success()) {
        not_run(name, "another user cannot run programs from here");
        return None;
    }
    let driver = site.start_with(command.uid(USER).gid(USER));
    Some((site, driver))
}

/// What happens to the run directory.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Owner,
    Removed,
    Moved,
}

/// Everything that the keeper needs of it, it has open.
#[test]
fn a_run_directory_of_another_user_or_none_keeps_no_ticket_granted() {
    let name = "a_run_directory_of_another_user_or_none_keeps_no_ticket_granted";
    if !has_root(name) {
        return;
    }
    let ends = [(true, false), (false, false), (true, true)];
    both(|kind| {
        std::thread::scope(|scope| {
            for loss in [Loss::Owner, Loss::Removed, Loss::Moved] {
                for (daemon, keeper) in ends {
                    scope.spawn(move || is_revoked_after(loss, (daemon, keeper), name, kind));
                }
            }
        });
    });
}

/// The run directory is lost while a ticket is held; `daemon`: boothd lives on; `keeper`: the
/// keeper is killed, and the next one has the directory from boothd, as it is by then.
fn is_revoked_after(loss: Loss, (daemon, keeper): (bool, bool), name: &str, kind: Kind) {
    let Some((site, mut driver)) = site_of_user(name, kind) else { return };
    let what = format!("{kind:?} {loss:?} {daemon} {keeper}");
    driver.tell("hold 0 7 600000 640000 500000 550000");
    driver.tell("grant 0 1 7 60000");
    assert_eq!(driver.next(), "written 1 Written", "{what}");
    lose(&site.path("run"), loss);
    if keeper {
        signal(site.keeper(), libc::SIGKILL);
        driver.tell("set 0 2 geo v 60000");
        assert_eq!(driver.next(), "attr 2 Written", "{what}");
    }
    let begun = Instant::now();
    driver.hold(0, 7, 2_000);
    driver.all_told();
    if !daemon {
        driver.kill();
    }
    revoked_at(&site, begun, Duration::from_millis(2_000));
}

fn lose(run: &Path, loss: Loss) {
    match loss {
        Loss::Owner => {
            give_all(run, 0);
            may(run, 0o700);
        }
        Loss::Removed => fs::remove_dir_all(run).expect("removed"),
        Loss::Moved => fs::rename(run, run.with_extension("away")).expect("moved"),
    }
}

/// Does something as a user without rights: this thread alone.
fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let result = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the calls take numbers; not through libc, which would change all threads.
            let changed = unsafe {
                libc::syscall(libc::SYS_setresgid, USER, USER, USER)
                    | libc::syscall(libc::SYS_setresuid, USER, USER, USER)
            };
            assert_eq!(changed, 0);
            act()
        });
        thread.join()
    });
    result.expect("it does not panic")
}

fn connect(path: &Path) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket)
}

/// Says something to a keeper; all that it answers until it has no more to say, or hangs up.
fn ask(path: &Path, messages: &[Message], wanted: usize) -> Vec<Message> {
    let socket = connect(path).expect("connected");
    for packet in words::packets(messages) {
        // It may have hung up already.
        let _ = socket.send(&packet);
    }
    let mut heard = Vec::new();
    let mut buffer = vec![0u8; words::PACKET_MAX];
    while heard.len() < wanted {
        match (&socket).read(&mut buffer) {
            Ok(len) if len > 0 => heard.extend(words::messages(&buffer[..len])),
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("neither an answer nor an end: {error}"),
        }
    }
    heard
}

/// What a boothd of this site says first.
fn hello(kind: Kind, site: &Site) -> Message {
    let store = match kind {
        Kind::Pacemaker => "cib".to_owned(),
        Kind::BuiltIn => format!("dir {}", site.path("tickets").display()),
    };
    Message::Hello { version: VERSION, setup: format!("{} some {store}", driver::SITE_ID) }
}

/// The socket of a site, where everybody may connect to it.
fn open_socket(site: &Site) -> PathBuf {
    let socket = site.path("run/keeper");
    may(&site.path(""), 0o755);
    may(&site.path("run"), 0o777);
    may(&socket, 0o666);
    socket
}

#[test]
fn another_user_cannot_take_a_keeper_over() {
    if !has_root("another_user_cannot_take_a_keeper_over") {
        return;
    }
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 600_000);
        let socket = open_socket(&site);
        let words = [hello(kind, &site), Message::Taken];
        for _ in 0..10 {
            assert_eq!(as_nobody(|| ask(&socket, &words, 1)), [], "{kind:?}");
        }
        let other = Message::Hello { version: VERSION + 1, setup: String::new() };
        assert_eq!(as_nobody(|| ask(&socket, &[other], 1)), [], "{kind:?}");
        // The keeper is still that of boothd.
        driver.tell("set 0 1 geo v 20000");
        assert_eq!(driver.next(), "attr 1 Written");
        driver.kill();
        // The same user may, with the same words.
        assert_eq!(ask(&socket, &words, 1), [Message::Taken], "{kind:?}");
        assert!(site.is_granted(0));
    });
}

/// Those that say nothing do not keep boothd out, nor the keeper from its work.
#[test]
fn callers_that_say_nothing_are_in_nobody_s_way() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 2_000);
        let socket = site.path("run/keeper");
        let silent = connect(&socket).expect("connected");
        let keeper = site.keeper();
        driver.kill();
        let mut driver = site.start();
        assert_eq!(site.keepers(), [keeper]);
        driver.tell("load 0 20000");
        assert!(driver.next().contains("granted: true"), "{kind:?}");
        driver.kill();
        revoked_at(&site, begun, Duration::from_millis(2_000));
        drop(silent);
        until("the keeper ends", || site.keepers().is_empty());
    });
}

/// A socket that another user has put into the run directory is no keeper.
#[test]
fn boothd_does_not_trust_a_keeper_of_another_user() {
    if !has_root("boothd_does_not_trust_a_keeper_of_another_user") {
        return;
    }
    let site = Site::new(Kind::BuiltIn);
    may(&site.path(""), 0o755);
    may(&site.path("run"), 0o777);
    let path = site.path("run/keeper");
    let listener = as_nobody(|| {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("possible");
        socket.bind(&SockAddr::unix(&path).expect("short")).expect("bound");
        socket.listen(4).expect("possible");
        socket
    });
    let mut driver = site.start();
    driver.grant(0, 7, 600_000);
    assert!(site.is_granted(0));
    site.keeper();
    listener.set_nonblocking(true).expect("possible");
    // boothd may have connected; it has said nothing.
    if let Ok((caller, _)) = listener.accept() {
        caller.set_read_timeout(Some(Duration::from_secs(10))).expect("possible");
        let len = (&caller).read(&mut [0u8; 1024]).unwrap_or(0);
        assert_eq!(len, 0);
    }
}

/// The old one guards what it was told to the end; the new boothd has one of its own.
#[test]
fn a_keeper_for_another_configuration_guards_to_the_end() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 4_000);
        let hold_until = site.hold_until(0);
        let old = site.keeper();
        driver.kill();
        let mut driver = site.start_with(site.command().env(driver::NAME, "other"));
        let new = site.keepers().into_iter().find(|pid| *pid != old).expect("it has its own");
        assert!(lives(old));
        driver.tell("set 0 1 geo v 20000");
        assert_eq!(driver.next(), "attr 1 Written", "{kind:?}");
        assert_eq!(site.hold_until(0), hold_until, "the new one has told nothing");
        revoked_at(&site, begun, Duration::from_millis(4_000));
        until("the old one ends", || !lives(old));
        assert_eq!(site.keepers(), [new]);
        // It is the one that is found.
        driver.kill();
        let driver = site.start_with(site.command().env(driver::NAME, "other"));
        assert_eq!(site.keepers(), [new]);
        driver.stop();
    });
}

/// The words of a later version are the same as far as *hello*.
#[test]
fn a_keeper_of_another_version_guards_to_the_end() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 3_000);
        let old = site.keeper();
        driver.kill();
        let Message::Hello { setup, .. } = hello(kind, &site) else { unreachable!() };
        let later = Message::Hello { version: VERSION + 1, setup };
        assert_eq!(ask(&site.path("run/keeper"), &[later], 1), [Message::Other], "{kind:?}");
        // From now on it is found by nobody.
        assert!(connect(&site.path("run/keeper")).is_err());
        revoked_at(&site, begun, Duration::from_millis(3_000));
        until("it ends", || !lives(old));
    });
}

/// A boothd that lives is told, and starts another keeper; the old one is left its work.
#[test]
fn a_keeper_that_resigns_tells_its_boothd() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        let begun = Instant::now();
        driver.grant(0, 7, 3_000);
        let old = site.keeper();
        let other = Message::Hello { version: VERSION, setup: "other".to_owned() };
        assert_eq!(ask(&site.path("run/keeper"), &[other], 1), [Message::Other]);
        driver.tell("set 0 1 geo v 20000");
        assert_eq!(driver.next(), "attr 1 Written", "{kind:?}");
        assert!(lives(old) && site.keepers().len() == 2, "{kind:?}");
        driver.pause();
        revoked_at(&site, begun, Duration::from_millis(3_000));
        until("the old one ends", || !lives(old));
        pass(Duration::from_millis(100));
        assert_eq!(site.keepers().len(), 1);
    });
}

/// Its boothd has started it and goes on with another: nobody else collects it.
#[test]
fn a_keeper_that_resigned_leaves_nothing_when_it_ends() {
    both(|kind| {
        let site = Site::new(kind);
        let mut driver = site.start();
        driver.grant(0, 7, 2_000);
        let old = site.keeper();
        let other = Message::Hello { version: VERSION, setup: "other".to_owned() };
        assert_eq!(ask(&site.path("run/keeper"), &[other], 1), [Message::Other]);
        until("another one works", || site.keepers().iter().any(|pid| *pid != old));
        // It guards to the end of the window.
        until("the old one ends", || !lives(old));
        let entry = PathBuf::from(format!("/proc/{old}"));
        let mut serial = 1;
        until("it is collected", || {
            // boothd looks whenever it has something to do.
            driver.tell(&format!("set 0 {serial} geo v 20000"));
            assert_eq!(driver.next(), format!("attr {serial} Written"), "{kind:?}");
            serial += 1;
            !entry.exists()
        });
    });
}
