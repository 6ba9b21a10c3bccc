//! Certificate signing requests: nodes' own are approved, what is approved is signed, and what is done is deleted.
//!
//! In reading order: `request` (what is read of one), `form` (what Kubernetes' signers ask of one), `approve`, `sign`,
//! `clean`.

pub mod approve;
pub mod clean;
pub mod form;
pub mod request;
pub mod sign;
