//! What an expression can cost at most, told from its types and the bounds of its schema alone.
//!
//! A definition whose rules could cost too much is refused, so the numbers are part of the API: they follow cel-go's
//! estimate and Kubernetes' table of functions to the unit.
//!
//! In reading order: `range` (numbers from..to), `walk` (over the expression), `calls` (what functions cost).

mod calls;
mod range;
mod walk;

pub use range::Range;
pub use walk::estimate;
