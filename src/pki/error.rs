//! What goes wrong with keys, certificates and their files.

use std::io;
use std::path::{Path, PathBuf};

/// Names the file or the thing, and what is wrong with it; never a key's content.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{what}: {why}")]
    Malformed { what: String, why: String },
    #[error("cannot sign {what}: {authority} has a certificate but no key here")]
    NoKey { what: String, authority: String },
    #[error("cannot make {what}: {why}")]
    Make { what: &'static str, why: String },
    #[error("{0}")]
    Request(String),
}

pub type Result<T> = std::result::Result<T, PkiError>;

impl PkiError {
    pub(super) fn malformed(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Malformed { what: what.into(), why: why.to_string() }
    }

    /// The same fault, said of `path`.
    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Malformed { what, why } => Self::Malformed { what: format!("{}: {what}", path.display()), why },
            other => other,
        }
    }
}
