// SPDX-License-Identifier: GPL-2.0-or-later
//! When which site's CIB said that it has a ticket, and whether two ever said so together.

use super::crm::{now, Change};

/// A time in which a site's CIB said *granted*, in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Number of the site.
    pub site: usize,
    /// From.
    pub from: f64,
    /// To; now, if it is granted still.
    pub to: f64,
}

/// The times in which the site held the ticket, from the history of its CIB.
pub fn held(site: usize, history: &[Change]) -> Vec<Held> {
    let mut times = Vec::new();
    let mut from = None;
    for change in history {
        match (change.granted == Some(true), from) {
            (true, None) => from = Some(change.at),
            (false, Some(begun)) => {
                times.push(Held { site, from: begun, to: change.at });
                from = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    if let Some(begun) = from {
        times.push(Held { site, from: begun, to: now() });
    }
    times
}

/// Every pair of times in which two different sites held the ticket together.
pub fn overlaps(histories: &[Vec<Change>]) -> Vec<(Held, Held)> {
    let all: Vec<Held> =
        histories.iter().enumerate().flat_map(|(site, history)| held(site, history)).collect();
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
