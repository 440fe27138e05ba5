// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line: `boothd`, `booth` and `geostore` are names of one program.
//!
//! `args` parses the arguments, `options` has the tables, and `usage` the help texts. Data goes to
//! standard output, messages to standard error.

pub mod args;
mod check;
mod check_booth;
mod client;
mod explain;
mod exporter;
mod findings;
mod geostore;
mod history;
mod json;
mod metrics;
mod missing;
mod net;
pub mod options;
mod output;
mod overview;
mod reports;
mod scan;
mod status;
mod target;
mod this_host;
mod ticket;
pub mod usage;
mod wording;
mod words;

use crate::config::{self, Config};
use crate::daemon;
use crate::store::{after_boot, helper, keeper};
use crate::sys::surroundings::System;
use crate::sys::{self, local_addr};
use crate::wire::ClientRequest;
use args::{DaemonArgs, Format, Invocation, UsageError};
use options::Exit;
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;
use wording::TicketCommand;

/// Runs the program that the arguments ask for and returns its exit code.
pub fn main() -> ExitCode {
    let mut argv = std::env::args_os();
    let argv0 = argv.next().unwrap_or_default();
    let argv0 = argv0.to_string_lossy();
    let rest: Vec<OsString> = argv.collect();
    let name = argv0.rsplit('/').next().unwrap_or_default();
    // The daemon, or the boot of the machine, runs some programs that people do not.
    match name {
        keeper::NAME => return keeper::main(&rest),
        helper::NAME => return helper::main(&rest),
        after_boot::NAME => return after_boot::main(&rest),
        _ => {}
    }
    let program = args::program_of(name);
    let output = Output::of(program);
    if name == check_booth::NAME {
        return check_booth::main(&rest, &output).into();
    }
    match args::parse(program, &rest) {
        Ok(invocation) => run(invocation, &output),
        Err(error) => refuse(&error, &output).into(),
    }
}

/// Runs the operation.
fn run(invocation: Invocation, output: &Output) -> ExitCode {
    let exit = match invocation {
        Invocation::Daemon(DaemonArgs { site, options }) => {
            match prepare_daemon(&options.config_given, site.as_deref(), output) {
                Ok((config, me)) => return daemon::run(config, me, options),
                Err(exit) => Err(exit),
            }
        }
        Invocation::Help(program, about) => Ok(output.data(&usage::usage(program, about))),
        Invocation::Version(program) => Ok(output.data(&usage::version(program))),
        Invocation::Check(args) => check::run(&args, output),
        Invocation::Overview(args) => overview::run(&args, output),
        Invocation::Explain(args) => explain::run(&args, output),
        Invocation::History(args) => history::run(&args, output),
        Invocation::Metrics(args) => metrics::run(&args, output),
        Invocation::Exporter(args) => exporter::run(&args, output),
        Invocation::CheckHealth(args) => check_booth::run(&args, output),
        Invocation::Status(args) => status::run(&args, output),
        Invocation::List(args) if args.format == Format::Json => json::show(&args, false, output),
        Invocation::Peers(args) if args.format == Format::Json => json::show(&args, true, output),
        Invocation::List(args) => client::show(&args, &ClientRequest::List, output),
        Invocation::Peers(args) => client::show(&args, &ClientRequest::Peers, output),
        Invocation::Grant(args) => ticket::run(TicketCommand::Grant, &args, output),
        Invocation::Revoke(args) => ticket::run(TicketCommand::Revoke, &args, output),
        Invocation::Attr(args) => geostore::run(&args, output),
    };
    exit.unwrap_or_else(|exit| exit).into()
}

/// `boothd daemon`: finds out which member this host is.
fn prepare_daemon(
    config: &str,
    site: Option<&str>,
    output: &Output,
) -> Result<(Config, usize), Exit> {
    sys::signals::outlive_requests();
    let config = config::load(config, &mut System).map_err(|errors| output.errors(&errors))?;
    // Not earlier: the configuration may be /dev/fd/N.
    sys::os::close_inherited();
    let me = daemon_member(&config, site).map_err(|text| output.failure(&text))?;
    Ok((config, me))
}

/// The index of the daemon's member, or why there is none.
fn daemon_member(config: &Config, site: Option<&str>) -> Result<usize, String> {
    if let Some(name) = site {
        // Reference: its tests look for the first sentence.
        return target::find_named(config, name)
            .map_err(|error| format!("Cannot find myself in the configuration. ({error})"));
    }
    local_addr::find_daemon(&config.addresses()).map_err(|error| error.to_string())
}

/// Says why the arguments are invalid.
fn refuse(error: &UsageError, output: &Output) -> Exit {
    output.error(&error.to_string());
    let program = output.program.name();
    output.message(&format!("Please use '{program} -h' for usage."));
    Exit::Failure
}
