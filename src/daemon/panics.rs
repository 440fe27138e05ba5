// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said when the program has a bug and a thread panics. The process ends at once
//! (`panic = "abort"`), in the background without a terminal: so the log has to have the reason
//! before.

use super::logsink::{LogSink, LOG_LIMIT};
use crate::sys::panics::in_words;
use std::panic;

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
