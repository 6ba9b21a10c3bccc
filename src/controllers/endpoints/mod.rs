//! Which pods are behind a Service: kept in EndpointSlices, and in Endpoints, the older form.
//!
//! It owns what both say of a pod and when. It never looks at services without a selector, except that Endpoints which
//! users keep for them are mirrored to slices.
//!
//! In reading order: `triggers` (which services a change concerns), `service` (what is read of one), `endpoint` (a pod
//! behind it), `since` (when the last change began), `plan` (endpoints into slices), `slices`, `subsets` (endpoints into
//! Endpoints), `legacy`, `mirror`; `tests`.

pub mod endpoint;
pub mod legacy;
pub mod mirror;
pub mod plan;
pub mod service;
pub mod since;
pub mod slices;
pub mod subsets;
#[cfg(test)]
mod tests;
pub mod triggers;
