//! Who asks, and whether they may.
//!
//! It owns identities, the ways to prove one, and the decision whether an identity may do a thing. It never looks into
//! the object that a request is about (that is admission) and never reads the store itself; only `node` reads the cache.
//!
//! In reading order: `identity` (users and secrets), `certificate` and `request_header` (proof by TLS), `token` (bearer
//! tokens), `authenticator` (all of them in their order), `impersonation`, `authorizer` (the question, the answer, the
//! chain), `selected` (what a question is narrowed to), `rbac`, `node`; then what asks elsewhere: `outward` (over HTTP), `oidc` (tokens of other issuers), `webhook`
//! (who is it, may they), `configured` (the files that ask for them); `metrics`, `counted` (decisions).

pub mod authenticator;
pub mod authorizer;
pub mod certificate;
pub mod configured;
mod counted;
pub mod identity;
pub mod impersonation;
pub mod metrics;
pub mod node;
pub mod oidc;
pub mod outward;
pub mod rbac;
pub mod request_header;
pub mod selected;
pub mod token;
pub mod webhook;
