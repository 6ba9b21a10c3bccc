//! The words of the API: names, revisions, errors, quantities, selectors, and how to read an object's metadata.
//!
//! Plain values and pure functions; it knows no schema and no store.
//!
//! In reading order: `names`, `revision`, `field` (a path and what is wrong there), `status` (the API's error),
//! `gotext` (how Go prints a value), `syntax` (of names and labels), `quantity` on `decimal`, `intstr`, `duration`,
//! `time`, `cron`, `url`, `regex`, `selector`, `object` (metadata of an object in JSON), `condition`, `pod` and
//! `volume` (what they name), `version` (which comes first), `named` (parts by name).

pub mod condition;
pub mod cron;
mod decimal;
pub mod duration;
pub mod field;
pub mod gotext;
pub mod intstr;
pub mod named;
pub mod names;
pub mod object;
pub mod pod;
pub mod quantity;
pub mod regex;
pub mod revision;
pub mod selector;
pub mod status;
pub mod syntax;
pub mod time;
pub mod url;
pub mod value;
pub mod version;
pub mod volume;
