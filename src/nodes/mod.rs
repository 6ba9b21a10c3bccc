//! Simulated nodes: they join over the API and behave there as kubelets do; only their containers are not run.
//!
//! It owns what a node says and does on the wire. It never looks into the server that it joins, even where that is in
//! the same process, and serves nothing itself: no logs, no exec.
//!
//! In reading order: `invite` (who may join), `kubeadm` (what those read who do), `join` (the way to a certificate),
//! `machine` (what a node says of itself), `lease`, `addresses` (of pods), `command` (what a container would do), `pod`
//! (what happens to one), `status` (what is said of it), `kubelet` (one node at work), `fleet` (many).

pub mod addresses;
pub mod command;
pub mod fleet;
pub mod invite;
pub mod join;
pub mod kubeadm;
pub mod kubelet;
pub mod lease;
pub mod machine;
pub mod pod;
pub mod status;
