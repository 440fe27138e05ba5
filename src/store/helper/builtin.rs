// SPDX-License-Identifier: GPL-2.0-or-later
//! The helper's work on the built-in ticket store.
//!
//! Standard input has a line for each ticket: what to do with it. Standard output gets a line for
//! each, in the same order. Fields are separated by tabs; no value has one. A disk that hangs
//! hangs this process and nobody else.

use super::exit::{fail, FAILED};
use crate::engine::{AttrChange, CibLoad};
use crate::keeper::{Change, JobEnd, Values};
use crate::model::{AttrName, AttrValue, Holder, Term, TicketName};
use crate::pacemaker::TicketValues;
use crate::store::ticket_dir::{BootMark, Entries, TicketDir, Update};
use crate::sys::clock;
use crate::time::MonoTime;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

/// One line of standard input: reads the ticket (`None`), or changes it.
pub(crate) fn request(ticket: &TicketName, change: Option<&Change>) -> String {
    let values = |values: &Values| {
        format!("{}\t{}\t{}", values.owner.raw(), values.term.get(), values.expires)
    };
    match change {
        None => format!("look\t{ticket}\n"),
        Some(Change::Revoke(revoke)) => format!("revoke\t{ticket}\t{}\n", values(revoke)),
        Some(Change::Grant { values: grant, start_before }) => {
            let before = start_before.map_or(u64::MAX, MonoTime::as_micros);
            format!("grant\t{ticket}\t{}\t{before}\n", values(grant))
        }
        Some(Change::Attr(AttrChange::Set(name, value))) => {
            format!("set\t{ticket}\t{}\t{}\n", name.as_str(), value.as_str())
        }
        Some(Change::Attr(AttrChange::Delete(name))) => {
            format!("delete\t{ticket}\t{}\n", name.as_str())
        }
    }
}

/// The meaning of each line of standard output so far; `None`: it is damaged. A last line that was
/// cut says nothing.
pub(crate) fn answers(output: &[u8]) -> Vec<Option<JobEnd>> {
    let text = String::from_utf8_lossy(output);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(answer).collect()
}

fn answer(line: &str) -> Option<JobEnd> {
    let (word, rest) = line.split_once('\t').unwrap_or((line, ""));
    Some(match word {
        "done" => JobEnd::Done,
        "late" => JobEnd::TooLate,
        "failed" => JobEnd::Failed(rest.to_owned()),
        "absent" => JobEnd::Looked(CibLoad::Absent),
        "unreadable" => JobEnd::Looked(CibLoad::Failed(rest.to_owned())),
        "ticket" => {
            let entries = Entries::parse(rest.replace('\t', "\n").as_bytes());
            JobEnd::Looked(match entries.and_then(|entries| entries.ticket()) {
                Ok(ticket) => CibLoad::Loaded(ticket),
                Err(error) => CibLoad::Failed(error.to_string()),
            })
        }
        _ => return None,
    })
}

/// Does everything that standard input says.
pub(super) fn run(dir: &Path, config_name: &str) -> ExitCode {
    let dir = TicketDir::new(dir);
    for line in std::io::stdin().lock().lines() {
        let line = match line {
            Ok(line) => line,
            Err(error) => return fail(&format!("cannot read what to do: {error}")),
        };
        let Some(answer) = act(&dir, config_name, &line) else {
            return fail("a request makes no sense");
        };
        // Line by line: whoever kills this process knows what has been done.
        if writeln!(std::io::stdout(), "{answer}").is_err() {
            return ExitCode::from(FAILED);
        }
    }
    ExitCode::SUCCESS
}

/// Does what a line says; `None` if it says nothing.
fn act(dir: &TicketDir, config_name: &str, line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let ticket = &TicketName::new(fields.get(1)?).ok()?;
    let result = match fields[..] {
        ["look", _] => return Some(look(dir, ticket)),
        ["grant", _, owner, term, expires, before] => {
            if clock::mono().as_micros() >= before.parse().ok()? {
                return Some("late".to_owned());
            }
            let values = values(ticket, (owner, term, expires), config_name)?;
            let values = TicketValues { granted: true, ..values };
            // Without /proc no boot is known, and only a daemon ends what an earlier one granted.
            let boot = BootMark::now().ok();
            let now = clock::wall();
            dir.update(ticket, &Update::Ticket { values: &values, now, boot: boot.as_ref() })
        }
        ["revoke", _, owner, term, expires] => {
            let values = values(ticket, (owner, term, expires), config_name)?;
            let now = clock::wall();
            dir.update(ticket, &Update::Ticket { values: &values, now, boot: None })
        }
        ["set", _, name, value] => {
            let (name, value) = (AttrName::new(name).ok()?, AttrValue::new(value).ok()?);
            dir.update(ticket, &Update::Attr(&AttrChange::Set(name, value)))
        }
        ["delete", _, name] => {
            let name = AttrName::new(name).ok()?;
            dir.update(ticket, &Update::Attr(&AttrChange::Delete(name)))
        }
        _ => return None,
    };
    Some(match result {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("failed\t{}", clean(&error.to_string())),
    })
}

fn look(dir: &TicketDir, ticket: &TicketName) -> String {
    match dir.read(ticket) {
        Ok(None) => "absent".to_owned(),
        // The file's lines have no control characters.
        Ok(Some(entries)) => {
            format!("ticket\t{}", entries.to_text().trim_end().replace('\n', "\t"))
        }
        Err(error) => format!("unreadable\t{}", clean(&error.to_string())),
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What a revoke with these fields writes.
fn values<'a>(
    ticket: &'a TicketName,
    (owner, term, expires): (&str, &str, &str),
    config_name: &'a str,
) -> Option<TicketValues<'a>> {
    Some(TicketValues {
        ticket,
        granted: false,
        owner: Holder::from_raw(owner.parse().ok()?),
        expires: expires.parse().ok()?,
        term: Term::new(term.parse().ok()?),
        config_name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn changes() -> Vec<(Change, &'static str)> {
        let values = Values { owner: Holder::Nobody, term: Term::new(7), expires: 99 };
        let later = Some(clock::mono().plus(Span::from_secs(3600)));
        let name = AttrName::new("x").expect("good");
        let value = AttrValue::new(" a=b; \"$(c)\" ").expect("good");
        vec![
            (Change::Grant { values, start_before: later }, "done"),
            (Change::Grant { values, start_before: None }, "done"),
            (Change::Grant { values, start_before: Some(clock::mono()) }, "late"),
            (Change::Attr(AttrChange::Set(name.clone(), value)), "done"),
            (Change::Attr(AttrChange::Delete(name)), "done"),
            (Change::Revoke(values), "done"),
        ]
    }

    #[test]
    fn every_change_survives_its_line_and_is_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = TicketDir::new(dir.path());
        let ticket = TicketName::new("t/1").expect("good");
        let read = |load: Option<String>| load.map(|text| answer(&text).expect("an answer"));
        let look = request(&ticket, None);
        let seen = read(act(&store, "booth", look.trim_end()));
        assert_eq!(seen, Some(JobEnd::Looked(CibLoad::Absent)));
        for (change, expected) in changes() {
            let line = request(&ticket, Some(&change));
            assert_eq!(act(&store, "booth", line.trim_end()).as_deref(), Some(expected), "{line}");
            let seen = read(act(&store, "booth", look.trim_end()));
            let Some(JobEnd::Looked(CibLoad::Loaded(stored))) = seen else { panic!("{seen:?}") };
            assert_eq!(stored.granted, !matches!(change, Change::Revoke(_)));
            assert_eq!((stored.owner, stored.term), (Some(Holder::Nobody), Some(Term::new(7))));
            assert_eq!(
                stored.attrs.len(),
                usize::from(matches!(&change, Change::Attr(AttrChange::Set(..))))
            );
        }
    }

    #[test]
    fn what_is_no_request_or_answer_is_refused() {
        let store = TicketDir::new(Path::new("/nonexistent"));
        for line in ["", "look", "look\t.", "grant\tt\t1\t2\t3", "revoke\tt\t1\t2\t3\t4", "x\tt"] {
            assert_eq!(act(&store, "booth", line), None, "{line}");
        }
        assert_eq!(answer("don"), None);
        let failed = act(&store, "booth", "revoke\tt\t1\t2\t3").expect("an answer");
        assert!(matches!(answer(&failed), Some(JobEnd::Failed(text)) if text.contains("cannot")));
    }
}
