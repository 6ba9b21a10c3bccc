//! Custom resources: what the schema of a CustomResourceDefinition demands of objects, in stock's words.
//!
//! It owns schemas as definitions write them and everything that values are checked for by them. It never asks whether
//! a definition is right: `custom_resource_definition` does, with the parts that stand here.
//!
//! In reading order: `definition` (a version's rules: what a registry calls), `schema`, `prune` (unknown fields,
//! nulls, defaults), `embedded` (metadata), `values` with `outcome`, `numbers` and `formats` (types and bounds),
//! `lists` (no item twice), `scale`; for expressions: `shape` (types), `expressions` (compiled), `correlate` (what a
//! part was), `evaluate`, `field_path`; `served` (the resources that a
//! definition makes).

pub mod correlate;
pub mod definition;
pub mod embedded;
pub mod evaluate;
pub mod expressions;
pub mod field_path;
pub mod formats;
pub mod lists;
pub mod numbers;
pub mod outcome;
pub mod prune;
pub mod scale;
pub mod schema;
pub mod served;
pub mod shape;
pub mod values;
