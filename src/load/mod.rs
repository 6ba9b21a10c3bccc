//! Load on a control plane, and what it costs: the work of `monokube bench`.
//!
//! It starts a server of its own in an empty directory, comes to it as any client does (TLS, HTTP/2, a bearer token), and
//! reads from the kernel what the server's process used meanwhile. It never looks into the server it measures, and
//! touches no other.
//!
//! In reading order: `error`, `child` (the server's process), `connection` (one client's), `bodies` (what is sent),
//! `crowd` (many requests at once), `writes`, `lists`, `watches`, `overload` (one kind of load each), `report` (the table), `trial`
//! (all of it in order).

pub mod bodies;
pub mod child;
pub mod connection;
pub mod crowd;
pub mod error;
pub mod lists;
pub mod overload;
pub mod report;
pub mod trial;
pub mod watches;
pub mod writes;
