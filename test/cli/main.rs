// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line from outside: what arguments mean, and what the clients print and return
//! when a daemon answers well, badly or not at all. The daemon is a script in the test.

mod arguments;
