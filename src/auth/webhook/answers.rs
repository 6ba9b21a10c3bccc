//! Answers that count for a while, by what was asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::token::remembered::{Digest, Remembered};
use crate::base::clock::Clock;

pub struct Answers<T> {
    remembered: Remembered<Lasting<T>>,
    clock: Clock,
}

struct Lasting<T> {
    answer: T,
    until: Timestamp,
}

impl<T: Clone> Answers<T> {
    pub fn new(clock: &Clock) -> Self {
        Self { remembered: Remembered::default(), clock: clock.clone() }
    }

    /// The answer, if it still counts.
    pub(super) fn get(&self, question: &Digest) -> Option<T> {
        let known = self.remembered.get(question).filter(|known| self.clock.now() < known.until)?;
        Some(known.answer.clone())
    }

    /// It counts for `ttl` from now; zero: it is not remembered.
    pub(super) fn put(&self, question: Digest, answer: T, ttl: Duration) {
        if !ttl.is_zero() {
            let now = self.clock.now();
            let until = now.checked_add(ttl).unwrap_or(now);
            self.remembered.put(question, Arc::new(Lasting { answer, until }));
        }
    }
}
