//! Revisions: the store's one order of changes.

use std::fmt;

/// A position in the store's order of changes; positive, strictly increasing, never reused. Clients see it as
/// `resourceVersion` and must not read more into it than equality and "not older than".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Before everything; as a `resourceVersion`: any.
    pub const ZERO: Self = Self(0);

    /// The decimal that clients send back; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
