//! Proof by a token of somebody else: a JSON Web Token of an issuer that the configuration names (OpenID Connect).
//!
//! It owns what makes such a token valid and how its claims become a user. It never believes a token before its signature
//! is verified, chooses no algorithm that the key does not have, and asks the issuer only for its keys.
//!
//! In reading order: `expressions` (CEL over claims and users), `mapping` (from claims to a user), `keys` (JSON Web Keys),
//! `key_set` (the issuer's, fetched), `provider` (where they are), `token` (what every token must say), `distributed`
//! (claims that lie elsewhere), `issuer` (all of it for one issuer), `issuers` (all of them).

mod distributed;
pub(super) mod expressions;
pub mod issuer;
pub mod issuers;
mod key_set;
mod keys;
mod mapping;
mod provider;
mod token;

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
