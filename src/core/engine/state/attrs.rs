// SPDX-License-Identifier: GPL-2.0-or-later
//! The attributes of a ticket.

use crate::engine::effect::AttrChange;
use crate::engine::event::{ClientId, WriteSerial};
use crate::model::{AttrName, AttrOp, AttrRule, AttrValue, RuleMode, ATTRS_MAX};
use crate::time::WallTime;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// The attributes of one ticket.
#[derive(Debug, Default)]
pub struct Attrs {
    pub values: BTreeMap<AttrName, (AttrValue, Option<WallTime>)>,
    /// Each with who waits for its outcome, if somebody does.
    pub writes: BTreeMap<WriteSerial, (Option<ClientId>, AttrChange)>,
}

impl Attrs {
    /// Takes what the store had at the start; more than [`ATTRS_MAX`] are left out.
    pub fn load(&mut self, stored: Vec<(AttrName, AttrValue)>) {
        self.values =
            stored.into_iter().take(ATTRS_MAX).map(|(name, value)| (name, (value, None))).collect();
    }

    /// Whether there is room for this attribute, beside those that are on their way.
    pub fn has_room(&self, name: &AttrName) -> bool {
        let coming = self.writes.values().filter_map(|(_, change)| match change {
            AttrChange::Set(name, _) if !self.values.contains_key(name) => Some(name),
            AttrChange::Set(..) | AttrChange::Delete(_) => None,
        });
        let coming: BTreeSet<&AttrName> = coming.collect();
        let known = self.values.contains_key(name) || coming.contains(name);
        known || self.values.len() + coming.len() < ATTRS_MAX
    }

    /// Whether all rules of this mode hold. A missing attribute equals nothing.
    pub fn fulfil(&self, rules: &[AttrRule], mode: RuleMode) -> bool {
        rules.iter().filter(|rule| rule.mode == mode).all(|rule| {
            let equal = self.values.get(&rule.name).is_some_and(|(value, _)| *value == rule.value);
            match rule.op {
                AttrOp::Equal => equal,
                AttrOp::NotEqual => !equal,
            }
        })
    }

    /// Forgets a client that left; its write goes on.
    pub fn forget(&mut self, client: ClientId) {
        for (waiting, _) in self.writes.values_mut() {
            if *waiting == Some(client) {
                *waiting = None;
            }
        }
    }
}
