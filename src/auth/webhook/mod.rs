//! Asking somebody else who a token's bearer is, and whether a user may do a thing.
//!
//! It owns the questions and answers (reviews), how often and how long they are asked, and what is remembered of the
//! answers. It never asks what the match conditions leave out, and never says more of a token than its digest.
//!
//! In reading order: `review` (one question, with its repetitions), `answers` (those that are remembered), `token` (who is
//! it), `conditions` (is the question to be asked at all), `access` (may they).

pub mod access;
mod answers;
pub mod conditions;
pub mod review;
#[cfg(test)]
pub mod testing;
pub mod token;
