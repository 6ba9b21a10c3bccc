//! Proof by bearer token: service accounts', those of a file, and those that bootstrap a node.
//!
//! It owns the forms of the tokens and what makes one valid. It never reads the objects that a token is bound to: small
//! traits stand for whoever knows them.
//!
//! In reading order: `jws` (signed tokens), `claims` (what one says), `issue` and `verify` (service accounts'),
//! `remembered` (those verified already), `lookups` (how often they were), `discovery` (the keys, for others), `file`, `bootstrap`,
//! `bootstrap_secret` (how such a token is made).

pub mod bootstrap;
pub mod bootstrap_secret;
pub mod claims;
pub mod discovery;
pub mod file;
pub mod issue;
pub(super) mod jws;
pub mod lookups;
pub(super) mod remembered;
pub mod verify;
