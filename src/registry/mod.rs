//! One generic create, get, list, watch, update, patch, apply and delete for every resource, built in or custom.
//!
//! It owns the order of a write: read, change, default, admit, prepare, validate, own fields, store. It never speaks HTTP.
//! What a kind does beyond its pure `rules` hangs in `hooks`, one file a kind.
//!
//! In reading order: `request` (who asks of what), `options`, `core` (the parts and the transaction), `meta` (metadata of
//! every write), `stages` (what every write goes
//! through), `write` (create and update), `patch`, `kind` (what an object says it is), `delete`, `binding` (a pod gets its node), `read`, `hooks`, `charge`
//! (what quotas are charged), `custom` (custom resources), `recorded`
//! (the record of what they do), `client` (in-process callers), `events` (what they tell users).

pub mod binding;
pub mod charge;
pub mod client;
pub mod core;
pub mod custom;
pub mod decode;
pub mod eviction;
pub mod delete;
pub mod events;
#[cfg(test)]
pub mod fixture;
pub mod hooks;
pub mod kind;
pub mod meta;
pub mod options;
pub mod patch;
pub mod read;
pub mod recorded;
pub mod request;
pub mod review;
pub mod scale;
pub mod stages;
pub mod stored;
pub mod watch;
pub mod write;

#[cfg(test)]
mod admission_tests;
#[cfg(test)]
mod configured_tests;
#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod tests;
