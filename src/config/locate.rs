// SPDX-License-Identifier: GPL-2.0-or-later
//! From the argument of `-c` to the path of a configuration file, and from that path to the
//! configuration's name.

use std::path::{Path, PathBuf};

/// The directory in which short names are looked up.
pub(crate) const DIRECTORY: &str = "/etc/booth";

/// The file that an argument stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub path: PathBuf,
    /// A warning about the choice of the file.
    pub warning: Option<String>,
}

/// The file that `given` stands for: a path if it has a `/`; otherwise `NAME.conf` in
/// `directory`, or, if the name has a dot and there is no such file, `NAME` itself.
///
/// Reference: does not add `.conf` to a name with a dot. pcs creates names with dots and expects
/// `.conf` to be added. If both files exist, there is a warning.
pub(super) fn locate(given: &str, directory: &Path) -> Found {
    if given.contains('/') {
        return Found { path: PathBuf::from(given), warning: None };
    }
    let bare = directory.join(given);
    let with_suffix = directory.join(format!("{given}.conf"));
    if !given.contains('.') {
        return Found { path: with_suffix, warning: None };
    }
    let bare_exists = bare.is_file();
    if !with_suffix.is_file() || (bare_exists && given.ends_with(".conf")) {
        return Found { path: bare, warning: None };
    }
    let warning = bare_exists.then(|| {
        format!(
            "{}: chosen for {given:?} although there is a file {}; write its whole path if you \
             mean that one",
            with_suffix.display(),
            bare.display()
        )
    });
    Found { path: with_suffix, warning }
}

/// The default name of the configuration in this file: the file's name without its last suffix.
///
/// Reference: the same, also for suffixes other than `.conf`; lock files are named after it.
pub(super) fn default_name(path: &Path) -> String {
    let file = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    match file.rsplit_once('.') {
        Some((stem, _)) => stem.to_owned(),
        None => file.into_owned(),
    }
}
