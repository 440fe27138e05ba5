// SPDX-License-Identifier: GPL-2.0-or-later
//! Ticket attributes (`geostore`) and the prerequisites that refer to them.

use alloc::boxed::Box;
use core::fmt;

/// Attribute names that Pacemaker and Booth reserve (P18).
pub const RESERVED_ATTRS: [&str; 8] =
    ["owner", "expires", "term", "granted", "standby", "id", "last-granted", "booth-cfg-name"];

/// The most attributes of one ticket. Each costs memory in the daemon and space in the CIB.
pub const ATTRS_MAX: usize = 256;

/// The longest attribute name in bytes: 64 on the wire with its NUL.
const NAME_MAX: usize = 63;
/// The longest attribute value in bytes: 128 on the wire with its NUL.
const VALUE_MAX: usize = 127;

/// Why a text is not an attribute name or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrError {
    /// The name is empty.
    Empty,
    /// The text is longer than the limit given.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest that is allowed, in bytes.
        max: usize,
    },
    /// The name is not an XML name, so the CIB cannot store it.
    NotXmlName,
    /// The name is one of [`RESERVED_ATTRS`].
    Reserved,
    /// The value has a control character, which neither the CIB nor an output line can contain.
    ControlCharacter,
}

impl fmt::Display for AttrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttrError::Empty => write!(f, "an attribute name cannot be empty"),
            AttrError::TooLong { len, max } => {
                write!(f, "it has {len} bytes, at most {max} are possible")
            }
            AttrError::NotXmlName => write!(
                f,
                "it is no XML name: start with a letter or '_', go on with letters, digits, '-', \
                 '_', '.'"
            ),
            AttrError::Reserved => write!(f, "the name is reserved for the cluster"),
            AttrError::ControlCharacter => write!(f, "it has a control character"),
        }
    }
}

impl core::error::Error for AttrError {}

/// The name of a ticket attribute: an ASCII XML name without colon, not reserved, at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrName(Box<str>);

impl AttrName {
    /// The name in `text`.
    ///
    /// # Errors
    /// The text is empty, too long, not an XML name, or reserved.
    pub fn new(text: &str) -> Result<AttrName, AttrError> {
        let Some(first) = text.chars().next() else {
            return Err(AttrError::Empty);
        };
        if text.len() > NAME_MAX {
            return Err(AttrError::TooLong { len: text.len(), max: NAME_MAX });
        }
        let follows = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(first.is_ascii_alphabetic() || first == '_') || !text.chars().all(follows) {
            return Err(AttrError::NotXmlName);
        }
        if RESERVED_ATTRS.contains(&text) {
            return Err(AttrError::Reserved);
        }
        Ok(AttrName(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of a ticket attribute: at most 127 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrValue(Box<str>);

impl AttrValue {
    /// The value in `text`.
    ///
    /// # Errors
    /// The text is too long or has a control character.
    pub fn new(text: &str) -> Result<AttrValue, AttrError> {
        if text.len() > VALUE_MAX {
            return Err(AttrError::TooLong { len: text.len(), max: VALUE_MAX });
        }
        if text.chars().any(char::is_control) {
            return Err(AttrError::ControlCharacter);
        }
        Ok(AttrValue(text.into()))
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a prerequisite applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleMode {
    /// Before the ticket is acquired automatically.
    Auto,
    /// Before an administrator's grant.
    Manual,
}

/// How a prerequisite compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrOp {
    /// The attribute must have the value.
    Equal,
    /// The attribute must not have the value.
    NotEqual,
}

/// The condition in one `attr-prereq` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrRule {
    /// Whether it applies to acquisitions or to grants.
    pub mode: RuleMode,
    /// The attribute that it checks.
    pub name: AttrName,
    /// How the attribute is compared with `value`.
    pub op: AttrOp,
    /// The value that the attribute must or must not have.
    pub value: AttrValue,
}
