// SPDX-License-Identifier: GPL-2.0-or-later
//! Very long runs in pieces, and the account of them: the file `SOAK` has a line a piece, with its
//! first and last seed, the steps of the engines, the digest, the engine's commit and the verdict.
//! Seeds continue after the highest one in the file; none is run twice.

use super::report::Totals;
use super::runner::Outcome;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Where the account is.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/SOAK");

/// What stands at the head of a new file.
const HEAD: &str = "# first seed, last seed, steps, digest, engine's commit, verdict (README.md)\n";

/// One piece of a soak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first seed.
    pub first: u64,
    /// Its last seed.
    pub last: u64,
    /// Steps of all engines.
    pub steps: u64,
    /// Of everything that happened.
    pub digest: u64,
    /// The last commit that changed the engine; with a `+` if it was changed since.
    pub commit: String,
    /// `clean`, or the first violation.
    pub verdict: String,
}

impl Piece {
    /// The line in the file.
    pub fn line(&self) -> String {
        let Piece { first, last, steps, digest, commit, verdict } = self;
        // What a panic says has several lines.
        let verdict = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{first} {last} {steps} {digest:016x} {commit} {verdict}\n")
    }

    /// A line of the file; `None`: it is none.
    pub fn read(line: &str) -> Option<Piece> {
        let mut words = line.splitn(6, ' ');
        let mut number = || words.next()?.parse().ok();
        let (first, last, steps) = (number()?, number()?, number()?);
        let digest = u64::from_str_radix(words.next()?, 16).ok()?;
        let (commit, verdict) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Piece { first, last, steps, digest, commit, verdict })
    }
}

/// All pieces of a file's text.
///
/// # Errors
/// The first line that is neither a piece nor a comment.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| Piece::read(line).ok_or(format!("what is {line:?}?"))).collect()
}

/// The seed after the highest one of all pieces; 1 if there are none.
pub fn next_seed(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.last).max().unwrap_or(0) + 1
}

/// Both sums: over the engine of this commit, and over all engines. An engine that differs from
/// its commit is nobody's.
pub fn sums(pieces: &[Piece], commit: &str) -> String {
    let sum = |of: &dyn Fn(&&Piece) -> bool| {
        let all: Vec<&Piece> = pieces.iter().filter(of).collect();
        let steps: u64 = all.iter().map(|piece| piece.steps).sum();
        let bad = all.iter().filter(|piece| piece.verdict != "clean").count();
        format!("{steps} steps in {} pieces, {bad} of them not clean", all.len())
    };
    format!(
        "the engine as it is ({commit}): {}\nall engines: {}",
        sum(&|piece| piece.commit == commit && !commit.ends_with('+')),
        sum(&|_| true),
    )
}

/// The last commit that changed the engine, with a `+` if the tree differs from it there.
///
/// # Errors
/// There is no git, or this is no repository of it.
pub fn engine_commit() -> io::Result<String> {
    let git = |arguments: &[&str]| -> io::Result<String> {
        let in_tree = ["-C", env!("CARGO_MANIFEST_DIR")];
        let output = Command::new("git").args(in_tree).args(arguments).output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["log", "-1", "--format=%h", "--", "src/core/engine"])?;
    let changed = git(&["status", "--porcelain", "--", "src/core/engine"])?;
    Ok(if changed.is_empty() { commit } else { commit + "+" })
}

/// Keeps a second soak from running the same seeds; given back when it is dropped.
#[derive(Debug)]
struct Lock(PathBuf);

impl Lock {
    fn take(file: &Path) -> io::Result<Lock> {
        let path = file.with_extension("lock");
        if let Ok(owner) = std::fs::read_to_string(&path) {
            if Path::new("/proc").join(owner.trim()).exists() {
                let text = format!("process {} is at it ({})", owner.trim(), path.display());
                return Err(io::Error::other(text));
            }
            // It ended without giving it back.
            std::fs::remove_file(&path)?;
        }
        let mut lock = OpenOptions::new().write(true).create_new(true).open(&path)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Lock(path))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs so many pieces of at least so many steps each and notes each in the file; `run` runs a
/// seed. Ends after the first piece with a violation. Returns whether all were clean.
///
/// # Errors
/// The file cannot be read or written, or another soak runs.
pub fn soak(
    file: &Path,
    commit: &str,
    (count, steps): (u64, u64),
    mut run: impl FnMut(u64) -> Vec<(String, Outcome)>,
) -> io::Result<bool> {
    let _lock = Lock::take(file)?;
    let mut clean = true;
    for _ in 0..count {
        let text = std::fs::read_to_string(file).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(String::new()),
            _ => Err(error),
        })?;
        let known = pieces(&text).map_err(io::Error::other)?;
        let (piece, summary) = piece(next_seed(&known), steps, commit, &mut run);
        println!("{summary}");
        let head = if text.is_empty() { HEAD } else { "" };
        append(file, &format!("{head}{}", piece.line()))?;
        print!("{}", piece.line());
        clean = piece.verdict == "clean";
        if !clean {
            break;
        }
    }
    let known = pieces(&std::fs::read_to_string(file)?).map_err(io::Error::other)?;
    println!("{}", sums(&known, commit));
    Ok(clean)
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Whole seeds, until there are so many steps.
fn piece(
    first: u64,
    steps: u64,
    commit: &str,
    run: &mut impl FnMut(u64) -> Vec<(String, Outcome)>,
) -> (Piece, String) {
    let start = Instant::now();
    let mut totals = Totals::default();
    let mut verdict = None;
    let mut seed = first;
    loop {
        for (name, outcome) in run(seed) {
            totals.add(&outcome);
            if let Some(found) = &outcome.violation {
                let text = format!("{name} {seed}: {} {}", found.code, found.text);
                println!("{text}");
                verdict.get_or_insert(text);
            }
        }
        if totals.steps >= steps {
            break;
        }
        seed += 1;
    }
    let verdict = verdict.unwrap_or("clean".to_owned());
    let (digest, steps, commit) = (totals.digest, totals.steps, commit.to_owned());
    let piece = Piece { first, last: seed, steps, digest, commit, verdict };
    (piece, totals.text(start.elapsed()))
}
