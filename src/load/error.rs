//! Why a measurement cannot be taken.

use std::fmt::Display;

pub type Result<T> = std::result::Result<T, LoadError>;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}: {1}")]
    Failed(&'static str, String),
    #[error("{0} {1}: {2} {3}")]
    Refused(http::Method, String, u16, String),
}

impl LoadError {
    /// What was tried, and why it failed.
    pub fn of<E: Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Failed(what, error.to_string())
    }
}
