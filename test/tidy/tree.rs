// SPDX-License-Identifier: GPL-2.0-or-later
//! The files of the repository, and what a rule says of them.

use super::code::Code;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Folders that hold what is built or downloaded, at any depth.
const NOT_OURS: [&str; 5] = ["target", ".git", "artifacts", "corpus", "vendor"];

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct File {
    /// The path from the top of the repository, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
    code: OnceLock<Code>,
}

impl File {
    /// A file with this path and text.
    pub fn new(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned(), code: OnceLock::new() }
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is Rust that is built only for tests.
    pub fn is_test(&self) -> bool {
        let in_module = self.path.split('/').any(|part| part == "tests" || part == "tests.rs");
        self.path.starts_with("test/") || in_module
    }

    /// Its code without comments and literals.
    pub fn code(&self) -> &Code {
        self.code.get_or_init(|| Code::of(&self.text))
    }

    /// A complaint about a line, counted from 1.
    pub fn complaint(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { path: self.path.clone(), line, text: text.into() }
    }
}

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// The top of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file, sorted by path; read once.
pub fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = root();
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.iter().filter(|file| file.is_rust()).count() > 50, "the sources were found");
        files
    })
}

/// The Rust among them.
pub fn rust() -> impl Iterator<Item = &'static File> {
    files().iter().filter(|file| file.is_rust())
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        let kind = fs::symlink_metadata(&path).expect("a file has a kind").file_type();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if kind.is_dir() && !NOT_OURS.contains(&name.as_ref()) {
            collect(root, &path, files);
        } else if kind.is_file() {
            // What is no text has no lines to complain about.
            if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(root).expect("it is below the root");
                files.push(File::new(&path.to_string_lossy(), &text));
            }
        }
    }
}

#[test]
fn tests_are_told_from_the_product() {
    for path in ["test/tidy/main.rs", "src/core/engine/tests/mod.rs", "src/core/slots/tests/mod.rs"]
    {
        assert!(File::new(path, "").is_test(), "{path}");
    }
    assert!(!File::new("src/core/engine/mod.rs", "").is_test());
}
