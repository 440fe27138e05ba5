// SPDX-License-Identifier: GPL-2.0-or-later
//! What watches a cluster, as Debian ships it: Prometheus with our rules, and a browser that shows
//! the exporter's page. Both run in a root directory that `test/pacemaker/make-root see` has made.
//!
//! Needs root, and the first time debootstrap and the network.

mod browser;
mod prometheus;
mod tools;
