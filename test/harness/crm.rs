// SPDX-License-Identifier: GPL-2.0-or-later
//! The fake `crm_ticket` of one site (`test/fixtures/fake_crm_ticket`): what it was called
//! with, what its CIB said when, and how it shall behave.

use super::lab::make_open;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The fake, which is copied for each site.
const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/fake_crm_ticket");

/// No line of a history is longer, in bytes.
const LINE_MAX: u64 = 16_384;

/// Its companion for many tickets.
const FAKE_MANY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/fake_cibadmin");

/// One site's fake.
#[derive(Clone, Debug)]
pub struct Crm {
    site: PathBuf,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it began, in seconds since 1970.
    pub at: f64,
    /// Its process.
    pub process: u32,
    /// grant, revoke, query, attr or get.
    pub operation: String,
    /// The arguments.
    pub arguments: Vec<String>,
}

/// One change of a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Just before it was written, in seconds since 1970.
    pub at: f64,
    /// Just after; `None`: the call was killed meanwhile, or goes on.
    pub done: Option<f64>,
    /// Granted here; `None`: never granted or revoked.
    pub granted: Option<bool>,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Change {
    /// The number in an attribute. Panics if there is none.
    #[track_caller]
    pub fn number(&self, name: &str) -> i64 {
        let value = self.attributes.get(name);
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
}

impl Crm {
    /// Installs a fake below `site`.
    #[track_caller]
    pub fn install(site: &Path) -> Crm {
        for dir in ["bin", "crm"] {
            let path = site.join(dir);
            std::fs::create_dir_all(&path).expect("the lab can be written");
            make_open(&path);
        }
        for (fake, name) in [(FAKE, "crm_ticket"), (FAKE_MANY, "cibadmin")] {
            std::fs::copy(fake, site.join("bin").join(name)).expect("the fake can be copied");
        }
        Crm { site: site.to_path_buf() }
    }

    /// The directory to put first into PATH.
    pub fn bin(&self) -> PathBuf {
        self.site.join("bin")
    }

    /// Where it keeps its files.
    pub fn dir(&self) -> PathBuf {
        self.site.join("crm")
    }

    /// How it behaves from now on: lines as described in the fake; "" is well.
    pub fn control(&self, text: &str) {
        // Replaced in one step: the fake may be reading it.
        let new = self.dir().join("control.new");
        std::fs::write(&new, format!("{text}\n")).expect("the lab can be written");
        std::fs::rename(&new, self.dir().join("control")).expect("the lab can be written");
    }

    /// Puts a state into the CIB as if it had been written at `at`.
    pub fn put(&self, ticket: &str, granted: bool, attributes: &[(&str, i64)]) {
        let list: Vec<String> =
            attributes.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let at = now();
        append(&self.cib(ticket), &format!("{at}\t{granted}\t{}\n", list.join(" ")));
        append(&self.done(ticket), &format!("{at}\t{}\n", now()));
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        let path = self.dir().join("argv");
        if path.exists() {
            std::fs::write(path, "").expect("the lab can be written");
        }
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        let text = std::fs::read_to_string(self.dir().join("argv")).unwrap_or_default();
        text.lines().filter_map(call_of).collect()
    }

    /// The calls of one operation.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.operation == operation).collect()
    }

    /// All changes of a ticket.
    pub fn history(&self, ticket: &str) -> Vec<Change> {
        let text = std::fs::read_to_string(self.cib(ticket)).unwrap_or_default();
        let done = std::fs::read_to_string(self.done(ticket)).unwrap_or_default();
        let done: BTreeMap<&str, f64> = done.lines().filter_map(done_of).collect();
        let with_end = |line: &str| {
            let mut change = change_of(line)?;
            change.done = line.split('\t').next().and_then(|key| done.get(key)).copied();
            Some(change)
        };
        text.lines().filter_map(with_end).collect()
    }

    /// The last line of the ticket's history: two equal ones mean that nothing changed between.
    pub fn last_line(&self, ticket: &str) -> Option<String> {
        let mut file = std::fs::File::open(self.cib(ticket)).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LINE_MAX))).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        // What is behind the last newline is being written.
        let text = String::from_utf8_lossy(&bytes[..=bytes.iter().rposition(|b| *b == b'\n')?]);
        text.lines().last().map(str::to_owned)
    }

    /// What the CIB says now.
    pub fn state(&self, ticket: &str) -> Option<Change> {
        self.history(ticket).pop()
    }

    /// Whether the ticket is granted here now.
    pub fn is_granted(&self, ticket: &str) -> bool {
        self.state(ticket).is_some_and(|state| state.granted == Some(true))
    }

    fn cib(&self, ticket: &str) -> PathBuf {
        self.dir().join(format!("cib.{}", ticket.replace('/', "%2F")))
    }

    fn done(&self, ticket: &str) -> PathBuf {
        self.dir().join(format!("done.{}", ticket.replace('/', "%2F")))
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map(|now| now.as_secs_f64()).unwrap_or_default()
}

/// Adds a line to a file that every user may write.
fn append(path: &Path, line: &str) {
    let mut all = std::fs::read_to_string(path).unwrap_or_default();
    all.push_str(line);
    std::fs::write(path, all).expect("the lab can be written");
    make_open(path);
}

/// Reads a line of `argv`; `None` for one that is not complete yet.
fn call_of(line: &str) -> Option<Call> {
    let mut fields = line.split('\t');
    let at = fields.next()?.parse().ok()?;
    let process = fields.next()?.parse().ok()?;
    let operation = fields.next()?.to_owned();
    Some(Call { at, process, operation, arguments: fields.map(str::to_owned).collect() })
}

/// Reads a line of a history; `None` for one that is not complete yet.
fn change_of(line: &str) -> Option<Change> {
    let mut fields = line.splitn(3, '\t');
    let at = fields.next()?.parse().ok()?;
    let granted = match fields.next()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    let mut attributes = BTreeMap::new();
    let mut rest = fields.next()?;
    while let Some((name, behind)) = rest.split_once("=\"") {
        let (value, behind) = behind.split_once('"')?;
        attributes.insert(name.trim().to_owned(), unescaped(value));
        rest = behind;
    }
    Some(Change { at, done: None, granted, attributes })
}

/// Whether a line of a history says *granted*.
pub fn says_granted(line: &str) -> bool {
    change_of(line).is_some_and(|change| change.granted == Some(true))
}

/// Reads a line of the file of ends.
fn done_of(line: &str) -> Option<(&str, f64)> {
    let (key, end) = line.split_once('\t')?;
    Some((key, end.parse().ok()?))
}

/// Undoes the escapes of XML.
fn unescaped(value: &str) -> String {
    let text = value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&amp;", "&")
}
