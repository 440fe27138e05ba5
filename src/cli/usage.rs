// SPDX-License-Identifier: GPL-2.0-or-later
//! Usage and version texts, from the tables of `super::options`.

use super::options::{find_operation, Operation, OperationDef, OptionDef, Program};
use super::options::{OPERATIONS, OPTIONS};
use std::fmt::Write as _;

/// The help text of the program, or of one of its operations.
pub fn usage(program: Program, about: Option<Operation>) -> String {
    let mut text = String::from("Usage:\n");
    let name = program.name();
    let shown = |operation| about.is_none_or(|about| about == operation);
    for def in operations(program).filter(|def| shown(def.operation)) {
        let word = def.words[0];
        let space = if def.arguments.is_empty() { "" } else { " " };
        line(&mut text, &format!("{name} {word} [options]{space}{}", def.arguments), def.help);
    }
    text.push_str("\nOptions:\n");
    let useful = |option: &OptionDef| about.is_none_or(|about| about.heeds(option));
    let known = |option: &&OptionDef| option.programs.contains(&program) && useful(option);
    for option in OPTIONS.iter().filter(known) {
        line(&mut text, &option_form(option), option.help);
    }
    let examples = match program {
        Program::Booth => BOOTH_EXAMPLES,
        Program::Geostore => GEOSTORE_EXAMPLES,
    };
    let operation = |example: &str| find_operation(program, example.split(' ').nth(3)?);
    let of_it = |example: &&str| about.is_none() || operation(example) == about;
    let examples: Vec<&str> = examples.lines().filter(of_it).collect();
    if !examples.is_empty() {
        let _ = write!(text, "\nExamples:\n{}\n", examples.join("\n"));
    }
    let manual = if about == Some(Operation::Daemon) { "boothd" } else { name };
    let _ = write!(text, "\nMore in the manual: man 8 {manual}\n");
    text
}

/// Name and version of the program, as one line.
pub fn version(program: Program) -> String {
    format!("{} {}\n", program.name(), env!("CARGO_PKG_VERSION"))
}

/// The option as typed, with the name of its value: `-c FILE`, `-D`.
fn option_form(option: &OptionDef) -> String {
    match option.value {
        Some(value) => format!("-{} {value}", option.letter),
        None => format!("-{}", option.letter),
    }
}

/// The operations of this program.
pub fn operations(program: Program) -> impl Iterator<Item = &'static OperationDef> {
    OPERATIONS.iter().filter(move |def| def.program == program)
}

/// Appends what is typed and what it does, in two columns, wrapped at 80.
fn line(text: &mut String, typed: &str, meaning: &str) {
    /// Where the second column starts.
    const COLUMN: usize = 36;
    /// How long a line may be.
    const WIDTH: usize = 80;
    let mut current = format!("  {typed:<width$}", width = COLUMN - 2);
    for word in meaning.split(' ') {
        if current.len() + 1 + word.len() > WIDTH {
            text.push_str(current.trim_end());
            text.push('\n');
            current = " ".repeat(COLUMN);
        }
        if !current.ends_with(' ') {
            current.push(' ');
        }
        current.push_str(word);
    }
    text.push_str(current.trim_end());
    text.push('\n');
}

const BOOTH_EXAMPLES: &str = "  booth list
  booth grant -C ticket-A
  booth grant -s 192.0.2.20 ticket-A
  booth revoke ticket-A
  boothd daemon -c booth
";

const GEOSTORE_EXAMPLES: &str = "  geostore list -t ticket-A
  geostore set -s 192.0.2.20 -t ticket-A sr_status ACTIVE
  geostore get sr_status
  geostore delete sr_status
";
