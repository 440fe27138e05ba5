// SPDX-License-Identifier: GPL-2.0-or-later
//! What must be equal at all members: they agree only on what they all know in the same way.

use super::Config;
use crate::model::{digest_of, TicketMode};
use std::collections::BTreeMap;

impl Config {
    /// What must be equal at all members, by name. What belongs to a member is not in it: users,
    /// the ticket store, handlers, prerequisites, the level of messages, paths.
    pub fn shared(&self) -> BTreeMap<String, String> {
        let mut shared = BTreeMap::new();
        for (number, configured) in self.members.iter().enumerate() {
            let (role, address) = (configured.member.role.word(), configured.member.address);
            let text = format!("{role} {address} port {}", configured.port);
            shared.insert(format!("member {:02}", number + 1), text);
        }
        let sealed = if self.key.is_some() { "yes" } else { "no" };
        shared.insert("authfile".to_owned(), sealed.to_owned());
        for ticket in &self.tickets {
            let spec = &ticket.spec;
            let mut put = |key: &str, value: String| {
                shared.insert(format!("ticket \"{}\" {key}", spec.name), value);
            };
            let mode = match spec.mode {
                TicketMode::Automatic => "automatic",
                TicketMode::Manual => "manual",
            };
            put("mode", mode.to_owned());
            if spec.mode == TicketMode::Manual {
                continue;
            }
            put("expire", spec.expire.to_string());
            put("acquire-after", spec.acquire_after.to_string());
            put("timeout", spec.timeout.to_string());
            put("retries", spec.retries.to_string());
            put("renewal-freq", spec.renewal.to_string());
            let weights: Vec<String> = (0..self.members.len())
                .map(|member| spec.weights.get(member).copied().unwrap_or(0).to_string())
                .collect();
            put("weights", weights.join(","));
        }
        shared
    }

    /// A digest of [`Config::shared`]: equal at all members if nothing differs; never 0.
    pub fn digest(&self) -> u32 {
        let lines = self.shared().into_iter().map(|(key, value)| format!("{key} = {value}\n"));
        digest_of(&lines.collect::<String>())
    }
}
