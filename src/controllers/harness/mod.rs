//! What all controllers share: who is to be looked at, when, by how many at a time, and on which state.
//!
//! It owns the queues and the barrier. It knows no kind and decides nothing about objects.
//!
//! In reading order: `controller` (the contract), `queue` (keys that wait), `context` (what a run reads and writes
//! through), `run` (the loop).

mod context;
mod controller;
mod queue;
mod run;

pub use context::{Cut, Cx, Plane};
pub use controller::{Change, Controller, Follows, Keys, Next};
pub use queue::Key;
pub use run::Runner;

#[cfg(test)]
mod tests;
