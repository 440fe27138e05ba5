// SPDX-License-Identifier: GPL-2.0-or-later
//! Real clusters: two sites with Corosync and Pacemaker, an arbitrator, and between them the
//! booth that `make install` has installed. Each machine lies in namespaces of its own, over a
//! Debian root that `make-root` has made. What is proven is what an administrator sees: when
//! resources start and stop, and that the tools of others get along with us.
//!
//! Needs root, and the first time debootstrap and the network.

mod cib;
mod geo;
mod machine;
mod record;
mod site;

mod agents;
mod crmsh;
mod handlers;
mod many;
mod moves;
mod nodes;
mod older;
mod pcs;
mod tester;
mod tickets;
