// SPDX-License-Identifier: GPL-2.0-or-later
//! Paths such as `std::net::IpAddr`, also out of `use` trees.

use super::code::Code;

type Tokens<'a> = [(usize, &'a str)];

/// Every path with at least two parts, and the line where its last part stands.
pub fn paths(code: &Code) -> Vec<(usize, String)> {
    let tokens = code.tokens();
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let starts = is_name(tokens[index].1) && at(&tokens, index + 1) == "::";
        index = if starts { read(&tokens, index, "", &mut found) } else { index + 1 };
    }
    found
}

/// Reads the path whose first name is at `index`; returns the index behind it.
fn read(
    tokens: &Tokens<'_>,
    index: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let path = if prefix.is_empty() {
        tokens[index].1.to_owned()
    } else {
        format!("{prefix}::{}", tokens[index].1)
    };
    if at(tokens, index + 1) != "::" {
        found.push((tokens[index].0, path));
        return index + 1;
    }
    match at(tokens, index + 2) {
        "{" => read_group(tokens, index + 3, &path, found),
        name if is_name(name) => read(tokens, index + 2, &path, found),
        _ => {
            found.push((tokens[index].0, path));
            index + 2
        }
    }
}

fn read_group(
    tokens: &Tokens<'_>,
    from: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let mut index = from;
    while index < tokens.len() && tokens[index].1 != "}" {
        if at(tokens, index) == "self" {
            found.push((tokens[index].0, prefix.to_owned()));
            index += 1;
        } else if tokens[index].1 == "as" {
            index += 2;
        } else if is_name(tokens[index].1) {
            index = read(tokens, index, prefix, found);
        } else {
            index += 1;
        }
    }
    index + 1
}

fn at<'a>(tokens: &Tokens<'a>, index: usize) -> &'a str {
    tokens.get(index).map_or("", |(_, token)| token)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[test]
fn paths_are_found_in_trees_and_in_code() {
    let text = "use std::{fs, net::{IpAddr, self}, time::Duration as D};\nuse a::*;\n\
                fn f(x: &crate::model::Term) { Vec::<u8>::new(); y.z() }";
    let found = paths(&Code::of(text));
    let texts: Vec<&str> = found.iter().map(|(_, path)| path.as_str()).collect();
    let expected = [
        "std::fs",
        "std::net::IpAddr",
        "std::net",
        "std::time::Duration",
        "a",
        "crate::model::Term",
        "Vec",
    ];
    assert_eq!(texts, expected);
    assert_eq!(found[5].0, 3);
}
