//! Selectors: which objects a list, a watch or a controller means.
//!
//! They are parsed, matched and printed here; what fields a kind can be selected by is not known here.
//!
//! In reading order: `label` (a selector of labels), `parse` (its text form), `field` (a selector of fields).

pub mod field;
pub mod label;
mod parse;
