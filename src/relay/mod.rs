//! Going to kubelets, pods and the backends of services for a client, and passing on what both say.
//!
//! It owns which addresses may be gone to, how a connection there is made and secured, which headers pass, and the bytes of
//! streams in both directions. It never decides who may ask (that has been done before), never follows a redirect, and
//! never keeps a connection that has failed.
//!
//! In reading order: `target` (what an object says of where it is), `guard` (where nobody is sent), `dial` (connections),
//! `headers` (what passes), `pass` (a request and its answer), `location` and `links` (what an answer says of where it is from),
//! `upgrade` (a request that becomes a stream), `pipe` (bytes both ways), `spdy`, `websocket` (frames), `reader` (a body in frames),
//! `exec` (one as the other), `tunnel` (one within the other), `outlet` (all of it in one hand).

pub mod dial;
pub mod exec;
pub mod guard;
pub mod headers;
pub mod links;
pub mod location;
pub mod outlet;
pub mod pass;
pub mod pipe;
pub mod reader;
pub mod spdy;
pub mod target;
pub mod tunnel;
pub mod upgrade;
pub mod websocket;
