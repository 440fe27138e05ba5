// SPDX-License-Identifier: GPL-2.0-or-later
//! A configuration written out again, every key of every ticket spelled out.

use crate::config::{Account, Config, Handler, TicketConfig, TicketStore};
use crate::model::{AttrOp, RuleMode, TicketMode};
use crate::time::Span;
use crate::wire::TimeUnit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The text of a file that means `config`.
pub(super) fn print(config: &Config) -> Vec<u8> {
    let mut text = Vec::new();
    line(&mut text, "name", config.name.as_bytes());
    if let Some(authfile) = &config.authfile {
        line(&mut text, "authfile", bytes(authfile));
    }
    number(&mut text, "maxtimeskew", config.max_skew.as_secs());
    number(&mut text, "debug", config.debug);
    account(&mut text, "site", &config.site_account);
    account(&mut text, "arbitrator", &config.arbitrator_account);
    match &config.store {
        TicketStore::Pacemaker => line(&mut text, "ticket-store", b"pacemaker"),
        TicketStore::Directory(path) => line(&mut text, "ticket-store", bytes(path)),
    }
    for member in &config.members {
        number(&mut text, "port", member.port);
        line(&mut text, member.member.role.word(), member.text.as_bytes());
    }
    if config.unit == TimeUnit::Millis {
        text.extend_from_slice(b"ticket = __defaults__\nacquire-after = 1ms\n");
    }
    for ticket in &config.tickets {
        print_ticket(&mut text, ticket);
    }
    text
}

fn print_ticket(text: &mut Vec<u8>, ticket: &TicketConfig) {
    let spec = &ticket.spec;
    line(text, "ticket", spec.name.as_str().as_bytes());
    time(text, "expire", spec.expire);
    let half = Span::from_millis(spec.expire.as_millis() / 2);
    if spec.renewal != half {
        time(text, "renewal-freq", spec.renewal);
    } else if spec.patience() >= half {
        // It was too long; any that is too long means half again.
        time(text, "renewal-freq", spec.expire.plus(spec.patience()));
    }
    time(text, "timeout", spec.timeout);
    time(text, "acquire-after", spec.acquire_after);
    number(text, "retries", spec.retries);
    let weights: Vec<String> = spec.weights.iter().map(ToString::to_string).collect();
    line(text, "weights", weights.join(",").as_bytes());
    let mode = match spec.mode {
        TicketMode::Automatic => "auto",
        TicketMode::Manual => "manual",
    };
    line(text, "mode", mode.as_bytes());
    if let Some(Handler { path, args }) = &ticket.handler {
        let mut words = vec![bytes(path)];
        words.extend(args.iter().map(|arg| arg.as_bytes()));
        line(text, "before-acquire-handler", &words.join(&b' '));
    }
    for rule in &spec.rules {
        let mode = match rule.mode {
            RuleMode::Auto => "auto",
            RuleMode::Manual => "manual",
        };
        let op = match rule.op {
            AttrOp::Equal => "eq",
            AttrOp::NotEqual => "ne",
        };
        let value = format!("{mode} {} {op} {}", rule.name, rule.value);
        line(text, "attr-prereq", value.as_bytes());
    }
}

fn account(text: &mut Vec<u8>, role: &str, account: &Account) {
    if account.user_configured {
        line(text, &format!("{role}-user"), account.user.as_bytes());
    }
    if account.group_configured {
        line(text, &format!("{role}-group"), account.group.as_bytes());
    }
}

/// A line with the quotes that the value leaves room for. A value with both kinds was written
/// without any, so it can be again.
fn line(text: &mut Vec<u8>, key: &str, value: &[u8]) {
    let quote = ["\"", "'"].into_iter().find(|quote| !value.contains(&quote.as_bytes()[0]));
    let quote = quote.unwrap_or_default().as_bytes();
    text.extend_from_slice(&[key.as_bytes(), b" = ", quote, value, quote, b"\n"].concat());
}

fn number(text: &mut Vec<u8>, key: &str, value: impl ToString) {
    line(text, key, value.to_string().as_bytes());
}

fn time(text: &mut Vec<u8>, key: &str, span: Span) {
    number(text, key, format!("{}ms", span.as_millis()));
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
