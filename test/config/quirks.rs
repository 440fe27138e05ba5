// SPDX-License-Identifier: GPL-2.0-or-later
//! The entries of `test/QUIRKS.md`.

use std::path::Path;

/// The numbers of all entries: lines such as `112. **Weights.** ...`.
pub fn numbers() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/QUIRKS.md");
    let text = std::fs::read_to_string(path).expect("test/QUIRKS.md is there");
    let number = |line: &str| {
        let (number, rest) = line.split_once(". **")?;
        (number.bytes().all(|byte| byte.is_ascii_digit()) && rest.contains("**"))
            .then(|| number.to_owned())
    };
    let numbers: Vec<String> = text.lines().filter_map(number).collect();
    for (index, entry) in numbers.iter().enumerate() {
        assert!(!numbers[..index].contains(entry), "test/QUIRKS.md has two entries {entry}");
    }
    numbers
}
