//! All objects in memory, in the order of the store, and everyone who wants to hear of changes.
//!
//! It owns the current state of every resource, a bounded history of its changes, and the watchers of both. It follows
//! the store and never writes to it; it knows no HTTP, checks no rights, and hands out objects as the bytes that the
//! store has, with `metadata.resourceVersion` set.
//!
//! One task writes ([`feed`]); everyone else reads snapshots that cost nothing to take. A revision is published after
//! all of its changes are applied to all shelves, so that every reader sees one consistent cut.
//!
//! In reading order: `handle` (what others hold: [`handle::Cache`]), `limits`, `error`; `object` (one object as bytes),
//! `stored` (from what the store has to an object), `trees` (of those that are read and written now), `index`, `shelf` (one resource), `lister` (reading it), `shelves`
//! (all of them), `event`, `history` (what happened lately); `state` (what is shared), `published` (waiting for a
//! revision), `writer` (the one who changes it), `feed` (the task that follows the store); `inbox`, `topics` (who hears
//! of what), `cursor` (one reader's place in the order of events), `watcher` (for clients), `subscription` (for
//! controllers and the scheduler).

pub mod cursor;
pub mod error;
pub mod event;
pub mod feed;
pub mod handle;
pub mod history;
pub mod inbox;
pub mod index;
pub mod limits;
pub mod lister;
pub mod object;
pub mod published;
pub mod shelf;
pub mod shelves;
pub mod state;
pub mod stored;
pub mod subscription;
pub mod topics;
pub mod trees;
pub mod watcher;
pub mod writer;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod testing;
