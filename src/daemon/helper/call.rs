// SPDX-License-Identifier: GPL-2.0-or-later
//! What a helper is asked to do, as its arguments.

use super::order::Order;
use crate::daemon::leases::{Generation, Slot};
use crate::model::MemberId;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What a helper is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Become this program, looked up in `PATH`.
    Run {
        /// Its name.
        program: String,
        /// Its arguments.
        args: Vec<OsString>,
    },
    /// Run a before-acquire handler: a program or a directory of programs.
    Handler {
        /// It.
        path: PathBuf,
        /// The arguments of the program, or of each.
        args: Vec<OsString>,
    },
    /// Change a ticket in the CIB.
    Change {
        /// The ticket.
        slot: Slot,
        /// The daemon that wants it.
        generation: Generation,
        /// `booth-cfg-name`.
        config_name: String,
        /// What.
        order: Order,
    },
    /// Revoke many tickets in the CIB at once; it prints the place of each that is revoked.
    RevokeMany {
        /// The daemon that wants it.
        generation: Generation,
        /// `booth-cfg-name`.
        config_name: String,
        /// Which, and what to write.
        orders: Vec<(Slot, Order)>,
    },
    /// Read and change tickets of the built-in store, as told through standard output, which is
    /// a socket.
    Serve {
        /// The store.
        dir: PathBuf,
        /// The daemon that wants it.
        generation: Generation,
        /// `booth-cfg-name`.
        config_name: String,
    },
    /// For the lease guard: revoke a ticket in the CIB if its window has ended.
    Revoke {
        /// The ticket.
        slot: Slot,
        /// The site.
        site: MemberId,
        /// `booth-cfg-name`.
        config_name: String,
    },
    /// For the lease guard: revoke every ticket whose window has ended.
    Sweep {
        /// The directory of the built-in store; `None`: the CIB.
        dir: Option<PathBuf>,
        /// The site.
        site: MemberId,
        /// `booth-cfg-name`.
        config_name: String,
    },
}

impl Call {
    /// The arguments behind the helper's name.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        let mut push = |text: &str| args.push(text.into());
        match self {
            Call::Run { program, args: more } => {
                push("run");
                push(program);
                args.extend(more.iter().cloned());
            }
            Call::Handler { path, args: more } => {
                push("handler");
                args.push(path.into());
                args.extend(more.iter().cloned());
            }
            Call::Change { slot, generation, config_name, order } => {
                push("change");
                push(&slot.0.to_string());
                push(&generation.0.to_string());
                push(config_name);
                args.extend(order.fields().into_iter().map(OsString::from));
            }
            Call::RevokeMany { generation, config_name, orders } => {
                push("revoke-many");
                push(&generation.0.to_string());
                push(config_name);
                for (slot, order) in orders {
                    push(&slot.0.to_string());
                    order.fields().iter().for_each(|field| push(field));
                }
            }
            Call::Serve { dir, generation, config_name } => {
                push("serve");
                push(&generation.0.to_string());
                push(config_name);
                args.push(dir.into());
            }
            Call::Revoke { slot, site, config_name } => {
                push("revoke");
                push(&slot.0.to_string());
                push(&site.raw().to_string());
                push(config_name);
            }
            Call::Sweep { dir, site, config_name } => {
                push("sweep");
                push(&site.raw().to_string());
                push(config_name);
                args.extend(dir.iter().map(OsString::from));
            }
        }
        args
    }

    /// The call in these arguments; `None` if they are none.
    pub fn parse(args: &[OsString]) -> Option<Call> {
        let (word, rest) = args.split_first()?;
        let text = |index: usize| rest.get(index).and_then(|arg| arg.to_str());
        let name = |index: usize| text(index).map(str::to_owned);
        let slot = |index: usize| text(index)?.parse().ok().map(Slot);
        let generation = |index: usize| text(index)?.parse().ok().map(Generation);
        let site = |index: usize| text(index)?.parse().ok().map(MemberId::from_raw);
        let path = |index: usize| rest.get(index).map(PathBuf::from);
        let more = || rest.get(1..).map(<[OsString]>::to_vec);
        match word.to_str()? {
            "run" => Some(Call::Run { program: name(0)?, args: more()? }),
            "handler" => Some(Call::Handler { path: path(0)?, args: more()? }),
            "change" => {
                let fields: Option<Vec<&str>> =
                    rest.get(3..)?.iter().map(|arg: &OsString| OsStr::to_str(arg)).collect();
                Some(Call::Change {
                    slot: slot(0)?,
                    generation: generation(1)?,
                    config_name: name(2)?,
                    order: Order::parse(&fields?)?,
                })
            }
            "revoke-many" => Some(Call::RevokeMany {
                generation: generation(0)?,
                config_name: name(1)?,
                orders: parse_orders(rest.get(2..)?)?,
            }),
            "serve" => Some(Call::Serve {
                generation: generation(0)?,
                config_name: name(1)?,
                dir: path(2)?,
            }),
            "revoke" => {
                Some(Call::Revoke { slot: slot(0)?, site: site(1)?, config_name: name(2)? })
            }
            "sweep" => Some(Call::Sweep { site: site(0)?, config_name: name(1)?, dir: path(2) }),
            _ => None,
        }
    }
}

/// The tickets and orders in these arguments; `None` if they are none.
fn parse_orders(args: &[OsString]) -> Option<Vec<(Slot, Order)>> {
    let parse = |group: &[OsString]| {
        let fields: Option<Vec<&str>> = group.iter().map(|arg| arg.to_str()).collect();
        let (slot, order) = fields.as_ref()?.split_first()?;
        Some((Slot(slot.parse().ok()?), Order::parse(order)?))
    };
    // A place and the four fields of a grant or revoke.
    args.chunks(5).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{AttrChange, CibExpiry, CibState};
    use crate::model::{AttrName, AttrValue, Holder, Term};
    use crate::time::{Span, WallTime};

    fn orders() -> Vec<Order> {
        let name = |text| AttrName::new(text).expect("a good name");
        let owners = [Holder::Unknown, Holder::Nobody, Holder::Member(MemberId::from_raw(7))];
        let wall = WallTime::from_micros(1_234_567_890);
        let expiries = [CibExpiry::Lease, CibExpiry::At(wall), CibExpiry::Never];
        let mut orders = Vec::new();
        for (owner, expires) in owners.into_iter().zip(expiries) {
            for granted in [false, true] {
                let (term, limit) = (Term::new(u32::MAX), Span::ZERO);
                orders.push(Order::Write(CibState { granted, owner, term, expires, limit }));
            }
        }
        let value = AttrValue::new(" a=b; \"$(c)\" ").expect("a good value");
        orders.push(Order::Attr(AttrChange::Set(name("x"), value)));
        let empty = AttrValue::new("").expect("a good value");
        orders.push(Order::Attr(AttrChange::Set(name("x"), empty)));
        orders.push(Order::Attr(AttrChange::Delete(name("y"))));
        orders
    }

    #[test]
    fn every_call_survives_its_arguments() {
        let text = |text: &str| text.to_owned();
        let args = vec![OsString::from("-a"), OsString::from("")];
        let (dir, config_name) = (PathBuf::from("/a b"), text("booth"));
        let (slot, generation) = (Slot(7), Generation(u64::MAX));
        let mut calls = vec![
            Call::Run { program: text("crm_ticket"), args: args.clone() },
            Call::Handler { path: dir.clone(), args },
            Call::Serve { dir: dir.clone(), generation, config_name: config_name.clone() },
            Call::Revoke { slot, site: MemberId::from_raw(9), config_name: config_name.clone() },
            Call::Sweep { dir: None, site: MemberId::from_raw(9), config_name: text("x") },
            Call::Sweep { dir: Some(dir), site: MemberId::from_raw(9), config_name: text("x") },
            Call::RevokeMany {
                generation,
                config_name: text("x"),
                orders: orders().into_iter().take(6).map(|order| (slot, order)).collect(),
            },
        ];
        for order in orders() {
            let config_name = config_name.clone();
            calls.push(Call::Change { slot, generation, config_name, order });
        }
        for call in calls {
            assert_eq!(Call::parse(&call.to_args()), Some(call.clone()), "{call:?}");
            let mut args = call.to_args();
            args[0] = "nothing".into();
            assert_eq!(Call::parse(&args), None);
        }
        assert_eq!(Call::parse(&[]), None);
    }

    #[test]
    fn every_order_survives_a_line() {
        for order in orders() {
            let line = order.fields().join("\t");
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(Order::parse(&fields), Some(order));
        }
    }
}
