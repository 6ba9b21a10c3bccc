//! Nodes: who is silent is told to be unknown, who is not ready is tainted, and pods that do not tolerate it go.
//!
//! It owns the taints that say a node's conditions. It never asks a node anything: nodes report by themselves.
//!
//! In reading order: `zones` (how fast nodes may be given up), `fleet` (when each was heard of last), `taints` (which
//! those conditions make), `lifecycle`, `pods` (those of a silent node), `tolerations`, `eviction`; `ranges` and `ipam`
//! (addresses for pods), `ttl`; `tests`.

pub mod eviction;
pub mod fleet;
pub mod ipam;
pub mod lifecycle;
pub mod pods;
pub mod ranges;
pub mod taints;
#[cfg(test)]
mod tests;
pub mod tolerations;
pub mod ttl;
pub mod zones;
