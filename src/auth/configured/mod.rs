//! Files that say who is believed and who decides: read strictly, and judged in stock's words.
//!
//! It owns what such a file may say. It never makes the authenticators and authorizers that the file asks for.
//!
//! In reading order: `file` (reading), `authentication`, `authorization`.

pub mod authentication;
pub mod authorization;
pub mod file;
