//! Every bound of the server, by name. What a client sends or makes the server hold is bounded by one of these.

use std::time::Duration;

/// Bytes of a request's body (stock: 3 MiB).
pub const BODY: usize = 3 * 1024 * 1024;
/// Bytes of a request's headers.
pub const HEADERS: usize = 1024 * 1024;
/// How many headers those may be (HTTP/1.1).
pub const HEADER_COUNT: usize = 1_000;
/// Streams of an HTTP/2 connection: clients keep one watch a resource open on one connection.
pub const STREAMS: u32 = 2_000;
/// Bytes that may be under way on one HTTP/2 stream.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that may be under way on one HTTP/2 connection.
pub const CONNECTION_WINDOW: u32 = 25 * 1024 * 1024;
/// Connections at once.
pub const CONNECTIONS: usize = 50_000;
/// Those of them over which no request has come yet: of more, the oldest is cut off.
pub const STRANGERS: usize = 1_000;
/// Streams to backends at once: exec, attach, port-forward, and what is upgraded through a proxy.
pub const BACKEND_STREAMS: usize = 10_000;
/// How long a TLS handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's headers may take to arrive, and a new connection's first request.
pub const HEADER_READ: Duration = Duration::from_secs(30);
/// A connection without requests is ended between this and twice this (stock: 90 s).
pub const IDLE: Duration = Duration::from_secs(90);
/// A connection that says nothing is asked whether it still lives after this, and given as long to answer.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Answers smaller than this are not compressed (stock: 128 KiB).
pub const GZIP_FROM: usize = 128 * 1024;
/// How long a shutdown waits for requests under way.
pub const DRAIN: Duration = Duration::from_secs(60);
/// How long an Event lives (stock: `--event-ttl`).
pub const EVENT_TTL: Duration = Duration::from_secs(3600);
