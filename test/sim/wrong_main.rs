// SPDX-License-Identifier: GPL-2.0-or-later
//! Builds every wrong engine (`wrong`) in copies of the source tree, and hunts it:
//! `cargo run --release --package booth-sim --example wrong -- [--rates] [NAME...]`.
//!
//! Each copy is changed and built again for one engine after the other, so that the compiler has
//! little to do for each. As many run side by side as there are processors.

use booth_sim::scenario::lab::holders_at_the_end;
use booth_sim::wrong::{all, Seeds, Tree, WrongEngine};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Seconds that anything may take; an engine that is wrong may never end.
const LIMIT: &str = "300";

/// Seeds of which the rates are counted, or of which one must become a transcript.
const HUNDRED: &str = "100";

/// The profile of Cargo.toml with which wrong engines are built.
const PROFILE: [&str; 2] = ["--profile", "wrong"];

/// A copy, and what is run there.
struct Worker {
    tree: Tree,
    target: PathBuf,
    rates: bool,
}

impl Worker {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("timeout");
        command.arg(LIMIT).arg(program).current_dir(self.tree.root());
        command.env("CARGO_TARGET_DIR", &self.target).env_remove("CARGO_INCREMENTAL");
        command
    }

    /// Cargo with these arguments, in the copy.
    fn cargo(&self, verb: &str, args: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").map_or("cargo".into(), PathBuf::from);
        let flags = std::env::var("CARGOFLAGS").unwrap_or("--locked".to_owned());
        let mut command = self.command(&cargo);
        command.arg(verb).args(flags.split_whitespace()).args(PROFILE).args(args);
        command
    }

    /// The simulator with this engine. Its exit status and what it printed.
    fn simulate(&self, args: &[&str]) -> Result<(Option<i32>, String), String> {
        run(self.command(&self.target.join("wrong/examples/sim")).args(args))
    }

    /// Hunts one wrong engine. Says how it was caught, or why it was not.
    fn hunt(&mut self, wrong: &WrongEngine) -> Result<String, String> {
        self.tree.become_wrong(wrong)?;
        let mut said = Vec::new();
        if !wrong.seeds.is_empty() {
            let args = ["--package", "booth-sim", "--example", "sim"];
            built(run(&mut self.cargo("build", &args))?)?;
        }
        for seeds in &wrong.seeds {
            said.push(if self.rates { self.rate(seeds) } else { self.caught_by_seeds(seeds) }?);
        }
        if self.rates {
            return Ok(said.join("; "));
        }
        if !wrong.tests.is_empty() {
            said.push(self.caught_by_tests(&wrong.tests)?);
        }
        for family in &wrong.transcripts {
            said.push(self.as_transcript(family)?);
        }
        Ok(said.join("; "))
    }

    fn caught_by_seeds(&self, seeds: &Seeds) -> Result<String, String> {
        let (first, most) = (seeds.first.to_string(), seeds.most.to_string());
        let mut args = vec!["--family", &seeds.family, "--seed", &first, "--seeds", &most];
        args.push("--no-shrink");
        args.extend(seeds.holders.then_some("--holders"));
        let (code, text) = self.simulate(&args)?;
        let first = text.lines().next().unwrap_or_default();
        let (family, finding) = first.split_once(' ').unwrap_or_default();
        if code != Some(1) || family != seeds.family {
            return Err(format!("not caught by {}: {text}", args.join(" ")));
        }
        Ok(format!("{family} seed {}", finding.chars().take(90).collect::<String>()))
    }

    fn caught_by_tests(&self, tests: &[String]) -> Result<String, String> {
        let test = || {
            let mut cargo = self.cargo("test", &["--package", "booth-core", "--lib"]);
            // Tests take longer to compile than to run.
            cargo.env("CARGO_PROFILE_WRONG_OPT_LEVEL", "0");
            cargo
        };
        built(run(test().arg("--no-run"))?)?;
        let (_, text) = run(test().arg("--").arg("--exact").args(tests))?;
        let all_fail = format!("test result: FAILED. 0 passed; {} failed;", tests.len());
        if !text.contains(&all_fail) {
            return Err(format!("not every test failed of {}:\n{text}", tests.join(" ")));
        }
        Ok(tests.join(" "))
    }

    /// A shrunk run becomes a transcript that shows two holders, but not with the right engine.
    fn as_transcript(&self, family: &str) -> Result<String, String> {
        let path = self.target.join("transcript");
        let file = path.to_str().ok_or("the folder's name is no text")?;
        let args = ["--family", family, "--seeds", HUNDRED, "--holders", "--scenario", file];
        self.simulate(&args)?;
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        fs::remove_file(&path).map_err(|error| format!("{file}: {error}"))?;
        let (_, wrong) = self.simulate_transcript(&text, &path)?;
        let right = holders_at_the_end(&text);
        if wrong.trim() != "2 holders" || right > 1 {
            return Err(format!("with the right engine {right} holders, else {wrong}:\n{text}"));
        }
        Ok(format!("a transcript of {} lines", text.lines().count()))
    }

    fn simulate_transcript(
        &self,
        text: &str,
        path: &Path,
    ) -> Result<(Option<i32>, String), String> {
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        let said = self.simulate(&["--replay", path.to_str().unwrap_or_default()]);
        fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        said
    }

    /// In how many of a hundred seeds two sites hold.
    fn rate(&self, seeds: &Seeds) -> Result<String, String> {
        let family = seeds.family.as_str();
        let args = ["--family", family, "--seeds", HUNDRED, "--no-shrink", "--keep-on"];
        let (_, text) = self.simulate(&[&args[..], &["--holders"]].concat())?;
        let found = text.lines().filter(|line| line.starts_with(&format!("{family} "))).count();
        Ok(format!("two holders in {found} of {HUNDRED} seeds of {family}"))
    }
}

/// Runs a command; what it printed, errors last.
fn run(command: &mut Command) -> Result<(Option<i32>, String), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code(), text.into_owned()))
}

fn built((code, text): (Option<i32>, String)) -> Result<(), String> {
    if code == Some(0) {
        Ok(())
    } else {
        Err(format!("it does not compile:\n{text}"))
    }
}

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let rates = names.iter().any(|name| name == "--rates");
    names.retain(|name| name != "--rates");
    match hunt_all(&names, rates) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("wrong: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Hunts the wrong engines with these names, or all. Whether each was caught.
fn hunt_all(names: &[String], rates: bool) -> Result<bool, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = source.canonicalize().map_err(|error| error.to_string())?;
    let mut wanted = all(&source)?;
    if let Some(name) = names.iter().find(|name| !wanted.iter().any(|w| w.name == **name)) {
        return Err(format!("there is no wrong engine {name:?} in {}", booth_sim::wrong::DIR));
    }
    wanted.retain(|wrong| names.is_empty() || names.contains(&wrong.name));
    wanted.retain(|wrong| !rates || !wrong.seeds.is_empty());
    // Copies lie beside the build, where nothing is kept for ever: .../target/release/examples.
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(3).ok_or("this program has no folder")?.to_owned();
    let (count, wanted) = (wanted.len(), Mutex::new(wanted.into_iter()));
    let (tell, told) = channel();
    let mut missed = 0;
    thread::scope(|scope| {
        for number in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (tell, wanted, source, root) =
                (tell.clone(), &wanted, &source, target.join(format!("wrong-{number}")));
            scope.spawn(move || {
                let tree = Tree::copy(source, &root, &["Cargo.toml", "Cargo.lock", "src", "test"]);
                let mut worker = match tree {
                    Ok(tree) => Worker { tree, target: root.join("target"), rates },
                    Err(error) => return drop(tell.send(("copy".into(), Err(error.to_string())))),
                };
                let next = || wanted.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(wrong) = next() {
                    let _ = tell.send((wrong.name.clone(), worker.hunt(&wrong)));
                }
            });
        }
        drop(tell);
        for (name, outcome) in told {
            match outcome {
                Ok(text) => println!("{name}: {text}"),
                Err(text) => {
                    missed += 1;
                    println!("MISSED {name}: {text}");
                }
            }
        }
    });
    println!("wrong: {} caught, {missed} missed", count.saturating_sub(missed));
    Ok(missed == 0)
}
