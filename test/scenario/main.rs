// SPDX-License-Identifier: GPL-2.0-or-later
//! Readable transcripts of the engine: commands, and what the members then say and do.
//!
//! Each `*.txt` file here is blocks of commands, a line `----`, the exact output, and an empty
//! line. `UPDATE=1 cargo test --test scenario` rewrites the outputs; the diff is what gets
//! reviewed. The commands are in `README.md`; faults at random are the simulator's business.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One block of a file: what stands before it, its commands, and the output it should have.
#[derive(Debug, Default)]
struct Block {
    comments: String,
    commands: Vec<String>,
    output: String,
}

/// The files of this folder, in their order.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenario");
    let entries = std::fs::read_dir(folder).expect("the folder of this test can be read");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    files
}

/// Takes a file apart.
fn parse(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut block = Block::default();
    let mut in_output = false;
    for line in text.lines() {
        match (in_output, line) {
            (false, "----") => in_output = true,
            (false, "") => block.comments.push('\n'),
            (false, line) if line.starts_with('#') => {
                let _ = writeln!(block.comments, "{line}");
            }
            (false, line) => block.commands.push(line.to_owned()),
            (true, "") => {
                blocks.push(std::mem::take(&mut block));
                in_output = false;
            }
            (true, line) => {
                let _ = writeln!(block.output, "{line}");
            }
        }
    }
    if in_output || !block.commands.is_empty() {
        blocks.push(block);
    }
    blocks
}

/// Runs a file and returns it with the outputs that it has now.
fn run(text: &str) -> String {
    let mut lab = booth_sim::scenario::lab::Lab::default();
    let mut result = String::new();
    for block in parse(text) {
        result.push_str(&block.comments);
        let mut output = String::new();
        for command in &block.commands {
            let _ = writeln!(result, "{command}");
            lab.command(command);
            for line in lab.take_output() {
                let _ = writeln!(output, "{line}");
            }
        }
        let _ = writeln!(result, "----\n{output}");
    }
    let end = result.trim_end().len();
    result.truncate(end);
    result.push('\n');
    result
}

#[test]
fn every_transcript_is_as_it_was() {
    let files = files();
    assert!(files.len() >= 10, "the transcripts are there");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a transcript can be read");
        let now = run(&text);
        if now == text {
            continue;
        }
        if update {
            std::fs::write(&path, now).expect("a transcript can be written");
            continue;
        }
        let differs = text.lines().zip(now.lines()).position(|(old, new)| old != new);
        let at = differs.unwrap_or(text.lines().count().min(now.lines().count()));
        let (old, new) = (text.lines().nth(at), now.lines().nth(at));
        wrong.push(format!("{}:{}:\n  was {old:?}\n  is  {new:?}", path.display(), at + 1));
    }
    assert!(wrong.is_empty(), "UPDATE=1 rewrites them:\n{}", wrong.join("\n"));
}

#[test]
fn a_transcript_with_another_output_is_noticed() {
    let text = "members site-a\nticket t1\nstart site-a\n----\nnothing of the kind\n";
    assert_ne!(run(text), text);
}
