//! What an error from etcd means: whether the call happened, may be tried again, and what the store says.

use std::error::Error;

use tonic::{Code, ConnectError, Status};

use crate::store::contract::StoreError;

/// Why a call failed.
#[derive(Debug)]
pub enum Failure {
    /// etcd refused it before doing anything, or was not reached at all: any call may be tried again.
    Refused(String),
    /// It may have happened.
    Lost(String),
    /// The revision that it asks for is compacted.
    Compacted,
    /// The lease of its put is gone; nothing was put.
    NoLease,
    /// The answer is larger than a message may be.
    AnswerTooLarge,
    /// It will not go better next time.
    Final(StoreError),
}

impl Failure {
    /// Reads etcd's status; its texts are part of its API.
    pub fn new(status: &Status) -> Self {
        let text = status.message().to_owned();
        let has = |part: &str| status.message().contains(part);
        match status.code() {
            Code::Unavailable if never_sent(status) || has("etcdserver: no leader") => Self::Refused(text),
            Code::Unavailable if has("rpc not supported for learner") => Self::Refused(text),
            Code::ResourceExhausted if has("too many requests") => Self::Refused(text),
            Code::ResourceExhausted if has("database space exceeded") => Self::Final(StoreError::CannotWrite(text)),
            Code::ResourceExhausted if has("larger than max") => Self::Final(StoreError::TooLarge(text)),
            Code::InvalidArgument if has("request is too large") => Self::Final(StoreError::TooLarge(text)),
            Code::OutOfRange if has("has been compacted") => Self::Compacted,
            Code::OutOfRange if has("message length too large") => Self::AnswerTooLarge,
            // A member that lags behind the one that told us of the revision.
            Code::OutOfRange if has("future revision") => Self::Refused(text),
            Code::NotFound if has("lease not found") => Self::NoLease,
            Code::DataLoss => Self::Final(StoreError::Damaged(text)),
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
            | Code::FailedPrecondition => Self::Final(StoreError::Unavailable(text)),
            _ => Self::Lost(describe(status)),
        }
    }
}

/// The connection was not made.
fn never_sent(status: &Status) -> bool {
    causes(status).any(|cause| cause.is::<ConnectError>())
}

/// With the causes: tonic's own message is only "transport error".
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    for cause in causes(status) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&cause| cause.source())
}

impl From<Failure> for StoreError {
    /// For a call that is not tried again and changes something: what was lost is unknown.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(text) => Self::Unavailable(text),
            Failure::Lost(text) => Self::Unknown(text),
            Failure::Compacted => Self::Unavailable("the revision is compacted".to_owned()),
            Failure::NoLease => Self::Unavailable("the lease was lost".to_owned()),
            Failure::AnswerTooLarge => Self::TooLarge("etcd's answer is too large".to_owned()),
            Failure::Final(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(code: Code, text: &str) -> StoreError {
        Failure::new(&Status::new(code, text)).into()
    }

    #[test]
    fn a_write_is_unknown_only_if_it_may_have_happened() {
        use StoreError::*;
        let cases = [
            (Code::Unavailable, "etcdserver: no leader", "Unavailable"),
            (Code::ResourceExhausted, "etcdserver: too many requests", "Unavailable"),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", "CannotWrite"),
            (Code::InvalidArgument, "etcdserver: request is too large", "TooLarge"),
            (Code::ResourceExhausted, "trying to send message larger than max (3 vs. 2)", "TooLarge"),
            (Code::DataLoss, "etcdserver: corrupt cluster", "Damaged"),
            (Code::PermissionDenied, "etcdserver: permission denied", "Unavailable"),
            (Code::Unavailable, "etcdserver: leader changed", "Unknown"),
            (Code::Unavailable, "etcdserver: request timed out", "Unknown"),
            (Code::Unavailable, "connection reset by peer", "Unknown"),
            (Code::DeadlineExceeded, "context deadline exceeded", "Unknown"),
            (Code::Cancelled, "timeout expired", "Unknown"),
        ];
        for (code, text, want) in cases {
            let said = match says(code, text) {
                Unavailable(_) => "Unavailable",
                CannotWrite(_) => "CannotWrite",
                TooLarge(_) => "TooLarge",
                Damaged(_) => "Damaged",
                Unknown(_) => "Unknown",
                InUse(_) => "InUse",
            };
            assert_eq!(said, want, "{text}");
        }
    }
}
