//! What goes wrong between a client and a server.

use crate::model::value::Value;

/// Names the server or the file, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The kubeconfig or the flags do not say how to reach a server.
    #[error("{0}")]
    Access(String),
    /// The request may or may not have been done.
    #[error("{server}: {why}")]
    Unreachable { server: String, why: String },
    /// The server's answer is a Status that is no success.
    #[error("{message}")]
    Refused { code: u16, reason: String, message: String },
    /// The server's answer cannot be read.
    #[error("{server}: {why}")]
    Malformed { server: String, why: String },
}

pub type Result<T> = std::result::Result<T, RemoteError>;

impl RemoteError {
    /// A Status as the server sent it.
    pub(super) fn refused(code: u16, status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or("").to_owned();
        let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(code);
        let message = match text("message") {
            empty if empty.is_empty() => format!("the server answered with code {code}"),
            message => message,
        };
        Self::Refused { code, reason: text("reason"), message }
    }

    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == wanted)
    }

    pub fn is_not_found(&self) -> bool {
        self.is("NotFound")
    }

    pub fn is_conflict(&self) -> bool {
        self.is("Conflict")
    }

    pub fn is_already_exists(&self) -> bool {
        self.is("AlreadyExists")
    }

    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Access(_) => false,
            Self::Unreachable { .. } | Self::Malformed { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
        }
    }
}
