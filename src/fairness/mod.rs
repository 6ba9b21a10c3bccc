//! API priority and fairness (KEP-1040): how requests share the server, so that nobody who asks much keeps others waiting.
//!
//! It owns the priority levels at work: their seats, their queues, and who is next. It tells requests apart by the
//! FlowSchemas and PriorityLevelConfigurations of the cache, whose mandatory ones are in force also when they are gone. It
//! never writes an object, and never looks into a request beyond who asks for what.
//!
//! In reading order: `gate` (where requests pass), `fair` (by levels), `inflight` (by number alone); `spec` (what the
//! objects say), `governor` (levels and their seats), `allocation`, `demand` (what seats are lent by); `level` (one level),
//! `queues` and `queue` (who waits where), `shuffle` (which queues a flow has), `work`; `estimate` (how dear a request is),
//! `watches` (who is told of writes), `retry` (when to come again); `counts`, `shares`, `metrics`, `dump` (what is shown).

pub mod allocation;
pub mod counts;
pub mod demand;
pub mod dump;
pub mod estimate;
pub mod fair;
pub mod gate;
pub mod governor;
pub mod inflight;
pub mod level;
pub mod metrics;
pub mod queue;
pub mod queues;
pub mod retry;
pub mod shares;
pub mod shuffle;
pub mod spec;
pub mod watches;
pub mod work;
