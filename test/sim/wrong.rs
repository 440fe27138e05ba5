// SPDX-License-Identifier: GPL-2.0-or-later
//! Wrong engines: patches of the core (`wrong/*.patch`), each of which breaks one rule, and what
//! must catch it. `example wrong` builds and hunts them.
//!
//! The lines before the first `---` of a patch say what it is: `Rule:` and tags of `RULES.md`;
//! what is wrong, in words; then what must catch it, at least one line of:
//!
//! - `Seeds: FAMILY N [holders]`: a checker, within the first N seeds of this family of plans;
//!   with `holders` it must be one that sees two holders (S1, S2)
//! - `Seed: FAMILY N [holders]`: the same for the seed N alone
//! - `Test: NAME`: this unit test of the core must fail
//! - `Transcript: FAMILY`: a run of this family, shrunk and written as a transcript, must show two
//!   holders with the wrong engine, and not with the right one

use super::hunt::Hunt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the patches are, in the source tree.
pub const DIR: &str = "test/sim/wrong";

/// What each copy gets besides: the engine does not judge itself.
const FOR_ALL: &str = "all.patch";

/// Seeds that must catch a wrong engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The family of plans: `ordinary`, or a name of [`Hunt`].
    pub family: String,
    /// The first seed.
    pub first: u64,
    /// How many seeds it may take.
    pub most: u64,
    /// Whether only two holders count.
    pub holders: bool,
}

/// A wrong engine.
#[derive(Debug, Default)]
pub struct WrongEngine {
    /// The name of its patch, without `.patch`.
    pub name: String,
    /// The tags of the rules that it breaks.
    pub rules: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// Seeds that catch it.
    pub seeds: Vec<Seeds>,
    /// Unit tests of the core that catch it.
    pub tests: Vec<String>,
    /// Families of plans whose shrunk run shows two holders as a transcript.
    pub transcripts: Vec<String>,
    /// The files that it changes.
    pub files: Vec<PathBuf>,
    patch: String,
}

impl WrongEngine {
    /// Reads the lines of a patch.
    fn parse(path: &Path, text: String) -> Result<WrongEngine, String> {
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("it has no name")?;
        let mut wrong = WrongEngine { name: name.to_owned(), ..WrongEngine::default() };
        let (head, _) = text.split_once("\n--- ").ok_or("it changes nothing")?;
        for line in head.lines() {
            match line.split_once(": ") {
                Some(("Rule", tags)) => {
                    wrong.rules.extend(tags.split_whitespace().map(str::to_owned));
                }
                Some(("Seeds", seeds)) => wrong.seeds.push(seeds_of(seeds)?),
                Some(("Seed", seed)) => {
                    let seeds = seeds_of(seed)?;
                    wrong.seeds.push(Seeds { first: seeds.most, most: 1, ..seeds });
                }
                Some(("Test", test)) => wrong.tests.push(test.to_owned()),
                Some(("Transcript", family)) => wrong.transcripts.push(known_family(family)?),
                Some(_) | None => wrong.what += &format!("{line} "),
            }
        }
        if wrong.what.trim().is_empty() {
            return Err("it does not say what is wrong".to_owned());
        }
        let changed = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        wrong.files = changed.map(PathBuf::from).collect();
        if let Some(file) = wrong.files.iter().find(|file| !file.starts_with("src/core")) {
            return Err(format!("it changes {}, which is not in the core", file.display()));
        }
        wrong.patch = text;
        Ok(wrong)
    }
}

fn known_family(name: &str) -> Result<String, String> {
    let known = name == "ordinary" || Hunt::named(name).is_some();
    known.then(|| name.to_owned()).ok_or(format!("there is no family of plans {name:?}"))
}

fn seeds_of(text: &str) -> Result<Seeds, String> {
    let mut words = text.split_whitespace();
    let family = known_family(words.next().unwrap_or_default())?;
    let most = words.next().and_then(|most| most.parse().ok()).filter(|most| *most > 0);
    let most = most.ok_or(format!("{text:?} has no number of seeds"))?;
    match (words.next(), words.next()) {
        (None, _) => Ok(Seeds { family, first: 1, most, holders: false }),
        (Some("holders"), None) => Ok(Seeds { family, first: 1, most, holders: true }),
        (Some(word), _) => Err(format!("{text:?}: what is {word:?}?")),
    }
}

fn read(path: &Path) -> Result<WrongEngine, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let wrong = text.and_then(|text| WrongEngine::parse(path, text));
    wrong.map_err(|why| format!("{}: {why}", path.display()))
}

/// All wrong engines of the source tree at `root`, by name.
///
/// # Errors
/// A patch cannot be read, or does not say what it must say.
pub fn all(root: &Path) -> Result<Vec<WrongEngine>, String> {
    let dir = root.join(DIR);
    let entries = fs::read_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "patch"));
    paths.retain(|path| path.file_name().is_none_or(|name| name != FOR_ALL));
    paths.sort_unstable();
    let wrong: Vec<WrongEngine> =
        paths.iter().map(|path| read(path)).collect::<Result<_, String>>()?;
    match wrong.iter().find(|wrong| wrong.seeds.is_empty() && wrong.tests.is_empty()) {
        Some(wrong) => Err(format!("{}: nothing is said to catch it", wrong.name)),
        None => Ok(wrong),
    }
}

/// A copy of the source tree that can be made wrong.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    for_all: WrongEngine,
    /// What the files of the last wrong engine said before.
    right: Vec<(PathBuf, String)>,
}

impl Tree {
    /// Copies these files and folders of the tree at `source` to `root`, which is emptied of
    /// them.
    ///
    /// # Errors
    /// Something cannot be copied.
    pub fn copy(source: &Path, root: &Path, parts: &[&str]) -> io::Result<Tree> {
        for part in parts {
            let (from, to) = (source.join(part), root.join(part));
            if to.is_dir() {
                fs::remove_dir_all(&to)?;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            let status = Command::new("cp").arg("-R").arg(&from).arg(&to).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("cp {}: {status}", from.display())));
            }
        }
        let for_all = read(&source.join(DIR).join(FOR_ALL)).map_err(io::Error::other)?;
        Ok(Tree { root: root.to_owned(), for_all, right: Vec::new() })
    }

    /// Where the copy is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the copy this wrong engine, whatever it was before.
    ///
    /// # Errors
    /// A patch does not apply to the letter.
    pub fn become_wrong(&mut self, wrong: &WrongEngine) -> Result<(), String> {
        let complain = |file: &Path, error| format!("{}: {error}", file.display());
        // Newest first: a file can be there twice.
        for (file, text) in self.right.drain(..).rev() {
            fs::write(&file, text).map_err(|error: io::Error| complain(&file, error))?;
        }
        for wrong in [&self.for_all, wrong] {
            for file in wrong.files.iter().map(|file| self.root.join(file)) {
                let text = fs::read_to_string(&file).map_err(|error| complain(&file, error))?;
                self.right.push((file, text));
            }
            let mut patch = Command::new("patch");
            patch.args(["--strip=1", "--fuzz=0", "--force", "--no-backup-if-mismatch"]);
            patch.current_dir(&self.root).stdin(Stdio::piped()).stdout(Stdio::piped());
            let run = patch.spawn().and_then(|mut patch| {
                if let Some(mut input) = patch.stdin.take() {
                    input.write_all(wrong.patch.as_bytes())?;
                }
                patch.wait_with_output()
            });
            let output = run.map_err(|error| format!("patch: {error}"))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stdout);
                return Err(format!("{}.patch: {said}", wrong.name));
            }
        }
        Ok(())
    }
}
