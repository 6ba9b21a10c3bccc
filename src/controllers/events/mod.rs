//! What users are told: Events, written as stock's recorder writes them.
//!
//! A controller hands a note over and goes on; one task writes. Notes are told apart as client-go does it: the same
//! again raises a count, many similar ones become one, and an object that causes too many is not heard for a while.
//! What does not fit into the queue is dropped: Events are a courtesy.
//!
//! In reading order: `recorder` (handing over), `correlate` (what becomes of a note), `write` (the task).

mod correlate;
mod recorder;
mod write;

pub use recorder::{Kind, Recorder, Regarding, Sender};
pub use write::start;
