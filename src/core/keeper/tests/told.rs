// SPDX-License-Identifier: GPL-2.0-or-later
//! What the next keeper is told of grants. The rest of `Told` is tested where boothd uses it
//! (`store::keeper::link`).

use super::*;

fn ticket() -> TicketIndex {
    TicketIndex::new(0)
}

fn read(term: u32, expires: u64) -> Word {
    Word::Read { ticket: ticket(), grant: Grant { term: Term::new(term), expires } }
}

fn words(told: &Told) -> Vec<Word> {
    told.words(ticket()).collect()
}

#[test]
fn of_two_grants_in_one_term_the_next_keeper_is_told_the_later_end() {
    let mut told = Told::default();
    for (term, expires, counts) in [(1, 100, 100), (1, 90, 100), (1, 110, 110), (2, 50, 50)] {
        told.say(&read(term, expires), now(0));
        assert_eq!(words(&told), [read(term, counts)]);
    }
}

/// Otherwise it would take its `expires` for that of a lease.
#[test]
fn only_a_grant_that_depends_on_a_lease_is_told_to_the_next_keeper() {
    let hold = Word::Hold { ticket: ticket(), window: Some(window(60)), term: Term::new(1) };
    for (granted, lease) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut told = Told::default();
        told.say(&hold, now(0));
        assert_eq!(told.hold(), Some(&hold));
        let expires = if lease { CibExpiry::Lease } else { CibExpiry::Never };
        let state = CibState { expires, ..state(granted, 1) };
        let wish = Word::Write { ticket: ticket(), serial: WriteSerial(1), state };
        told.say(&wish, now(0));
        // It is not known when exactly the keeper reads the clock.
        let grant = (granted && lease).then(|| read(1, super::expires(60) + 1));
        let expected: Vec<Word> = grant.into_iter().chain([hold.clone(), wish]).collect();
        assert_eq!(words(&told), expected);
    }
}
