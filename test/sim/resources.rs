// SPDX-License-Identifier: GPL-2.0-or-later
//! S11: `acquire-after`, the time that the resources of a site have to stop before those of
//! another start. Whenever an automatic ticket moves by itself from one site to another, at least
//! `acquire-after` lies between the instant at which the old site's store said revoked and the one
//! at which the new site's says granted: after a lost lease and after a step-down alike.
//!
//! By itself: no order for a grant is open at the new site when it first wishes the write,
//! and it did not stand for one. What an administrator orders waits by L8, which S6 looks at. From
//! a site to itself nothing is waited for. A site whose machine died counts from the time that its
//! guard was told, as long as nobody has watched over it again, its first revoke then included.

use super::clock::True;
use super::world::World;

/// What is remembered of one ticket at one site.
#[derive(Clone, Copy, Debug, Default)]
struct Site {
    /// When its store last went from granted to revoked.
    revoked_at: Option<True>,
    /// Its engine has wished a grant since it last wished a revoke.
    committed: bool,
    /// The first of these wishes was an administrator's.
    ordered: bool,
}

/// The account of the resources' time.
#[derive(Debug)]
pub struct Resources {
    members: usize,
    sites: Vec<Site>,
}

impl Resources {
    /// Nobody has held anything.
    pub fn new(tickets: usize, members: usize) -> Resources {
        Resources { members, sites: vec![Site::default(); tickets * members] }
    }

    fn of(&mut self, n: usize, ticket: usize) -> &mut Site {
        &mut self.sites[ticket * self.members + n]
    }

    /// A store says revoked; `at`: since when it had to.
    pub fn revoked(&mut self, n: usize, ticket: usize, at: True) {
        self.of(n, ticket).revoked_at = Some(at);
    }

    /// An engine wishes a grant, for an administrator or not; what it wishes until it revokes
    /// repeats that.
    pub fn grants(&mut self, n: usize, ticket: usize, ordered: bool) {
        let site = self.of(n, ticket);
        if !std::mem::replace(&mut site.committed, true) {
            site.ordered = ordered;
        }
    }

    /// An engine wishes a revoke, or starts.
    pub fn revokes(&mut self, n: usize, ticket: usize) {
        self.of(n, ticket).committed = false;
    }
}

impl World {
    /// The last instant at which the resources of a ticket ran at a site, by its store.
    fn ran_until(&self, n: usize, ticket: usize) -> Option<True> {
        let left = self.checks.unguarded[ticket][n].filter(|_| self.sites[n].granted(ticket));
        let revoked = self.checks.resources.sites[ticket * self.nodes.len() + n].revoked_at;
        left.map(|left| left.from().min(self.now)).or(revoked)
    }

    /// S11: a store has come to say granted.
    pub fn check_resources(&mut self, n: usize, ticket: usize) {
        let acquire_after = self.spec(n, ticket).acquire_after;
        // Clocks run up to 0.5 % apart.
        let wait = acquire_after.as_micros() * 99 / 100;
        let ordered = self.checks.resources.of(n, ticket).ordered;
        if wait == 0 || ordered || !self.checks.automatic(ticket) {
            return;
        }
        // What ran elsewhere before this site held last has stopped long ago.
        let own = self.ran_until(n, ticket);
        let others = (0..self.nodes.len()).filter(|m| *m != n);
        let last = others.filter_map(|m| Some((self.ran_until(m, ticket)?, m))).max();
        let Some((until, m)) = last.filter(|(until, _)| Some(*until) > own) else { return };
        if self.now < until + wait && self.ailed(m, until) {
            // It ran on for longer than its lease, and nobody could know for how long.
            if self.despite_sickness(m, n, ticket).is_none() {
                self.excuse(super::excuses::Excuse::SickStore);
                return;
            }
        }
        if self.now < until + wait {
            let text = format!(
                "t{ticket} moves by itself from m{m}, revoked at {until}, to m{n} after {} us; \
                 acquire-after is {acquire_after}",
                self.now - until,
            );
            self.fail_of(ticket, "S11", text);
        }
    }
}
