//! Reviews: questions that the server answers at once and never keeps.
//!
//! Their rules are keyed by their own kinds, and all that is wrong is what `validate` says: they have no name, so the
//! metadata of content is not asked for.
//!
//! In reading order: `access` (may somebody do something), `token` (a token for a service account).

pub mod access;
pub mod token;
