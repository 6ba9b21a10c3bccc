//! The rules that objects must keep: reading an object with its place and schema, and checking what it says.
//!
//! Pure functions over JSON values; they read no store and no clock, and change nothing.
//!
//! In reading order: `at` (a value and where it stands), `same` (what counts as unchanged), `show` (how
//! a refused object prints), `checks` (rules that many kinds share).

pub mod at;
pub mod checks;
pub mod same;
pub mod show;
