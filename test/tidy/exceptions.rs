// SPDX-License-Identifier: GPL-2.0-or-later
//! Breaches that are allowed, each with its reason.

use super::tree::Complaint;

/// A file in which a rule may be broken.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The file.
    pub path: &'static str,
    /// A part of the complaint that is allowed.
    pub complaint: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// The complaints that no exception allows, and a complaint about each exception that allows
/// nothing any more.
pub fn apply(complaints: Vec<Complaint>, exceptions: &[Exception]) -> Vec<Complaint> {
    let allows = |exception: &Exception, complaint: &Complaint| {
        exception.path == complaint.path && complaint.text.contains(exception.complaint)
    };
    let mut left: Vec<Complaint> = Vec::new();
    for exception in exceptions {
        assert!(exception.reason.len() > 10, "{}: an exception has a reason", exception.path);
        if !complaints.iter().any(|complaint| allows(exception, complaint)) {
            let text = format!("the exception for {:?} is not needed", exception.complaint);
            left.push(Complaint { path: exception.path.to_owned(), line: 1, text });
        }
    }
    let unexcused =
        complaints.into_iter().filter(|complaint| !exceptions.iter().any(|e| allows(e, complaint)));
    left.extend(unexcused);
    left
}

#[test]
fn an_exception_allows_its_complaint_and_must_be_needed() {
    let complaint = |path: &str| Complaint { path: path.into(), line: 3, text: "long x".into() };
    let exception = Exception { path: "a.rs", complaint: "long", reason: "it is a table of data" };
    assert_eq!(apply(vec![complaint("a.rs")], &[exception]), []);
    assert_eq!(apply(vec![complaint("b.rs")], &[exception]).len(), 2);
    assert_eq!(apply(Vec::new(), &[exception])[0].text, "the exception for \"long\" is not needed");
}
