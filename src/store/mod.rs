//! Where objects are kept: one contract, three stores.
//!
//! It owns keys and values as bytes, their revisions and their durability. It never looks into a value and never
//! asks who is writing.
//!
//! In reading order: `contract` (what every store promises).

pub mod contract;
