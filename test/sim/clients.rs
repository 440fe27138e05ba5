// SPDX-License-Identifier: GPL-2.0-or-later
//! Administrators: they grant, revoke and change their mind, at any site and at any time, follow
//! redirections, wait or leave.

use super::clock::{True, MILLI};
use super::node::Waiting;
use super::plan::Order;
use super::world::{Happening, World};
use booth_core::engine::{ClientId, Event, Reply};
use booth_core::model::{AttrName, AttrValue, Holder, Term};
use booth_core::wire::{decode_request, encode_request, ClientOptions, ClientRequest, ResultCode};

/// One connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// To which member.
    pub node: usize,
    /// In which life of it.
    pub life: u32,
    /// Its number there.
    pub client: ClientId,
    /// About which ticket.
    pub ticket: usize,
    /// What is asked; `None`: an attribute.
    pub order: Option<Order>,
    /// Since when.
    pub since: True,
    /// It waits for the outcome however long that takes.
    pub patient: bool,
    /// The client closed it.
    pub left: bool,
}

/// All connections that are open, and how orders ended.
#[derive(Debug, Default)]
pub struct Clients {
    /// Open ones, and those whose client left.
    pub open: Vec<Connection>,
    /// Per ticket: the last order that was carried out, as its administrator heard.
    pub last_done: Vec<Option<Order>>,
    /// Per ticket: when an order was given last.
    pub asked_at: Vec<True>,
    /// Per ticket: whether an order was given at all after which nobody can say.
    pub last_asked: Vec<Option<Order>>,
    /// Per ticket: the term in which that order was carried out.
    pub done_term: Vec<Term>,
    /// Per ticket: which member has carried it out.
    pub done_by: Vec<usize>,
    /// Per ticket: whether a revoke was asked for since.
    pub revoked_since: Vec<u32>,
    /// How many orders were answered with success, and how many otherwise.
    pub done: u64,
    /// How many orders were refused or failed.
    pub refused: u64,
}

impl Clients {
    /// Whether a revoke of the ticket was asked for since the last order that was carried out, or
    /// is still on its way from before.
    pub fn revoke_asked(&self, ticket: usize) -> bool {
        self.revoked_since[ticket] > 0 || self.revoke_open(ticket)
    }

    fn revoke_open(&self, ticket: usize) -> bool {
        self.open.iter().any(|c| c.ticket == ticket && c.order == Some(Order::Revoke))
    }
}

impl World {
    /// An administrator connects to a member; nothing happens if the process is not there.
    pub fn order(&mut self, n: usize, ticket: usize, order: Order, patience: True) {
        if self.nodes[n].engine.is_none() {
            return;
        }
        let name = Some(self.plan.tickets[ticket].name.clone());
        let roll = self.choices.jitter(n, ticket, 0, 7);
        let options = ClientOptions {
            immediate: order == Order::Force,
            wait: roll & 1 != 0,
            wait_commit: roll & 2 != 0,
            explain: roll & 4 != 0,
        };
        let request = match order {
            Order::Grant | Order::Force => ClientRequest::Grant { ticket: name, options },
            Order::Revoke => ClientRequest::Revoke { ticket: name, options },
        };
        let before = self.clients.last_asked[ticket];
        self.coverage.note(match order {
            Order::Grant => "administrator: grants",
            Order::Revoke => "administrator: revokes",
            Order::Force => "administrator: overrides",
        });
        if before.is_some_and(|before| before != order) {
            self.coverage.note("administrator: changes a mind");
        }
        self.clients.last_asked[ticket] = Some(order);
        self.clients.asked_at[ticket] = self.now;
        self.clients.revoked_since[ticket] += u32::from(order == Order::Revoke);
        self.connect(n, ticket, Some(order), request, patience);
    }

    /// Somebody sets or reads an attribute.
    pub fn attribute(&mut self, n: usize, ticket: usize) {
        if self.nodes[n].engine.is_none() {
            return;
        }
        let ticket_name = Some(self.plan.tickets[ticket].name.clone());
        let roll = self.choices.jitter(n, ticket, 0, 3);
        let name = AttrName::new("mode").ok();
        let request = match roll {
            0 => ClientRequest::AttrGet { ticket: ticket_name, name },
            1 => ClientRequest::AttrDelete { ticket: ticket_name, name },
            2 => ClientRequest::AttrList { ticket: ticket_name },
            _ => {
                let value = AttrValue::new("on").ok();
                ClientRequest::AttrSet { ticket: ticket_name, name, value }
            }
        };
        self.connect(n, ticket, None, request, 0);
    }

    fn connect(
        &mut self,
        n: usize,
        ticket: usize,
        order: Option<Order>,
        request: ClientRequest,
        patience: True,
    ) {
        let client = self.nodes[n].new_client();
        let life = self.nodes[n].life;
        let since = self.now;
        let patient = match &request {
            ClientRequest::Grant { options, .. } | ClientRequest::Revoke { options, .. } => {
                options.wait || options.wait_commit
            }
            _ => false,
        };
        let left = false;
        let connection = Connection { node: n, life, client, ticket, order, since, patient, left };
        self.clients.open.push(connection);
        self.check_waiting();
        if patience > 0 {
            let at = self.now + patience;
            self.future.plan(at, Happening::Leave { node: n, life, client });
        }
        self.trace(|w| format!("{} is asked: t{ticket} {order:?}", w.name(n)));
        let from = self.ids[n].raw();
        // What the client sends is what the daemon reads.
        let request = match decode_request(&encode_request(from, &request)) {
            Ok((_, request)) => request,
            Err(error) => {
                self.fail("S10", format!("a request cannot be decoded: {error}"));
                return;
            }
        };
        self.reach(n, Waiting::Event(Box::new(Event::Client { client, request })));
    }

    /// A client closes its connection.
    pub fn leave(&mut self, n: usize, life: u32, client: ClientId) {
        let same = |c: &Connection| c.node == n && c.life == life && c.client == client;
        let Some(connection) = self.clients.open.iter_mut().find(|c| same(c)) else { return };
        connection.left = true;
        let connection = *connection;
        self.answer_missed(&connection, false);
        self.coverage.note("administrator: leaves");
        if self.nodes[n].life == life && self.nodes[n].engine.is_some() {
            self.reach(n, Waiting::Event(Box::new(Event::ClientGone { client })));
        }
    }

    /// A daemon answers.
    pub fn reply(&mut self, n: usize, client: ClientId, reply: &Reply, last: bool) {
        let life = self.nodes[n].life;
        let same = |c: &Connection| c.node == n && c.life == life && c.client == client;
        let Some(at) = self.clients.open.iter().position(same) else {
            self.fail("S8", format!("answer to a client that has its last answer: {reply:?}"));
            return;
        };
        let connection = self.clients.open[at];
        self.trace(|w| {
            let (order, ticket) = (connection.order, connection.ticket);
            format!("{} answers {order:?} t{ticket}: {} last={last}", w.name(n), w.answer(reply))
        });
        if last {
            self.clients.open.swap_remove(at);
        }
        let (Reply::Ticket(answer), Some(order)) = (reply, connection.order) else { return };
        let ticket = connection.ticket;
        if order != Order::Revoke && !last {
            self.checks.ghosts.order_joins(n, ticket);
        } else if order != Order::Revoke {
            let same = |c: &Connection| c.node == n && c.life == life && c.ticket == ticket;
            let grants = |c: &Connection| c.order.is_some_and(|order| order != Order::Revoke);
            if !self.clients.open.iter().any(|c| same(c) && grants(c)) {
                self.checks.ghosts.orders_are_answered(self.decided, n, ticket);
            }
        }
        if order == Order::Revoke && last {
            self.checks.ghosts.order_ends(self.decided, n, ticket);
        }
        self.check_answer(&connection, answer.result, last);
        match answer.result {
            ResultCode::Success | ResultCode::SyncSuccess => {
                if order == Order::Revoke {
                    // Whatever it was standing for, it does not any more.
                    self.checks.ghosts.gives_up(n, ticket);
                }
                self.clients.done += 1;
                self.clients.last_done[ticket] = Some(order);
                self.clients.done_term[ticket] = answer.term;
                self.clients.done_by[ticket] = n;
                self.checks.blame.told_revoked[ticket] = false;
                self.clients.revoked_since[ticket] = u32::from(self.clients.revoke_open(ticket));
            }
            ResultCode::Redirect if !connection.left => {
                let to =
                    answer.leader.member().and_then(|id| self.ids.iter().position(|i| *i == id));
                if to == Some(n) {
                    self.fail("S8", format!("{} redirects a client to itself", self.name(n)));
                } else if let Some(to) = to {
                    let at = self.now + MILLI;
                    self.future.plan(at, Happening::Order { node: to, ticket, order });
                }
            }
            // A revoke that is answered *not known* has no effect but there.
            ResultCode::SyncFail
                if last && order == Order::Revoke && answer.leader == Holder::Unknown =>
            {
                self.clients.refused += 1;
                let since = &mut self.clients.revoked_since[ticket];
                *since = since.saturating_sub(1);
            }
            _ if last => self.clients.refused += 1,
            _ => {}
        }
    }

    /// A process has ended: its connections are closed.
    pub fn hang_up(&mut self, n: usize) {
        let life = self.nodes[n].life;
        let open = std::mem::take(&mut self.clients.open);
        for connection in open.iter().filter(|c| c.node == n && c.life == life) {
            self.answer_missed(connection, true);
        }
        self.clients.open = open;
        self.clients.open.retain(|c| c.node != n || c.life != life);
    }
}
