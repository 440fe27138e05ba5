// SPDX-License-Identifier: GPL-2.0-or-later
//! Where functions begin and end.

use super::code::Code;

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line with `fn`, counted from 1.
    pub line: usize,
    /// The lines from `fn` to the closing brace.
    pub length: usize,
}

/// All functions, inner ones too.
pub fn functions(code: &Code) -> Vec<Function> {
    let tokens = code.tokens();
    let mut functions = Vec::new();
    for (index, (line, token)) in tokens.iter().enumerate() {
        let Some((_, name)) = tokens.get(index + 1) else { continue };
        let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if *token != "fn" || !named {
            continue;
        }
        if let Some(end) = body_end(&tokens[index..]) {
            let name = (*name).to_owned();
            functions.push(Function { name, line: *line, length: end - line + 1 });
        }
    }
    functions
}

/// The line of the brace that closes the first body; `None` if a semicolon comes first.
fn body_end(tokens: &[(usize, &str)]) -> Option<usize> {
    let mut braces = 0usize;
    let mut others = 0usize;
    for (line, token) in tokens {
        match *token {
            "(" | "[" => others += 1,
            ")" | "]" => others = others.saturating_sub(1),
            ";" if braces == 0 && others == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 && others == 0 {
                    return Some(*line);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn functions_are_found_with_their_lengths() {
    let text = "trait T {\n    fn none(&self) -> [u8; 3];\n}\n\npub fn one() {}\n\
                fn two<F: Fn(u8)>(\n    f: F,\n) -> fn(u8) {\n    fn inner() {\n\
                { }\n    }\n    f(\"}\")\n}\n";
    let function = |name: &str, line, length| Function { name: name.to_owned(), line, length };
    let expected = [function("one", 5, 1), function("two", 6, 8), function("inner", 9, 3)];
    assert_eq!(functions(&Code::of(text)), expected);
}
