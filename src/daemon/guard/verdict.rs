// SPDX-License-Identifier: GPL-2.0-or-later
//! What the lease guard does at the end of a window. Pure; the simulator's guard asks it too.

use crate::daemon::leases::{Grant, Verdict};
use crate::engine::CibTicket;
use crate::model::Term;

/// What the guard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing; the verdict says why.
    Retire(Verdict),
    /// It revokes the ticket and leaves this term in the store.
    Revoke(Term),
}

/// Decides about a ticket whose window has ended (`lease.md` L6).
///
/// `told` is the term that came with the window; `grant` what the newest grant of this node
/// wrote, or what its daemon read when it started; `stored` what the store says now, `None` if
/// that cannot be read.
///
/// The store is *newer* if its term is higher than that of `grant`, or `expires` is later in the
/// same term: then the daemon of the site has been started on another node, and its own guard
/// watches. `expires` is compared with what was written, never with a clock: the wall clock may
/// have been set meanwhile.
pub fn verdict(told: Term, grant: Option<Grant>, stored: Option<&CibTicket>) -> Decision {
    let Some(stored) = stored else {
        return Decision::Revoke(grant.map_or(told, |grant| grant.term.max(told)));
    };
    if !stored.granted {
        return Decision::Retire(Verdict::WasFree);
    }
    let term = stored.term.unwrap_or(Term::ZERO);
    let newer = match grant {
        Some(grant) => {
            let expires = stored.expires.map_or(0, |expires| expires.as_secs());
            Grant { term, expires } > grant
        }
        None => term > told,
    };
    if newer {
        Decision::Retire(Verdict::Newer)
    } else {
        Decision::Revoke(term.max(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallTime;

    fn stored(granted: bool, term: u32, expires: u64) -> CibTicket {
        CibTicket {
            granted,
            owner: None,
            expires: Some(WallTime::from_secs(expires)),
            term: Some(Term::new(term)),
            attrs: Vec::new(),
        }
    }

    fn decide(grant: Option<(u32, u64)>, stored: Option<CibTicket>) -> Decision {
        let grant = grant.map(|(term, expires)| Grant { term: Term::new(term), expires });
        verdict(Term::new(7), grant, stored.as_ref())
    }

    #[test]
    fn a_grant_of_ours_is_revoked() {
        let revoke = Decision::Revoke(Term::new(7));
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 7, 100))), revoke);
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 7, 90))), revoke, "a killed renewal");
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 6, 200))), revoke, "an older term");
        assert_eq!(decide(None, Some(stored(true, 7, 100))), revoke, "told, never written");
    }

    #[test]
    fn a_newer_grant_is_left_alone() {
        let newer = Decision::Retire(Verdict::Newer);
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 8, 50))), newer);
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 7, 101))), newer);
        assert_eq!(decide(None, Some(stored(true, 8, 100))), newer);
        // Told of term 7, but the newest grant of this node was in term 6: 7 is somebody else's.
        assert_eq!(decide(Some((6, 100)), Some(stored(true, 7, 10))), newer);
    }

    #[test]
    fn a_free_ticket_needs_nothing_and_an_unreadable_one_is_revoked() {
        let free = Decision::Retire(Verdict::WasFree);
        assert_eq!(decide(Some((7, 100)), Some(stored(false, 9, 500))), free);
        assert_eq!(decide(Some((7, 100)), None), Decision::Revoke(Term::new(7)));
        assert_eq!(decide(Some((9, 100)), None), Decision::Revoke(Term::new(9)));
        let nothing = CibTicket { granted: true, ..CibTicket::default() };
        assert_eq!(decide(Some((7, 1)), Some(nothing)), Decision::Revoke(Term::new(7)));
    }
}
