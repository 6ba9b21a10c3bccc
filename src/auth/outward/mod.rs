//! Going elsewhere over HTTP: to who issues tokens, and to webhooks.
//!
//! It owns how such a place is named, how it is known to be the right one, and one bounded exchange with it. It never
//! follows a redirect, never repeats a request by itself, and never shows what it sends to prove who it is.
//!
//! In reading order: `kubeconfig` (the file), `trust` (is the other side who it says), `access` (where to go, and as
//! whom), `client` (one exchange), `endpoint` (a webhook, to which JSON is posted).

pub mod access;
pub mod client;
pub mod endpoint;
pub mod kubeconfig;
mod trust;
