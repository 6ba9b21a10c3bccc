//! Dynamic resource allocation: ResourceClaim, ResourceClaimTemplate, DeviceClass and ResourceSlice.
//!
//! It says what such objects must keep; choosing devices is done by the scheduler.
//!
//! In reading order: `claim`, `template`, `class`, `slice` (the kinds); `requests` (what a claim asks for), `selector`
//! (devices chosen by an expression), `settings` (what drivers are told), `allocation` and `status` (what a claim got),
//! `devices` (what a slice offers), `attributes`, `capacity`; `parts` (names, sets, taints, which all of them share).

pub mod allocation;
pub mod attributes;
pub mod capacity;
pub mod claim;
pub mod class;
pub mod devices;
pub mod parts;
pub mod requests;
pub mod selector;
pub mod settings;
pub mod slice;
pub mod status;
pub mod template;
