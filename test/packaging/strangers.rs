// SPDX-License-Identifier: GPL-2.0-or-later
//! Agent and init script among other users' processes: none is taken for the daemon or ended,
//! whatever it is called, and no directory in use changes its owner.

use super::agents::Stage;
use super::{end_with, run, source, succeed, top, write_script};
use booth_harness::stranger::{is_root_for, Disguise, Kind, Stranger, NOBODYS_USER};
use std::fs;
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that does nothing, under this name.
fn idler(stage: &Stage, name: &str) -> PathBuf {
    let open = |mode| fs::Permissions::from_mode(mode);
    let directory = stage.at("bin");
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(name);
    // Not by this process: others of its threads start programs, which would have it open, too.
    succeed(Command::new("cp").arg("/bin/sleep").arg(&path));
    for path in [&path, &directory, &stage.at("")] {
        fs::set_permissions(path, open(0o755)).expect("allowed");
    }
    path
}

/// The title of the daemon of the stage's configuration.
fn title(stage: &Stage) -> String {
    format!("boothd {} site for [127.0.0.1]:9929", stage.at("x.conf").display())
}

fn start(program: &Path, title: &str, foreign: bool) -> Stranger {
    Stranger::start(&Disguise { program, title, foreign, lock: None })
}

/// The agent sees no daemon, says that it is stopped, and lets the process alone.
fn is_overlooked(stage: &Stage, stranger: &mut Stranger) {
    end_with(7, &mut stage.site("monitor"));
    succeed(&mut stage.site("stop"));
    assert!(stranger.lives(), "it was ended");
}

#[test]
fn a_title_alone_is_no_daemon() {
    let stage = Stage::new();
    let titles = [
        title(&stage),
        format!("boothd-under-test: {}", stage.at("x.conf").display()),
        format!("boothd-under-test {} site for [127.0.0.1]:9929", stage.at("x.conf").display()),
    ];
    for title in &titles {
        for dumb in [false, true] {
            if dumb {
                stage.touch("dumb");
            }
            let mut stranger = start(Path::new("/bin/sleep"), title, false);
            is_overlooked(&stage, &mut stranger);
        }
        fs::remove_file(stage.at("dumb")).expect("removed");
    }
}

#[test]
fn title_and_program_of_another_user_are_no_daemon() {
    if !is_root_for("title_and_program_of_another_user_are_no_daemon") {
        return;
    }
    let stage = Stage::new();
    stage.touch("dumb");
    for name in ["boothd", "booth", "boothd-under-test"] {
        for title in [title(&stage), title(&stage).replacen("boothd", name, 1)] {
            let mut stranger = start(&idler(&stage, name), &title, true);
            is_overlooked(&stage, &mut stranger);
        }
    }
}

/// The configuration may be broken, the program removed: a daemon that runs still runs.
#[test]
fn a_daemon_is_found_when_the_program_cannot_tell() {
    let stage = Stage::new();
    for (dumb, upgraded) in [(true, false), (true, true), (false, true)] {
        let program = idler(&stage, "boothd");
        let mut daemon = start(&program, &title(&stage), false);
        // What is no daemon: a client, and a daemon of another configuration.
        let client = format!("boothd list -c {} ", stage.at("x.conf").display());
        let mut client = start(&program, &client, false);
        let other = title(&stage).replace("x.conf", "x.conf2");
        let mut other = start(&program, &other, false);
        if upgraded {
            fs::remove_file(&program).expect("removed");
        }
        let agent = |action| {
            let mut agent = stage.site(action);
            if dumb {
                stage.touch("dumb");
            } else {
                agent.env("OCF_RESKEY_daemon", "/nowhere/boothd");
            }
            agent
        };
        succeed(&mut agent("monitor"));
        succeed(&mut agent("stop"));
        assert!(!daemon.lives() && client.lives() && other.lives());
        end_with(7, &mut agent("monitor"));
        let _ = fs::remove_file(stage.at("dumb"));
    }
}

/// With other arguments it may have another lock file, of which the new ones know nothing.
#[test]
fn a_reload_ends_the_daemon_of_the_old_arguments() {
    let stage = Stage::new();
    let mut daemon = start(&idler(&stage, "boothd"), &title(&stage), false);
    end_with(7, &mut stage.site("monitor"));
    succeed(stage.site("reload").env("OCF_RESKEY_args", "-l /x/y"));
    assert!(!daemon.lives());
    succeed(&mut stage.site("monitor"));
}

#[test]
fn the_user_of_the_configuration_counts() {
    if !is_root_for("the_user_of_the_configuration_counts") {
        return;
    }
    let stage = Stage::new();
    let passwd = fs::read_to_string("/etc/passwd").expect("readable");
    assert!(!passwd.contains(&format!(":{NOBODYS_USER}:")), "a user without a name");
    let config = fs::read_to_string(stage.at("x.conf")).expect("readable");
    stage.touch("dumb");
    let program = idler(&stage, "boothd");
    let mut daemon = Command::new(&program);
    daemon.arg0(title(&stage));
    let nobody = succeed(Command::new("id").args(["-u", "nobody"]));
    daemon.uid(nobody.trim().parse().expect("a number"));
    let mut daemon = daemon.arg("60").spawn().expect("started");
    for (line, code) in [
        ("", 7),
        ("site-user = hacluster", 7),
        ("site-user=\"nobody\"", 0),
        ("  site-user = nobody   # so it is\nunheard-of", 0),
        ("# site-user = nobody", 7),
    ] {
        fs::write(stage.at("x.conf"), format!("{line}\n{config}")).expect("written");
        end_with(code, &mut stage.site("monitor"));
    }
    daemon.kill().and_then(|()| daemon.wait()).expect("ended");
}

/// The agent with the real program, whose configuration and lock file are the stage's.
struct Real<'a> {
    stage: &'a Stage,
    lock: PathBuf,
}

impl Real<'_> {
    fn new(stage: &Stage, port: u16) -> Real<'_> {
        let store = stage.at("store");
        fs::create_dir(&store).expect("a directory");
        fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).expect("allowed");
        fs::set_permissions(stage.at(""), fs::Permissions::from_mode(0o755)).expect("allowed");
        let text = format!(
            "port = {port}\nticket-store = {}\nsite-user = nobody\nsite-group = nogroup\n\
             site = 127.0.0.1\nsite = 127.41.0.2\narbitrator = 127.41.0.3\nticket = \"t1\"\n",
            store.display()
        );
        fs::write(stage.at("x.conf"), text).expect("written");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_booth"), stage.at("boothd")).expect("link");
        Real { stage, lock: stage.at("x.pid") }
    }

    fn agent(&self, action: &str) -> Command {
        let mut agent = self.stage.site(action);
        agent.env("OCF_RESKEY_args", format!("-l {}", self.lock.display()));
        agent.env("OCF_RESKEY_daemon", self.stage.at("boothd"));
        agent
    }
}

impl Drop for Real<'_> {
    fn drop(&mut self) {
        // A daemon that a failed test has left behind.
        let _ = self.agent("stop").output();
    }
}

#[test]
fn a_strangers_lock_is_no_daemon_for_the_agent_and_does_not_hold_up_a_start() {
    let stage = Stage::new();
    let real = Real::new(&stage, 9978);
    let (program, title) = (Path::new("/bin/sleep"), &title(&stage));
    for kind in [Kind::Read, Kind::Write, Kind::Byte, Kind::OpenFile] {
        fs::write(&real.lock, "").expect("written");
        let lock = Some((real.lock.as_path(), kind));
        let mut stranger = Stranger::start(&Disguise { program, title, foreign: false, lock });
        end_with(7, &mut real.agent("monitor"));
        succeed(&mut real.agent("stop"));
        succeed(&mut real.agent("start"));
        succeed(&mut real.agent("monitor"));
        succeed(&mut real.agent("stop"));
        end_with(7, &mut real.agent("monitor"));
        assert!(stranger.lives(), "{kind:?}: it was ended");
    }
}

#[test]
fn a_daemon_is_watched_and_stopped_without_its_lock_file_and_configuration() {
    let stage = Stage::new();
    let real = Real::new(&stage, 9979);
    succeed(&mut real.agent("start"));
    fs::remove_file(&real.lock).expect("removed");
    succeed(&mut real.agent("monitor"));
    succeed(&mut real.agent("start"));
    let config = fs::read_to_string(stage.at("x.conf")).expect("readable");
    for user in ["'nobody'", "\"nobody\" # us", "nobody\r"] {
        let broken = format!("\tsite-user = {user}\nunheard-of = 1\n");
        fs::write(stage.at("x.conf"), broken).expect("written");
        succeed(&mut real.agent("monitor"));
    }
    succeed(&mut real.agent("stop"));
    end_with(7, &mut real.agent("monitor"));
    fs::write(stage.at("x.conf"), config).expect("written");
    end_with(7, &mut real.agent("monitor"));
}

/// The init script with a program that answers `status` so, and has its calls noted.
fn init_script(directory: &Path, answer: &str) -> impl Fn(&str) -> Command {
    let program = directory.join("boothd");
    write_script(
        &program,
        &format!(
            "#!/bin/sh\necho \"$*\" >>\"${{0%/*}}/calls\"\n[ $1 = status ] || exit 1\n{answer}"
        ),
    );
    let script = source("scripts/init/booth-arbitrator.in")
        .replace("@sbindir@", &directory.display().to_string())
        .replace("@sysconfdir@", &directory.display().to_string())
        .replace("@boothdir@", &directory.display().to_string())
        .replace("/lib/lsb/init-functions", "/nowhere");
    let path = directory.join("booth-arbitrator");
    write_script(&path, &script);
    move |action| {
        let mut command = Command::new(&path);
        command.arg(action);
        command
    }
}

#[test]
fn the_init_script_does_not_call_stopped_what_it_cannot_see() {
    let directory = tempfile::tempdir().expect("a directory");
    let broken = init_script(directory.path(), "echo 'line 3: unknown key' >&2\nexit 1\n");
    let output = end_with(1, &mut broken("stop"));
    assert!(output.contains("line 3: unknown key"), "{output}");
    end_with(4, &mut broken("status"));
    let none = init_script(directory.path(), "exit 7\n");
    succeed(&mut none("stop"));
    end_with(3, &mut none("status"));
}

/// Debian's package of the C version leaves this file behind.
#[test]
fn the_init_script_says_why_it_does_not_start_and_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = init_script(directory.path(), "exit 7\n");
    write_script(
        &directory.path().join("booth-after-boot"),
        "#!/bin/sh\n: >\"${0%/*}/swept\"\nexit 1\n",
    );
    fs::create_dir(directory.path().join("default")).expect("made");
    let settings = directory.path().join("default/booth");
    fs::write(&settings, "# start booth arbitrator at boot\nRUN_ARBITRATOR=no\n").expect("written");
    let output = run(&mut script("start"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(6), "{said}");
    for part in [&settings.display().to_string(), "RUN_ARBITRATOR=no", "set RUN_ARBITRATOR=yes"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Whatever shall run, nothing of an earlier boot may look held.
    assert!(directory.path().join("swept").exists());
    fs::create_dir(directory.path().join("sysconfig")).expect("made");
    let override_it = directory.path().join("sysconfig/booth");
    fs::write(override_it, "RUN_ARBITRATOR=yes\n").expect("written");
    let output = run(&mut script("start"));
    assert_eq!(output.status.code(), Some(1), "it tries to: {output:?}");
}

/// Process 0 would be the script's own group: no signal goes to what is no single process.
#[test]
fn no_signal_goes_to_process_zero() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "booth_lockpid=0 booth_lockfile='x' booth_pid=0 booth_state=started";
    let zero = init_script(directory.path(), &format!("echo \"{text}\"\n"));
    // Of a group of its own, so that it would end nothing but itself.
    succeed(zero("stop").process_group(0));
    let stage = Stage::new();
    write_script(&stage.at("boothd-under-test"), &format!("#!/bin/sh\necho \"{text}\"\n"));
    succeed(stage.site("stop").process_group(0));
}

/// Runs a script of the shell where `/run` is a new file system.
fn with_own_run(script: &str, stage: &Stage) -> String {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc"]);
    command.arg(format!("mount -t tmpfs none /run; {script}"));
    command.env("STAGE", stage.at("")).env("AGENT", top().join("scripts/ocf/booth-site"));
    for (key, value) in stage.site("start").get_envs() {
        command.env(key, value.expect("set"));
    }
    succeed(&mut command)
}

#[test]
fn neither_agent_nor_init_script_changes_the_owner_of_a_directory_in_use() {
    if !is_root_for("neither_agent_nor_init_script_changes_the_owner_of_a_directory_in_use") {
        return;
    }
    let stage = Stage::new();
    let directory = tempfile::tempdir().expect("a directory");
    let init = init_script(directory.path(), "exit 7\n")("start");
    let init = init.get_program().to_string_lossy().into_owned();
    let seen = "stat -c '%u %g %a' /run/booth /run/booth/x.leases";
    for starter in ["\"$AGENT\" start >&2", &format!("{init} start >&2 || :")] {
        let in_use = format!(
            "mkdir -p /run/booth/x.leases; chown -R 4242:4243 /run/booth; chmod 750 /run/booth/*; \
             {starter}; {seen}"
        );
        assert_eq!(with_own_run(&in_use, &stage), "4242 4243 755\n4242 4243 750\n", "{starter}");
        let _ = run(&mut stage.site("stop"));
        let missing = format!("umask 077; {starter}; stat -c '%u %g %a' /run/booth");
        assert_eq!(with_own_run(&missing, &stage), "0 0 755\n", "{starter}");
        let _ = run(&mut stage.site("stop"));
    }
}

#[test]
fn tmpfiles_changes_the_owner_of_no_directory_in_use() {
    let test = "tmpfiles_changes_the_owner_of_no_directory_in_use";
    if !is_root_for(test) {
        return;
    }
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("etc")).expect("made");
    let create = |tool: &str, action: &str, file: &str| {
        let mut command = Command::new(tool);
        command.arg(format!("--root={}", root.path().display()));
        command.args(action.split_whitespace()).arg(top().join("scripts/systemd").join(file));
        let output = command.output();
        if let Ok(output) = &output {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{tool}: {errors}");
        }
        output.is_ok()
    };
    if !create("systemd-sysusers", "", "booth.sysusers") {
        return booth_harness::not_run(test, "needs systemd-sysusers");
    }
    let users = fs::read_to_string(root.path().join("etc/passwd")).expect("written");
    let user = users.lines().find(|line| line.starts_with("booth:x:")).expect("created");
    assert!(user.contains(":Booth ticket manager:/var/lib/booth:/"), "{user}");
    assert!(user.ends_with("/nologin"), "{user}");
    let number = user.split(':').nth(2).expect("a number").parse().expect("a number");
    if !create("systemd-tmpfiles", "--create", "booth.tmpfiles") {
        return booth_harness::not_run(test, "needs systemd-tmpfiles");
    }
    for (name, first) in [("run/booth", 0), ("var/lib/booth", number)] {
        let directory = root.path().join(name);
        let owner = || fs::metadata(&directory).map(|found| (found.uid(), found.mode() & 0o777));
        assert_eq!(owner().expect("made"), (first, 0o755), "{name}");
        chown(&directory, Some(NOBODYS_USER), None).expect("given");
        assert!(create("systemd-tmpfiles", "--create", "booth.tmpfiles"));
        assert_eq!(owner().expect("there"), (NOBODYS_USER, 0o755), "{name}");
    }
}

/// Of RuntimeDirectory=, systemd.exec(5) says that all that is in it gets the unit's user.
#[test]
fn units_change_the_owner_of_no_directory_in_use() {
    let lines = |name: &str| {
        let text = source(&format!("scripts/{name}"));
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        lines.collect::<Vec<String>>()
    };
    for name in
        ["systemd/booth@.service.in", "systemd/booth-arbitrator.service.in", "debian/booth.service"]
    {
        let kept = ["RuntimeDirectory", "StateDirectory", "chown", "chmod", "install"];
        let found =
            lines(name).into_iter().find(|line| kept.iter().any(|word| line.contains(word)));
        assert_eq!(found, None, "{name}");
    }
    // The one that sees a file system of its own has its directory made before.
    let arbitrator = lines("systemd/booth-arbitrator.service.in");
    for line in ["ProtectSystem=strict", "ExecStartPre=+mkdir -p /run/booth"] {
        assert!(arbitrator.iter().any(|found| found == line), "{line}");
    }
}
