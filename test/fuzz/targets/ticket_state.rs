// SPDX-License-Identifier: GPL-2.0-or-later
//! An answer of `crm_ticket -q`.

use booth::model::TicketName;
use booth::pacemaker::{read, read_all};

pub fn run(bytes: &[u8]) {
    // The executor hands over text; bytes that are none become replacement characters.
    let answer = String::from_utf8_lossy(bytes);
    let all = read_all(&answer);
    for name in ["T", "ticketA", "a/b-9"] {
        let ticket = TicketName::new(name).expect("a ticket name");
        match read(&answer, &ticket) {
            Ok(_) => {
                let all = all.as_ref().expect("one is read, so all are");
                assert!(all.contains_key(name), "{name} is among all");
            }
            Err(error) => assert!(!error.to_string().is_empty(), "an error has words"),
        }
    }
}
