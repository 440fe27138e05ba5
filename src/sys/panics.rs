// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said of a panic.

use std::panic::PanicHookInfo;

/// What has happened, and what that means.
pub(crate) fn in_words(info: &PanicHookInfo<'_>, program: &str) -> String {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let thread = std::thread::current();
    let place = info.location().map_or_else(String::new, |at| format!(", {at}"));
    let message = message.unwrap_or("no reason given");
    let cause = if is_for_want_of_memory(message) {
        "for want of memory"
    } else {
        "because of a bug in it, please report it"
    };
    let thread = thread.name().unwrap_or("without a name");
    format!("{program} ends, {cause}: {message} (thread {thread}{place})")
}

/// The language's runtime panics where the kernel refuses memory for a new thread.
fn is_for_want_of_memory(message: &str) -> bool {
    message.contains(&std::io::Error::from_raw_os_error(libc::ENOMEM).to_string())
}
