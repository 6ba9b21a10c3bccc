//! Where objects are kept: one contract, three stores.
//!
//! It owns keys and values as bytes, their revisions and their durability. It never looks into a value and never
//! asks who is writing.
//!
//! In reading order: `contract` (what every store promises), `keys` (the root of all keys), `history` (recent changes and
//! the watches they feed) and `expiry` (the timer of TTLs), both shared by `memory` (for tests and simulation) and
//! `embedded` (SQLite on disk, the default); `etcd` (over gRPC), `snapshot` (a store's state in a file).

pub mod contract;
pub mod embedded;
pub mod etcd;
mod expiry;
mod history;
mod keys;
pub mod memory;
pub mod snapshot;
