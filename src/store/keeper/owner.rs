// SPDX-License-Identifier: GPL-2.0-or-later
//! Who owns a run directory: the one keeper that may change the store.
//!
//! It holds a read lock on the directory itself, which needs neither room nor permission to write
//! there, stays when everything in the directory is removed, and ends with the process. Two
//! processes may hold such a lock; whoever has taken it looks whether another has it, too, and
//! owns nothing then.

use crate::sys::os::Handle;
use crate::sys::{clock, filelock};
use crate::time::Span;
use std::fs::File;
use std::io;

/// How long a keeper waits for the one in whose place it was put, and that was killed.
const WAIT: Span = Span::from_secs(5);
/// How long that is waited for before the next look.
const LOOK: Span = Span::from_millis(10);

/// Makes this process the owner, as soon as the last one has ended. From then on nothing here may
/// open and close the directory: the lock would be gone.
///
/// # Errors
/// It does not end; the text names the process. Or the directory cannot be locked.
pub(super) fn own(dir: &File) -> io::Result<()> {
    let until = clock::mono().plus(WAIT);
    loop {
        filelock::lock_to_read(dir)?;
        let Some(other) = owner(dir)? else { return Ok(()) };
        // It may have been put here at the same time, and see this one.
        filelock::unlock(dir);
        if clock::mono() >= until {
            let text = format!("process {other} owns the run directory and does not end");
            return Err(io::Error::other(text));
        }
        // Not as long as the other waits.
        let odd = Span::from_micros(u64::from(std::process::id() % 10) * 1000);
        Handle::new(other).wait_end(LOOK.plus(odd).as_duration());
    }
}

/// The process that owns the directory, if it is another one; 0 if it cannot be seen from here.
///
/// # Errors
/// None that a directory of this machine can cause.
pub(super) fn owner(dir: &File) -> io::Result<Option<u32>> {
    filelock::holder_of(dir)
}
