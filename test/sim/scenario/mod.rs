// SPDX-License-Identifier: GPL-2.0-or-later
//! Transcripts (`test/scenario`): a cluster that does what its commands say, by itself or by hand,
//! and tells what happens in words.

pub mod hand;
pub mod lab;
pub mod words;
