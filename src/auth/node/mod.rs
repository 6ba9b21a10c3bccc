//! The authorizer of nodes: a kubelet may read what the pods of its node need, and write what is about itself.
//!
//! It owns the rules for members of `system:nodes` and the question what is related to a node. It keeps nothing: the
//! relations are read from the cache, where a kubelet has them from. It never looks into what is written; that is
//! NodeRestriction's part.
//!
//! In reading order: `authorizer` (what is asked about each resource), `graph` (what leads from an object to a node),
//! `rules` (what every node may do).

mod authorizer;
mod graph;
mod rules;

pub use authorizer::NodeAuthorizer;
pub use rules::rules;

#[cfg(test)]
mod tests;
