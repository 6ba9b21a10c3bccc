//! Why the cache cannot answer.

use crate::model::names::GroupResource;
use crate::model::revision::Revision;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// It keeps no such resource.
    #[error("no shelf for {0}")]
    NoShelf(GroupResource),
    /// History does not reach back so far; `oldest` is the first revision that it knows.
    #[error("too old resource version: {asked} ({oldest})")]
    Expired { asked: Revision, oldest: Revision },
    /// It has not seen that revision: not within the time given, or not yet.
    #[error("Too large resource version: {asked}, current: {newest}")]
    Future { asked: Revision, newest: Revision },
}
