//! Audit: who did what and how it ended, as the policy asks, into a log and to a webhook.
//!
//! It owns the policy file, the event of a request and its stages, and the backends with their buffers and counters. It
//! never decides about a request, but for the mode `blocking-strict`: a request that cannot be recorded is then refused.
//!
//! In reading order: `level` (levels and stages), `policy` (which request is recorded how), `load` (its file), `source`
//! (the addresses a request came through), `annotations` (what others add), `spent` (where its time went), `event` (what is recorded, as JSON and as a
//! line), `record` (one request under way), `recorder` (the policy and the backends together), `metrics`, `backend` (what
//! takes events; modes and truncation), `batch` (the buffer before a backend), `file` (rotation), `log` (the thread that
//! writes), `webhook` (what is sent elsewhere).

pub mod annotations;
pub mod backend;
pub mod batch;
pub mod event;
pub mod file;
pub mod level;
pub mod load;
pub mod log;
pub mod metrics;
pub mod policy;
pub mod record;
pub mod recorder;
pub mod source;
pub mod spent;
pub mod webhook;
