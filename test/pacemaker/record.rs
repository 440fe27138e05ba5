// SPDX-License-Identifier: GPL-2.0-or-later
//! What `fixtures/Recorder` has recorded: when which node ran a resource.

use booth_harness::until;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FILE: &str = "/mnt/shared/record";

/// A time in which a node ran a resource: from when it began to start it until it had stopped it,
/// in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The node. Its first letter is that of its site.
    pub node: String,
    /// From.
    pub from: f64,
    /// To; `None`: it runs.
    pub to: Option<f64>,
}

/// Now, in seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Notes that a node ended without stopping anything.
pub fn note_crash(node: &str) {
    let file = std::fs::File::options().append(true).create(true).open(FILE);
    writeln!(file.expect("the lab can be written"), "{:.6} {node} crashed *", now())
        .expect("the lab can be written");
}

/// The times in which a resource ran, in the order in which they began.
pub fn spans(resource: &str) -> Vec<Span> {
    spans_in(&std::fs::read_to_string(FILE).unwrap_or_default(), resource)
}

fn spans_in(text: &str, resource: &str) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [at, node, what, instance] = words[..] else { panic!("a line of the record: {line}") };
        let at = at.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        let open = found.iter_mut().find(|span| span.node == node && span.to.is_none());
        match (what, open) {
            ("start", None) if instance == resource => {
                found.push(Span { node: node.to_owned(), from: at, to: None });
            }
            ("stopped", Some(span)) if instance == resource => span.to = Some(at),
            ("crashed", Some(span)) => span.to = Some(at),
            _ => {}
        }
    }
    found
}

/// The nodes that run a resource now.
pub fn running(resource: &str) -> Vec<String> {
    let open = spans(resource).into_iter().filter(|span| span.to.is_none());
    open.map(|span| span.node).collect()
}

/// Waits until exactly these nodes run a resource.
#[track_caller]
pub fn wait_running(resource: &str, nodes: &[&str], seconds: u64) {
    let what = format!("{resource} runs on {nodes:?}");
    until(Duration::from_secs(seconds), &what, || (running(resource) == nodes).then_some(()));
}

/// Fails if two nodes ever ran a resource at one time.
#[track_caller]
pub fn assert_never_twice(resource: &str) {
    let spans = spans(resource);
    for pair in spans.windows(2) {
        let ended = pair[0].to.is_some_and(|to| to <= pair[1].from);
        assert!(ended, "{resource} ran twice at one time: {spans:?}");
    }
}

#[test]
fn a_record_is_read_as_spans() {
    let text = "1.5 a1 start r\n2 a1 start other\n3.25 a1 stopped r\n\
                4 b1 start r\n5 b1 crashed *\n6 b1 start r\n";
    let span = |node: &str, from, to| Span { node: node.to_owned(), from, to };
    let expected = [span("a1", 1.5, Some(3.25)), span("b1", 4.0, Some(5.0)), span("b1", 6.0, None)];
    assert_eq!(spans_in(text, "r"), expected);
}
