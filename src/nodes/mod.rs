//! Simulated nodes: they join over the API and behave there as kubelets do; only their containers are not run.
//!
//! It owns what a node says and does on the wire. It never looks into the server that it joins, even where that is in
//! the same process.
//!
//! In reading order: `invite` (who may join).

pub mod invite;
