// SPDX-License-Identifier: GPL-2.0-or-later
//! Which boot of a machine wrote a grant. No process outlives a boot, so what was granted on
//! another one is held by nobody.

use std::fmt;
use std::io;

/// A boot of this machine, or of this container: the kernel's name for its own start, and when the
/// first process began, which a container that is started again has another of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BootMark {
    kernel: String,
    /// In ticks since the start of the kernel; `None`: this user may not see that process.
    first: Option<u64>,
}

impl BootMark {
    /// The boot on which this process runs.
    ///
    /// # Errors
    /// The kernel does not tell: `/proc` is not mounted.
    pub(crate) fn now() -> io::Result<BootMark> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let first = std::fs::read_to_string("/proc/1/stat").ok();
        let mark = BootMark {
            kernel: kernel.trim().to_owned(),
            first: first.and_then(|stat| started(&stat)),
        };
        Ok(mark)
    }

    /// The mark in this text, as [`fmt::Display`] writes it.
    pub(crate) fn parse(text: &str) -> Option<BootMark> {
        let (kernel, first) = match text.split_once(' ') {
            Some((kernel, first)) => (kernel, Some(first.parse().ok()?)),
            None => (text, None),
        };
        let named = !kernel.is_empty() && kernel.chars().all(|c| c.is_ascii_graphic());
        named.then(|| BootMark { kernel: kernel.to_owned(), first })
    }

    /// Whether this boot is over, on that one; not if it cannot be told.
    pub(crate) fn is_over(&self, now: &BootMark) -> bool {
        let another = |(first, now)| first != now;
        self.kernel != now.kernel || self.first.zip(now.first).is_some_and(another)
    }
}

impl fmt::Display for BootMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            Some(first) => write!(f, "{} {first}", self.kernel),
            None => write!(f, "{}", self.kernel),
        }
    }
}

/// When a process began, from its `stat` (proc_pid_stat(5)): the 22nd field; the second one, its
/// name, may have blanks and parentheses in it.
fn started(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_text_and_this_boot_is_not_over() {
        let now = BootMark::now().expect("/proc is mounted");
        assert!(now.first.is_some(), "{now}");
        let unseen = BootMark { first: None, ..now.clone() };
        for mark in [&now, &unseen] {
            assert_eq!(BootMark::parse(&mark.to_string()).as_ref(), Some(mark));
            assert!(!mark.is_over(&now) && !now.is_over(mark), "{mark}");
        }
        for text in ["", " 5", "a b", "a 5 6", "a\u{7f}"] {
            assert_eq!(BootMark::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn another_kernel_or_another_first_process_is_another_boot() {
        let mark = |text| BootMark::parse(text).expect("a mark");
        let cases = [
            ("a 5", "a 5", false),
            ("a", "a 5", false),
            ("a 5", "a", false),
            ("a 5", "a 6", true),
            ("b 5", "a 5", true),
            ("b", "a", true),
        ];
        for (then, now, over) in cases {
            assert_eq!(mark(then).is_over(&mark(now)), over, "{then}, {now}");
        }
    }

    #[test]
    fn the_begin_of_a_process_stands_behind_whatever_its_name_is() {
        let rest = "S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 77 1000 200";
        assert_eq!(started(&format!("1 (a) b) (c) {rest}")), Some(77));
        assert_eq!(started("1 (init) S 0 1"), None);
    }
}
