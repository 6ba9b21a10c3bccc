//! The API of a server over the wire, as a client has it.
//!
//! It owns how a kubeconfig is read, the connection over TLS and the requests on it, in Kubernetes protobuf. It never
//! decides what to do about a refusal, and repeats nothing by itself.
//!
//! In reading order: `error`, `access` (where the server is and as whom to come), `connection` (HTTP/2 over TLS), `api`
//! (requests), `watch` (events).

pub mod access;
pub mod api;
pub mod connection;
pub mod error;
pub mod watch;
