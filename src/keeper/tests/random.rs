// SPDX-License-Identifier: GPL-2.0-or-later
//! Random words, ends and pauses, and a model of the store beside them.
