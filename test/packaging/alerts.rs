// SPDX-License-Identifier: GPL-2.0-or-later
//! The examples of alerts, with stand-ins for the tools that they call.

use super::{succeed, top, write_script};
use std::fs;
use std::process::Command;

/// What an example hands to the tool that it calls: arguments, a line each, then standard input.
fn handed_over(example: &str, tool: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let stand_in = dir.path().join(tool);
    let out = dir.path().join("out");
    let script = format!(
        "#!/bin/sh\nexec >{}\nprintf '%s\\n' \"$@\"\ncase $* in *@-* | *-i*) cat ;; esac\n",
        out.display()
    );
    write_script(&stand_in, &script);
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let mut command = Command::new(top().join("scripts/alerts").join(example));
    command.env_clear().env("PATH", path);
    for (name, value) in [
        ("KIND", "lost"),
        ("TIME", "2026-11-03T07:48:56.250+01:00"),
        ("CLUSTER", "booth"),
        ("MEMBER", "192.0.2.1"),
        ("TICKET", "ticket-A"),
        ("PEER", ""),
        ("TERM", "3"),
        ("DETAIL", "it said \"no\\yes\"; $(touch /nothing)"),
    ] {
        command.env(format!("BOOTH_ALERT_{name}"), value);
    }
    succeed(&mut command);
    fs::read_to_string(out).expect("the tool was called")
}

#[test]
fn the_webhook_sends_an_object_in_json() {
    let text = handed_over("webhook", "curl");
    let object = text.lines().find(|line| line.starts_with('{')).expect("an object");
    let object: serde_json::Value = serde_json::from_str(object).expect("JSON");
    assert_eq!(object["kind"], "lost");
    assert_eq!(object["peer"], "");
    assert_eq!(object["detail"], "it said \"no\\yes\"; $(touch /nothing)");
    assert!(text.contains("https://alerts.example.org/booth"), "{text}");
}

#[test]
fn mail_and_syslog_have_the_words_of_the_log() {
    let mail = handed_over("mail", "sendmail");
    for line in ["To: root", "Subject: booth booth: lost ticket-A", "Ticket: ticket-A"] {
        assert!(mail.lines().any(|it| it == line), "{line} in {mail}");
    }
    assert!(mail.contains("\n\nit said \"no\\yes\"; $(touch /nothing)\n"), "{mail}");
    let log = handed_over("syslog", "logger");
    assert!(log.lines().any(|line| line == "daemon.warning"), "{log}");
    let line = "lost ticket-A at 192.0.2.1: it said \"no\\yes\"; $(touch /nothing)";
    assert!(log.lines().any(|it| it == line), "{log}");
}
