//! HTTP: sockets, routes, negotiation, and the way of a request through authentication, authorization and the registry.
//!
//! It owns nothing that lasts; what it knows of objects it asks the registry. It never writes to the store.
//!
//! In reading order: `listen` (sockets, TLS, connections), `strangers` (those without a request), `route` and `query` (what a URL asks for), `narrowed` (as
//! authorizers see it), `server` (the way of every request), `seats` (its place among the others), `exchange` (one request in hand), `audited` (what its record has),
//! `options`, `bodies`, `objects` (the verbs), `watches`,
//! `subresources`, `backends` (who answers for a pod, a node, a service), `streams` (exec, attach, port-forward), `proxied`, `logs`, `reviews`, `documents` (discovery, OpenAPI, version), `health`, `metrics`, `respond`, `compress`.

pub mod audited;
pub mod backends;
pub mod bodies;
pub mod compress;
pub mod documents;
pub mod exchange;
pub mod health;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod narrowed;
pub mod objects;
pub mod options;
pub mod proxied;
pub mod query;
pub mod respond;
pub mod reviews;
pub mod route;
pub mod seats;
pub mod server;
mod strangers;
pub mod streams;
pub mod subresources;
pub mod watches;
