// SPDX-License-Identifier: GPL-2.0-or-later
//! The manual pages and the tables in the code say the same: every command, option, exit
//! code, signal and handler variable is documented, and nothing is that does not exist.

use booth::cli::options::{Exit, Program, OPTIONS};
use booth::cli::usage::operations;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of a section of a manual page.
fn section(page: &str, name: &str) -> Vec<String> {
    let path = root().join("man").join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let title = format!(".Sh {name}");
    let lines: Vec<String> = text
        .lines()
        .skip_while(|line| *line != title)
        .skip(1)
        .take_while(|line| !line.starts_with(".Sh "))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "{page} has a section {name}");
    lines
}

/// The words behind `.It MACRO` in a section.
fn items(page: &str, name: &str, item: &str) -> Vec<String> {
    let begin = format!(".It {item}");
    let found = section(page, name);
    found.iter().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect()
}

fn set<T: Into<String>>(words: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    words.into_iter().map(Into::into).collect()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

const PAGES: [(&str, Program); 2] =
    [("boothd.8", Program::Booth), ("geostore.8", Program::Geostore)];

#[test]
fn every_command_is_documented_and_no_other() {
    for (page, program) in PAGES {
        let documented = items(page, "COMMANDS", "Cm ");
        let documented = set(documented.iter().map(|item| first_word(item)));
        let known = set(operations(program).flat_map(|def| def.words.iter().copied()));
        assert_eq!(documented, known, "{page}");
    }
}

#[test]
fn every_option_is_documented_with_its_value_and_no_other() {
    for (page, program) in PAGES {
        let documented = items(page, "OPTIONS", "Fl ");
        let has_value = |item: &String| item.contains(" Ar ");
        let documented: BTreeSet<(String, bool)> =
            documented.iter().map(|item| (first_word(item).into(), has_value(item))).collect();
        let mut known: BTreeSet<(String, bool)> = OPTIONS
            .iter()
            .filter(|option| option.programs.contains(&program))
            .map(|option| (option.letter.to_string(), option.value.is_some()))
            .collect();
        // Not in the table, because it is a command in the form of an option.
        known.insert(("V".to_owned(), false));
        assert_eq!(documented, known, "{page}");
    }
}

/// The synopsis shows each option with the operations that it is meant for.
#[test]
fn the_synopsis_has_every_option() {
    for (page, program) in PAGES {
        let synopsis = section(page, "SYNOPSIS").join("\n");
        let shown: BTreeSet<char> = synopsis
            .lines()
            .filter_map(|line| {
                line.strip_prefix(".Op ")?.trim_start_matches("Oo ").strip_prefix("Fl ")
            })
            .flat_map(|rest| first_word(rest).chars().collect::<Vec<char>>())
            .collect();
        let known: BTreeSet<char> = OPTIONS
            .iter()
            .filter(|option| option.programs.contains(&program) && option.letter != 'h')
            .map(|option| option.letter)
            .collect();
        assert_eq!(shown, known, "{page}");
    }
}

#[test]
fn every_exit_code_is_documented_and_no_other() {
    let documented = set(items("boothd.8", "EXIT STATUS", ""));
    let known = set(Exit::ALL.iter().map(|exit| exit.code().to_string()));
    assert_eq!(documented, known);
    let documented = set(items("geostore.8", "EXIT STATUS", ""));
    let known = set([Exit::Success, Exit::Failure].map(|exit| exit.code().to_string()));
    assert_eq!(documented, known);
}

/// Handler variables are the `BOOTH_` words in string literals of what runs handlers.
#[test]
fn every_variable_of_handlers_is_documented_and_no_other() {
    let documented = set(items("boothd.8", "HANDLERS", "Ev "));
    let mut known = BTreeSet::new();
    for path in sources(&root().join("src/daemon/executor")) {
        let text = fs::read_to_string(&path).expect("a source file is text");
        for (at, _) in text.match_indices("\"BOOTH_") {
            let word = text[at + 1..].split('"').next().unwrap_or_default();
            known.insert(word.to_owned());
        }
    }
    assert_eq!(documented, known);
}

/// The sources in a folder that reach the program: not its tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "tests") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Signals that the daemon watches; SIGCHLD is its own business.
#[test]
fn every_signal_is_documented_and_no_other() {
    let documented = set(items("boothd.8", "SIGNALS", "Dv "));
    let path = root().join("src/sys/signals.rs");
    let text = fs::read_to_string(path).expect("the source is there");
    let (_, rest) = text.split_once("const WATCHED").expect("the list of signals");
    let (list, _) = rest.split_once("];").expect("its end");
    let (_, list) = list.rsplit_once('[').expect("its begin");
    let mut known = set(list.split(',').map(str::trim).filter(|name| !name.is_empty()));
    assert!(known.remove("SIGCHLD"));
    assert_eq!(documented, known);
}

/// Attribute names that `geostore` refuses.
#[test]
fn every_reserved_attribute_is_documented() {
    let text = section("geostore.8", "COMMANDS").join("\n");
    for name in booth::model::RESERVED_ATTRS {
        assert!(text.contains(&format!(".Ql {name}")), "{name}");
    }
}

/// Lines in a manual longer than the limit of the sources are hard to review.
#[test]
fn the_pages_have_short_lines_and_their_licence() {
    for entry in fs::read_dir(root().join("man")).expect("the folder of manuals") {
        let path = entry.expect("readable").path();
        let text = fs::read_to_string(&path).expect("text");
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first, ".\\\" SPDX-License-Identifier: GPL-2.0-or-later", "{path:?}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{path:?}: {longest:?}");
    }
}

/// The options in the patterns of a shell script's `case`: `-h | --help)`.
fn options_of_script(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(path)).expect("a script");
    let patterns = text.lines().filter_map(|line| line.trim().strip_suffix(')'));
    let words = patterns.flat_map(|pattern| pattern.split('|')).map(str::trim);
    set(words.filter_map(|word| word.strip_prefix('-')).filter(|word| *word != "*"))
}

#[test]
fn every_option_of_booth_keygen_is_documented_and_no_other() {
    let documented: BTreeSet<String> = items("booth-keygen.8", "DESCRIPTION", "Fl ")
        .iter()
        .flat_map(|item| item.split(" , Fl ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(documented, options_of_script("scripts/booth-keygen"));
    assert!(documented.contains("h"), "{documented:?}");
}

/// The codes behind `exit` and in `trap`s of the script, and those of its page.
#[test]
fn every_exit_code_of_booth_keygen_is_documented_and_no_other() {
    let text = fs::read_to_string(root().join("scripts/booth-keygen")).expect("the script");
    let after = |(at, word): (usize, &str)| text[at + word.len()..].chars().next();
    let known: BTreeSet<char> =
        text.match_indices("exit ").filter_map(after).filter(char::is_ascii_digit).collect();
    let page = section("booth-keygen.8", "EXIT STATUS").join("\n");
    let documented: BTreeSet<char> = page.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(documented, known);
}

/// The words `booth_…` that a running daemon and `booth status` print.
#[test]
fn every_word_of_status_is_documented_and_no_other() {
    let page = section("boothd.8", "OUTPUT");
    let words = page.iter().filter_map(|line| line.strip_prefix(".Va booth_"));
    let documented = set(words.map(first_word));
    let mut known = BTreeSet::new();
    for path in ["src/sys/state_line.rs", "src/cli/status.rs"] {
        let text = fs::read_to_string(root().join(path)).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, _) in code.match_indices("booth_") {
            let (word, after) = code[at + 6..].split_once('=').unwrap_or_default();
            let is_assigned = after.starts_with('{') || after.starts_with("'{");
            let is_word = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_word && is_assigned || word == "cfg_name" {
                known.insert(word.to_owned());
            }
        }
    }
    assert_eq!(documented, known);
}

/// Files that the program opens by itself, and the processes that an administrator sees.
#[test]
fn every_file_and_every_process_is_documented() {
    use booth::store::{helper, keeper};
    use booth::sys::lockfile;
    let files = set(items("boothd.8", "FILES", "Pa "));
    let lock = lockfile::default_path("name");
    let known = set([
        "/etc/booth/booth.conf",
        "/etc/booth/name.conf",
        "/etc/booth/authkey",
        &lock.display().to_string(),
        &lock.parent().expect("a directory").display().to_string(),
        "/var/run/booth/name-address.keeper",
    ]);
    assert_eq!(files, known);
    assert_eq!(booth::cli::args::DEFAULT_CONFIG, "booth");
    let daemon = fs::read_to_string(root().join("src/daemon/mod.rs")).expect("the daemon");
    assert!(daemon.contains("format!(\"{}-{address}.keeper\", config.name)"));
    let page = section("boothd.8", "HOW TICKETS ARE MANAGED").join("\n");
    for name in [keeper::NAME, helper::NAME] {
        assert!(page.contains(&format!(".Ql {name}")), "{name}");
    }
}

/// The number in `const NAME: … = N;` or `… = Duration::from_secs(N);` of a source file.
fn constant(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(root().join(path)).expect("a source file");
    let (_, rest) = text.split_once(&format!("const {name}: ")).expect(name);
    let (_, value) = rest.split_once(" = ").expect("a value");
    let value = value.trim_start_matches("Duration::from_secs(");
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|error| panic!("{name}: {value:.20}: {error}"))
}

#[test]
fn the_limits_of_clients_and_daemon_are_those_of_the_source() {
    let page = section("boothd.8", "LIMITS").join(" ");
    let says = |text: String| assert!(page.contains(&text), "{text:?} is not in {page:?}");
    let net = "src/cli/net.rs";
    says(format!("after {} seconds without a connection", constant(net, "CONNECT_LIMIT")));
    says(format!("after {} seconds without an answer", constant(net, "ANSWER_LIMIT")));
    says(format!("or after {} seconds if a .Xr crm_ticket 8", constant(net, "CHANGE_LIMIT")));
    let connection = "src/daemon/clients/connection.rs";
    let places = |name| constant("src/daemon/clients/places.rs", name);
    says(format!(
        "serves {} clients at a time that are sending their request or reading their answer. In \
         addition, {} clients can wait for a grant, {} for a revoke and {} for a change of an \
         attribute",
        places("SERVED_MAX"),
        places("GRANTS_MAX"),
        places("REVOKES_MAX"),
        places("CHANGES_MAX"),
    ));
    for (path, name) in [("state/requests.rs", "WAITERS_MAX"), ("attrs.rs", "WRITES_MAX")] {
        let one = constant(&format!("src/core/engine/{path}"), name);
        says(format!("but at most {one} of each for one ticket."));
    }
    says(format!("within {} seconds", constant(connection, "REQUEST_LIMIT")));
    let [site, arbitrator] = [true, false].map(booth::daemon::descriptors::needed);
    says(format!("a site may need {site} open files, and an arbitrator {arbitrator}."));
    let start = constant("src/sys/process.rs", "START_LIMIT");
    says(format!("waits {start} seconds"));
    let page = section("boothd.8", "OPTIONS").join(" ");
    let slack = constant("src/cli/ticket.rs", "WAIT_SLACK");
    assert!(page.contains(&format!(".Ic timeout of the ticket plus {slack} seconds")));
}

/// The same for zsh (`'-c:…'`, `'list:…'`; those of both programs first) and fish (`-s c`,
/// `-a list`).
#[test]
fn the_other_completions_offer_every_operation_and_option() {
    let zsh = fs::read_to_string(root().join("scripts/zsh-completion")).expect("the script");
    let lists: Vec<BTreeSet<String>> = zsh
        .split("=(\n")
        .skip(1)
        .map(|list| {
            let list = list.lines().take_while(|line| line.trim() != ")");
            set(list.filter_map(|line| Some(line.trim().strip_prefix('\'')?.split_once(':')?.0)))
        })
        .collect();
    let [geostore, booth, both, only_booth] = lists.as_slice() else { panic!("{lists:?}") };
    let fish = fs::read_to_string(root().join("scripts/fish-completion")).expect("the script");
    let fish_lists = |mark: &str, programs: &str| -> BTreeSet<String> {
        let begin = format!("for command in {programs}\n");
        let mut blocks = fish.split("\nend\n");
        let block = match programs {
            "geostore" => blocks.last(),
            _ => blocks.find(|block| block.contains(&begin)),
        };
        let block = block.expect("such a block");
        set(block.lines().filter_map(|line| first_word_behind(line, mark)))
    };
    for program in [Program::Geostore, Program::Booth] {
        let is_booth = program == Program::Booth;
        let options = OPTIONS.iter().filter(|option| option.programs.contains(&program));
        let options = set(options.map(|option| format!("-{}", option.letter)));
        let first = set(operations(program).map(|def| def.words[0]));
        let own = if is_booth { only_booth.clone() } else { BTreeSet::new() };
        assert_eq!(both.union(&own).cloned().collect::<BTreeSet<_>>(), options, "{program:?}");
        assert_eq!(if is_booth { booth } else { geostore }, &first, "{program:?}");
        let mut letters = fish_lists(" -s ", "booth boothd geostore");
        letters.extend(if is_booth { fish_lists(" -s ", "booth boothd") } else { own });
        assert_eq!(set(letters.iter().map(|letter| format!("-{letter}"))), options, "{program:?}");
        let words = fish_lists(" -a ", if is_booth { "booth boothd" } else { "geostore" });
        assert_eq!(words, first, "{program:?}");
    }
}

fn first_word_behind<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(mark)?;
    rest.split(' ').next().filter(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// The completion offers what the tables have; `words='…'` stand in the order geostore, booth.
#[test]
fn the_completion_offers_every_operation_and_option() {
    let text = fs::read_to_string(root().join("scripts/bash-completion")).expect("the script");
    let lists = text.lines().filter_map(|line| line.trim().strip_prefix("words='"));
    let lists: Vec<BTreeSet<String>> =
        lists.map(|list| set(list.trim_end_matches('\'').split_whitespace())).collect();
    let offered = |program: Program, list: usize| {
        let options = OPTIONS.iter().filter(|option| option.programs.contains(&program));
        let options = set(options.map(|option| format!("-{}", option.letter)));
        assert_eq!(lists[list], options, "{program:?}");
        // One word for each operation, not its aliases.
        let first = set(operations(program).map(|def| def.words[0]));
        assert_eq!(lists[list + 2], first, "{program:?}");
    };
    assert_eq!(lists.len(), 4);
    offered(Program::Geostore, 0);
    offered(Program::Booth, 1);
}
