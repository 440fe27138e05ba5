// SPDX-License-Identifier: GPL-2.0-or-later
//! When which site's CIB said that it has a ticket, and whether two ever said so together.
//!
//! Every change has a time just before and one just after it was written, both from one clock
//! for all sites. What is proven is proven with the worse of the two: a ticket counts as held
//! from just *before* a grant until just *after* a revoke, so that no overlap, however short,
//! can be missed. What is promised is measured the other way round: as available it counts from
//! just after the grant until just before the revoke.

use super::crm::{now, Change};

/// A time in which a site's CIB said *granted*, in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Number of the site.
    pub site: usize,
    /// From: before this it certainly did not say so.
    pub from: f64,
    /// To: after this it certainly did not say so; now, if it is granted still.
    pub to: f64,
    /// From this on it certainly said so.
    pub sure_from: f64,
    /// Until this it certainly said so.
    pub sure_to: f64,
}

/// The times in which the site held the ticket, from the history of its CIB.
pub fn held(site: usize, history: &[Change]) -> Vec<Held> {
    let mut times = Vec::new();
    let mut from: Option<(f64, f64)> = None;
    for (index, change) in history.iter().enumerate() {
        // Writes are in order: when the next begins, this one has been written.
        let next = history.get(index + 1).map(|next| next.at);
        let written = change.done.or(next).unwrap_or_else(now);
        match (change.granted == Some(true), from) {
            (true, None) => from = Some((change.at, written)),
            (false, Some((begun, sure_from))) => {
                times.push(Held { site, from: begun, to: written, sure_from, sure_to: change.at });
                from = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    if let Some((begun, sure_from)) = from {
        let end = now();
        times.push(Held { site, from: begun, to: end, sure_from, sure_to: end });
    }
    times
}

/// The same for all sites, in the order in which they began.
pub fn all_held(histories: &[Vec<Change>]) -> Vec<Held> {
    let mut all: Vec<Held> =
        histories.iter().enumerate().flat_map(|(site, history)| held(site, history)).collect();
    all.sort_by(|one, other| one.from.total_cmp(&other.from));
    all
}

/// Every pair of times in which two different sites may have held the ticket together.
pub fn overlaps(histories: &[Vec<Change>]) -> Vec<(Held, Held)> {
    let all = all_held(histories);
    let mut found = Vec::new();
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            if one.site != other.site && one.from < other.to && other.from < one.to {
                found.push((one.clone(), other.clone()));
            }
        }
    }
    found
}
