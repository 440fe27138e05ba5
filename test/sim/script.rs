// SPDX-License-Identifier: GPL-2.0-or-later
//! Turns a run into a transcript in the format of `test/scenario`: what reached each engine, when,
//! and what its store did. The engines get the same seeds there, so they do the same again.

use super::clock::True;
use super::codec::Mail;
use super::store::By;
use super::world::World;
use booth_core::engine::{CibLoad, CibOutcome, Event};
use booth_core::model::TicketMode;
use booth_core::time::Span;
use booth_core::wire::{ClientOptions, ClientRequest};
use std::rc::Rc;

/// After a pause of this length a new block begins.
const BLOCK: True = 500_000;

/// The commands of one run.
#[derive(Debug)]
pub struct Script {
    lines: Vec<String>,
    at: True,
    members: usize,
    sent: Vec<Vec<Mail>>,
    passed: Vec<usize>,
    /// What the format has no words for.
    missing: Vec<String>,
}

impl Script {
    /// An empty one.
    pub fn new(members: usize) -> Script {
        let links = members * members;
        Script {
            lines: Vec::new(),
            at: 0,
            members,
            sent: vec![Vec::new(); links],
            passed: vec![0; links],
            missing: Vec::new(),
        }
    }

    fn line(&mut self, now: True, text: String) {
        if now > self.at {
            if now - self.at >= BLOCK && !self.lines.is_empty() {
                self.lines.push("----\n".to_owned());
            }
            self.lines.push(format!("advance {}us", now - self.at));
            self.at = now;
        }
        self.lines.push(text);
    }

    fn lacks(&mut self, what: String) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }
}

fn time(span: Span) -> String {
    format!("{}us", span.as_micros())
}

fn words(options: ClientOptions) -> String {
    let mut text = String::new();
    let all = [
        (options.immediate, " -F"),
        (options.wait, " -w"),
        (options.wait_commit, " -C"),
        (options.explain, " explain"),
    ];
    for (given, word) in all {
        text += if given { word } else { "" };
    }
    text
}

impl World {
    fn scribble(&mut self, text: impl FnOnce(&World) -> String) {
        if self.script.is_some() {
            let text = text(self);
            let now = self.now;
            if let Some(script) = &mut self.script {
                script.line(now, text);
            }
        }
    }

    fn lacks(&mut self, what: impl FnOnce(&World) -> String) {
        if self.script.is_some() {
            let what = what(self);
            if let Some(script) = &mut self.script {
                script.lacks(what);
            }
        }
    }

    /// A daemon begins, with this seed.
    pub fn script_start(&mut self, n: usize, seed: u64) {
        self.scribble(|w| format!("start {} seed={seed}", w.name(n)));
    }

    /// A daemon ends.
    pub fn script_end(&mut self, n: usize, moves: bool) {
        self.scribble(|w| format!("crash {}", w.name(n)));
        if moves {
            self.lacks(|w| format!("{} goes on, on another machine", w.name(n)));
        }
    }

    /// A daemon is stopped, or goes on.
    pub fn script_pause(&mut self, n: usize, stopped: bool) {
        let word = if stopped { "stop" } else { "continue" };
        self.scribble(|w| format!("{word} {}", w.name(n)));
    }

    /// A datagram is sent.
    pub fn script_sent(&mut self, from: usize, to: usize, mail: &Mail) {
        if let Some(script) = &mut self.script {
            script.sent[from * script.members + to].push(Rc::clone(mail));
        }
    }

    /// A datagram reaches an engine.
    pub fn script_mail(&mut self, from: usize, to: usize, mail: &Mail) {
        let Some(script) = &mut self.script else { return };
        let link = from * script.members + to;
        let Some(at) = script.sent[link].iter().position(|sent| Rc::ptr_eq(sent, mail)) else {
            script.lacks("damaged datagrams".to_owned());
            return;
        };
        let next = script.passed[link];
        script.passed[link] = at + 1;
        let number = if at == next { String::new() } else { format!(" {}", at + 1) };
        self.scribble(|w| format!("pass {} {}{number}", w.name(from), w.name(to)));
    }

    /// An event reaches an engine, other than a datagram or the time.
    pub fn script_event(&mut self, n: usize, event: &Event) {
        if self.script.is_none() {
            return;
        }
        let name = self.name(n);
        match event {
            Event::Start | Event::Due { .. } | Event::Peer { .. } | Event::PeerRejected { .. } => {}
            Event::Client { request: ClientRequest::Grant { options, .. }, .. } => {
                self.scribble(|_| format!("client {name} grant{}", words(*options)));
            }
            Event::Client { request: ClientRequest::Revoke { options, .. }, .. } => {
                self.scribble(|_| format!("client {name} revoke{}", words(*options)));
            }
            Event::CibLoaded { outcome: CibLoad::Failed(_), .. } => {
                self.scribble(|_| format!("reads {name} fails"));
            }
            Event::CibLoaded { .. } => self.scribble(|_| format!("reads {name}")),
            Event::CibWritten { serial, outcome, .. } => {
                let word = match outcome {
                    CibOutcome::Written => "written",
                    CibOutcome::Failed(_) => "failed",
                    CibOutcome::Killed => "killed",
                    CibOutcome::TooLate => "late",
                    CibOutcome::Superseded => "superseded",
                };
                self.scribble(|_| format!("ends {name} {} {word}", serial.0));
            }
            Event::Client { .. }
            | Event::ClientGone { .. }
            | Event::AttrWritten { .. }
            | Event::ProbeDone { .. }
            | Event::SendFailed { .. }
            | Event::Dump
            | Event::Shutdown => self.lacks(|_| "attributes, handlers, closed connections".into()),
        }
    }

    /// A change takes effect in a store.
    pub fn script_effect(&mut self, site: usize, by: By, granted: bool) {
        match by {
            By::Keeper { life: None, .. } => self.scribble(|w| format!("guard {}", w.name(site))),
            By::Keeper { .. } | By::Daemon(..) => {
                let word = if granted { "grant" } else { "revoke" };
                self.scribble(|w| format!("effect {} {word}", w.name(site)));
            }
        }
    }

    /// The transcript: with what each claims to hold written at the end.
    pub fn transcript(&mut self, found: &str) -> Option<String> {
        for n in 0..self.nodes.len() {
            if self.checks.claims(0, n, self.now) && !self.sites[n].granted(0) {
                self.scribble(|w| format!("claims {}", w.name(n)));
            }
        }
        self.scribble(|_| "show".to_owned());
        let script = self.script.take()?;
        let spec = &self.plan.tickets[0];
        let mut text = String::new();
        for line in found.lines() {
            text += &format!("# {line}\n");
        }
        for what in &script.missing {
            text += &format!("# Not expressed: {what}.\n");
        }
        let names: Vec<String> = (0..self.nodes.len()).map(|n| self.name(n)).collect();
        text += &format!("members {}\n", names.join(" "));
        text += &format!(
            "ticket {} expire={} acquire-after={} timeout={} retries={} renewal={}{}{}\n",
            spec.name,
            time(spec.expire),
            time(spec.acquire_after),
            time(spec.timeout),
            spec.retries,
            time(spec.renewal),
            if spec.has_handler { " handler" } else { "" },
            if spec.mode == TicketMode::Manual { " manual" } else { "" },
        );
        text += "by-hand\n";
        for (n, clocks) in self.plan.clocks.iter().enumerate() {
            let ppm = clocks[0].ppm;
            if ppm != 0 {
                text += &format!("clock {} {ppm}ppm\n", names[n]);
            }
        }
        text += &script.lines.join("\n");
        text += "\n----\n";
        Some(text)
    }
}
