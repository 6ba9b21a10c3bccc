//! Keys and certificates: the cluster's authorities, what they sign, and the folder that holds them.
//!
//! It owns the folder's layout (kubeadm's) and the form of what it signs. It never decides who may have a certificate
//! and never listens or dials.
//!
//! In reading order: `error`, `key` (private and public), `certificate` (what one says), `signing` (how one is made),
//! `authority` (who signs), `request` (certificate signing requests), `asking` (how one is written), `folder` (files at
//! start), `renewal` (what expires when), `kubeconfig`.

pub mod asking;
pub mod authority;
pub mod certificate;
pub mod error;
pub mod folder;
pub mod key;
pub mod kubeconfig;
pub mod renewal;
pub mod request;
mod signing;
