// SPDX-License-Identifier: GPL-2.0-or-later
//! The process title: what `ps` shows. Resource agents find the daemon by searching it for
//! `boothd` and the configuration.

use std::env;
use std::fs;
use std::io;
use std::ops::Range;

/// Where the kernel looks for the title, from `/proc/self/stat` (proc(5), fields 48 to 51).
struct Area {
    arguments: Range<usize>,
    environment: Range<usize>,
}

/// Shows `title` as the command line of this process and `name` as its short name.
///
/// Must be called before any thread exists, and after the arguments have been read: their
/// memory is written over. The environment is moved first if the title needs its room, too.
///
/// # Errors
/// The kernel does not tell where the arguments are.
pub(crate) fn set(name: &str, title: &str) -> io::Result<()> {
    // The kernel cuts what is too long.
    fs::write("/proc/self/comm", name)?;
    let area = area(&fs::read_to_string("/proc/self/stat")?)?;
    let mut room = area.arguments.clone();
    if title.len() + 1 > room.len() && area.environment.start == room.end {
        move_environment();
        room.end = area.environment.end;
    }
    if room.is_empty() {
        // Started without any argument, not even a name: there is nothing to write over.
        return Ok(());
    }
    let len = title.len().min(room.len() - 1);
    // What is left of the arguments is cleared; of the environment only what is needed.
    let cleared = area.arguments.len().max(len + 1);
    let start = room.start as *mut u8;
    // SAFETY: the kernel put the arguments, and behind them the environment, into this writable
    // part of the stack and keeps no other use for it. No thread exists that could read it; the
    // arguments are not read again, and the environment has been copied if it is written over.
    unsafe {
        std::ptr::write_bytes(start, 0, cleared);
        std::ptr::copy_nonoverlapping(title.as_ptr(), start, len);
    }
    Ok(())
}

/// Lets the environment live elsewhere: setting a variable copies it.
fn move_environment() {
    for (key, value) in env::vars_os() {
        env::set_var(key, value);
    }
}

/// The places in a line of `/proc/self/stat`.
fn area(stat: &str) -> io::Result<Area> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat has another form");
    // The second field is a name in parentheses that may contain anything.
    let (_, rest) = stat.rsplit_once(')').ok_or_else(broken)?;
    let mut fields = rest.split_whitespace().skip(48 - 3).map(str::parse::<usize>);
    let mut next = || fields.next().and_then(Result::ok).filter(|at| *at > 0).ok_or_else(broken);
    let area = Area { arguments: next()?..next()?, environment: next()?..next()? };
    let rising = |range: &Range<usize>| range.start <= range.end;
    if rising(&area.arguments) && rising(&area.environment) {
        Ok(area)
    } else {
        Err(broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_found_whatever_the_name_is() {
        let mut fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        for (field, address) in [(48, 1000), (49, 1020), (50, 1020), (51, 1400)] {
            fields[field - 3] = address.to_string();
        }
        let stat = format!("1 (a ) b) {}", fields.join(" "));
        let area = area(&stat).expect("a line of the kernel");
        assert_eq!((area.arguments, area.environment), (1000..1020, 1020..1400));
    }

    #[test]
    fn a_line_of_another_form_is_refused() {
        for stat in ["", "1 (x) S 1 2 3", "no parenthesis"] {
            assert!(area(stat).is_err(), "{stat}");
        }
        let zeroes = format!("1 (x) {}", "0 ".repeat(50));
        assert!(area(&zeroes).is_err());
    }
}
