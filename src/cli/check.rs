// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth check`: checks a configuration, this host if it is a member, and with `--peers` whether
//! the daemons of the members have the same configuration.

use super::args::{CheckArgs, Format};
use super::findings::{address, differing};
use super::json;
use super::net::Codec;
use super::options::Exit;
use super::output::Output;
use super::reports::{ask_all, Said};
use super::this_host;
use crate::config::{self, Config};
use crate::sys::surroundings::System;
use serde::Serialize;

/// What is printed for programs.
#[derive(Serialize)]
struct Check {
    file: String,
    sound: bool,
    errors: Vec<String>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

/// What there is to know besides errors and warnings.
struct Sound {
    file: String,
    notes: Vec<String>,
}

/// Checks, and prints what was found.
pub(super) fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Exit> {
    match args.format {
        Format::Text => {
            let Sound { file, notes } = check(args, output)?;
            let notes: String = notes.iter().map(|note| format!("{file}: {note}\n")).collect();
            Ok(output.data(&format!("{notes}{file}: no errors\n")))
        }
        Format::Json => {
            let keeping = output.keeping();
            let outcome = check(args, &keeping);
            let kept = keeping.kept();
            let sound = outcome.is_ok();
            let found =
                outcome.unwrap_or_else(|_| Sound { file: args.config.clone(), notes: Vec::new() });
            let printed = output.data(&json::text(&Check {
                file: found.file,
                sound,
                errors: kept.errors,
                warnings: kept.warnings,
                notes: found.notes,
            }));
            Ok(if sound { printed } else { Exit::Failure })
        }
    }
}

fn check(args: &CheckArgs, output: &Output) -> Result<Sound, Exit> {
    let config =
        config::load(&args.config, &mut System).map_err(|errors| output.errors(&errors))?;
    for warning in &config.warnings {
        output.warning(warning);
    }
    let file = config.path.display().to_string();
    let mut notes = vec![this_host::check(&config, output)?];
    for advice in config.advice() {
        output.warning(&format!("{file}: {advice}"));
    }
    if args.peers {
        notes.push(check_peers(&config, output)?);
    }
    Ok(Sound { file, notes })
}

/// Compares this configuration with what the daemons have read; a difference is an error.
fn check_peers(config: &Config, output: &Output) -> Result<String, Exit> {
    let own = config.shared();
    let (mut same, mut sound) = (0, true);
    for answer in ask_all(config, &Codec::of(config), false) {
        let name = address(config, answer.index);
        match &answer.said {
            Said::Report(told) => {
                let differing = differing(&own, &told.report.configuration.shared);
                same += usize::from(differing.is_empty());
                for text in differing {
                    output.error(&format!("the daemon of {name} has another value: {text}"));
                    sound = false;
                }
            }
            Said::List(_) => output.warning(&format!(
                "{name} is a member of the C version, which does not tell its configuration"
            )),
            Said::Nothing(why) => output.warning(&format!("{name} cannot be compared: {why}")),
        }
    }
    let text = format!("the daemons of {same} of {} members have the same", config.members.len());
    sound.then_some(text).ok_or(Exit::Failure)
}
