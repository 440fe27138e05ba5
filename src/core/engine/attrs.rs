// SPDX-License-Identifier: GPL-2.0-or-later
//! Ticket attributes (`geostore`): they are read from memory and written to the store. The
//! prerequisites that look at them are in `state/attrs.rs`.

use super::cx::Cx;
use super::effect::{AttrChange, Effect, NoteLevel, StoreWish};
use super::event::{CibOutcome, ClientId, WriteSerial};
use super::report::{AttrRow, Reply};
use super::ticket::{Kind, Ticket};
use crate::model::{AttrName, AttrValue};
use crate::time::WallTime;
use crate::wire::ResultCode;
use alloc::format;
use alloc::vec::Vec;

/// Attribute writes of one ticket under way, also those whose clients have left. They are made one
/// after the other, so with a store that hangs each has to wait for all before it. Half of the
/// places that the daemon has for clients of such changes: one ticket cannot take them all.
const WRITES_MAX: usize = 32;

impl<K: Kind> Ticket<K> {
    /// Reads one attribute.
    pub fn attr_get(&self, cx: &mut Cx<'_>, client: ClientId, name: Option<AttrName>) {
        let value = name.and_then(|name| self.attrs.values.get(&name));
        let reply = match value {
            Some((value, _)) => Reply::Attr(value.clone()),
            None if self.attrs_unread() => Reply::Result(ResultCode::SyncFail),
            None => Reply::Result(ResultCode::NoSuchAttr),
        };
        cx.reply(client, reply, true);
    }

    /// Whether the store has not been read yet: then no attribute is known to be missing.
    fn attrs_unread(&self) -> bool {
        self.site && self.phase.is_loading()
    }

    /// Lists all attributes.
    pub fn attr_list(&self, cx: &mut Cx<'_>, client: ClientId) {
        if self.attrs_unread() {
            cx.reply(client, Reply::Result(ResultCode::SyncFail), true);
            return;
        }
        cx.reply(client, Reply::Attrs(self.attr_rows()), true);
    }

    /// All attributes.
    pub fn attr_rows(&self) -> Vec<AttrRow> {
        let row = |(name, (value, set_at)): (&AttrName, &(AttrValue, Option<WallTime>))| AttrRow {
            name: name.clone(),
            value: value.clone(),
            set_at: *set_at,
        };
        self.attrs.values.iter().map(row).collect()
    }

    /// Sets or deletes one attribute: the answer comes when the store has it.
    pub fn attr_change(&mut self, cx: &mut Cx<'_>, client: ClientId, change: AttrChange) {
        let refusal = match &change {
            AttrChange::Delete(_) if self.attrs_unread() => Some(ResultCode::SyncFail),
            AttrChange::Delete(name) if !self.attrs.values.contains_key(name) => {
                Some(ResultCode::NoSuchAttr)
            }
            AttrChange::Set(name, _) if !self.attrs.has_room(name) => Some(ResultCode::SyncFail),
            AttrChange::Set(..) | AttrChange::Delete(_) => None,
        };
        let unready = !self.site || self.phase.is_loading();
        let crowded = self.attrs.writes.len() >= WRITES_MAX;
        let refusal = refusal
            .or(unready.then_some(ResultCode::SyncFail))
            .or(crowded.then_some(ResultCode::Busy));
        if let Some(code) = refusal {
            cx.reply(client, Reply::Result(code), true);
            return;
        }
        cx.clients.insert(client, self.index);
        self.write_attr(cx, Some(client), change);
    }

    /// Asks for a change in the store, and notes who waits for its outcome.
    fn write_attr(&mut self, cx: &mut Cx<'_>, client: Option<ClientId>, change: AttrChange) {
        let (ticket, serial, limit) = (self.index, cx.write_serial(), self.spec.call_limit());
        self.attrs.writes.insert(serial, (client, change.clone()));
        cx.effects.push(Effect::Store(StoreWish::WriteAttr { ticket, serial, change, limit }));
    }

    /// A change that has not ended in time may still be made, although its client is told that it
    /// failed: the value from before is written behind it, unless somebody has wished another.
    fn take_back_attr(&mut self, cx: &mut Cx<'_>, change: AttrChange) {
        let (AttrChange::Set(name, _) | AttrChange::Delete(name)) = change;
        let newer = self.attrs.writes.values().any(|(_, other)| match other {
            AttrChange::Set(other, _) | AttrChange::Delete(other) => *other == name,
        });
        if newer {
            return;
        }
        let change = match self.attrs.values.get(&name) {
            Some((value, _)) => AttrChange::Set(name, value.clone()),
            None => AttrChange::Delete(name),
        };
        self.write_attr(cx, None, change);
    }

    /// The outcome of a write of an attribute.
    pub fn handle_attr_written(
        &mut self,
        cx: &mut Cx<'_>,
        serial: WriteSerial,
        outcome: CibOutcome,
    ) {
        let Some((client, change)) = self.attrs.writes.remove(&serial) else { return };
        let code = match outcome {
            CibOutcome::Written => {
                match change {
                    AttrChange::Set(name, value) => {
                        let same = |(old, _): &&(AttrValue, _)| *old == value;
                        let kept = self.attrs.values.get(&name).filter(same).map(|(_, at)| *at);
                        let at = kept.filter(|_| client.is_none()).unwrap_or(Some(cx.now.wall));
                        self.attrs.values.insert(name, (value, at));
                    }
                    AttrChange::Delete(name) => {
                        self.attrs.values.remove(&name);
                    }
                }
                ResultCode::Success
            }
            CibOutcome::Failed(why) => {
                let text = format!("cannot write an attribute to the store: {why}");
                self.note(cx, NoteLevel::Error, &text);
                ResultCode::SyncFail
            }
            CibOutcome::TooLate | CibOutcome::Superseded | CibOutcome::Killed => {
                self.note(
                    cx,
                    NoteLevel::Error,
                    "writing an attribute to the store did not end in time",
                );
                self.take_back_attr(cx, change);
                ResultCode::SyncFail
            }
        };
        if let Some(client) = client {
            cx.reply(client, Reply::Result(code), true);
        }
    }
}
