//! Why an expression gave no value.

use std::borrow::Cow;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error that `&&`, `||` and quantifiers may absorb.
    Error(Cow<'static, str>),
    /// It cost more than it may.
    Budget,
}

impl Fault {
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Fault::Error(text.into())
    }

    /// An argument was of none of the types that a function takes.
    pub fn overload() -> Self {
        Fault::Error("no such overload".into())
    }

    pub fn no_key(key: impl fmt::Display) -> Self {
        Fault::Error(format!("no such key: {key}").into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Error(text) => f.write_str(text),
            Fault::Budget => f.write_str("operation cancelled: actual cost limit exceeded"),
        }
    }
}
