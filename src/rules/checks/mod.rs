//! Rules that many kinds share, with stock's exact texts.
//!
//! A rule about a text gives [`Texts`](crate::model::syntax::Texts); a rule about a value takes an
//! [`At`](super::at::At) and writes to the errors. What only one kind demands stands with that kind.
//!
//! In reading order: `names`, `labels` (labels, annotations, selectors), `meta` (object metadata), `numbers`
//! (numbers, quantities, ports), `resources` (of compute), `choices` (enumerations), `conditions`, `network`
//! (addresses), `web` (URLs, paths, headers), `schedule` (cron), `pem`.

pub mod choices;
pub mod conditions;
pub mod labels;
pub mod meta;
pub mod names;
pub mod network;
pub mod numbers;
pub mod pem;
pub mod resources;
pub mod schedule;
pub mod web;
