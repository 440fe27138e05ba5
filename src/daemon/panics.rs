// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said when the program has a bug and a thread panics. The process ends at once
//! (`panic = "abort"`), in the background without a terminal: so the log has to have the reason
//! before.

use super::logsink::LogSink;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

/// How long the log may take. A daemon that has a bug holds up nobody for longer.
const LOG_LIMIT: Duration = Duration::from_millis(500);

/// From now on, the reason for a panic goes to the log, and to standard error if the log does not
/// lead there or does not take it in time.
pub(super) fn to_log(sink: LogSink) {
    panic::set_hook(Box::new(move |info| {
        let text = in_words(info, "boothd");
        log::error!("{text}");
        let written = sink.flush(LOG_LIMIT);
        sink.last_words(&text, written);
    }));
}

/// What has happened, and what that means.
pub(super) fn in_words(info: &PanicHookInfo<'_>, program: &str) -> String {
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
