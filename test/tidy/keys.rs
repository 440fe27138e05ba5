// SPDX-License-Identifier: GPL-2.0-or-later
//! `man/booth.conf.5` and `booth.conf.example` against the parser: every key is documented, and
//! nothing is that does not exist; limits and defaults are the parser's own.

use super::tree::root;
use booth::auth::Key;
use booth::config::{
    read_text, Config, GlobalKey, KeyFileProblem, Surroundings, TicketKey, CONFIG_BYTES_MAX,
    DEFAULT_PORT, NAME_BYTES_MAX, TICKETS_MAX,
};
use booth::model::{MEMBERS_MAX, TICKET_NAME_MAX};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

fn page() -> String {
    fs::read_to_string(root().join("man/booth.conf.5")).expect("the manual page is there")
}

/// The lines of a section, without its title.
fn section<'a>(page: &'a str, title: &str) -> Vec<&'a str> {
    let title = format!(".Sh {title}");
    let lines = page.lines().skip_while(|line| *line != title).skip(1);
    lines.take_while(|line| !line.starts_with(".Sh ")).collect()
}

/// The keys that a section explains: `.It Ic KEY No = …`.
fn explained(page: &str, title: &str) -> Vec<String> {
    let items = section(page, title).into_iter().filter_map(|line| line.strip_prefix(".It Ic "));
    let key = |item: &str| item.split_once(" No = ").map(|(key, _)| key.to_owned());
    items.map(|item| key(item).unwrap_or_else(|| panic!("{item:?} has no value"))).collect()
}

/// The text from one item to the next.
fn item(page: &str, key: &str) -> String {
    let start = format!(".It Ic {key} No = ");
    let lines = page.lines().skip_while(|line| !line.starts_with(&start)).skip(1);
    // Items may share a text; the others follow at once.
    let text: Vec<&str> = lines
        .skip_while(|line| line.starts_with(".It "))
        .take_while(|line| !line.starts_with(".It ") && *line != ".El")
        .collect();
    text.join("\n")
}

#[test]
fn every_key_is_explained_and_no_other() {
    let page = page();
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    let global: Vec<String> = GlobalKey::ALL.iter().map(|key| key.word().to_owned()).collect();
    assert_eq!(sorted(explained(&page, "GLOBAL KEYS")), sorted(global));
    let ticket: Vec<String> = TicketKey::ALL.iter().map(|key| key.word().to_owned()).collect();
    assert_eq!(sorted(explained(&page, "TICKET KEYS")), sorted(ticket));
}

/// `.Ic` marks keys (and `No = value` behind them); a key that does not exist is a mistake.
#[test]
fn no_other_word_is_marked_as_a_key() {
    let known: BTreeSet<&str> = booth::config::keywords().collect();
    for manual in ["booth.conf.5", "boothd.8", "geostore.8", "booth-keygen.8"] {
        let text = fs::read_to_string(root().join("man").join(manual)).expect("a manual page");
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                let is_key = matches!(pair[0], ".Ic" | "Ic");
                assert!(!is_key || known.contains(pair[1]), "{manual}: {line}");
            }
        }
    }
}

/// Defaults and limits in words, each next to the constant or the behaviour that it repeats.
#[test]
fn the_page_repeats_the_parsers_limits_and_defaults() {
    let page = page();
    let config = read(b"site = 10.0.0.1\nticket = t\n").expect("it is right");
    let spec = &config.tickets[0].spec;
    let says = |key: &str, text: String| {
        let item = item(&page, key).replace('\n', " ");
        assert!(item.contains(&text), "{key}: {text:?} is not in {item:?}");
    };
    says("port", format!("default is {DEFAULT_PORT}."));
    says("arbitrator", format!("There may be {MEMBERS_MAX} sites and arbitrators"));
    says("name", format!("At most {NAME_BYTES_MAX} bytes"));
    says("maxtimeskew", format!("default is {}.", config.max_skew.as_secs()));
    says(
        "site-group",
        format!(".Ql {} and .Ql {}", config.site_account.user, config.site_account.group),
    );
    says("arbitrator-group", format!(".Ql {} .", config.arbitrator_account.user));
    says("ticket", format!("at most {TICKET_NAME_MAX} of them"));
    says("ticket", format!("There may be {TICKETS_MAX} tickets"));
    says("expire", format!("default is {}.", spec.expire.as_secs()));
    says("timeout", format!("default is {}.", spec.timeout.as_secs()));
    says("retries", format!("default is {}.", spec.retries));
    says("acquire-after", format!("default is {},", spec.acquire_after.as_secs()));
    says("authfile", format!("The first {} bytes count", booth::auth::KEY_MAX));
    says("authfile", format!("At least {} bytes", booth::auth::KEY_MIN));
    assert_eq!(spec.renewal.times(2), spec.expire);
    says("renewal-freq", "default is half of .Ic expire .".to_owned());
    assert!(page.contains(&format!("more than {} MiB are refused", CONFIG_BYTES_MAX >> 20)));
    for (retries, right) in [(2, false), (3, true), (100, true), (101, false)] {
        let text = format!("site = 10.0.0.1\nticket = t\ntimeout = 1\nretries = {retries}\n");
        assert_eq!(read(text.as_bytes()).is_ok(), right, "{retries}");
    }
    says("retries", "3 to 100".to_owned());
    for (expire, right) in [(2_147_483, true), (2_147_484, false)] {
        let text = format!("site = 10.0.0.1\nticket = t\nexpire = {expire}\n");
        assert_eq!(read(text.as_bytes()).is_ok(), right, "{expire}");
    }
    assert!(page.contains("at most 2147483 seconds"));
}

/// The examples of the page, of the example file, and of the long one with what is commented out.
#[test]
fn every_example_is_right() {
    let page = page();
    let mut examples = 0;
    let mut rest = page.as_str();
    while let Some((_, after)) = rest.split_once(".Bd -literal -offset indent\n") {
        let (example, after) = after.split_once("\n.Ed").expect("an example ends");
        let whole = if example.contains("site =") {
            format!("{example}\n")
        } else {
            format!("site = 10.0.0.1\n{example}\nticket = \"other\"\n")
        };
        let config = read(whole.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{whole}"));
        assert_eq!(config.warnings, Vec::<String>::new(), "{whole}");
        examples += 1;
        rest = after;
    }
    assert!(examples >= 3, "the examples were found");
    let path = root().join("booth.conf.example");
    let text = fs::read_to_string(path).expect("the example is there");
    let config = read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.warnings, Vec::<String>::new());
    let is_key =
        |line: &str| line.trim_start().strip_prefix('#').is_some_and(|it| it.contains('='));
    let uncommented: String = text
        .lines()
        .map(|line| {
            if is_key(line) && !line.contains("# ") {
                line.replacen('#', "", 1)
            } else {
                line.into()
            }
        })
        .map(|line| line + "\n")
        .collect();
    assert_ne!(uncommented, text, "something is commented out");
    let config = read(uncommented.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.warnings, Vec::<String>::new());
}

/// Keys are good and hosts unknown.
struct World;

impl Surroundings for World {
    fn resolve(&mut self, _: &str) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("examples name addresses"))
    }

    fn read_key(&mut self, _: &Path, _: &[&str]) -> Result<Key, KeyFileProblem> {
        Ok(Key::new(b"0123456789").expect("it is long enough"))
    }
}

/// The configuration, or all errors in one text.
fn read(text: &[u8]) -> Result<Config, String> {
    read_text(Path::new("x.conf"), text, &mut World).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("\n")
    })
}
